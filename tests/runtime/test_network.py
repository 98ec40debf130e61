"""Exported bundles on onnxruntime, tried with the model that ships."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pytest

from acanet.encoder import Encoder
from acanet.errors import AcanetError
from acanet.runtime.bundle import BUNDLES, Bundle
from acanet.runtime.check import check
from acanet.runtime.onnx import OnnxNetwork
from support.commands import acanet
from support.networks import waveforms


@pytest.fixture(scope="module")
def network():
    return OnnxNetwork(Bundle.load())


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(BUNDLES / "default", tmp_path / "copy")


def test_alone_and_in_a_batch(network):
    given = waveforms([30000, 9000, 8000, 16000, 16000, 200000])
    together = network.embed_waveforms(given)
    alone = np.concatenate([network.embed_waveforms([waveform]) for waveform in given])
    assert together.shape == (6, network.dim)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(network.embed_waveforms(given[::-1]), alone[::-1], rtol=0, atol=1e-5)
    assert network.embed_waveforms([]).shape == (0, network.dim)


def test_it_may_be_shared_by_threads(network):
    given = waveforms(list(range(8000, 24000, 1000)))
    expected = [network.embed_waveforms([waveform])[0] for waveform in given]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda waveform: network.embed_waveforms([waveform])[0], given * 3))
    np.testing.assert_array_equal(found, expected * 3)


def test_models_that_padding_changes_get_equal_lengths_only(network, monkeypatch):
    graphs = network.bundle.graphs.model_copy(update={"exact_when_padded": False})
    shapes = []

    def run(stage, *, waveforms, lengths):
        shapes.append((waveforms.shape, lengths.tolist()))
        steps = -(-((waveforms.shape[1] - 400) // 160 + 1) // 4)
        return [np.zeros((len(waveforms), network.dim), np.float32), np.zeros((len(waveforms), steps), np.float32)]

    monkeypatch.setattr(network, "_graphs", graphs)
    monkeypatch.setattr(network, "run", run)
    network.embed_waveforms(waveforms([9000, 8000, 9000]))
    assert shapes == [((1, 8000), [8000]), ((2, 9000), [9000, 9000])]


def test_attention_is_over_the_frames(network):
    (waveform,) = waveforms([16000])
    attention = network.attention(waveform)
    assert attention.shape == (12, 25)
    np.testing.assert_allclose(attention.sum(axis=1), 1, atol=1e-5)


def test_a_model_without_attention_says_so(copy):
    path = copy / "config.json"
    config = json.loads(path.read_text())
    config["onnx"]["stages"].remove("attention")
    path.write_text(json.dumps(config))
    with pytest.raises(AcanetError, match="no asymmetric cross attention"):
        OnnxNetwork(Bundle.load(copy)).attention(waveforms([16000])[0])


def test_devices():
    with pytest.raises(AcanetError, match="unknown device 'tpu'; there are cpu, cuda"):
        Encoder.load(device="tpu")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(AcanetError, match="pip install onnxruntime-gpu"):
            Encoder.load(device="cuda")
        assert acanet("verify", "a.wav", "b.wav", "--device", "cuda").code == 2


@pytest.mark.parametrize("name", ["whole.onnx", "weights.bin"])
@pytest.mark.parametrize("damage", ["cut off", "gone"])
def test_damaged_graphs_are_named(copy, name, damage):
    if damage == "gone":
        (copy / name).unlink()
    else:
        (copy / name).write_bytes((copy / name).read_bytes()[:1000])
    with pytest.raises(AcanetError, match=rf"{name}: the model is damaged"):
        Encoder.load(copy)
    with pytest.raises(AcanetError, match=rf"{name}: the model is damaged"):
        check(Bundle.load(copy))


def test_changed_weights_are_noticed(copy):
    path = copy / "weights.bin"
    path.write_bytes(bytes(4) + path.read_bytes()[4:])
    for look in (Encoder.load, lambda folder: Bundle.load(folder).fingerprint):
        with pytest.raises(AcanetError, match=r"weights\.bin: .*not the file that was exported"):
            look(copy)
    answer = acanet("check", copy)
    assert answer.code == 2
    assert "not the file that was exported" in answer.err
