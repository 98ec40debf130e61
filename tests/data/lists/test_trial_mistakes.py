"""A list of a hundred lines with one mistake: the command line names the file, the line, and what was expected."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass

import pytest

from support.commands import acanet

LINES, WRONG = 100, 57
SPEAKERS, TAKES = 4, 5


@dataclass(frozen=True)
class Mistake:
    """What stands on the line in place of `1 0/0 0/1`, and what is said of it."""

    line: str
    said: str


MISTAKES = {
    "too few fields": Mistake("1 0/0", "2 fields ('1 0/0'); expected '1 enrol test'"),
    "too many fields": Mistake("1 0/0 0/1 0.7", "4 fields ('1 0/0 0/1 0.7'); expected '1 enrol test'"),
    "a blank line": Mistake("", "0 fields (a blank line); expected '1 enrol test'"),
    "an unknown label": Mistake("yes 0/0 0/1", "unknown label 'yes'; expected '1 enrol test' or '0 enrol test'"),
    "another form": Mistake("0/0 0/1 target", "unknown label '0/0'; expected '1 enrol test'"),
    "not UTF-8": Mistake("1 0/0 0/\udcff", "not UTF-8: byte 0xff; save the list as UTF-8"),
    "an unknown name": Mistake("1 0/0 0/9", "1 of 21 names are not found in the manifest"),
    "a recording of several utterances": Mistake(
        "1 0/0 long", "recordings of several utterances; name the cut instead"
    ),
    "a target of two speakers": Mistake("1 0/0 1/0", "a target trial, but '0/0' and '1/0' are of two speakers"),
    "a nontarget of one speaker": Mistake("0 0/0 0/1", "a nontarget trial, but '0/0' and '0/1' are of one speaker"),
    "an utterance with itself": Mistake("1 0/0 0/0", "'0/0' is compared with itself"),
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Utterances `speaker/take`, and two of one file; nothing is decoded before the list is right."""
    path = tmp_path_factory.mktemp("mistakes") / "test.jsonl"
    entries = [
        {"id": f"{speaker}/{take}", "path": f"{speaker}-{take}.wav", "speaker": f"{speaker}"}
        for speaker in range(SPEAKERS)
        for take in range(TAKES)
    ]
    entries += [{"id": f"l{part}", "path": "long", "speaker": "0", "start": part, "duration": 1} for part in (0, 1)]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


def hundred_lines():
    """Right ones, of both classes, that name every utterance."""
    for number in range(LINES):
        speaker, take = number % SPEAKERS, number // SPEAKERS % TAKES
        other = (speaker + 1) % SPEAKERS if number % 8 < 4 else speaker
        yield f"{int(other == speaker)} {speaker}/{take} {other}/{(take + 1) % TAKES}"


def evaluate(path, manifest):
    return acanet("evaluate", "default", path, "--manifest", manifest)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_file_line_and_what_was_expected(tmp_path, manifest, mistake, packed):
    lines = list(hundred_lines())
    lines[WRONG - 1] = mistake.line
    text = "\n".join(lines).encode("utf-8", "surrogateescape")
    path = tmp_path / ("wrong.trials.gz" if packed else "wrong.trials")
    path.write_bytes(gzip.compress(text) if packed else text)
    answer = evaluate(path, manifest)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {path}, line {WRONG}: ")
    assert mistake.said in answer.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no trials; one a line is expected"),
        ("\n".join(line for line in hundred_lines() if line[0] == "1").encode(), "are target; error rates need trials"),
        (gzip.compress("\n".join(hundred_lines()).encode())[:-20], "cannot be read: "),
        (None, "there is no such file"),
    ],
    ids=["empty", "one class", "cut off", "missing"],
)
def test_a_list_that_is_wrong_as_a_whole(tmp_path, manifest, content, said):
    path = tmp_path / "wrong.trials"
    if content is not None:
        path.write_bytes(content)
    answer = evaluate(path, manifest)
    assert answer.code == 2
    assert answer.err.startswith(f"error: {path}: ")
    assert said in answer.err


def test_the_same_list_without_a_mistake_goes_on_to_the_audio(tmp_path, manifest):
    path = tmp_path / "right.trials"
    path.write_text("\n".join(hundred_lines()), encoding="utf-8")
    answer = evaluate(path, manifest)
    assert answer.code == 2
    assert ".wav: " in answer.err
    assert "line" not in answer.err
