"""The stages of a model, composed piece by piece, give what the whole gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from acanet.export.stages import Whole, pieces, stages
from acanet.models.extractor import Extractor
from acanet.models.folding import fold
from acanet.models.parts.speechbrain_fbank import SpeechbrainFrontEnd
from acanet.models.registry import model_names
from acanet.runtime.bundle import Pieces
from support.networks import in_pieces, small, waveforms

PIECES = ["acanet", "acanet2", "acanet2-small", "acanet2-large", "acanet-local"]


@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize("chunk", [4, 36, 1000])
def test_pieces_give_the_whole(name, chunk):
    model = fold(small(name))
    (waveform,) = waveforms([20000])
    with in_pieces(model, chunk) as piecewise:
        piecewise.feed(waveform)
        found = piecewise.embedding()
    with torch.no_grad():
        whole = Whole(model)(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
    embedding = whole[0][0] if model.config.front_end.hears_speech else whole[0]
    np.testing.assert_allclose(found, embedding.numpy(), rtol=0, atol=1e-5)


def test_a_tdnn_under_aca_is_local_too():
    from acanet.models.config import ExtractorConfig
    from acanet.models.parts.aca_statistics import AcaStatisticsAggregator
    from acanet.models.parts.own_readout import OwnReadout
    from acanet.models.parts.tdnn import TdnnFrames
    from support.networks import shaken

    torch.manual_seed(0)
    config = ExtractorConfig(
        frames=TdnnFrames(channels=8, out_channels=16),
        aggregator=AcaStatisticsAggregator(latents=4, heads=2, mlp=8),
        head=OwnReadout(dim=8),
    )
    model = fold(shaken(Extractor(config)))
    assert config.frames.receptive_field == (2 + 2 + 3, 1)
    assert pieces(model) == Pieces(passes=1, reach=7, stride=1)
    (waveform,) = waveforms([9000])
    with in_pieces(model, 10) as piecewise:
        piecewise.feed(waveform)
        found = piecewise.embedding()
    with torch.no_grad():
        np.testing.assert_allclose(found, model.embed(torch.from_numpy(waveform)[None])[0].numpy(), rtol=0, atol=1e-5)


def test_a_frame_sees_as_far_as_is_said():
    model = fold(small("acanet-local"))
    around, stride = model.config.frames.receptive_field
    features = torch.zeros(1, 400, 80)
    features[0, 200] = 1.0
    with torch.no_grad():
        moved = (model.frames(features, None)[0] - model.frames(torch.zeros(1, 400, 80), None)[0]).abs().amax(dim=2)[0]
    seen = moved.nonzero().squeeze(1) * stride
    assert (200 - seen.min()).item() <= around
    assert (seen.max() - 200).item() <= around
    assert max((200 - seen.min()).item(), (seen.max() - 200).item()) > around - stride


@pytest.mark.parametrize("name", model_names())
def test_models_that_are_global_in_time_have_no_pieces(name):
    model = fold(small(name))
    aca = name in (*PIECES, "ecapa-512-aca", "campplus-aca")
    assert (pieces(model) is not None) == (name in PIECES)
    assert {"whole"} <= set(stages(model))
    assert ("attention" in stages(model)) == aca
    assert ("pass" in stages(model)) == (name in PIECES)
    assert ("speech" in stages(model)) == name.startswith("acanet2")


def test_speechbrain_features_are_global():
    torch.manual_seed(0)
    config = small("acanet-local").config
    config = config.model_copy(update={"front_end": SpeechbrainFrontEnd()})
    assert pieces(fold(Extractor(config).eval())) is None


def test_attention_adds_up_to_one_over_real_frames():
    model = fold(small("acanet-local"))
    utterances = waveforms([16000, 9000])
    batch = torch.from_numpy(np.stack([utterances[0], np.pad(utterances[1], (0, 7000))]))
    with torch.no_grad():
        attention = stages(model)["attention"].module(batch, torch.tensor([16000, 9000]))
    assert attention.shape == (2, 8, 49)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 8), atol=1e-5, rtol=0)
    real = -(-((9000 - 400) // 160 + 1) // 2)
    assert attention[1, :, real:].max() < 1e-20
    assert attention[1, :, :real].min() > 0
    assert functional.cosine_similarity(attention[0, 0], attention[0, 1], dim=0) < 0.99
