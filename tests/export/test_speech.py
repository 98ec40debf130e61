"""A model to which what is not speech does not count, exported: the whole, the pieces, and where speech is."""

from __future__ import annotations

import numpy as np
import pytest

from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.export import gate
from acanet.export.export import export_model
from acanet.models.inference import TorchNetwork, embed_waveforms
from acanet.runtime.bundle import BundleConfig, Provenance, write_bundle
from acanet.runtime.onnx import OnnxNetwork
from support.networks import small

pytestmark = pytest.mark.slow

RATE = 16000
SILENCE = np.zeros(4 * RATE, np.float32)


@pytest.fixture(scope="module")
def model():
    return small("acanet2-small")


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    config = BundleConfig(name="acanet2-small", model=model.config.model_dump(mode="json"), licence="none")
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    write_bundle(folder / "torch", config, weights, Provenance(), "# small\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "LENGTHS", (0.5, 0.9, 1.3))
        return export_model(folder / "torch", folder / "onnx")


@pytest.fixture(scope="module")
def voice():
    return np.concatenate([SILENCE, synthesise(SyntheticVoice.draw(0, 0), 2.0, (0, 0), RATE), SILENCE[:RATE]])


def test_it_finds_speech_with_what_it_hears(exported):
    assert max(exported.alone, exported.padded, exported.in_pieces) < 1e-5
    stages = exported.bundle.graphs.stages
    assert {"whole", "features", "speech", "frames", "pass"} <= set(stages)
    assert "speech-features" not in stages


@pytest.mark.parametrize("quiet", ["before", "after", "both", "neither"])
def test_whole_in_batches_and_in_pieces_it_is_the_model(exported, model, voice, quiet):
    network = OnnxNetwork(exported.bundle)
    waveform = np.concatenate(
        [
            SILENCE[: len(SILENCE) * (quiet in ("before", "both"))],
            voice,
            SILENCE[: len(SILENCE) * (quiet in ("after", "both"))],
        ]
    )
    expected = embed_waveforms(model, [voice])[0]
    (alone,) = network.hear([waveform])
    np.testing.assert_allclose(alone.embedding, expected, rtol=0, atol=1e-4)
    for heard in network.hear([voice[: 6 * RATE], waveform, SILENCE])[1:2]:
        np.testing.assert_allclose(heard.embedding, expected, rtol=0, atol=1e-4)
        np.testing.assert_allclose(heard.speech, alone.speech, rtol=0, atol=1e-4)
    with network.in_pieces(piece=40) as pieces:
        pieces.feed(waveform)
        np.testing.assert_allclose(pieces.embedding(), expected, rtol=0, atol=1e-4)
        np.testing.assert_allclose(pieces.speech(), alone.speech, rtol=0, atol=1e-4)


def test_speech_is_where_torch_and_the_network_alone_find_it(exported, model, voice):
    network = OnnxNetwork(exported.bundle)
    (heard,) = network.hear([voice])
    (torchs,) = TorchNetwork(model).hear([voice])
    detector = network.detector()
    detector.feed(voice)
    assert heard.speech.max() > 0.9
    np.testing.assert_allclose(heard.speech, torchs.speech, rtol=0, atol=1e-3)
    np.testing.assert_allclose(heard.speech, detector.speech(), rtol=0, atol=1e-3)


def test_where_nobody_talks_there_is_an_embedding_all_the_same(exported, model):
    network = OnnxNetwork(exported.bundle)
    for waveform in (SILENCE[:400], SILENCE):
        (heard,) = network.hear([waveform])
        assert heard.speech.max() < 0.25
        np.testing.assert_allclose(heard.embedding, embed_waveforms(model, [waveform])[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_its_twins_find_speech_too(exported, voice, precision, tmp_path, monkeypatch):
    from acanet.export import export as module

    plain = exported.bundle
    files = {name: (plain.folder / name).read_bytes() for name in plain.graphs.files}
    monkeypatch.setattr(module, "graph_files", lambda *_: files)
    monkeypatch.setattr(gate, "LENGTHS", (0.5, 0.9, 1.3))
    twin = export_model(plain.folder.parent / "torch", tmp_path / "twin", precision=precision).bundle
    assert twin.graphs.stages == ("whole", "attention", "features", "speech")
    (heard,), (expected,) = (OnnxNetwork(each).hear([voice]) for each in (twin, plain))
    np.testing.assert_allclose(heard.speech, expected.speech, rtol=0, atol=1e-3)
    assert heard.embedding @ expected.embedding > 0.98
