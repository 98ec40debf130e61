"""`acanet check`: a bundle that does not give its golden embeddings, whole or in pieces, is refused."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest

from acanet.errors import ExportMismatch
from acanet.runtime.bundle import BUNDLES, SHIPPED, Bundle
from acanet.runtime.check import SMALL_PIECE, check, embed_in_pieces, largest_difference
from acanet.runtime.golden import Golden
from acanet.runtime.onnx import OnnxNetwork
from support.commands import acanet
from support.graphs import scaled


@pytest.fixture(params=SHIPPED)
def copy(request, tmp_path):
    return shutil.copytree(BUNDLES / request.param, tmp_path / "copy")


def change(folder, **pieces):
    """Change what a bundle says of its pieces, and make its config fit its files."""
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["onnx"]["pieces"] |= pieces
    config["onnx"]["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in config["onnx"]["files"]
    }
    path.write_text(json.dumps(config), encoding="utf-8")


def test_what_ships_gives_what_it_gave_when_it_was_exported():
    assert check(Bundle.load()) < 1e-5
    assert check(Bundle.load(), threads=2) < 1e-5
    assert acanet("check").code == 0


def test_golden_recordings_are_some_pieces_with_fewer_frames_at_the_end(copy):
    bundle = Bundle.load(copy)
    network, run = OnnxNetwork(bundle), []

    def count(stage, **inputs):
        outputs = OnnxNetwork.run(network, stage, **inputs)
        if stage == "features":
            run.append(outputs[0].shape[1])
        return outputs

    network.run = count
    for waveform in Golden.load(bundle).waveforms:
        run.clear()
        embed_in_pieces(network, waveform)
        *full, last = run
        assert set(full) == {SMALL_PIECE}
        assert 0 < last < SMALL_PIECE


@pytest.mark.parametrize("pieces", [{"reach": 0}, {"reach": 19}, {"stride": 2}, {"stride": 8}])
def test_a_bundle_that_says_something_wrong_of_its_pieces_is_refused(copy, pieces):
    """Whole it is as it was: without the pieces nobody would notice."""
    change(copy)
    assert check(Bundle.load(copy)) < 1e-5
    change(copy, **pieces)
    answer = acanet("check", copy)
    assert answer.code == 2
    assert f"golden recordings of {copy}, in pieces: embeddings differ by " in answer.err


@pytest.mark.parametrize("stage", ["features", "frames", "pass", "latents-1", "readout"])
def test_a_bundle_of_which_one_stage_is_another_is_refused(copy, stage):
    path = copy / f"{stage}.onnx"
    path.write_bytes(scaled(path.read_bytes(), -1.0))
    change(copy)
    with pytest.raises(ExportMismatch, match=r"golden recordings of .*copy, in pieces: embeddings differ by "):
        check(Bundle.load(copy))


def test_other_golden_embeddings_are_noticed(copy):
    with np.load(copy / "golden.npz") as file:
        arrays = dict(file)
    arrays["embeddings"][0, 0] += 0.01
    np.savez(copy / "golden.npz", **arrays)
    with pytest.raises(ExportMismatch, match=r"golden recordings of .* differ by 1\.0e-02"):
        check(Bundle.load(copy))


def test_what_was_not_exported_is_not_checked(tiny_bundle):
    answer = acanet("check", tiny_bundle)
    assert answer.code == 2
    assert "not an exported bundle; make one with `acanet export`" in answer.err


def test_the_largest_difference():
    one = np.array([[0.5, -1.0]], np.float32)
    assert largest_difference(one, one) == 0
    assert largest_difference(one, np.array([[0.25, -1.0]], np.float32)) == 0.25
    assert largest_difference(one, np.array([[0.5, np.nan]], np.float32)) == np.inf
    assert largest_difference(one, np.array([[0.5, -np.inf]], np.float32)) == np.inf
