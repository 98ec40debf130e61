"""Evaluation in one call, as the command line does it, from Python."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from acanet.data.draw.list_files import draw_list
from acanet.data.draw.plan import Plan
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadConfig, MissingExtra
from acanet.evaluation.calibrated_bundle import calibrate
from acanet.evaluation.evaluate import Evaluation, evaluate
from acanet.evaluation.one_model import evaluate_model
from acanet.runtime.bundle import Bundle
from acanet.scoring.calibrate import FalseAccepts
from support.calibrations import calibration
from support.commands import acanet

DRAWS = 50


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, voices: Path, tiny_bundle: Path) -> Path:
    """A manifest of six voices, a list of all pairs, and the tiny model with a calibration."""
    folder = tmp_path_factory.mktemp("evaluate")
    entries = [
        {"path": str(file), "id": f"{file.parent.name}/{file.stem}", "speaker": file.parent.name, "gender": "f"}
        for file in sorted(voices.glob("*/*.wav"))
    ]
    (folder / "all.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    draw_list(folder / "all.jsonl", folder / "all.trials", Plan(targets=None, ratio=None))
    model = Bundle.load(shutil.copytree(tiny_bundle, folder / "calibrated"))
    model.with_calibration(calibration(model.fingerprint))
    return folder


@pytest.fixture(scope="module")
def found(place: Path, tiny_bundle: Path) -> tuple[Evaluation, list[str]]:
    """An evaluation with everything, and the lines that were told on the way."""
    lines: list[str] = []
    made = evaluate(
        place / "calibrated",
        place / "all.trials",
        manifest=place / "all.jsonl",
        against=[Encoder.load(tiny_bundle)],
        conditions=["gender", "crop"],
        expectations=["eer<=1", "cllr<0"],
        seed=3,
        replicates=DRAWS,
        tell=lines.append,
    )
    return made, lines


def test_it_is_made_of_what_the_parts_find(found: tuple[Evaluation, list[str]], place: Path) -> None:
    made, _ = found
    alone = evaluate_model(
        Encoder.load(place / "calibrated"),
        place / "all.trials",
        manifest=place / "all.jsonl",
        seed=3,
        replicates=DRAWS,
    )
    assert made.card.figures == alone.card.figures
    assert [each.result.card.model for each in made.comparisons] == ["acanet-local"]
    assert made.comparisons[0].differences["eer"].value == 0  # the same weights
    assert made.conditions is not None
    assert [each.name for each in made.conditions.conditions] == ["gender", "crop"]
    assert (made.conditions.replicates, made.conditions.seed) == (DRAWS, 3)
    assert [each.holds(made.card.figures) for each in made.expectations] == [True, False]
    assert made.as_expected is False
    assert made.explanations == []  # a model that was not exported cannot tell


def test_lines_are_told_as_they_are_known(found: tuple[Evaluation, list[str]]) -> None:
    made, lines = found
    assert [*lines, *made.expectations_told()] == made.summary()
    assert lines[0].startswith("acanet-local (")
    assert "| gender | f |" in "\n".join(lines)
    assert made.summary()[-2].endswith("as expected: <= 1")


def test_it_writes_its_report(found: tuple[Evaluation, list[str]], tmp_path: Path) -> None:
    made, _ = found
    made.write_report(tmp_path / "report", command=("acanet", "evaluate"))
    assert json.loads((tmp_path / "report" / "card.json").read_text("utf-8"))["seed"] == 3
    assert "Beside other systems" in (tmp_path / "report" / "report.html").read_text("utf-8")


def test_what_is_wrong_is_known_before_anything_is_loaded(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Encoder, "load", lambda *_: pytest.fail("loaded"))
    known = {"manifest": place / "all.jsonl"}
    for how, error, named in (
        ({}, AcanetError, "a manifest or an audio root is needed"),
        (known | {"report": place / "all.jsonl"}, AcanetError, "is a file; name a folder"),
        (known | {"conditions": ["gendre"]}, BadConfig, "did you mean 'gender'"),
        (known | {"conditions": ["babble"]}, BadConfig, "babble is made of"),
        (known | {"expectations": ["eer=1"]}, AcanetError, "cannot read the expectation"),
    ):
        with pytest.raises(error, match=named):
            evaluate("default", "nowhere.trials", **how)
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingExtra, match="jinja2"):
        evaluate("default", "nowhere.trials", **known, report=place / "report")


def test_the_command_finds_the_same(found: tuple[Evaluation, list[str]], place: Path, tiny_bundle: Path) -> None:
    _, lines = found
    answer = acanet(
        *("evaluate", place / "calibrated", place / "all.trials", "--manifest", place / "all.jsonl", "--seed", "3"),
        *("--against", tiny_bundle, "--by", "gender,crop", "--expect", "eer<=1", "--expect", "cllr<0"),
    )
    assert answer.code == 1
    told = answer.out.splitlines()
    assert len(told) == len(lines) + 2
    assert [line.split()[:2] for line in told[:6]] == [line.split()[:2] for line in lines[:6]]


def test_a_calibration_goes_into_a_copy_or_the_bundle(place: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """Twelve voices would be needed; so many of this list are too few, which is known before anything is written."""
    how = {"manifest": place / "all.jsonl", "goal": FalseAccepts(far=0.2)}
    for model, output, named in (
        ("default", None, "a model that ships stays as it is"),
        (tiny_bundle, tmp_path, "is there already"),
        (tiny_bundle, tmp_path / "no" / "new", "there is no folder"),
        (tiny_bundle, tmp_path / "new", "6 speakers; a calibration needs at least 10"),
    ):
        with pytest.raises(AcanetError, match=named):
            calibrate(model, place / "all.trials", output=output, **how)
    assert list(tmp_path.iterdir()) == []
