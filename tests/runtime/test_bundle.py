"""A model as a folder: written whole or not at all, and strictly read."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

from acanet.errors import AcanetError, BadConfig
from acanet.runtime import bundle as module
from acanet.runtime.bundle import (
    TRAINABLE,
    Bundle,
    BundleConfig,
    Provenance,
    write_bundle,
    write_files,
)
from acanet.runtime.golden import Golden, to_16_bit

CONFIG = BundleConfig(name="acanet", model={"front_end": {"mels": 40}}, licence="CC-BY-4.0")
WEIGHTS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(7), "c": np.arange(6.0).reshape(2, 3).T}
SEEN = Provenance(data=("a.jsonl",), speakers=frozenset({"zoe", "anna"}), audio=frozenset({"01", "02"}))


def write(folder, *, config=CONFIG, weights=WEIGHTS, seen=SEEN, card="# A model\n"):
    return write_bundle(folder, config, weights, seen, card)


def test_round_trip(tmp_path):
    written = write(tmp_path / "models" / "mine")
    read = Bundle.load(tmp_path / "models" / "mine")
    assert read.config == written.config == CONFIG
    assert read.name == "acanet"
    assert read.provenance == SEEN
    assert read.weights().keys() == WEIGHTS.keys()
    for name, value in WEIGHTS.items():
        np.testing.assert_array_equal(read.weights()[name], value)
        assert read.weights()[name].dtype == value.dtype
    assert (read.folder / "README.md").read_text() == "# A model\n"
    assert read.fingerprint == written.fingerprint
    assert [path.name for path in read.folder.parent.iterdir()] == ["mine"]


def test_the_fingerprint_is_of_what_decides_embeddings(tmp_path):
    first = write(tmp_path / "first").fingerprint
    assert write(tmp_path / "card", card="# Another card\n").fingerprint == first
    assert write(tmp_path / "seen", seen=Provenance()).fingerprint == first
    moved = WEIGHTS | {"a": np.nextafter(WEIGHTS["a"], np.float32(9))}
    assert write(tmp_path / "weights", weights=moved).fingerprint != first
    other = CONFIG.model_copy(update={"model": {"front_end": {"mels": 41}}})
    assert write(tmp_path / "config", config=other).fingerprint != first
    assert len(first) == 16
    assert int(first, 16) >= 0


def test_equal_bundles_are_equal_files(tmp_path):
    shuffled = Provenance(data=SEEN.data, speakers=frozenset(["anna", "zoe"]), audio=frozenset(["02", "01"]))
    one, other = write(tmp_path / "one").folder, write(tmp_path / "other", seen=shuffled).folder
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()


def test_a_bundle_is_replaced_whole(tmp_path):
    folder = write(tmp_path / "model").folder
    (folder / "left over").touch()
    write(tmp_path / "model", weights={"a": np.zeros(1)})
    assert Bundle.load(folder).weights().keys() == {"a"}
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "provenance.json",
    ]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_bundle_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    old = write(tmp_path / "model")

    def full(path, *_, **__):
        raise OSError(f"{path}: no space left on device")

    monkeypatch.setattr(module.Path, "write_bytes", full)
    for folder in (tmp_path / "model", tmp_path / "new"):
        with pytest.raises(OSError, match="no space"):
            write(folder, weights={"a": np.zeros(1)})
    monkeypatch.undo()
    assert Bundle.load(tmp_path / "model").fingerprint == old.fingerprint
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def test_when_the_last_move_fails_the_old_bundle_comes_back(tmp_path, monkeypatch):
    old = write(tmp_path / "model")
    replace, moves = os.replace, []

    def second_fails(source, target):
        moves.append(target)
        if len(moves) == 2:
            raise OSError("the disk went away")
        replace(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OSError, match="went away"):
        write(tmp_path / "model", weights={"a": np.zeros(1)})
    assert Bundle.load(tmp_path / "model").fingerprint == old.fingerprint


def test_a_run_gives_its_best_model(tmp_path):
    write(tmp_path / "run" / "best")
    assert Bundle.load(tmp_path / "run").folder == tmp_path / "run" / "best"
    assert Bundle.load(str(tmp_path / "run" / "best")).config == CONFIG


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_where_no_model_is(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AcanetError, match=rf"{folder}: no model there; give `default`, `small`, the folder"):
        Bundle.load(tmp_path / folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"licnce": "MIT"}, "unknown key 'licnce', did you mean 'licence'"),
        ({"format": 2}, "format: .*less than or equal to 1"),
        ({"name": None}, "name: "),
        ({"needed_speech_seconds": -1}, "needed_speech_seconds: "),
    ],
)
def test_a_config_is_read_strictly(tmp_path, change, named):
    path = write(tmp_path / "model").folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadConfig, match=named):
        Bundle.load(tmp_path / "model")


def test_a_config_that_is_not_json(tmp_path):
    path = write(tmp_path / "model").folder / "config.json"
    path.write_text("{")
    with pytest.raises(AcanetError, match=r"config\.json: not JSON"):
        Bundle.load(tmp_path / "model")


def test_without_provenance_there_is_no_telling_what_was_seen(tmp_path):
    folder = write(tmp_path / "model").folder
    (folder / "provenance.json").unlink()
    with pytest.raises(AcanetError, match=r"provenance\.json"):
        _ = Bundle.load(folder).provenance


def test_provenance_of_one_training_after_another():
    later = Provenance(data=("b.jsonl", "a.jsonl"), speakers=frozenset({"zoe", "cleo"}), audio=frozenset({"03"}))
    both = SEEN | later
    assert both.data == ("a.jsonl", "b.jsonl")
    assert both.speakers == {"zoe", "anna", "cleo"}
    assert both.audio == {"01", "02", "03"}
    assert SEEN | SEEN == SEEN


def test_the_torch_weights_of_the_model_that_ships_are_in_the_repository():
    shipped = Bundle.load()
    plain = shipped.trainable()
    assert plain.folder == TRAINABLE / "default"
    assert plain.fingerprint == shipped.fingerprint
    assert plain.provenance == shipped.provenance
    assert shipped.weights().keys() == plain.weights().keys()
    assert plain.trainable() is plain
    assert plain.config == shipped.config.model_copy(update={"onnx": None})


def test_outside_of_a_clone_there_are_none(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "TRAINABLE", tmp_path / "models")
    with pytest.raises(AcanetError, match="clone acanet's repository, and name its folder weights/default"):
        Bundle.load().weights()


def test_a_config_that_was_changed_after_the_export(tmp_path):
    folder = shutil.copytree(module.BUNDLES / "default", tmp_path / "copy")
    with pytest.raises(AcanetError, match="an exported bundle has no weights for torch; name the run"):
        Bundle.load(folder).weights()
    path = folder / "config.json"
    before = Bundle.load(folder).fingerprint
    path.write_text(path.read_text().replace("CC-BY-4.0", "MIT"))
    assert Bundle.load(folder).fingerprint == before
    path.write_text(path.read_text().replace('"needed_speech_seconds": 0.5', '"needed_speech_seconds": 0.4'))
    with pytest.raises(AcanetError, match=r"config\.json: the model is damaged.*changed after the export"):
        _ = Bundle.load(folder).fingerprint


def test_what_was_not_exported_has_no_graphs(tmp_path):
    with pytest.raises(AcanetError, match="not an exported bundle; make one with `acanet export`"):
        _ = write(tmp_path / "model").graphs


def test_golden_recordings_are_kept_exactly(tmp_path):
    rng = np.random.default_rng(0)
    waveforms = [to_16_bit(rng.normal(0, 0.5, length).astype(np.float32)) for length in (100, 77)]
    golden = Golden(waveforms, rng.normal(size=(2, 4)).astype(np.float32))
    assert golden.as_npz() == golden.as_npz()
    bundle = write_files(tmp_path / "model", CONFIG, {"golden.npz": golden.as_npz()}, SEEN, "")
    read = Golden.load(bundle)
    for one, other in zip(read.waveforms, waveforms, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == np.float32
        assert np.abs(one).max() <= 1
    np.testing.assert_array_equal(read.embeddings, golden.embeddings)
    for damage in (b"", golden.as_npz()[:-30]):
        (bundle.folder / "golden.npz").write_bytes(damage)
        with pytest.raises(AcanetError, match=r"golden\.npz: the model is damaged"):
            Golden.load(bundle)
    (bundle.folder / "golden.npz").unlink()
    with pytest.raises(AcanetError, match=r"golden\.npz: the model is damaged"):
        Golden.load(bundle)


def test_a_bundle_can_be_moved(tmp_path):
    written = write(tmp_path / "here")
    before = written.fingerprint
    assert Bundle.load(shutil.move(written.folder, tmp_path / "there")).fingerprint == before
