"""Folded models give the embeddings of the plain ones, and never numbers that processors are slow with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from acanet.models.folding import Affine, Product, fold
from acanet.models.parts.kaldi_fbank import KaldiFrontEnd
from acanet.models.parts.mla import Mla, sinusoids
from acanet.models.parts.speechbrain_fbank import SpeechbrainFrontEnd
from acanet.models.registry import model_names
from support.networks import LENGTHS, padded, shaken, small, waveforms


@pytest.mark.parametrize("name", model_names())
def test_a_folded_model_gives_the_same_embeddings(name):
    model, batch = small(name), padded(waveforms())
    folded = fold(model)
    with torch.no_grad():
        torch.testing.assert_close(folded.embed(*batch), model.embed(*batch), atol=1e-5, rtol=0)
        alone = batch[0][:1, : LENGTHS[0]]
        torch.testing.assert_close(folded.embed(alone), model.embed(alone), atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm", ["before", "after", "none"])
def test_batch_norm_is_inside_the_head(norm):
    model = small("acanet-mean", head={"norm": norm})
    folded = fold(model)
    assert [type(layer) for layer in folded.head] == [nn.Flatten, Product]
    with torch.no_grad():
        batch = padded(waveforms())
        torch.testing.assert_close(folded.embed(*batch), model.embed(*batch), atol=1e-5, rtol=0)


@pytest.mark.parametrize("positions", ["time", "none", "first"])
def test_positions(positions):
    model = small("acanet", aggregator={"positions": positions})
    folded = fold(model)
    batch = padded(waveforms())
    with torch.no_grad():
        torch.testing.assert_close(folded.embed(*batch), model.embed(*batch), atol=1e-5, rtol=0)


def test_positions_can_start_anywhere():
    aggregator = fold(small("acanet")).aggregator
    frames = torch.randn(1, 50, 32, generator=torch.Generator().manual_seed(0))
    whole = aggregator.prepare(frames)
    torch.testing.assert_close(aggregator.prepare(frames[:, 20:], torch.tensor(20)), whole[:, 20:], atol=1e-5, rtol=0)
    expected = nn.functional.layer_norm(frames + sinusoids(torch.arange(50), 32), (32,))
    torch.testing.assert_close(whole, expected, atol=1e-5, rtol=0)


def test_no_training_is_left_in_a_folded_model():
    model = small("acanet-local")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = fold(model)
    kinds = {type(module) for module in folded.modules()}
    assert not any(issubclass(kind, nn.modules.batchnorm._BatchNorm | nn.LayerNorm | nn.Dropout) for kind in kinds)
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_model_of_anybodys_own_is_folded_where_it_can_be():
    own = nn.Sequential(small("acanet-mean").frames.norm, nn.Linear(32, 4), nn.ReLU())
    folded = fold(own)
    assert [type(module) for module in folded] == [Affine, nn.Linear, nn.ReLU]
    x = torch.randn(2, 7, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(folded(x), own.eval()(x), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"kind": "speechbrain"},
        {"rate": 8000},
        {"window_ms": 20.0, "hop_ms": 10.0},
        {"window_ms": 23.4, "hop_ms": 7.3},
    ],
    ids=str,
)
def test_windows_put_together_from_hops(change):
    kind = SpeechbrainFrontEnd if change.get("kind") == "speechbrain" else KaldiFrontEnd
    plain = kind(mels=24, **change).build()
    folded = fold(plain)
    for length in (plain.config.window + 1, 4001, 9999):
        batch = torch.from_numpy(np.stack(waveforms([length, length])))
        cut = batch.unfold(1, plain.config.window, plain.config.hop)
        assert torch.equal(plain.windows(batch), cut)
        bins = plain.transform.shape[1] // 2
        spectrum = cut @ plain.transform
        power = (spectrum[..., :bins].square() + spectrum[..., bins:].square()) @ plain.filters
        torch.testing.assert_close(plain.power(batch).log(), power.log(), atol=2e-4, rtol=0)
        ours, frames = folded(batch, torch.tensor([length, length - 1]))
        theirs, same_frames = plain(batch, torch.tensor([length, length - 1]))
        assert torch.equal(frames, same_frames)
        torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=0)


def test_sharp_attention_makes_no_denormals():
    aggregator = fold(shaken(small("acanet"), seed=3)).aggregator
    assert isinstance(aggregator, Mla)
    generator = torch.Generator().manual_seed(0)
    queries, frames = 40 * torch.randn(12, 32, generator=generator), torch.randn(1, 400, 32, generator=generator)
    highest, weights, heard = aggregator.attend(queries, frames)
    scores = queries @ frames.transpose(1, 2)
    assert (scores.amax(-1) - scores.amin(-1)).min() > 200
    assert weights.min() >= 1e-27
    torch.testing.assert_close(highest, scores.amax(-1, keepdim=True))
    mean = heard / weights.sum(-1, keepdim=True)
    torch.testing.assert_close(mean, scores.softmax(-1) @ frames, atol=1e-5, rtol=0)
