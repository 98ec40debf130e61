"""The demo, whole: what `make demo` runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


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
