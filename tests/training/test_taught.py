"""Training with a teacher: what it learns from, what it leaves, what it refuses, and what it is worth."""

from __future__ import annotations

import csv
import io
import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from acanet.data.synthetic import write_corpus
from acanet.errors import AcanetError, BadConfig, BadManifest
from acanet.models.inference import load_model
from acanet.runtime.bundle import Bundle, Provenance, write_bundle
from acanet.training.checkpoint import load_state
from acanet.training.corpus import check_inputs
from acanet.training.dev import DevSet
from acanet.training.recipe import Dev, Recipe
from acanet.training.run import train
from support.runs import interrupted_after, state_bytes

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def taught(tiny_recipe, tiny_bundle, tmp_path):
    """A recipe with a teacher, some utterances of which name nobody, and other speeds."""
    folder = tmp_path / "data"
    folder.mkdir()
    lines = [json.loads(line) for line in Path(tiny_recipe["data"]["train"][0]).read_text().splitlines()]
    for line in lines[9:]:  # the fourth voice
        del line["speaker"]
    (folder / "some.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for line in lines:
        line.pop("speaker", None)
    (folder / "none.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    data = tiny_recipe["data"] | {"train": [str(folder / "some.jsonl")], "cache": str(tmp_path / "cache"), "workers": 2}
    return deepcopy(tiny_recipe) | {
        "data": data,
        "augment": {"speed": 0.5, "noise": 0.5},
        "teacher": {"bundle": str(tiny_bundle)},
        "steps": 6,
        "dev_every": 3,
        "save_every": 2,
    }


def unnamed(recipe):
    """The recipe without a loss on speakers, on utterances that name none."""
    (path,) = recipe["data"]["train"]
    data = recipe["data"] | {"train": [path.replace("some.jsonl", "none.jsonl")]}
    return recipe | {"loss": None, "data": data}


def run(recipe, out, **how):
    return train(Recipe.parse(recipe, "the test's recipe"), out, console=Console(file=io.StringIO()), **how)


def log(out):
    with (out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("targets", ["utterance", "crop"])
def test_a_resumed_run_equals_an_uninterrupted_one(taught, tmp_path, targets):
    taught["teacher"]["targets"] = targets
    run(taught, tmp_path / "whole")
    with interrupted_after(3):
        assert not run(taught, tmp_path / "stopped").finished
    assert run(taught, tmp_path / "stopped", resume=True).finished
    assert state_bytes(tmp_path / "stopped") == state_bytes(tmp_path / "whole")
    told = [[row["teacher"] for row in log(tmp_path / name)] for name in ("stopped", "whole")]
    assert told[0] == told[1]
    assert all(float(value) > 0 for value in told[0])


def test_utterances_that_name_nobody_are_learned_from(taught, tmp_path):
    run(taught, tmp_path / "run")
    state = load_state(tmp_path / "run" / "last.pt")
    assert len(state.loss["speakers.centres"]) == 3 * 3  # three named voices at three speeds
    bundle = Bundle.load(tmp_path / "run")
    assert bundle.provenance.speakers == {"s000", "s001", "s002", "zoe"}  # whom the teacher knows
    assert len(bundle.provenance.audio - {"00ff"}) == 12


@pytest.mark.parametrize("kind", ["cosine", "similarity", "both"])
def test_a_teacher_alone_needs_no_names(taught, tmp_path, kind):
    recipe = unnamed(taught)
    recipe["teacher"]["kind"] = kind
    run(recipe | {"steps": 30, "dev_every": 30, "augment": {}}, tmp_path / "run")
    rows = log(tmp_path / "run")
    assert {row["accuracy"] for row in rows} == {""}
    losses = [float(row["teacher"]) for row in rows]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert float(rows[0]["loss"]) == pytest.approx(5.0 * losses[0], abs=2e-3)
    assert Bundle.load(tmp_path / "run").provenance.speakers == {"zoe"}  # whom the teacher knows


def test_the_model_tells_who_taught_it(taught, tiny_bundle, tmp_path):
    """What the teacher heard counts as heard: an evaluation on it would be no test."""
    theirs = Bundle.load(tiny_bundle)
    heard = Provenance(data=("theirs.jsonl",), speakers=frozenset({"zoe"}), audio=frozenset({"0" * 64}))
    teacher = write_bundle(tmp_path / "teacher", theirs.config, theirs.weights(), heard, "# A teacher\n")
    taught["teacher"]["bundle"] = str(teacher.folder if isinstance(teacher, Bundle) else teacher)
    run(taught, tmp_path / "run")
    bundle = Bundle.load(tmp_path / "run")
    assert bundle.provenance.speakers == {"s000", "s001", "s002", "zoe"}
    assert "0" * 64 in bundle.provenance.audio
    card = (bundle.folder / "README.md").read_text()
    assert f"Taught by model `{theirs.fingerprint}` (acanet-local, licence: Apache-2.0)" in card
    assert "- some.jsonl: 12 utterances, 3 speakers\n" in card
    assert str(tmp_path) not in card
    heard = Provenance(speakers=frozenset({"s004"}))
    write_bundle(tmp_path / "heard", theirs.config, theirs.weights(), heard, "# A teacher\n")
    with pytest.raises(BadManifest, match=r"1 dev speakers are trained on too \(s004\)"):
        run(taught | {"teacher": {"bundle": str(tmp_path / "heard")}}, tmp_path / "other")


def test_a_run_keeps_its_teacher(taught, tiny_bundle, tmp_path):
    theirs = Bundle.load(tiny_bundle)
    weights = theirs.weights()
    weights["aggregator.latents"] = weights["aggregator.latents"] + np.float32(0.01)
    folder = tmp_path / "teacher"
    write_bundle(folder, theirs.config, theirs.weights(), Provenance(), "# A teacher\n")
    taught["teacher"]["bundle"] = str(folder)
    run(taught, tmp_path / "run")
    write_bundle(folder, theirs.config, weights, Provenance(), "# Another\n")
    with pytest.raises(BadConfig, match=f"learns from model {theirs.fingerprint}, teacher.bundle is"):
        run(taught, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"teacher": None}, "no 'speaker'"),
        ({"teacher": None, "loss": None}, "loss is null, and there is no teacher"),
        ({"loss": None, "discriminant": {"directions": 2}}, "discriminant needs speakers, and loss is null"),
        ({"loss": None, "large_margin": {"steps": 2}}, "large_margin needs speakers, and loss is null"),
    ],
)
def test_what_cannot_be_learned_is_refused(taught, change, told):
    with pytest.raises((BadConfig, BadManifest), match=told):
        check_inputs(Recipe.parse(taught | change, "the recipe"))


def test_names_are_needed_where_speakers_have_a_loss(taught):
    with pytest.raises(BadManifest, match="no speaker is named; the loss on speakers needs two or more"):
        check_inputs(Recipe.parse(unnamed(taught) | {"loss": {}}, "the recipe"))


def test_a_teacher_that_is_not_there_is_told_before_anything_else(taught, tmp_path):
    taught["teacher"]["bundle"] = str(tmp_path / "nobody")
    with pytest.raises(AcanetError, match="no model there"):
        check_inputs(Recipe.parse(taught, "the recipe"))


@pytest.mark.slow
def test_a_student_is_better_than_its_twin_on_voices_that_it_has_not_heard(tmp_path):
    """The teacher knows 28 voices, its student hears all of them, most without a name; the twin has four with names."""
    voices = write_corpus(tmp_path / "voices", 40, 4, seconds=(1.6, 2.4))
    small = {
        "frames": {"channels": 32, "hidden": 32, "dilations": [1, 2]},
        "aggregator": {"latents": 8, "heads": 2, "mlp": 32},
        "head": {"dim": 32},
    }

    def manifest(name, first, last, *, named):
        files = [file for folder in sorted(voices.iterdir())[first:last] for file in sorted(folder.iterdir())]
        lines = [{"path": str(file)} | ({"speaker": file.parent.name} if named else {}) for file in files]
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        return str(tmp_path / name)

    def eer(name, train_on, steps, **more):
        recipe = {
            "model": {"name": "acanet-local", "change": small},
            "data": {"train": train_on, "cache": str(tmp_path / "cache"), "batch": 16, "crop_seconds": [1.0, 1.5]},
            "optimizer": {"rate": 0.003},
            "steps": steps,
        }
        run(recipe | more, tmp_path / name)
        bundle = Bundle.load(tmp_path / name)
        return unheard.eer(load_model(bundle.name, bundle.config.model, bundle.weights()))

    few, many = manifest("few.jsonl", 0, 4, named=True), manifest("many.jsonl", 0, 28, named=True)
    nobody = manifest("nobody.jsonl", 4, 28, named=False)
    unheard = DevSet(Dev(manifest=manifest("unheard.jsonl", 28, 40, named=True)), tmp_path / "cache", 16000, 0)
    eer("teacher", [many], 300)
    twin = eer("twin", [few], 150)
    student = eer("student", [few, nobody], 150, teacher={"bundle": str(tmp_path / "teacher")})
    alone = eer("alone", [few, nobody], 150, loss=None, teacher={"bundle": str(tmp_path / "teacher")})
    assert max(student, alone) < twin - 0.04
