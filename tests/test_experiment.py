"""Experiments: several systems under one recipe, on the same lists."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
import yaml

from acanet.data.manifest import read_manifest
from acanet.evaluation.intervals import differences
from acanet.evaluation.report import SCORES
from acanet.experiment import Results
from acanet.training import loop
from acanet.training.checkpoint import load_state
from commands import acanet
from conftest import HELD_OUT


@pytest.fixture
def recipe(tiny_recipe, voices, tmp_path):
    """Two systems on all pairs of the voices that were held out."""
    names = [f"{speaker}/{path.name}" for speaker in HELD_OUT for path in sorted((voices / speaker).glob("*.wav"))]
    lines = [f"{int(a[:4] == b[:4])} {a} {b}\n" for a, b in combinations(names, 2)]
    (tmp_path / "own.trials").write_text("".join(lines))
    experiment = tiny_recipe | {
        "steps": 2,
        "systems": {"one": {}, "other": {"seed": 1}},
        "test": {"own": {"trials": "own.trials", "audio_root": str(voices)}},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(experiment, sort_keys=False))
    return path


def test_results_are_those_of_the_reports(recipe, tmp_path):
    answer = acanet("experiment", recipe, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    results = Results.parse(json.loads((tmp_path / "out" / "results.json").read_text()), "results.json")
    one, other = results.rows
    assert (one.system, other.system, one.difference) == ("one", "other", None)
    assert one.fingerprint != other.fingerprint
    scores = {}
    for row in results.rows:
        folder = tmp_path / "out" / row.system / "reports" / "own"
        card = json.loads((folder / "card.json").read_text())
        assert row.eer.value == card["figures"]["eer"]["value"]
        assert (row.fingerprint, row.trial_list_sha256) == (card["fingerprint"], card["trial_list_sha256"])
        scored = np.loadtxt(folder / SCORES, dtype=str)
        scores[row.system] = scored[:, 3].astype(np.float32)
    speakers = [[name[:4] for name in scored[:, column]] for column in (1, 2)]
    assert other.difference == differences(scores["other"], scores["one"], scored[:, 0] == "1", *speakers)["eer"]
    assert results.table() in answer.out
    assert f"| {100 * one.eer.value:.2f} [" in answer.out


def test_an_experiment_that_was_stopped_goes_on_where_it_was(recipe, tmp_path, monkeypatch):
    command = ("experiment", recipe, "--out", tmp_path / "out")
    real, started = loop._Run.go, []

    def stopped_in_the_second(self, console):
        started.append(self.out.name)
        return real(self, console) and len(started) < 2

    monkeypatch.setattr(loop._Run, "go", stopped_in_the_second)
    answer = acanet(*command)
    assert answer.code == 130
    assert "the same command with --resume goes on" in answer.err
    assert not (tmp_path / "out" / "results.json").exists()
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
