"""Waveforms of any lengths -> embeddings, in the order given."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from acanet.errors import BadConfig, ModelMismatch, UnknownModel
from acanet.models.inference import embed_waveforms, load_model
from acanet.models.registry import build_model, model_config, saved_config

RATE = 100
SMALL = {"frames": {"channels": 8}, "head": {"dim": 4}}


class Recorder(nn.Module):
    """Embeds a waveform as (its first sample, its length), and notes the batches that it is given."""

    dim = 2

    def __init__(self, exact_when_padded):
        super().__init__()
        self.exact_when_padded = exact_when_padded
        self.front_end = SimpleNamespace(config=SimpleNamespace(rate=RATE))
        self.weight = nn.Parameter(torch.ones(()))
        self.batches = []

    def embed(self, waveforms, lengths=None):
        self.batches.append((waveforms.clone(), lengths))
        if lengths is None:
            lengths = torch.full((len(waveforms),), waveforms.shape[1])
        return torch.stack([waveforms[:, 0] * self.weight, lengths.float()], dim=1)


def numbered(lengths):
    """Waveforms of those lengths, each filled with its own number, counted from 1."""
    return [np.full(length, i, dtype=np.float32) for i, length in enumerate(lengths, start=1)]


@pytest.mark.parametrize("exact_when_padded", [True, False])
def test_order_is_kept(exact_when_padded):
    lengths = [300, 100, 200, 100, 7000, 300]
    embeddings = embed_waveforms(Recorder(exact_when_padded), numbered(lengths))
    assert embeddings.dtype == np.float32
    assert embeddings.tolist() == [[i, length] for i, length in enumerate(lengths, start=1)]


def test_batches_hold_at_most_a_minute_with_padding():
    model = Recorder(exact_when_padded=True)
    embed_waveforms(model, numbered([1900, 2000, 2100, 900, 9000, 1]))
    assert [tuple(batch.shape) for batch, _ in model.batches] == [(3, 1900), (2, 2100), (1, 9000)]
    for batch, _ in model.batches:
        assert len(batch) == 1 or batch.numel() <= 60 * RATE


def test_rows_are_padded_with_zeros_and_come_with_lengths():
    model = Recorder(exact_when_padded=True)
    embed_waveforms(model, numbered([5, 3]))
    ((batch, lengths),) = model.batches
    assert batch.tolist() == [[2, 2, 2, 0, 0], [1, 1, 1, 1, 1]]
    assert lengths.tolist() == [3, 5]


def test_equal_lengths_come_without_lengths():
    model = Recorder(exact_when_padded=True)
    embed_waveforms(model, numbered([4, 4, 4]))
    ((batch, lengths),) = model.batches
    assert batch.shape == (3, 4)
    assert lengths is None


def test_models_that_padding_changes_get_equal_lengths_only():
    model = Recorder(exact_when_padded=False)
    embed_waveforms(model, numbered([5, 3, 5, 4, 3]))
    assert [tuple(batch.shape) for batch, _ in model.batches] == [(2, 3), (1, 4), (2, 5)]
    assert all(lengths is None for _, lengths in model.batches)


def test_no_waveforms_give_no_embeddings():
    assert embed_waveforms(Recorder(exact_when_padded=True), []).shape == (0, 2)


def test_a_loaded_model_embeds_as_the_one_that_was_saved():
    model = build_model("acanet-mean", model_config("acanet-mean", SMALL)).eval()
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    loaded = load_model("acanet-mean", model.config.model_dump(mode="json"), weights)
    assert not loaded.training
    waveform = np.random.default_rng(0).standard_normal(3000).astype(np.float32)
    np.testing.assert_array_equal(embed_waveforms(loaded, [waveform]), embed_waveforms(model, [waveform]))


def test_what_does_not_fit_is_refused():
    weights = {
        name: value.numpy()
        for name, value in build_model("acanet-mean", model_config("acanet-mean", SMALL)).state_dict().items()
    }
    default, attentive = (
        model_config(name, changes).model_dump(mode="json")
        for name, changes in (("acanet-mean", {}), ("acanet-attentive", SMALL))
    )
    with pytest.raises(ModelMismatch, match=r"frames\.linear\.weight of shape \(8, 80\)"):
        load_model("acanet-mean", default, weights)
    with pytest.raises(ModelMismatch, match="lack aggregator"):
        load_model("acanet-attentive", attentive, weights)
    with pytest.raises(BadConfig, match="did you mean 'channels'"):
        load_model("acanet-mean", default | {"frames": {"kind": "pointwise", "chanels": 8}}, weights)
    with pytest.raises(BadConfig, match="model acanet-mean: head: Field required"):
        load_model("acanet-mean", {name: part for name, part in default.items() if name != "head"}, weights)
    with pytest.raises(UnknownModel, match="did you mean 'acanet-mean'"):
        load_model("acanet-men", default, weights)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("acanet2-large", {"branches": 1}),
        ("acanet2", {"front_end": {"floor_db": None}}),
        ("acanet2", {"front_end": {"speech_only": False}}),
    ],
)
def test_what_is_absent_stays_absent_though_the_registered_model_has_it(name, changes):
    config = model_config(name, changes)
    assert saved_config(name, config.model_dump(mode="json")) == config
