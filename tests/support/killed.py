"""The commands that write, each in a world of its own, and what has to hold of what they leave when they are killed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from acanet.data.synthetic import write_corpus
from acanet.runtime.bundle import BUNDLES, CALIBRATION, Bundle
from acanet.training.checkpoint import load_state
from support.kills import Programs, await_no_process_in, left_behind
from support.tiny import TINY_MODEL

STEPS = 4


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        arguments: of the command line, in the folder of a world.
        again: what is added to repeat it.
        made: what it makes, below the folder.
        check: sees that what is there is whole: given the folder and that of a run that was not disturbed.
        same: sees that both are the same, after it was repeated.
        done_is_refused: what is complete is not made again (exit code 2).
    """

    arguments: tuple[str, ...]
    again: tuple[str, ...]
    made: str
    check: Callable[[Path, Path], None]
    same: Callable[[Path, Path], None]
    done_is_refused: bool = False


def make_world(folder: Path, bundle: Path, programs: Programs) -> Path:
    """Twelve voices, manifests, lists, recipes, a model for torch, its export, and `small`, not calibrated."""
    voices = write_corpus(folder / "voices", 12, 2, seconds=(1.6, 2.0))
    names = sorted(path.relative_to(voices).as_posix() for path in voices.rglob("*.wav"))
    entries = [json.dumps({"path": f"voices/{name}", "id": name, "speaker": name[:4]}) + "\n" for name in names]
    (folder / "train.jsonl").write_text("".join(entries[:12]))
    (folder / "dev.jsonl").write_text("".join(entries[12:20]))
    (folder / "all.jsonl").write_text("".join(entries))
    for name, chosen in (("all.trials", names), ("test.trials", names[16:])):
        pairs = combinations(chosen, 2)
        (folder / name).write_text("".join(f"{int(one[:4] == other[:4])} {one} {other}\n" for one, other in pairs))
    recipe = {
        "model": {"name": "acanet-local", "change": TINY_MODEL},
        "data": {"train": ["train.jsonl"], "batch": 8, "crop_seconds": [0.5, 0.8], "workers": 1},
        "dev": {"manifest": "dev.jsonl"},
        "discriminant": {"directions": 2},
        "steps": STEPS,
        "save_every": 1,
        "dev_every": 2,
        "log_every": 1,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    experiment = recipe | {
        "steps": 2,
        "systems": {"one": {}, "other": {"seed": 1}},
        "test": {"own": {"trials": "test.trials", "audio_root": "voices"}},
    }
    (folder / "experiment.yaml").write_text(yaml.safe_dump(experiment))
    shutil.copytree(bundle, folder / "torch")
    assert programs.run(["export", "torch", "-o", "exported"], folder) == 0, programs.error()
    shutil.copytree(BUNDLES / "small", folder / "bundle")  # which tells voices apart, as a calibration asks
    (folder / "bundle" / CALIBRATION).unlink()
    return folder


def _trees_equal(one: Path, other: Path) -> None:
    assert _contents(one) == _contents(other)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _check_embed(folder: Path, undisturbed: Path) -> None:
    if (folder / "out.npz").exists():
        with np.load(folder / "out.npz") as ours, np.load(undisturbed / "out.npz") as theirs:
            assert ours.files == theirs.files
            assert all(np.array_equal(ours[name], theirs[name]) for name in ours.files)


def _check_prepare(folder: Path, undisturbed: Path) -> None:
    if (folder / "out").exists():
        _trees_equal(folder / "out", undisturbed / "out")


def _check_export(folder: Path, undisturbed: Path) -> None:
    """One is there at any time: the old export, or the new."""
    Bundle.load(folder / "exported").verify_files()
    _trees_equal(folder / "exported", undisturbed / "exported")


def _check_calibrate(folder: Path, _: Path) -> None:
    bundle = Bundle.load(folder / "bundle")
    bundle.verify_files()
    assert bundle.calibration is None or bundle.calibration.fingerprint == bundle.fingerprint


def _same_calibration(folder: Path, undisturbed: Path) -> None:
    ours, theirs = (Bundle.load(each / "bundle").calibration for each in (folder, undisturbed))
    assert ours is not None
    assert ours.model_copy(update={"data": None}) == theirs.model_copy(update={"data": None})
    assert "## Calibration" in (folder / "bundle" / "README.md").read_text()


def _check_copy(folder: Path, undisturbed: Path) -> None:
    if (folder / "out").exists():
        ours, theirs = _contents(folder / "out"), _contents(undisturbed / "out")
        assert ours.keys() == theirs.keys()
        assert all(ours[name] == theirs[name] for name in ours.keys() - {CALIBRATION, "README.md"})
        assert Bundle.load(folder / "out").calibration is not None


def _check_train(folder: Path, undisturbed: Path) -> None:
    _check_run(folder / "run", undisturbed / "run")


def _check_run(run: Path, _: Path) -> None:
    if (run / "last.pt").exists():
        step = load_state(run / "last.pt").step
        assert 0 < step <= STEPS
        if step > 1:  # dev, which chooses a model, is heard every two steps
            Bundle.load(run).weights()
    elif (run / "best").exists():
        Bundle.load(run).weights()


def _same_train(folder: Path, undisturbed: Path) -> None:
    ours, theirs = (vars(load_state(each / "run" / "last.pt")) for each in (folder, undisturbed))
    _assert_equal(ours, theirs)
    _trees_equal(folder / "run" / "best", undisturbed / "run" / "best")


def _assert_equal(one: Any, other: Any) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            _assert_equal(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            _assert_equal(*pair)
    else:
        assert one == other


def _check_experiment(folder: Path, _: Path) -> None:
    for card in (folder / "out").glob("*/card.json"):
        json.loads(card.read_text())
    for page in (folder / "out").glob("results.md"):
        assert page.read_text().endswith("\n")


def _same_experiment(folder: Path, undisturbed: Path) -> None:
    for system in ("one", "other"):
        ours, theirs = (json.loads((each / "out" / system / "card.json").read_text()) for each in (folder, undisturbed))
        assert ours["lists"] == theirs["lists"]
        assert ours["fingerprint"] == theirs["fingerprint"]
    assert (folder / "out" / "results.md").exists()


RECORDINGS = [f"voices/s{voice:03d}/{take:03d}.wav" for voice in range(12) for take in range(2)]

COMMANDS = {
    "embed": Command(
        ("embed", *RECORDINGS, "-o", "out.npz"),
        (),
        "out.npz",
        _check_embed,
        _check_embed,
        done_is_refused=True,
    ),
    "prepare": Command(
        ("prepare", "folder", "voices", "-o", "out", "--dev", "0.3", "--workers", "1"),
        (),
        "out",
        _check_prepare,
        _check_prepare,
        done_is_refused=True,
    ),
    "export": Command(("export", "torch", "-o", "exported"), (), "exported", _check_export, _check_export),
    "calibrate": Command(
        ("calibrate", "bundle", "all.trials", "--manifest", "all.jsonl", "--prior", "0.1"),
        (),
        "bundle/calibration.json",
        _check_calibrate,
        _same_calibration,
    ),
    "calibrate a copy": Command(
        ("calibrate", "bundle", "all.trials", "--manifest", "all.jsonl", "--prior", "0.1", "--output", "out"),
        (),
        "out",
        _check_copy,
        _check_copy,
        done_is_refused=True,
    ),
    "train": Command(("train", "recipe.yaml", "--out", "run"), ("--resume",), "run", _check_train, _same_train),
    "experiment": Command(
        ("experiment", "experiment.yaml", "--out", "out"), ("--resume",), "out", _check_experiment, _same_experiment
    ),
}


class Killed:
    """One command in copies of a world, all at the same place, killed in turn.

    Args:
        programs: which run it.
        world: from `make_world`.
        command: one of `COMMANDS`.
    """

    def __init__(self, programs: Programs, world: Path, command: Command) -> None:
        self.programs, self.world, self.command = programs, world, command
        self.folder, self.undisturbed = programs.place / "work", programs.place / "undisturbed"
        self.renew()
        self.told = programs.place / "told"
        assert programs.run(command.arguments, self.folder, told=self.told) == 0, programs.error()
        self.things = int(self.told.read_text())
        self.folder.rename(self.undisturbed)

    def clear(self) -> None:
        """Remove the copies, for another command."""
        for folder in (self.folder, self.undisturbed):
            shutil.rmtree(folder, ignore_errors=True)

    def renew(self) -> None:
        """A new copy of the world."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.world, self.folder)

    def kill(self, **how: Any) -> bool:
        """Kill the command once, and see that nothing half is taken for whole and that it can be repeated.

        Returns:
            Whether the kill came before the command had ended.
        """
        self.renew()
        code = self.programs.run(self.command.arguments, self.folder, **how)
        assert code <= 0, self.programs.error()
        await_no_process_in(self.folder)
        self.command.check(self.folder, self.undisturbed)
        again = self.programs.run((*self.command.arguments, *self.command.again), self.folder)
        done = self.command.done_is_refused and "is there already" in self.programs.error()
        assert again == (2 if done else 0), self.programs.error()
        self.command.check(self.folder, self.undisturbed)
        self.command.same(self.folder, self.undisturbed)
        left = left_behind(self.folder, self.programs.temporary)
        assert not left, left
        ours = [path.name for path in self.programs.temporary.iterdir() if path.name not in OTHERS]
        assert not ours, ours
        return code < 0


OTHERS: Sequence[str] = ("torchinductor_root", ".ses")
"""What torch and onnxruntime keep in the folder for temporary files."""
