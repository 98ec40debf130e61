"""The demo, whole: what `make demo` runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from acanet.experiment import demo
from acanet.training.log import Log
from support.commands import acanet


@pytest.mark.slow
def test_the_demo_goes_from_voices_to_decisions(tmp_path):
    folder = tmp_path / "demo"
    command = [sys.executable, "-m", "acanet", "demo", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    card = json.loads((folder / "report" / "card.json").read_text(encoding="utf-8"))
    assert card["counts"]["speakers"] == 8
    assert not card["seen"]
    assert card["figures"]["eer"]["value"] < 0.35, "voices that it never heard are told apart, better than by chance"
    for file in ("report.html", "det.png", "histogram.png", "scores.txt.gz"):
        assert (folder / "report" / file).stat().st_size > 0
    assert done.stdout.count(": score ") == 2, "two pairs are verified"
    assert "acanet verify enrolment.wav test.wav" in done.stdout, "what to type next"
    told = re.search(r"The report is in \S+: (.*)\.$", done.stdout, re.MULTILINE)[1]
    named = re.findall(r"\b[\w.]+\.(?:html|json|gz)\b", told)
    assert named[0] == "report.html"
    assert all((folder / "report" / name).is_file() for name in named)

    again = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert again.returncode == 2
    assert f"{folder} exists" in again.stderr


@pytest.fixture
def short(monkeypatch):
    """A demo of few voices and steps."""
    for name, value in {"_KNOWN": 6, "_UNKNOWN": 3, "_UTTERANCES": 2, "_STEPS": 3}.items():
        monkeypatch.setattr(demo, name, value)


@pytest.mark.parametrize(
    ("stage", "call"),
    [
        pytest.param("write_corpus", 2, marks=pytest.mark.slow),
        pytest.param("prepare", 1, marks=pytest.mark.slow),
        ("train", 1),
        pytest.param("write_trials", 1, marks=pytest.mark.slow),
        pytest.param("evaluate_model", 1, marks=pytest.mark.slow),
        pytest.param("prepare", 2, marks=pytest.mark.slow),
        pytest.param("write_report", 1, marks=pytest.mark.slow),
    ],
)
def test_a_demo_that_is_interrupted_ends_with_130_and_the_same_command_goes_on(
    short, tmp_path, monkeypatch, stage, call
):
    undisturbed, calls = getattr(demo, stage), []

    def interrupted(*arguments, **how):
        calls.append(arguments)
        if len(calls) == call:
            raise KeyboardInterrupt
        return undisturbed(*arguments, **how)

    monkeypatch.setattr(demo, stage, interrupted)
    stopped = acanet("demo", "--out", tmp_path / "demo")
    assert stopped.code == 130
    assert ": score " not in stopped.out
    again = acanet("demo", "--out", tmp_path / "demo")
    assert again.code == 0, again.err
    assert again.out.count(": score ") == 2
    done = acanet("demo", "--out", tmp_path / "demo")
    assert (done.code, "exists; remove it" in done.err) == (2, True)


@pytest.mark.slow
def test_a_demo_whose_training_is_interrupted_does_not_go_on_with_half_a_model(short, tmp_path, monkeypatch):
    step, stopping = Log.step, []

    def interrupted(self, number, *arguments):
        step(self, number, *arguments)
        if number == 2 and not stopping:
            stopping.append(number)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Log, "step", interrupted)
    stopped = acanet("demo", "--out", tmp_path / "demo")
    assert stopped.code == 130
    assert "stopped and saved; the same command goes on" in stopped.err
    assert "4. evaluate" not in stopped.out
    again = acanet("demo", "--out", tmp_path / "demo")
    assert again.code == 0, again.err
    assert "resuming after step 2" in again.out


def test_a_folder_of_something_else_is_not_taken(short, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    answer = acanet("demo", "--out", tmp_path / "mine")
    assert (answer.code, "exists; remove it" in answer.err) == (2, True)
    (tmp_path / "file").touch()
    assert acanet("demo", "--out", tmp_path / "file").code == 2
