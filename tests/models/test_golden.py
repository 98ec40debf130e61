"""Our networks and front end against tensors from the reference implementations."""

import numpy as np
import pytest
import torch

from acanet.errors import ModelMismatch
from acanet.models.config import ExtractorConfig
from acanet.models.extractor import Extractor
from acanet.models.parts import campplus, ecapa, mla, redimnet2
from acanet.models.parts.attentive_statistics import AttentiveStatisticsPooling
from acanet.models.parts.campplus import CampplusFrames
from acanet.models.parts.ecapa import EcapaFrames
from acanet.models.parts.kaldi_fbank import KaldiFrontEnd
from acanet.models.parts.linear_head import LinearHead
from acanet.models.parts.mla import MlaAggregator
from acanet.models.parts.pointwise import PointwiseFrames
from acanet.models.parts.shared_readout import SharedReadout
from acanet.models.parts.speechbrain_fbank import SpeechbrainFrontEnd
from acanet.models.parts.statistics import StatisticsPooling
from acanet.models.registry import build_model, model_config
from support.paths import GOLDEN


def load(name):
    """(weights, everything else) of a golden file, as tensors."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file}
    weights = {key.removeprefix("weights/"): value for key, value in arrays.items() if key.startswith("weights/")}
    return weights, arrays


def tiny_acanet(positions):
    aggregator = MlaAggregator(
        latents=6, blocks=2, aca_layers=2, latent_layers=3, heads=4, aca_mlp=20, latent_mlp=24, positions=positions
    )
    return Extractor(
        ExtractorConfig(
            front_end=KaldiFrontEnd(mels=8),
            frames=PointwiseFrames(channels=16),
            aggregator=aggregator,
            head=SharedReadout(),
        )
    ).eval()


def tiny_ecapa():
    frames = EcapaFrames(channels=16, out_channels=48, res2net_scale=4, se_channels=8)
    return Extractor(
        ExtractorConfig(
            front_end=KaldiFrontEnd(mels=8),
            frames=frames,
            aggregator=AttentiveStatisticsPooling(channels=8),
            head=LinearHead(dim=6),
        )
    ).eval()


def tiny_campplus():
    return Extractor(
        ExtractorConfig(
            front_end=KaldiFrontEnd(mels=16),
            frames=CampplusFrames(channels=8, growth=4, bottleneck=8),
            aggregator=StatisticsPooling(unbiased=True),
            head=LinearHead(dim=6, norm="after"),
        )
    ).eval()


@pytest.mark.parametrize(
    ("positions", "output", "rows"),
    [
        ("time", "output/positions_time", slice(None)),
        ("none", "output/positions_none", slice(None)),
        ("first", "output/positions_batch", slice(1)),
    ],
)
def test_acanet_equals_the_authors(positions, output, rows):
    weights, arrays = load("acanet_authors_tiny")
    model = tiny_acanet(positions)
    mla.AUTHORS.load(model, weights)
    with torch.no_grad():
        ours = model(arrays["input"])[rows]
    torch.testing.assert_close(ours, arrays[output][rows], atol=1e-5, rtol=0)


def test_ecapa_equals_speechbrain():
    weights, arrays = load("ecapa_speechbrain_tiny")
    model = tiny_ecapa()
    ecapa.SPEECHBRAIN.load(model, weights)
    with torch.no_grad():
        torch.testing.assert_close(model(arrays["input"]), arrays["output"], atol=1e-5, rtol=0)
        alone = model(arrays["input"][1:2, :18])
    torch.testing.assert_close(alone, arrays["output/alone_18_frames"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("output", "rows", "frames"), [("output", slice(3), 120), ("output/alone_64_frames", slice(1, 2), 64)]
)
def test_campplus_equals_wespeaker(output, rows, frames):
    """Embeddings of unit length to 1e-5; raw numbers, of up to 23, to 1e-5 of the largest.

    In double precision, where only the golden file is rounded, to 2e-6 of it: finer than what another constant in the
    root of the deviation would make.
    """
    weights, arrays = load("campplus_wespeaker_tiny")
    model = tiny_campplus()
    campplus.WESPEAKER.load(model, weights)
    features, golden = arrays["input"][rows, :frames], arrays[output]
    largest = golden.abs().max().item()
    with torch.no_grad():
        ours = model(features)
        exact = model.double()(features.double())
    unit = torch.nn.functional.normalize
    torch.testing.assert_close(unit(ours), unit(golden), atol=1e-5, rtol=0)
    torch.testing.assert_close(ours, golden, atol=1e-5 * largest, rtol=0)
    torch.testing.assert_close(exact.float(), golden, atol=2e-6 * largest, rtol=0)


def test_the_classifier_that_wespeaker_saves_is_left_out():
    weights, _ = load("campplus_wespeaker_tiny")
    campplus.WESPEAKER.load(tiny_campplus(), weights | {"projection.weight": torch.zeros(10, 6)})
    with pytest.raises(ModelMismatch, match=r"also hold projector\.weight"):
        campplus.WESPEAKER.load(tiny_campplus(), weights | {"projector.weight": torch.zeros(10, 6)})


def redimnet2_of(weights):
    name, sizes = redimnet2.PALABRA.fit(redimnet2.PALABRA.ours(weights)[0])
    model = build_model(name, model_config(name, sizes)).eval()
    redimnet2.PALABRA.load(model, weights)
    return model


@pytest.mark.parametrize("name", ["redimnet2_tiny", "redimnet2_normed_tiny"])
def test_redimnet2_equals_its_authors(name):
    """From the waveform to the embedding, raw numbers to 1e-5 of the largest; in double precision to 2e-6 of it.

    The first has four stages with all strides and a last convolution, the second group norms and a stage with fewer
    channels inside.
    """
    weights, arrays = load(name)
    model = redimnet2_of(weights)
    golden = arrays["output"]
    largest = golden.abs().max().item()
    with torch.no_grad():
        features, _ = model.front_end(arrays["waveform"])
        torch.testing.assert_close(features, arrays["input"], atol=1e-4, rtol=0)
        ours = model(features)
        alone = model(*model.front_end(arrays["waveform"][1:, :5000]))
        exact = model.double()(arrays["input"].double())
    torch.testing.assert_close(ours, golden, atol=1e-5 * largest, rtol=0)
    torch.testing.assert_close(alone, arrays["output/alone_5000_samples"], atol=1e-5 * largest, rtol=0)
    torch.testing.assert_close(exact.float(), golden, atol=2e-6 * largest, rtol=0)


def test_parameters_of_redimnet2_are_those_of_its_authors():
    weights, _ = load("redimnet2_tiny")
    assert sum(parameter.numel() for parameter in redimnet2_of(weights).parameters()) == 18_697


def test_constants_of_the_front_end_of_redimnet2_are_left_out():
    weights, _ = load("redimnet2_tiny")
    assert "spec.torchfbank.1.flipped_filter" in weights
    others = {"spec.torchfbank.2.melbanks_pt": torch.zeros(16, 256, 1), "projection.weight": torch.zeros(10, 6)}
    redimnet2.PALABRA.load(redimnet2_of(weights), weights | others)
    with pytest.raises(ModelMismatch, match=r"also hold spec\.torchfbank\.2\.mel_scale\.fb"):
        redimnet2.PALABRA.load(redimnet2_of(weights), weights | {"spec.torchfbank.2.mel_scale.fb": torch.zeros(2)})


@pytest.mark.parametrize("rate", [16000, 8000])
@pytest.mark.parametrize("mels", [80, 40])
def test_front_end_equals_kaldi(rate, mels):
    _, arrays = load("fbank")
    front_end = KaldiFrontEnd(rate=rate, mels=mels, remove_mean=False).build()
    features, _ = front_end(arrays["waveform"].unsqueeze(0))
    torch.testing.assert_close(features[0], arrays[f"fbank_{rate}_{mels}"], atol=1e-3, rtol=0)


def test_front_end_equals_speechbrain():
    _, arrays = load("fbank")
    front_end = SpeechbrainFrontEnd(low_hz=0).build()
    features, _ = front_end(arrays["waveform"].unsqueeze(0))
    torch.testing.assert_close(features[0], arrays["speechbrain_16000_80"], atol=1e-3, rtol=0)


def test_foreign_weights_of_another_size_are_refused():
    weights, _ = load("acanet_authors_tiny")
    with pytest.raises(ModelMismatch, match=r"latents of shape \(7, 1, 16\)"):
        mla.AUTHORS.load(tiny_acanet("time"), weights | {"latent": torch.zeros(7, 1, 16)})
    with pytest.raises(ModelMismatch, match="lack aggregator"):
        mla.AUTHORS.load(tiny_acanet("time"), {k: v for k, v in weights.items() if k != "latent"})
    with pytest.raises(ModelMismatch, match="also hold extra"):
        ecapa.SPEECHBRAIN.load(tiny_ecapa(), load("ecapa_speechbrain_tiny")[0] | {"extra": torch.zeros(1)})
