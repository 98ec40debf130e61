"""Bundles of strangers: refused at once, and nothing that they give is an embedding unless it is one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadConfig, ModelMismatch
from acanet.runtime.bundle import BUNDLES, Bundle, BundleConfig
from acanet.runtime.check import check
from support.calibrations import calibration
from support.commands import acanet
from support.graphs import scaled

SMALL = BUNDLES / "small"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(SMALL, tmp_path / "bundle")


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))
    return folder


def refusal(folder: Path, voices: Path) -> str:
    """The error of every road that opens a bundle, which ends with 2."""
    pair = voices / "s004" / "000.wav", voices / "s004" / "001.wav"
    answer = acanet("verify", *pair, "-m", folder, "--threshold", "-1")
    assert (answer.code, answer.out, answer.lines) == (2, "", 1)
    assert acanet("check", folder).code == 2
    with pytest.raises(AcanetError) as caught:
        Encoder.load(folder)
    assert answer.err == f"error: {caught.value}"
    return str(caught.value)


NAMES = {
    "a device": "/dev/zero",
    "absolute": "/etc/passwd",
    "above": "../weights.bin",
    "below": "a/b.bin",
    "the folder": ".",
    "the folder above": "..",
    "hidden": ".hidden",
    "backslash": "a\\b",
    "a drive": "C:x",
    "empty": "",
    "NUL": "a\0b",
    "a line": "a\nb",
    "long": "x" * 1000,
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_list_names_files_of_the_folder_alone(name: str, folder: Path, voices: Path) -> None:
    changed(folder, lambda config: config["onnx"]["files"].update({name: "00"}))
    assert "names no file of the bundle's own folder" in refusal(folder, voices)


@pytest.mark.parametrize("name", ["../whole", "/dev/zero", "a/b", ""])
def test_a_stage_is_a_file_of_the_folder(name: str, folder: Path, voices: Path) -> None:
    changed(folder, lambda config: config["onnx"]["stages"].append(name))
    assert "names no file of the bundle's own folder" in refusal(folder, voices)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda onnx_: onnx_.update(files={}), "files lacks 'whole.onnx', which is run"),
        (lambda onnx_: onnx_.update(stages=[]), "stages lacks 'whole'"),
        (lambda onnx_: onnx_["files"].pop("pass.onnx"), "files lacks 'pass.onnx', which is run"),
        (
            lambda onnx_: onnx_["files"].pop("weights.bin"),
            "its weights are in 'weights.bin', of which the config knows",
        ),
        (lambda onnx_: onnx_["files"].update({"more.bin": "00"}), r"more.bin: the model is damaged"),
        (lambda onnx_: onnx_.update(dim=10**12), "onnx.dim: Input should be less than or equal to"),
        (lambda onnx_: onnx_.update(rate=10**9), "onnx.rate: "),
        (lambda onnx_: onnx_["pieces"].update(passes=10**9), "onnx.pieces.passes: "),
        (lambda onnx_: onnx_["pieces"].update(stride=10**9), "onnx.pieces.stride: "),
        (lambda onnx_: onnx_["pieces"].update(reach=10**9), "onnx.pieces.reach: "),
    ],
)
def test_a_list_is_of_all_that_is_run(
    change: Callable[[dict[str, Any]], object], named: str, folder: Path, voices: Path
) -> None:
    changed(folder, lambda config: change(config["onnx"]))
    assert named in refusal(folder, voices)


@pytest.mark.parametrize("name", ["whole.onnx", "weights.bin", "config.json", "calibration.json"])
@pytest.mark.parametrize("kind", ["pipe", "link", "device", "folder", "holes"])
def test_a_file_that_is_none_is_refused_at_once(name: str, kind: str, folder: Path, voices: Path) -> None:
    path = folder / name
    path.rename(folder / "kept")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("kept")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(2**40)
    pair = voices / "s004" / "000.wav", voices / "s004" / "001.wav"
    answer = acanet("verify", *pair, "-m", folder)
    assert (answer.code, answer.out, answer.lines) == (2, "", 1)
    assert acanet("check", folder).code == 2


def test_weights_for_torch_are_a_file(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_bundle, tmp_path / "torch")
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")
    with pytest.raises(AcanetError, match=r"model\.safetensors: .*it is no regular file"):
        Encoder.load(folder)


def test_deep_and_large_configs_are_refused(folder: Path, voices: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)
    assert "more than 100 lists and groups" in refusal(folder, voices)
    (folder / "config.json").write_text(" " * 2**21)
    assert "more than 1,048,576 bytes" in refusal(folder, voices)
    (folder / "config.json").write_text('{"format": NaN}')
    assert "NaN is no number of JSON" in refusal(folder, voices)


# What a network gives


def giving(folder: Path, values: np.ndarray) -> Path:
    """A bundle whose graph gives these numbers, (dim,), or those of a matrix, whatever comes in."""
    rows = np.atleast_2d(values)
    nodes = [
        helper.make_node("Shape", ["lengths"], ["n"]),
        helper.make_node("Concat", ["n", "one"], ["shape"], axis=0),
        helper.make_node("Expand", ["values", "shape"], ["embeddings"]),
    ]
    if len(rows) > 1:
        nodes = [helper.make_node("Identity", ["values"], ["embeddings"])]
    inputs = [
        helper.make_tensor_value_info("waveforms", TensorProto.FLOAT, ["b", "s"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["b"]),
    ]
    kind = helper.np_dtype_to_tensor_dtype(rows.dtype)
    graph = helper.make_graph(
        nodes,
        "constant",
        inputs,
        [helper.make_tensor_value_info("embeddings", kind, None)],
        [numpy_helper.from_array(rows, "values"), numpy_helper.from_array(np.array([1], np.int64), "one")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    return replaced(folder, {"whole": model.SerializeToString()}, stages=["whole"], pieces=None)


def replaced(folder: Path, graphs: dict[str, bytes], **about: object) -> Path:
    """A bundle with other graphs, as if it had been exported so."""
    for stage, content in graphs.items():
        (folder / f"{stage}.onnx").write_bytes(content)

    def change(config: dict[str, Any]) -> None:
        config["onnx"].update(about)
        files = config["onnx"]["files"]
        files.update({f"{stage}.onnx": hashlib.sha256(content).hexdigest() for stage, content in graphs.items()})
        config["onnx"]["decides"] = hashlib.sha256(BundleConfig.parse(config, "x").decides).hexdigest()

    return changed(folder, change)


DIM = Bundle.load("small").graphs.dim
UNIT = np.eye(1, DIM, dtype=np.float32)
WRONG = {
    "NaN": np.full((1, DIM), np.nan, np.float32),
    "one NaN": np.where(np.arange(DIM) == 1, np.nan, UNIT).astype(np.float32),
    "infinite": np.full((1, DIM), np.inf, np.float32),
    "zero": np.zeros((1, DIM), np.float32),
    "length 2": 2 * UNIT,
    "length 0.9": np.float32(0.9) * UNIT,
    "huge": np.full((1, DIM), 1e30, np.float32),
    "one number": np.ones((1, 1), np.float32),
    "fewer numbers": np.eye(1, DIM - 1, dtype=np.float32),
    "more rows": np.repeat(UNIT, 3, axis=0),
    "double precision": UNIT.astype(np.float64),
    "integers": UNIT.astype(np.int64),
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG)
def test_what_is_no_embedding_makes_no_score(values: np.ndarray, folder: Path, voices: Path, tmp_path: Path) -> None:
    giving(folder, values)
    pair = voices / "s004" / "000.wav", voices / "s004" / "001.wav"
    for given in ((), ("--threshold", "-1"), ("--prior", "0.9999"), ("--json",), ("--trim", "--threshold", "-1")):
        answer = acanet("verify", *pair, "-m", folder, *given)
        assert (answer.code, answer.out) == (2, "")
        assert "whole.onnx: it gives" in answer.err
    for given in ((), ("--windows", "1")):
        assert acanet("embed", pair[0], "-m", folder, "-o", tmp_path / "out.npz", *given).code == 2
        assert not (tmp_path / "out.npz").exists()
    assert acanet("check", folder).code == 2
    encoder = Encoder.load(folder)
    for road in (encoder.embed, encoder.hear, encoder.embed_windows):
        with pytest.raises(AcanetError, match="it gives"):
            road(pair[0])
    with pytest.raises(AcanetError, match="it gives"):
        list(encoder.embed_many(pair))


def test_a_graph_that_gives_an_embedding_and_no_speech_is_damaged(folder: Path, voices: Path) -> None:
    giving(folder, UNIT)
    encoder = Encoder.load(folder)
    with pytest.raises(AcanetError, match="it does not say where speech is"):
        encoder.embed(voices / "s004" / "000.wav")


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), 0.0, 2.0])
def test_what_a_stream_gives_is_an_embedding_or_an_error(factor: float, folder: Path, voices: Path) -> None:
    replaced(folder, {"readout": scaled((folder / "readout.onnx").read_bytes(), factor)})
    encoder = Encoder.load(folder)
    import soundfile

    samples, rate = soundfile.read(voices / "s004" / "000.wav", dtype="float32")
    with encoder.stream(rate=rate) as stream:
        stream.feed(samples)
        with pytest.raises(AcanetError, match=r"readout\.onnx: it gives"):
            stream.embedding()
    with pytest.raises(AcanetError, match=r"readout\.onnx: it gives"):
        encoder.embed_waveforms([np.tile(samples, 61 * rate // len(samples) + 1)])


def test_a_graph_that_cannot_be_run_is_named(folder: Path, voices: Path) -> None:
    giving(folder, UNIT)
    model = onnx.load(folder / "whole.onnx")
    model.graph.input[0].name = model.graph.input[0].name + "s"
    replaced(folder, {"whole": model.SerializeToString()})
    with pytest.raises(AcanetError, match=r"whole\.onnx: it cannot be run"):
        Encoder.load(folder).embed(voices / "s004" / "000.wav")


# Its calibration


def test_a_calibration_of_another_model_fails_the_check(folder: Path) -> None:
    Bundle.load(folder).with_calibration(calibration("0123456789abcdef"))
    with pytest.raises(ModelMismatch, match="have a calibration of 0123456789abcdef in"):
        check(Bundle.load(folder))


def test_a_calibration_that_was_changed_is_not_believed(folder: Path, voices: Path) -> None:
    path = folder / "calibration.json"
    before = path.read_text()
    data = json.loads(before)
    data["threshold"]["value"] -= 0.5
    path.write_text(json.dumps(data))
    assert acanet("check", folder).code == 2
    encoder = Encoder.load(folder)
    voice = voices / "s004" / "000.wav"
    heard = encoder.hear(voice)
    for decide in (lambda: encoder.compare(heard, heard), lambda: encoder.verify(voice, voice)):
        with pytest.raises(BadConfig, match="it was changed, and is not as `acanet calibrate` wrote it"):
            decide()
    path.write_text(json.dumps(json.loads(before)))  # other white space is no other number
    assert acanet("check", folder).code == 0


def test_the_calibrations_that_ship_are_sealed() -> None:
    for name in ("default", "small"):
        assert Bundle.load(name).calibration is not None
        check(Bundle.load(name))
