"""Experiments: several systems under one recipe, on the same lists."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console

from acanet.data.lists.manifest import read_manifest
from acanet.evaluation.figures.intervals import differences
from acanet.evaluation.report.report_folder import SCORES
from acanet.evaluation.result import ResultsCard
from acanet.experiment import origin
from acanet.experiment import run_experiment as run
from acanet.experiment.run_card import read_run_cards
from acanet.models.registry import build_model, model_config
from acanet.runtime.bundle import Bundle
from acanet.training import run as training_run
from acanet.training.checkpoint import load_state
from acanet.training.log import Log, seconds_trained
from acanet.training.objective import Losses
from acanet.training.read_recipe import read_experiment
from support.commands import acanet
from support.tiny import HELD_OUT


def written(folder, tiny_recipe, voices):
    """A recipe of two systems on all pairs of the voices that were held out."""
    names = [f"{speaker}/{path.name}" for speaker in HELD_OUT for path in sorted((voices / speaker).glob("*.wav"))]
    lines = [f"{int(a[:4] == b[:4])} {a} {b}\n" for a, b in combinations(names, 2)]
    (folder / "own.trials").write_text("".join(lines))
    experiment = tiny_recipe | {
        "steps": 2,
        "systems": {"one": {}, "other": {"seed": 1}},
        "test": {"own": {"trials": "own.trials", "audio_root": str(voices)}},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(experiment, sort_keys=False))
    return path


@pytest.fixture
def recipe(tiny_recipe, voices, tmp_path):
    return written(tmp_path, tiny_recipe, voices)


@pytest.fixture(scope="module")
def whole(tiny_recipe, voices, tmp_path_factory):
    """The folder of that experiment when it was run in one go, and what was said. Read only."""
    folder = tmp_path_factory.mktemp("whole")
    answer = acanet("experiment", written(folder, tiny_recipe, voices), "--out", folder / "out")
    assert answer.code == 0, answer.err
    return folder / "out", answer.out


@pytest.fixture
def finished(whole, tmp_path):
    """A copy of it, for another call."""
    return shutil.copytree(whole[0], tmp_path / "out")


def test_means_over_seeds_are_compared(finished, recipe):
    """Of `one` and `other` with a system of another recipe, that has the scores of `one`."""
    one, other = cards_in(finished)
    shutil.copytree(finished / "one", finished / "third")
    third = one.model_copy(update={"system": "third", "recipe": one.recipe.model_copy(update={"steps": 3})})
    lists = {"own": run._read(read_experiment(recipe).test["own"])}
    cards = run._compare({card.system: card for card in (one, other, third)}, lists, finished)
    mean, again, alone = (card.lists["own"] for card in cards)
    assert (set(mean.seeds_against), set(alone.seeds_against)) == ({"third"}, {"one"})
    assert mean.seeds_against == again.seeds_against
    rates = [listed.figures["eer"].value for listed in (mean, again)]
    assert mean.seeds_against["third"]["eer"].difference.value == pytest.approx((rates[1] - rates[0]) / 2)


def cards_in(folder):
    """The run cards of an experiment, in the order of its recipe."""
    return sorted(read_run_cards([folder]), key=lambda card: card.place)


def test_results_are_those_of_the_reports(whole):
    out, said = whole
    one, other = cards_in(out)
    assert (one.system, other.system) == ("one", "other")
    assert one.fingerprint != other.fingerprint
    scores = {}
    for card in (one, other):
        folder = out / card.system / "reports" / "own"
        report = ResultsCard.parse(json.loads((folder / "card.json").read_text()), "report")
        listed = card.lists["own"]
        assert listed.figures == {name: report.figures[name] for name in ("eer", "min_dcf(0.05)", "min_dcf(0.01)")}
        assert (card.fingerprint, listed.sha256) == (report.fingerprint, report.trial_list_sha256)
        assert listed.counts == report.counts
        scored = np.loadtxt(folder / SCORES, dtype=str)
        scores[card.system] = scored[:, 3].astype(np.float32)
    speakers = [[name[:4] for name in scored[:, column]] for column in (1, 2)]
    for card, two in ((one, "other"), (other, "one")):
        paired = card.lists["own"].against[two]
        found = differences(scores[card.system], scores[two], scored[:, 0] == "1", *speakers)
        assert {name: each.difference for name, each in paired.items()} == {name: found[name] for name in paired}
        assert list(card.lists["own"].against) == [two]
    page = (out / "results.md").read_text()
    for card in (one, other):
        (row,) = [line for line in said.splitlines() if line.startswith(f"| {card.system} | acanet-local, changed")]
        assert row in page
        assert f"| {100 * card.lists['own'].figures['eer'].value:.2f} [" in row


def test_a_card_says_what_it_took(recipe, tmp_path, monkeypatch):
    """Two stages, by hand: 2 steps of 8 crops of 0.5 to 0.8 s, and one of 3 crops of 0.8 to 1 s."""
    monkeypatch.chdir(tmp_path)
    data = yaml.safe_load(recipe.read_text()) | {"title": "Which?", "about": "A *question*."}
    data["large_margin"] = {"steps": 1, "batch": 3, "crop_seconds": [0.8, 1.0]}
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "asked.yaml").write_text(yaml.safe_dump(data | {"test": absolute(data["test"], tmp_path)}))
    settings = ("--set", f"data.cache={tmp_path / 'cache'}", "--set", "seed=3", "--set", "dev_every=1")
    answer = acanet("experiment", "recipes/asked.yaml", "--out", "out", "--only", "one", "--seed", 7, *settings)
    assert answer.code == 0, answer.err
    (card,) = cards_in(tmp_path / "out")
    assert (card.experiment, card.title, card.about, card.place) == ("asked", "Which?", "A *question*.", 0)
    assert card.command == (
        "acanet experiment recipes/asked.yaml --only one --out runs/asked --set data.cache=cache --set seed=3 "
        "--set dev_every=1 --seed 7"
    )
    assert str(tmp_path) not in card.as_json()
    assert (card.recipe.seed, card.recipe.data.cache, card.recipe.data.train[0].name) == (
        3,
        Path("cache"),
        "train.jsonl",
    )
    assert (card.budget.steps, card.budget.crops) == (3, 19)
    assert card.budget.audio_hours == pytest.approx((16 * 0.65 + 3 * 0.9) / 3600)
    assert card.budget.hours == pytest.approx(seconds_trained(tmp_path / "out" / "one") / 3600)
    assert [result.step for result in card.dev] == [1, 2, 3]
    assert card.chosen == min(card.dev, key=lambda result: result.eer).step
    provenance = Bundle.load(tmp_path / "out" / "one").provenance
    hashes = "\n".join([*sorted(provenance.audio), ""])
    assert card.data.sha256 == hashlib.sha256(hashes.encode()).hexdigest()
    assert (card.data.manifests, card.data.speakers, card.data.utterances) == (("train.jsonl",), 4, 12)
    assert card.size.parameters == sum(value.size for value in weights_of(tmp_path / "out" / "one"))
    assert card.machine.threads == torch.get_num_threads()
    assert card.versions["torch"] == version("torch")
    assert card.lists["own"].seed == 7


def absolute(test, folder):
    return {name: on | {"trials": str(folder / on["trials"])} for name, on in test.items()}


def weights_of(run):
    """What is trained: all that a bundle holds but running statistics and constants of the front end."""
    model = build_model("acanet-local", model_config("acanet-local", Bundle.load(run).config.model))
    return [parameter.detach().numpy() for parameter in model.parameters()]


def test_parts_add_up_to_the_whole(recipe, whole, tmp_path):
    """System by system, the last first: the same figures, and each beside the other."""
    command = ("experiment", recipe, "--out", tmp_path / "parts", "--only")
    assert acanet(*command, "other").code == 0
    (alone,) = cards_in(tmp_path / "parts")
    assert (alone.system, alone.place, alone.lists["own"].against) == ("other", 1, {})
    answer = acanet(*command, "one")
    assert answer.code == 0, answer.err
    parts, at_once = ([(card.system, card.lists) for card in cards_in(out)] for out in (tmp_path / "parts", whole[0]))
    assert parts == at_once
    assert [set(lists["own"].against) for _, lists in parts] == [{"other"}, {"one"}]


@pytest.fixture
def idle(monkeypatch):
    """Nothing may be trained."""

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(run, "train", never)


@pytest.mark.usefixtures("idle")
def test_what_is_finished_is_passed_over(recipe, finished, monkeypatch):
    def never(*_, **__):
        raise AssertionError("evaluated again")

    monkeypatch.setattr(run, "evaluate_model", never)
    before = cards_in(finished)
    assert acanet("experiment", recipe, "--out", finished, "--resume").code == 0
    assert cards_in(finished) == before


@pytest.mark.usefixtures("idle")
def test_systems_on_other_lists_are_not_compared(recipe, finished, tmp_path):
    """But they are evaluated again, both, when they are asked for."""
    command = ("experiment", recipe, "--out", finished, "--resume")
    before = cards_in(finished)
    draws = acanet(*command, "--only", "other", "--seed", 1)
    lines = (tmp_path / "own.trials").read_text().splitlines(keepends=True)
    (tmp_path / "own.trials").write_text("".join(lines[:-1]))
    for answer in (draws, acanet(*command, "--only", "other")):
        assert answer.code == 2
        assert "one was evaluated on other lists or draws; add --only one --resume" in answer.err
        assert cards_in(finished) == before
    answer = acanet(*command)
    assert answer.code == 0, answer.err
    after = cards_in(finished)
    assert {card.lists["own"].counts.trials for card in after} == {len(lines) - 1}
    assert [card.model_copy(update={"lists": {}}) for card in after] == [
        card.model_copy(update={"lists": {}}) for card in before
    ]


def test_a_system_of_another_recipe_is_not_compared(recipe, finished):
    answer = acanet("experiment", recipe, "--out", finished, "--resume", "--set", "optimizer.rate=0.02")
    assert answer.code == 2
    assert "it was trained with another recipe: other optimizer; choose another --out" in answer.err


def test_an_unknown_system_is_told_with_the_nearest(recipe, tmp_path):
    answer = acanet("experiment", recipe, "--out", tmp_path / "out", "--only", "othr")
    assert answer.code == 2
    assert "no system 'othr'" in answer.err
    assert "did you mean 'other'?" in answer.err
    assert not (tmp_path / "out").exists()


def test_the_time_of_a_run_that_was_stopped_is_that_of_its_parts(tmp_path):
    """`seconds` go on where they were; what is after the checkpoint is dropped, and so is its time."""
    (tmp_path / "log.csv").write_text("step,seconds\n10,5.0\n20,9.5\n30,14.0\n")
    with Log(tmp_path, Console(quiet=True), start=20, steps=40, every=10) as log:
        assert seconds_trained(tmp_path) == 9.5
        for step in range(21, 41):
            log.step(step, Losses(*torch.tensor([1.0, 0.5, math.nan])), 0.1, 0.2, 4, 0.0, 0.1)
    steps = [float(line.split(",")[0]) for line in (tmp_path / "log.csv").read_text().splitlines()[1:]]
    assert steps == [10, 20, 30, 40]
    assert 9.5 <= seconds_trained(tmp_path) < 14


def test_code_outside_of_a_checkout_has_no_commit(tmp_path, monkeypatch):
    """A commit is that of the package itself, not of a repository that it was installed below."""

    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    module = tmp_path / "package" / "experiment" / "origin.py"
    module.parent.mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").touch()
    monkeypatch.setattr(origin, "__file__", str(module))
    assert origin.this_code() is None
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "of another project")
    assert origin.this_code() is None
    git("add", "package/__init__.py")
    git("commit", "-q", "-m", "own")
    clean = origin.this_code()
    assert (len(clean.commit), clean.changed) == (40, False)
    module.touch()
    assert origin.this_code() == clean.model_copy(update={"changed": True})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert origin.this_code() is None


def test_an_experiment_that_was_stopped_goes_on_where_it_was(recipe, tmp_path, monkeypatch):
    command = ("experiment", recipe, "--out", tmp_path / "out")
    real, started = training_run.finish, []

    def stopped_in_the_second(setup, *how):
        started.append(setup.folder.name)
        return real(setup, *how) and len(started) < 2

    monkeypatch.setattr(training_run, "finish", stopped_in_the_second)
    answer = acanet(*command)
    assert answer.code == 130
    assert "the same command with --resume goes on" in answer.err
    assert not (tmp_path / "out" / "results.md").exists()
    assert [card.system for card in cards_in(tmp_path / "out")] == ["one"]
    monkeypatch.undo()
    again = acanet(*command)
    assert again.code == 2
    assert "add --resume" in again.err
    assert acanet(*command, "--resume").code == 0
    assert (tmp_path / "out" / "results.md").exists()
    assert [load_state(tmp_path / "out" / name / "last.pt").step for name in ("one", "other")] == [2, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"augment": {"noise": {"probability": 0.3, "folder": "nowhere"}}}, "augment.noise.folder: no recordings in"),
        ({"dev": {"manifest": "nowhere.jsonl"}}, "nowhere.jsonl: there is no such file"),
        ({"data": {"train": ["nowhere.jsonl"]}}, "nowhere.jsonl: there is no such file"),
    ],
)
def test_what_the_second_system_lacks_is_found_before_the_first_is_trained(recipe, tmp_path, change, message):
    data = yaml.safe_load(recipe.read_text())
    data["systems"]["other"] = change
    recipe.write_text(yaml.safe_dump(data, sort_keys=False))
    answer = acanet("experiment", recipe, "--out", tmp_path / "out")
    assert answer.code == 2
    assert message in answer.err
    assert not (tmp_path / "out").exists()


def test_voices_that_are_trained_on_are_refused_before_training(recipe, tiny_recipe, tmp_path):
    data = yaml.safe_load(recipe.read_text())
    data["test"]["own"] = {"trials": "known.trials", "manifest": tiny_recipe["data"]["train"][0]}
    recipe.write_text(yaml.safe_dump(data))
    first, second, *_, other = (utterance.id for utterance in read_manifest(tiny_recipe["data"]["train"][0]))
    (tmp_path / "known.trials").write_text(f"1 {first} {second}\n0 {first} {other}\n")
    answer = acanet("experiment", recipe, "--out", tmp_path / "out")
    assert answer.code == 2
    assert "known.trials: 2 of its speakers (s000, s003) are trained on; make them disjoint" in answer.err
    assert not (tmp_path / "out").exists()
