from __future__ import annotations

import gzip
import hashlib
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from acanet.data.lists import lines as listing
from acanet.data.lists.manifest import Utterance
from acanet.data.lists.trials import Trials, read_names, read_trials, resolve
from acanet.errors import BadArgument, BadTrials

VOXCELEB = "1 anna/1.wav anna/2.wav\n0 anna/1.wav bo/1.wav\n"


def write(tmp_path: Path, text: str | bytes, name: str = "trials") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(tmp_path: Path, text: str) -> Trials:
    return read_trials(write(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        VOXCELEB,
        "target anna/1.wav anna/2.wav\nnontarget anna/1.wav bo/1.wav\n",
        "anna/1.wav anna/2.wav target\nanna/1.wav bo/1.wav nontarget\n",
        "anna/1.wav anna/2.wav 1\nanna/1.wav bo/1.wav 0\n",
        "1\tanna/1.wav  anna/2.wav \r\n0 anna/1.wav bo/1.wav\r\n\r\n",
        "\ufeff" + VOXCELEB.rstrip(),
    ],
    ids=[
        "voxceleb",
        "words in front",
        "kaldi",
        "cn-celeb",
        "tabs, CRLF, blank end",
        "byte order mark, no last newline",
    ],
)
def test_every_form_reads_the_same(tmp_path: Path, text: str) -> None:
    trials = read(tmp_path, text)
    assert trials.names == ["anna/1.wav", "anna/2.wav", "bo/1.wav"]
    assert trials.enrol.tolist() == [0, 0]
    assert trials.test.tolist() == [1, 2]
    assert trials.target.tolist() == [True, False]
    assert len(trials) == 2


def test_gzip_gives_the_same_trials_and_digest(tmp_path: Path) -> None:
    plain = read(tmp_path, VOXCELEB)
    packed = read_trials(write(tmp_path, gzip.compress(VOXCELEB.encode(), mtime=0), "trials.gz"))
    assert packed.names == plain.names
    assert packed.sha256 == plain.sha256 == hashlib.sha256(VOXCELEB.encode()).hexdigest()


def test_names_that_look_like_labels(tmp_path: Path) -> None:
    trials = read(tmp_path, "1 0 target\n1 2 nontarget\n")
    assert trials.names == ["1", "0", "2"]
    assert trials.target.tolist() == [True, False]


def test_names_beyond_ascii_keep_their_ideographic_space(tmp_path: Path) -> None:
    assert read(tmp_path, "1 山\u3000田 b\n0 山\u3000田 c\n").names[0] == "山\u3000田"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "no trials"),
        (" \n\n", None, "no trials"),
        ("1 a b\n1 a c\n", None, "all 2 trials are target"),
        ("a b nontarget\n", None, "all 1 trials are nontarget"),
        ("yes a b\n", 1, "'yes a b'; expected '1 enrol test' or '0 enrol test' or 'enrol test target'"),
        ("1 a\n", 1, "expected '1 enrol test'"),
        ("1 a b\n0 a c\n2 a d\n", 3, "unknown label '2'; expected '1 enrol test' or '0 enrol test'"),
        ("1 a b\n0 a\n", 2, "2 fields ('0 a'); expected '1 enrol test'"),
        ("1 a b\n\n0 a c\n", 2, "0 fields (a blank line)"),
        ("a b 1\n0 a c\n", 2, "unknown label 'c'; expected 'enrol test 1' or 'enrol test 0', as on line 1"),
        ("1 a 0\nb c 1\n", 2, "unknown label 'b'; expected '1 enrol test'"),
        ("1 a b\na c nontarget\n", 2, "unknown label 'a'; expected '1 enrol test'"),
        ("a b target\n0 a c\n", 2, "unknown label 'c'; expected 'enrol test target'"),
        ("1 a b\nnontarget a c\n", 2, "unknown label 'nontarget'; expected '1 enrol test'"),
    ],
)
def test_a_bad_list_names_its_line_and_what_was_expected(
    tmp_path: Path, text: str, line: int | None, words: str
) -> None:
    with pytest.raises(BadTrials) as caught:
        read(tmp_path, text)
    assert caught.value.line == line
    assert words in caught.value.reason
    assert str(tmp_path / "trials") in str(caught.value)


def test_bad_bytes_name_their_line(tmp_path: Path) -> None:
    with pytest.raises(BadTrials, match="line 2: not UTF-8: byte 0xff"):
        read_trials(write(tmp_path, b"1 a b\n0 a \xff\n"))


@pytest.mark.parametrize("data", [gzip.compress(VOXCELEB.encode(), mtime=0)[:-9], b"\x1f\x8bnothing of the kind"])
def test_broken_gzip(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BadTrials, match="cannot be read"):
        read_trials(write(tmp_path, data))


def test_no_such_list(tmp_path: Path) -> None:
    with pytest.raises(BadTrials, match="there is no such file"):
        read_trials(tmp_path / "trials")
    with pytest.raises(BadTrials, match="cannot be read"):
        read_trials(tmp_path)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=6)
LINES = st.lists(st.tuples(NAMES, NAMES, st.booleans()), min_size=2, max_size=20).filter(
    lambda lines: len({target for _, _, target in lines}) == 2
)
FORMS = {
    "voxceleb": ("{label} {enrol} {test}", ("0", "1")),
    "kaldi": ("{enrol} {test} {label}", ("nontarget", "target")),
    "cn-celeb": ("{enrol} {test} {label}", ("0", "1")),
}


BLANKS = st.text(" \t", min_size=1, max_size=3)


@settings(deadline=None)
@given(LINES, st.lists(BLANKS, min_size=3, max_size=3), st.sampled_from(["\n", "\r\n"]), st.integers(1, 50))
def test_white_space_and_the_size_of_blocks_change_nothing(
    lines: list[tuple[str, str, bool]], blanks: list[str], line_break: str, block: int
) -> None:
    first, second, last = blanks
    text = "".join(f"{target:d}{first}{a}{second}{b}{last}{line_break}" for a, b, target in lines) + line_break
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "BLOCK", block)
        path = write(Path(folder), text)
        trials = read_trials(path)
        packed = read_trials(write(Path(folder), gzip.compress(text.encode()), "packed"))
    for found in (trials, packed):
        back = zip(found.enrol, found.test, found.target.tolist(), strict=True)
        assert [(found.names[enrol], found.names[test], target) for enrol, test, target in back] == lines
        assert found.sha256 == hashlib.sha256(text.encode()).hexdigest()


@settings(deadline=None)
@given(LINES, st.integers(1, 50), st.data())
def test_a_wrong_line_is_found_whatever_the_blocks(
    lines: list[tuple[str, str, bool]], block: int, data: st.DataObject
) -> None:
    wrong = data.draw(st.integers(2, len(lines)))
    good = [f"{target:d} {a} {b}" for a, b, target in lines]
    bad = data.draw(st.sampled_from([b"", b"1 a", b"1 a b c", b"2 a b", b"1 a \xff"]))
    text = b"\n".join(
        [*(line.encode() for line in good[: wrong - 1]), bad, *(line.encode() for line in good[wrong:]), b"0 x y"]
    )
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "BLOCK", block)
        with pytest.raises(BadTrials) as caught:
            read_trials(write(Path(folder), text))
    assert caught.value.line == wrong


def test_a_file_without_line_breaks_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "BLOCK", 100)
    monkeypatch.setattr(listing, "LONGEST", 1000)
    with pytest.raises(BadTrials, match="line 3: more than 1,000 bytes without a line break"):
        read_trials(write(tmp_path, VOXCELEB + 1101 * "x"))


def test_two_short_lines_are_not_taken_for_others(tmp_path: Path) -> None:
    """Six fields on two lines, with labels where labels are expected, are not two trials."""
    with pytest.raises(BadTrials, match=r"line 2: 2 fields \('1 a'\)"):
        read(tmp_path, "1 a b\n1 a\nb 0 c d\n")


@settings(deadline=None)
@given(LINES, st.sampled_from(sorted(FORMS)))
def test_any_list_comes_back_in_any_form(lines: list[tuple[str, str, bool]], form: str) -> None:
    pattern, labels = FORMS[form]
    first = pattern.format(enrol=lines[0][0], test=lines[0][1], label=labels[lines[0][2]]).split()
    # What looks like a form that is tried earlier is read as that.
    assume(form == "kaldi" or first[2] not in ("target", "nontarget"))
    assume(form != "cn-celeb" or first[0] not in ("0", "1", "target", "nontarget"))
    with TemporaryDirectory() as folder:
        text = "".join(pattern.format(enrol=a, test=b, label=labels[target]) + "\n" for a, b, target in lines)
        trials = read_trials(write(Path(folder), text))
    back = zip(trials.enrol, trials.test, trials.target.tolist(), strict=True)
    assert [(trials.names[enrol], trials.names[test], target) for enrol, test, target in back] == lines


def test_names_of_a_list(tmp_path: Path) -> None:
    assert read_names(write(tmp_path, "anna/1.wav bo/1.wav 0\nanna/1.wav anna/2.wav 1\n")) == [
        "anna/1.wav",
        "bo/1.wav",
        "anna/2.wav",
    ]
    for text in ("a\nb\na\n", "a anna\n\nb bo bo\n", "a x 2\nb\n"):
        assert read_names(write(tmp_path, text)) == ["a", "b"]
    packed = write(tmp_path, gzip.compress(b"a\nb\n", mtime=0), "list.gz")
    assert read_names(packed) == ["a", "b"]
    with pytest.raises(BadTrials, match="line 2: 1 fields"):
        read_names(write(tmp_path, "1 a b\nc\n"))


def utterance(id: str, path: str, recording: str, speaker: str = "anna") -> Utterance:
    return Utterance(id=id, path=Path(path), speaker=speaker, recording=recording)


def test_names_are_cut_ids_recording_ids_or_paths(tmp_path: Path) -> None:
    trials = read(tmp_path, "1 cut rec\n0 cut c.wav\n0 cut /data/d.wav\n")
    manifest = [
        utterance("cut", "/data/a.wav", "ra"),
        utterance("b", "/data/b.wav", "rec"),
        utterance("c", "/data/c.wav", "rc"),
        utterance("d", "/data/d.wav", "rd"),
    ]
    assert resolve(trials, manifest=manifest, audio_root=Path("/data")) == manifest


def test_a_cut_id_comes_before_a_recording_id(tmp_path: Path) -> None:
    trials = read(tmp_path, "1 a b\n0 a a\n")
    manifest = [utterance("b", "/1.wav", "a"), utterance("a", "/2.wav", "b")]
    assert [found.id for found in resolve(trials, manifest=manifest)] == ["a", "b"]


def test_unknown_names_are_counted_and_the_first_ones_shown(tmp_path: Path) -> None:
    trials = read(tmp_path, "1 a a\n0 a v\n0 a w\n0 x y\n")
    with pytest.raises(BadTrials) as caught:
        resolve(trials, manifest=[utterance("a", "/a.wav", "a")])
    assert caught.value.line == 2
    assert "4 of 5 names are not found in the manifest" in caught.value.reason
    assert caught.value.reason.endswith("('v', 'w', 'x', ...)")


def test_a_recording_of_several_cuts_is_not_a_name(tmp_path: Path) -> None:
    manifest = [utterance("a", "/r.wav", "r"), utterance("b", "/r.wav", "r")]
    for name in ("r", "/r.wav"):
        with pytest.raises(BadTrials, match=r"line 2: .*several utterances; name the cut instead"):
            resolve(read(tmp_path, f"1 a b\n0 a {name}\n"), manifest=manifest)


def test_names_below_an_audio_root(tmp_path: Path) -> None:
    for name in ("anna/1.wav", "anna/2.wav", "bo/1.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    trials = read(tmp_path, VOXCELEB)
    found = resolve(trials, audio_root=tmp_path)
    assert [item.path for item in found] == [tmp_path / name for name in trials.names]
    (tmp_path / "bo/1.wav").unlink()
    with pytest.raises(BadTrials, match=r"line 2: 1 of 3 names are not found as files below .*'bo/1\.wav'"):
        resolve(trials, audio_root=tmp_path)


def test_resolving_needs_a_manifest_or_a_root(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match="manifest"):
        resolve(read(tmp_path, VOXCELEB))


@pytest.mark.speech
def test_the_list_of_speechocean762_reads_fast(shared: Path) -> None:
    began = time.perf_counter()
    trials = read_trials(shared / "protocols/speechocean762/test.trials")
    assert time.perf_counter() - began < 2
    assert (len(trials), int(trials.target.sum()), len(trials.names)) == (88000, 8000, 924)
