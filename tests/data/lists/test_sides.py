"""What the names in a list stand for; and every mistake that a list can hold, at a random line of a hundred."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.audio.recording import content_hash, read_audio
from acanet.data.draw.list_files import draw_list
from acanet.data.draw.plan import Plan
from acanet.data.lists.enrolments import read_enrolments
from acanet.data.lists.names_alike import AlikeWarning
from acanet.data.lists.same_recording import CopyWarning
from acanet.data.lists.sides import Sides, check_apart, find_sides
from acanet.data.lists.trials import read_trials
from acanet.errors import BadTrials
from support.commands import acanet

SPEAKERS = tuple(f"s{speaker}" for speaker in range(8))
Lines = list[str]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight speakers with six files each; `talk.wav` holds two utterances of s0."""
    entries = [{"path": f"{speaker}/{row}.wav", "speaker": speaker} for speaker in SPEAKERS for row in range(6)]
    entries += [{"path": "talk.wav", "id": f"talk-{row}", "speaker": "s0", "start": row} for row in range(2)]
    return write(tmp_path_factory.mktemp("manifest") / "test.jsonl", [json.dumps(entry) for entry in entries])


def a_hundred_trials(generator: random.Random) -> Lines:
    """Right ones: half of them targets."""
    lines = []
    for row in range(100):
        speaker, other = generator.sample(SPEAKERS, 2)
        one, two = generator.sample(range(6), 2)
        label, test = (1, speaker) if row % 2 else (0, other)
        lines.append(f"{label} {speaker}/{one}.wav {test}/{two}.wav")
    return lines


def changed(new: str) -> Callable[[Lines, int], None]:
    def change(lines: Lines, row: int) -> None:
        lines[row] = new

    return change


def other_label(lines: Lines, row: int) -> None:
    """The trial of the row before, either side first, with the other label."""
    label, enrol, test = lines[row - 1].split()
    lines[row] = f"{1 - int(label)} {test} {enrol}"


MISTAKES = {
    "a field is missing": (changed("1 s1/0.wav"), "2 fields ('1 s1/0.wav'); expected '1 enrol test'"),
    "a field too many": (changed("1 s1/0.wav s1/1.wav 0.7"), "4 fields .*expected '1 enrol test'"),
    "a name with a space": (changed("1 s1/0.wav my s1/1.wav"), "4 fields .*expected '1 enrol test'"),
    "unknown label": (changed("2 s1/0.wav s1/1.wav"), "unknown label '2'; expected '1 enrol test' or '0 enrol test'"),
    "a line of Kaldi's": (changed("s1/0.wav s1/1.wav target"), "unknown label 's1/0.wav'; expected '1 enrol test'"),
    "a line of CN-Celeb's": (changed("s1/0.wav s1/1.wav 1"), "unknown label 's1/0.wav'; expected '1 enrol test'"),
    "words for labels": (changed("target s1/0.wav s1/1.wav"), "unknown label 'target'; expected '1 enrol test'"),
    "a blank line inside": (changed(" \t"), "0 fields (a blank line); expected '1 enrol test'"),
    "commas": (changed("1,s1/0.wav,s1/1.wav"), "1 fields .*expected '1 enrol test'"),
    "not UTF-8": (changed("1 s1/0.wav s1/\udcff.wav"), "not UTF-8: byte 0xff; save the list as UTF-8"),
    "a name that is not there": (changed("1 s1/0.wav s1/9.wav"), "1 of .* names are not found in the manifest"),
    "a name of several utterances": (
        changed("0 s1/0.wav talk.wav"),
        "1 of .* names are recordings of several utterances; name the cut instead ('talk.wav')",
    ),
    "a target of two speakers": (
        changed("1 s1/0.wav s2/1.wav"),
        "a target trial, but 's1/0.wav' and 's2/1.wav' are of two speakers by the manifest; correct the label",
    ),
    "a nontarget of one": (
        changed("0 s1/0.wav s1/1.wav"),
        "a nontarget trial, but 's1/0.wav' and 's1/1.wav' are of one speaker by the manifest; correct the label",
    ),
    "one pair with both labels": (other_label, "correct the label or the manifest"),
    "an utterance with itself": (changed("1 s1/0.wav s1/0.wav"), "'s1/0.wav' is compared with itself; remove"),
    "another with itself": (changed("0 s1/0.wav s1/0.wav"), "'s1/0.wav' is compared with itself; remove the trial"),
}


def fits(words: str, text: str) -> bool:
    """Whether the parts of `words` between `.*` come in the text, in order."""
    at = 0
    for part in words.split(".*"):
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_on_one_of_a_hundred_lines_names_it(
    mistake: str, packed: bool, manifest: Path, tmp_path: Path
) -> None:
    generator = random.Random(f"{mistake} {packed}")
    lines, row = a_hundred_trials(generator), generator.randrange(1, 100)
    change, words = MISTAKES[mistake]
    change(lines, row)
    data = "".join(line + "\n" for line in lines).encode(errors="surrogateescape")
    path = tmp_path / "test.trials"
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(BadTrials) as caught:
        find_sides(read_trials(path), manifest=manifest)
    assert caught.value.line == row + 1
    assert str(caught.value).startswith(f"{path}, line {row + 1}: ")
    assert fits(words, caught.value.reason), caught.value.reason


WHOLE = {
    "cut off": (
        lambda path, data: path.write_bytes(gzip.compress(data)[:-20]),
        "cannot be read: Compressed file ended",
    ),
    "absent": (lambda path, data: None, "there is no such file"),
    "a folder": (lambda path, data: path.mkdir(), "cannot be read"),
    "empty": (lambda path, data: path.write_bytes(b"\n"), "no trials; one a line is expected, '1 enrol test'"),
    "targets only": (
        lambda path, data: path.write_bytes(b"\n".join(line for line in data.splitlines() if line.startswith(b"1"))),
        "all 50 trials are target; error rates need trials of both classes",
    ),
}


@pytest.mark.parametrize("mistake", WHOLE)
def test_a_mistake_of_the_whole_file_names_the_file(mistake: str, manifest: Path, tmp_path: Path) -> None:
    spoil, words = WHOLE[mistake]
    path = tmp_path / "test.trials"
    spoil(path, "\n".join(a_hundred_trials(random.Random(0))).encode())
    with pytest.raises(BadTrials) as caught:
        find_sides(read_trials(path), manifest=manifest)
    assert caught.value.line is None
    assert str(caught.value).startswith(f"{path}: {words}")


def test_a_hundred_right_lines_with_tabs_and_trials_that_come_twice(manifest: Path, tmp_path: Path) -> None:
    lines = a_hundred_trials(random.Random(0))
    lines[50:60] = [line.replace(" ", "\t \t") for line in lines[40:50]]
    trials = read_trials(write(tmp_path / "trials", lines))
    sides = find_sides(trials, manifest=manifest)
    assert len(trials) == 100
    for enrol, test, target in zip(trials.enrol, trials.test, trials.target, strict=True):
        one, other = (sides.utterances[sides.members[name][0]] for name in (enrol, test))
        assert (one.id, other.id) == (trials.names[enrol], trials.names[test])
        assert target == (one.speaker == other.speaker) == (sides.speakers[enrol] == sides.speakers[test])


def test_the_command_line_names_the_line(manifest: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    lines = a_hundred_trials(random.Random(1))
    lines[41] = "yes s1/0.wav s1/1.wav"
    path = write(tmp_path / "test.trials", lines)
    answer = acanet("evaluate", tiny_bundle, path, "--manifest", manifest)
    assert answer.code == 2
    assert f"error: {path}, line 42: unknown label 'yes'; expected '1 enrol test' or '0 enrol test'" in answer.err


# Enrolment lists

MODELS = tuple(f"{speaker}:{model}" for speaker in SPEAKERS for model in (1, 2))


def enrolment_lines() -> Lines:
    """Two models of two utterances for each speaker; utterances 4 and 5 are in none."""
    return [f"{model} " + " ".join(f"{model[:2]}/{2 * int(model[3]) - row}.wav" for row in (2, 1)) for model in MODELS]


def a_hundred_model_trials(generator: random.Random) -> Lines:
    lines = []
    for row in range(100):
        speaker, other = generator.sample(SPEAKERS, 2)
        label, test = (1, speaker) if row % 2 else (0, other)
        lines.append(f"{label} {speaker}:{generator.choice((1, 2))} {test}/{generator.choice((4, 5))}.wav")
    return lines


def sides_of(tmp_path: Path, trials: Lines, enrolments: Lines, manifest: Path | None) -> Sides:
    listed = read_enrolments(write(tmp_path / "models", enrolments))
    return find_sides(
        read_trials(write(tmp_path / "trials", trials)),
        manifest=manifest,
        audio_root=None if manifest else tmp_path,
        enrolments=listed,
    )


def test_models_stand_for_their_members(manifest: Path, tmp_path: Path) -> None:
    lines = ["1 s0:1 s0/4.wav", "0 s0:1 s1/0.wav", "1 s1:2 s1/0.wav"]
    sides = sides_of(tmp_path, lines, enrolment_lines(), manifest)
    members = [[sides.utterances[row].id for row in rows] for rows in sides.members]
    assert members == [["s0/0.wav", "s0/1.wav"], ["s0/4.wav"], ["s1/0.wav"], ["s1/2.wav", "s1/3.wav"]]
    assert sides.speakers.tolist() == [0, 0, 1, 1]
    assert len(sides.utterances) == 6, "nothing of the models that are in no trial"
    assert sides.source == "manifest"


def test_without_a_manifest_models_and_targets_tell_the_speakers(tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / name).touch()
    # M and N share d, so they are one speaker, and so is c that M is tested with; f is of nobody else.
    sides = sides_of(tmp_path, ["1 M c", "0 M f", "1 N e", "0 P a"], ["M a b d", "N d", "P f"], None)
    assert sides.source == "target trials"
    ids = [utterance.id for utterance in sides.utterances]
    assert sorted(ids) == list("abcdef")
    by_name = dict(zip(["M", "c", "f", "N", "e", "P", "a"], sides.speakers.tolist(), strict=True))
    assert by_name["M"] == by_name["c"] == by_name["N"] == by_name["e"] == by_name["a"]
    assert by_name["f"] == by_name["P"] != by_name["M"]


MODEL_MISTAKES = {
    "an unknown model": ("1 s1:3 s1/4.wav", "'s1:3' is no model of .*; give the enrolment list of these trials"),
    "an utterance for a model": ("1 s1/0.wav s1/4.wav", "'s1/0.wav' is no model of"),
    "a model on the test side": ("1 s1:1 s1:2", "'s1:2' is a model of .*; the test side of a trial is an utterance"),
    "a test that is enrolled": ("1 s1:1 s1/0.wav", "'s1/0.wav' is the very utterance that 's1:1' stands for; remove"),
    "a test that is not there": ("1 s1:1 s1/9.wav", "1 of .* names are not found in the manifest"),
    "a target of two speakers": ("1 s1:1 s2/0.wav", "a target trial, but 's1:1' and 's2/0.wav' are of two speakers"),
    "a nontarget of one": ("0 s1:1 s1/4.wav", "a nontarget trial, but 's1:1' and 's1/4.wav' are of one speaker"),
}


@pytest.mark.parametrize("mistake", MODEL_MISTAKES)
def test_a_mistake_in_a_list_of_models_names_its_line(mistake: str, manifest: Path, tmp_path: Path) -> None:
    generator = random.Random(mistake)
    lines, row = a_hundred_model_trials(generator), generator.randrange(1, 100)
    lines[row], words = MODEL_MISTAKES[mistake]
    with pytest.raises(BadTrials) as caught:
        sides_of(tmp_path, lines, enrolment_lines(), manifest)
    assert str(caught.value).startswith(f"{tmp_path / 'trials'}, line {row + 1}: ")
    assert fits(words, caught.value.reason), caught.value.reason


ENROLMENT_MISTAKES = {
    "an empty model": ("s1:1", "'s1:1' names no utterance; expected 'model utterance utterance ...'"),
    "a blank line": ("", "a blank line names no utterance; expected 'model utterance utterance ...'"),
    "a model twice": ("s0:1 s0/5.wav", "model 's0:1' is that of line 1; expected .*on one line only"),
    "an utterance twice": ("s1:9 s1/0.wav s1/1.wav s1/0.wav", "model 's1:9' has 's1/0.wav' twice"),
    "not UTF-8": ("s1:9 \udcff", "not UTF-8: byte 0xff"),
}


@pytest.mark.parametrize("mistake", ENROLMENT_MISTAKES)
def test_a_mistake_in_an_enrolment_list_names_its_line(mistake: str, tmp_path: Path) -> None:
    generator = random.Random(mistake)
    lines = ["s0:1 s0/0.wav", *(f"m{row} s0/{row}.wav s0/{row + 1}.wav" for row in range(99))]
    row = generator.randrange(1, 99)
    lines[row], words = ENROLMENT_MISTAKES[mistake]
    path = tmp_path / "models"
    path.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    with pytest.raises(BadTrials) as caught:
        read_enrolments(path)
    assert str(caught.value).startswith(f"{path}, line {row + 1}: ")
    assert fits(words, caught.value.reason), caught.value.reason


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("s1:1 s1/0.wav s1/9.wav", "1 of .* names are not found in the manifest"),
        ("s1:1 s1/0.wav talk.wav", "recordings of several utterances; name the cut instead ('talk.wav')"),
        ("s1:1 s1/0.wav s2/0.wav", "model 's1:1' is of two speakers ('s1/0.wav' and 's2/0.wav'); enrol one speaker"),
    ],
    ids=["a member that is not there", "a member of several utterances", "members of two speakers"],
)
def test_members_that_cannot_be_used_name_their_line(line: str, words: str, manifest: Path, tmp_path: Path) -> None:
    lines = enrolment_lines()
    row = MODELS.index("s1:1")
    lines[row] = line
    with pytest.raises(BadTrials) as caught:
        sides_of(tmp_path, a_hundred_model_trials(random.Random(0)), lines, manifest)
    assert str(caught.value).startswith(f"{tmp_path / 'models'}, line {row + 1}: ")
    assert fits(words, caught.value.reason), caught.value.reason


def test_an_enrolment_list_without_models(tmp_path: Path) -> None:
    with pytest.raises(BadTrials, match="no models; one a line is expected, 'model utterance utterance"):
        read_enrolments(write(tmp_path / "models", ["", ""]))
    with pytest.raises(BadTrials, match="there is no such file"):
        read_enrolments(tmp_path / "absent")


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=6)


@settings(deadline=None)
@given(st.dictionaries(NAMES, st.lists(NAMES, min_size=1, max_size=4, unique=True), min_size=1, max_size=9), st.data())
def test_any_enrolment_list_comes_back(
    tmp_path_factory: pytest.TempPathFactory, models: dict[str, list[str]], data: st.DataObject
) -> None:
    blank = data.draw(st.sampled_from([" ", "\t", " \t "]))
    text = "".join(blank.join([model, *members]) + "\n" for model, members in models.items())
    path = tmp_path_factory.mktemp("models") / "models"
    path.write_bytes(gzip.compress(text.encode()) if data.draw(st.booleans()) else text.encode())
    listed = read_enrolments(path)
    assert {model: list(members) for model, members in listed.models.items()} == models
    assert list(listed.models) == list(models)
    for row, name in enumerate(listed.names):
        assert name in list(models.values())[listed.line_of(row) - 1]
    assert [listed.line_of_model(model) for model in models] == list(range(1, len(models) + 1))


# Speakers without a manifest


def test_speakers_are_the_components_of_the_target_trials(tmp_path: Path) -> None:
    # e-c and a-c come late and join what looked like three speakers; f has nontarget trials only.
    lines = ["1 a b", "1 d d2", "1 c g", "1 e h", "1 e c", "0 a f", "1 a c", "0 d f"]
    trials = read_trials(write(tmp_path / "trials", lines))
    for name in trials.names:
        (tmp_path / name).touch()
    speakers = find_sides(trials, audio_root=tmp_path).speakers
    assert dict(zip(trials.names, speakers.tolist(), strict=True)) == {
        **{"a": 0, "b": 0, "d": 1, "d2": 1, "c": 0, "g": 0, "e": 0, "h": 0, "f": 2}
    }
    contradiction = read_trials(write(tmp_path / "trials", [*lines, "0 b h"]))
    with pytest.raises(BadTrials, match="line 9: a nontarget trial, but 'b' and 'h' are of one speaker by the target"):
        find_sides(contradiction, audio_root=tmp_path)


def test_an_utterance_with_two_names_is_one(tmp_path: Path) -> None:
    entries = [{"path": f"{name}.wav", "id": name, "speaker": name[0]} for name in ("a1", "a2", "b1")]
    manifest = write(tmp_path / "test.jsonl", [json.dumps(entry) for entry in entries])
    trials = read_trials(write(tmp_path / "trials", ["1 a1 a2", "0 a1.wav b1"]))
    sides = find_sides(trials, manifest=manifest)
    assert [utterance.id for utterance in sides.utterances] == ["a1", "a2", "b1"]
    assert [rows.tolist() for rows in sides.members] == [[0], [1], [0], [2]]
    itself = read_trials(write(tmp_path / "trials", ["0 a1 b1", "1 a1 a1.wav"]))
    with pytest.raises(BadTrials, match=r"line 2: 'a1\.wav' is the very utterance that 'a1' stands for"):
        find_sides(itself, manifest=manifest)


@pytest.mark.speech
def test_speakers_of_the_list_of_speechocean762(shared: Path) -> None:
    trials = read_trials(shared / "protocols/speechocean762/dev.trials")
    sides = find_sides(trials, audio_root=shared / "data")
    # A folder a speaker: the components find exactly these.
    folders = np.unique([name.split("/")[1] for name in trials.names], return_inverse=True)[1]
    pairs = set(zip(folders.tolist(), sides.speakers.tolist(), strict=True))
    assert len(pairs) == len(set(folders.tolist())) == sides.speakers.max() + 1 == 30


PARTS = {  # name: start and end in seconds, of one file of "anna"
    "whole": (0.0, None),
    "first": (0.0, 4.0),
    "shifted": (0.01, 4.0),
    "second": (4.0, 4.0),
    "rounded": (3.95, 2.0),
    "late": (6.0, None),
}


def parts_of_files(path: Path, *names: str) -> Path:
    """A manifest of parts of a file of anna, and of one of bo."""
    entries = [
        {"path": f"{who}.wav", "id": f"{who}-{name}", "speaker": who, "start": PARTS[name][0]}
        | ({} if PARTS[name][1] is None else {"duration": PARTS[name][1]})
        for who in ("anna", "bo")
        for name in names
    ]
    return write(path, [json.dumps(entry) for entry in entries])


@pytest.mark.parametrize(
    ("one", "other", "shares"),
    [
        ("whole", "first", True),
        ("whole", "late", True),
        ("first", "shifted", True),
        ("second", "rounded", True),
        ("second", "late", True),
        ("first", "second", False),
        ("first", "rounded", False),
        ("first", "late", False),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_parts_of_a_file_that_share_speech_are_not_compared(
    one: str, other: str, shares: bool, turned: bool, tmp_path: Path
) -> None:
    manifest = parts_of_files(tmp_path / "test.jsonl", *PARTS)
    pair = f"anna-{other} anna-{one}" if turned else f"anna-{one} anna-{other}"
    trials = read_trials(write(tmp_path / "trials", [f"0 anna-{one} bo-{one}", f"1 {pair}"]))
    if shares:
        with pytest.raises(BadTrials, match=r"line 2: .* is compared with itself: it is a part of a file that"):
            find_sides(trials, manifest=manifest)
    else:
        assert find_sides(trials, manifest=manifest).speakers.tolist() == [0, 1, 0]


def test_parts_that_share_speech_are_passed_over_where_trials_are_drawn(tmp_path: Path) -> None:
    manifest = parts_of_files(tmp_path / "test.jsonl", "first", "shifted", "second", "rounded", "late")
    with pytest.warns(CopyWarning, match="6 utterances are .*, or share speech with one, and are passed over"):
        drawn, _ = draw_list(manifest, tmp_path / "drawn", Plan(targets=None, ratio=None), seed=0)
    kept = {f"{who}-{name}" for who in ("anna", "bo") for name in ("first", "second")}
    assert {utterance.id for utterance in drawn.utterances} == kept


# One recording under two names


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """Two speakers of two recordings, and other ways to one of them."""
    folder = tmp_path / "audio"
    for number, name in enumerate(("a/1.wav", "a/2.wav", "b/1.wav", "b/2.wav")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = 0.1 * np.random.default_rng(number).standard_normal(16000)
        soundfile.write(folder / name, noise, 16000, subtype="PCM_16")
    (folder / "a" / "link.wav").symlink_to("1.wav")
    (folder / "a" / "hard.wav").hardlink_to(folder / "a" / "1.wav")
    (folder / "linked").symlink_to("a")
    samples, rate = soundfile.read(folder / "a" / "1.wav", dtype="int16")
    (folder / "a" / "copy.wav").write_bytes((folder / "a" / "1.wav").read_bytes())
    soundfile.write(folder / "a" / "packed.flac", samples, rate)
    return folder


LISTED = "1 a/1.wav a/2.wav\n0 a/1.wav b/1.wav\n1 b/1.wav b/2.wav\n"
DISGUISES = [
    "a/1.wav",
    "./a/1.wav",
    "a/../a/1.wav",
    "a//1.wav",
    "b/../a/1.wav",
    "a/link.wav",
    "a/hard.wav",
    "linked/1.wav",
]


@pytest.mark.parametrize("other", DISGUISES)
@pytest.mark.parametrize("line", ["1 a/1.wav {}", "1 {} a/1.wav"])
def test_a_recording_in_disguise_is_compared_with_itself(audio: Path, tmp_path: Path, other: str, line: str) -> None:
    (tmp_path / "list").write_text(LISTED + line.format(other) + "\n")
    with pytest.raises(BadTrials, match=r"list, line 4: '.*' is compared with itself.*; remove the trial"):
        find_sides(read_trials(tmp_path / "list"), audio_root=audio)


@pytest.mark.parametrize("other", ["a/copy.wav", "a/packed.flac"])
def test_a_copy_is_known_by_what_is_in_it(audio: Path, tmp_path: Path, other: str) -> None:
    """By the manifest of `prepare` before anything is decoded, else once it is."""
    (tmp_path / "list").write_text(LISTED + f"1 {other} a/1.wav\n")
    trials = read_trials(tmp_path / "list")
    sides = find_sides(trials, audio_root=audio)
    hashes = [content_hash(read_audio(utterance.path)[0]) for utterance in sides.utterances]
    with pytest.raises(BadTrials, match=rf"list, line 4: 'a/1.wav' is compared with itself: '{other}' is the same rec"):
        check_apart(trials, sides, hashes)
    lines = [
        {"path": str(utterance.path), "id": utterance.id, "speaker": utterance.id[0], "audio_hash": content}
        for utterance, content in zip(sides.utterances, hashes, strict=True)
    ]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(BadTrials, match=r"line 4: .* is compared with itself"):
        find_sides(trials, manifest=tmp_path / "m.jsonl")


def test_a_model_is_not_tested_with_a_member_in_disguise(audio: Path, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("anna a/2.wav a/link.wav\nbo b/1.wav\n")
    (tmp_path / "list").write_text("0 anna b/2.wav\n1 bo b/2.wav\n1 anna a/1.wav\n")
    enrolments = read_enrolments(tmp_path / "models")
    with pytest.raises(BadTrials, match=r"line 3: 'a/1\.wav' is compared with itself: 'a/link\.wav' is the same"):
        find_sides(read_trials(tmp_path / "list"), audio_root=audio, enrolments=enrolments)


def test_two_parts_of_a_file_are_two_recordings(audio: Path, tmp_path: Path) -> None:
    spans = {"a1": ("a", 0.0), "a2": ("a", 0.5), "b1": ("b", 0.0), "b2": ("b", 0.5), "a3": ("a", 0.0)}
    lines = [
        {"path": str(audio / who / "1.wav"), "id": name, "speaker": who, "start": start, "duration": 0.5}
        for name, (who, start) in spans.items()
    ]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "list").write_text("1 a1 a2\n0 a1 b1\n1 b1 b2\n")
    assert len(find_sides(read_trials(tmp_path / "list"), manifest=tmp_path / "m.jsonl").utterances) == 4
    (tmp_path / "list").write_text("1 a1 a2\n0 a1 b1\n1 b1 b2\n1 a3 a1\n")
    with pytest.raises(BadTrials, match="line 4: 'a1' is compared with itself: 'a3' is the same recording"):
        find_sides(read_trials(tmp_path / "list"), manifest=tmp_path / "m.jsonl")


def test_many_such_trials_are_counted(audio: Path, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(LISTED + "1 a/1.wav ./a/1.wav\n" * 5)
    with pytest.raises(BadTrials, match=r"line 4: .* \(5 such lines\); remove the trial"):
        find_sides(read_trials(tmp_path / "list"), audio_root=audio)


def test_speakers_of_a_manifest_whose_names_are_alike_are_told(audio: Path, tmp_path: Path) -> None:
    names = {"a/1.wav": "anna", "a/2.wav": "anna", "b/1.wav": "Anna", "b/2.wav": "Anna"}
    lines = [json.dumps({"path": str(audio / name), "id": name, "speaker": who}) + "\n" for name, who in names.items()]
    (tmp_path / "m.jsonl").write_text("".join(lines))
    (tmp_path / "list").write_text(LISTED)
    with pytest.warns(AlikeWarning, match="'Anna' and 'anna' differ in case"):
        find_sides(read_trials(tmp_path / "list"), manifest=tmp_path / "m.jsonl")
