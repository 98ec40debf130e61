"""Who speaks when: clusters, turns, the file and the command."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.audio.recording import read_audio
from acanet.audio.resample import resample
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadAudio, MissingExtra, NoSpeech, NotCalibrated, TooShort
from acanet.evaluation.figures.der import DiarizationError, diarization_error
from acanet.runtime.bundle import BUNDLES
from acanet.runtime.stream import RecordedStream
from acanet.segments import find
from acanet.segments.cluster import closeness, cluster
from acanet.segments.find import find_conversation
from acanet.segments.rttm import Turn, rttm
from acanet.segments.timeline import turns_of
from acanet.speech.speech import Speech
from support.commands import acanet
from support.paths import BENCHMARKS as FOLDER

RATE = 16000


@pytest.fixture(scope="module")
def talk():
    """Two synthetic voices that take turns of 5 s, thrice, with pauses: (samples,), and who speaks when."""
    from acanet.data.synthetic import SyntheticVoice, synthesise

    pieces, turns, at = [np.zeros(RATE, np.float32)], [], 1.0
    for number in range(6):
        name = "ab"[number % 2]
        spoken = synthesise(SyntheticVoice.draw(3, 4 + number % 2), 5.0, [7, number])
        pieces += [spoken, np.zeros(RATE // 2, np.float32)]
        turns.append(Turn(at, at + len(spoken) / RATE, name))
        at += len(spoken) / RATE + 0.5
    return np.concatenate(pieces), turns


@pytest.fixture(scope="module")
def heard(talk):
    return find_conversation(Encoder.load(), talk[0])


# Clusters


def blocks(*sizes, inside=5.0, between=-5.0):
    """Windows of voices that are as close as `inside` to their own and as `between` to the others."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return np.where(owner[:, None] == owner, inside, between), owner


def same(labels, owner):
    return np.array_equal(labels[:, None] == labels, owner[:, None] == owner)


@given(sizes=st.lists(st.integers(2, 12), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_voices_that_are_apart_are_found(sizes, seed):
    close, owner = blocks(*sizes)
    order = np.random.default_rng(seed).permutation(len(owner))
    close, owner = close[order][:, order], owner[order]
    large = min(sizes) >= max(len(owner) // 8, 1)
    if large:
        assert same(cluster(close), owner)
        assert same(cluster(close, speakers=len(sizes)), owner)
    assert not cluster(close, speakers=1).any()
    assert not cluster(close, threshold=-6).any()
    assert set(cluster(close, threshold=4)) == set(range(labels_in(sizes, len(owner))))


def labels_in(sizes, windows):
    least = min(max(windows // 8, 1), 6, max(sizes))
    return sum(size >= least for size in sizes)


def test_the_threshold_is_on_the_mean():
    """The mean between the two voices is (4 x -1 + 12 x 3) / 16 = 2."""
    close, owner = blocks(4, 4, between=3.0)
    close[0, 4:] = close[4:, 0] = -1.0
    assert not cluster(close, threshold=2.0).any()
    assert same(cluster(close, threshold=2.01), owner)


def test_few_windows_that_are_like_nobody_are_no_voice():
    """Of 50 windows, 2 are a little closer to the first voice than the second voice is."""
    close, owner = blocks(24, 24, 2)
    close[48:, :24] = close[:24, 48:] = -4.0
    for how in ({}, {"speakers": 2}):
        labels = cluster(close, **how)
        assert same(labels[:48], owner[:48])
        assert labels[48:].tolist() == [labels[0]] * 2


def joined(*seconds, own=4.0, other=-4.0, noise=0.7, odd=(), seed=0):
    """Voices that follow each other without a pause, in windows of 2 s from second to second; windows `odd` are like
    nobody: (windows, windows) closeness, and who speaks in most of each."""
    ends = np.cumsum(seconds)
    starts = np.arange(0, ends[-1] - 1)
    shares = (
        np.clip(np.minimum(starts[:, None] + 2, ends) - np.maximum(starts[:, None], ends - np.array(seconds)), 0, 2) / 2
    )
    shares[list(odd)] = 0
    generator = np.random.default_rng(seed)
    close = other + (own - other) * (shares @ shares.T) + noise * generator.normal(size=(len(starts), len(starts)))
    close = (close + close.T) / 2
    close[np.diag_indices(len(close))] = 9.0
    return close, shares


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("seconds", "odd"), [((5, 5, 5), ()), ((5, 5, 5), (2,)), ((5, 5, 5), (13,)), ((4, 6, 5), (7,)), ((8, 3), (3,))]
)
def test_voices_that_are_joined_are_not_merged_for_the_sake_of_a_window_that_is_like_nobody(seconds, odd, seed):
    close, shares = joined(*seconds, odd=odd, seed=seed)
    labels = cluster(close, speakers=len(seconds))
    pure = shares.max(axis=1) == 1
    assert same(labels[pure], shares[pure].argmax(axis=1))


def test_a_voice_of_one_window_is_one_where_no_other_cut_gives_as_many():
    close, owner = blocks(6, 1)
    close[:6, :6] -= np.abs(np.subtract.outer(np.arange(6), np.arange(6))) * 0.1
    np.fill_diagonal(close, 9.0)
    assert len(set(cluster(close, speakers=2).tolist())) == 2
    close, owner = blocks(1, 1, 1)
    assert same(cluster(close, speakers=3), owner)


@pytest.fixture(scope="module")
def three_voices(shared):
    """Of the test speakers, five seconds each of three who talk one after the other: [(samples,) and their names]."""
    of = {}
    for line in (shared / "data" / "speechocean762.test.jsonl").read_text("utf-8").splitlines():
        entry = json.loads(line)
        of.setdefault(entry["speaker"], []).append(shared / "data" / entry["path"])
    speech = {}
    for name, paths in sorted(of.items()):
        parts = [resample(*read_audio(path), RATE) for path in paths[:12]]
        speech[name] = np.concatenate(parts)[: 5 * RATE]
    long = [name for name, waveform in speech.items() if len(waveform) == 5 * RATE]
    generator = np.random.default_rng(0)
    return [
        np.concatenate([speech[long[place]] for place in generator.choice(len(long), 3, replace=False)])
        for _ in range(20)
    ]


def test_three_real_voices_are_three(three_voices):
    """At most one of twenty recordings has a window of a voice given to another."""
    encoder, wrong = Encoder.load(), 0
    for waveform in three_voices:
        heard = find_conversation(encoder, waveform)
        pure = (heard.starts // 5) == ((heard.ends - 0.01) // 5)
        wrong += not same(cluster(heard.close, speakers=3)[pure], (heard.starts // 5)[pure])
    assert wrong <= 3


def test_as_many_speakers_as_are_said():
    close, owner = blocks(10, 10, 10)
    assert len(set(cluster(close, speakers=2).tolist())) == 2
    assert same(cluster(close, speakers=3), owner)
    assert len(set(cluster(close, speakers=30).tolist())) == 30
    with pytest.raises(AcanetError, match="31 speakers, but only 30 windows"):
        cluster(close, speakers=31)


def test_one_window_is_one_speaker():
    assert cluster(np.array([[5.0]])).tolist() == [0]
    assert cluster(np.array([[5.0]]), speakers=1).tolist() == [0]
    with pytest.raises(AcanetError, match="2 speakers"):
        cluster(np.array([[5.0]]), speakers=2)


def test_closeness_is_the_calibrated_ratio():
    encoder = Encoder.load()
    embeddings = np.random.default_rng(0).normal(size=(3, 51)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    seconds = np.array([0.7, 1.5, 3.0])
    close = closeness(embeddings, seconds, encoder.calibration)
    assert close[0, 2] == pytest.approx(float(encoder.calibration.llr(embeddings[0] @ embeddings[2], 0.7, 3.0)))
    np.testing.assert_allclose(close, close.T)
    np.testing.assert_allclose(closeness(embeddings, seconds, None), embeddings @ embeddings.T)


# Turns


def turns(segments, windows, labels):
    starts, ends = np.array(windows, np.float64).T
    return turns_of(segments, starts, ends, np.array(labels))


def test_voices_change_where_windows_are_equally_near():
    found = turns([(1.0, 5.0)], [(1, 3), (2, 4), (3, 5)], [1, 1, 0])
    assert [turn.speaker for turn in found] == ["speaker1", "speaker2"]
    assert found[0].end == pytest.approx(3.5, abs=0.011)
    assert (found[0].start, found[1].start, found[1].end) == (1.0, found[0].end, 5.0)


def test_windows_of_one_voice_outvote():
    """At 2.4 s the window of the other is nearest (0.4 s away), but two of the voice, 0.6 s away, count more."""
    found = turns([(0.0, 4.0)], [(0.8, 2.8), (1.0, 3.0), (2.0, 4.0), (0.0, 2.0)], [0, 1, 0, 0])
    (at,) = [turn for turn in found if turn.start <= 2.4 < turn.end]
    assert at.speaker == found[0].speaker


def test_short_stretches_go_to_the_nearest_window():
    segments = [(0.0, 2.0), (2.2, 2.5), (7.5, 7.8), (8.0, 10.0)]
    found = turns(segments, [(0, 2), (8, 10)], [0, 1])
    assert found == [
        Turn(0.0, 2.0, "speaker1"), Turn(2.2, 2.5, "speaker1"), Turn(7.5, 7.8, "speaker2"), Turn(8.0, 10.0, "speaker2"),
    ]  # fmt: skip


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_turns_are_the_speech_and_nothing_else(data):
    edges = np.cumsum(data.draw(st.lists(st.integers(3, 300), min_size=2, max_size=12)))
    segments = [(first / 100, last / 100) for first, last in edges[: len(edges) // 2 * 2].reshape(-1, 2)]
    windows = [(start, end) for start, end in segments if end - start > 0.5] or segments[:1]
    labels = data.draw(st.lists(st.integers(0, 2), min_size=len(windows), max_size=len(windows)))
    found = turns(segments, windows, labels)
    assert all(turn.start < turn.end for turn in found)
    assert found == sorted(found)
    joined = []
    for turn in found:
        if joined and joined[-1][1] == turn.start:
            joined[-1] = (joined[-1][0], turn.end)
        else:
            joined.append((turn.start, turn.end))
    assert joined == segments
    names = list(dict.fromkeys(turn.speaker for turn in found))
    assert names == [f"speaker{number + 1}" for number in range(len(names))]


def test_a_line_of_rttm():
    text = rttm([Turn(0.0625, 1.5, "speaker1"), Turn(1.5, 3.75, "speaker2")], "my talk")
    lines = [line.split() for line in text.splitlines()]
    assert [len(line) for line in lines] == [10, 10]
    assert lines[1] == ["SPEAKER", "my_talk", "1", "1.500", "2.250", "<NA>", "<NA>", "speaker2", "<NA>", "<NA>"]


# A recording


def test_two_voices_in_turn(heard, talk):
    for how in ({}, {"speakers": 2}):
        found = heard.turns(**how)
        assert {turn.speaker for turn in found} == {"speaker1", "speaker2"}
        assert diarization_error(talk[1], found).confusion < 0.05 * 25


def test_turns_lie_within_speech(heard):
    found = heard.turns()
    assert sum(turn.end - turn.start for turn in found) == pytest.approx(
        sum(end - start for start, end in heard.segments)
    )
    assert all(any(start <= turn.start < turn.end <= end for start, end in heard.segments) for turn in found)


def test_windows_are_as_close_as_their_speech_tells(heard, talk):
    encoder, seconds = Encoder.load(), heard.ends - heard.starts
    stretches = zip(heard.starts, heard.ends, strict=True)
    embeddings = encoder.embed_waveforms([talk[0][round(a * RATE) : round(b * RATE)] for a, b in stretches])
    cosines = embeddings @ embeddings.T
    np.testing.assert_allclose(heard.close, encoder.calibration.llr(cosines, seconds[:, None], seconds), atol=0.01)


def test_one_voice_is_one(talk):
    from acanet.data.synthetic import SyntheticVoice, synthesise

    alone = np.concatenate([synthesise(SyntheticVoice.draw(3, 4), 5.0, [9, number]) for number in range(4)])
    assert {turn.speaker for turn in find_conversation(Encoder.load(), alone).turns()} == {"speaker1"}


def test_without_calibration_the_number_has_to_be_said(talk, tiny_bundle):
    heard = find_conversation(Encoder.load(tiny_bundle), talk[0])
    assert not heard.calibrated
    assert abs(heard.close).max() <= 1 + 1e-6
    with pytest.raises(NotCalibrated, match="no calibration"):
        heard.turns()
    assert len({turn.speaker for turn in heard.turns(speakers=2)}) == 2
    assert len({turn.speaker for turn in heard.turns(threshold=-1.0)}) == 1


@pytest.mark.parametrize(
    ("how", "words"),
    [({"speakers": 0}, "1 or more"), ({"speakers": 2, "threshold": 0.0}, "one of them"),
     ({"threshold": float("nan")}, "threshold is nan"), ({"speakers": 999}, "only")],
)  # fmt: skip
def test_choices_that_cannot_be(heard, how, words):
    with pytest.raises(AcanetError, match=words):
        heard.turns(**how)


def test_what_cannot_be_heard_says_why(talk, tmp_path, monkeypatch):
    encoder = Encoder.load()
    with pytest.raises(BadAudio):
        find_conversation(encoder, tmp_path / "none.wav")
    with pytest.raises(NoSpeech):
        find_conversation(encoder, np.zeros(3 * RATE, np.float32))
    monkeypatch.setattr(find, "MOST", 5)
    with pytest.raises(AcanetError, match="cut the recording"):
        find_conversation(encoder, talk[0])
    monkeypatch.setattr(RecordedStream, "speech", lambda *_: Speech([(1.0, 1.3), (2.0, 2.4)]))
    with pytest.raises(TooShort, match=r"0\.40 s of speech"):
        find_conversation(encoder, talk[0])


# The command


def test_the_command_writes_turns_and_a_picture(talk, heard, tmp_path):
    soundfile.write(tmp_path / "a talk.wav", talk[0], RATE, subtype="FLOAT")
    answer = acanet("segments", tmp_path / "a talk.wav", "-o", tmp_path / "x.rttm", "--plot", tmp_path / "x.png")
    assert answer.code == 0, answer.err
    assert (tmp_path / "x.rttm").read_text() == rttm(heard.turns(), "a talk")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert "speaker1: " in answer.out
    assert f"{len(heard.turns())} stretches of speech in {tmp_path / 'x.rttm'}" in answer.out
    assert f"picture in {tmp_path / 'x.png'}" in answer.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a talk.wav", "x.png", "x.rttm"]


def test_the_command_takes_a_number_or_a_threshold(talk, heard, tmp_path):
    soundfile.write(tmp_path / "talk.wav", talk[0], RATE, subtype="FLOAT")
    for options, how in ((("--speakers", "3"), {"speakers": 3}), (("--threshold", "-99"), {"threshold": -99.0})):
        assert acanet("segments", tmp_path / "talk.wav", "-o", tmp_path / "x.rttm", "--force", *options).code == 0
        assert (tmp_path / "x.rttm").read_text() == rttm(heard.turns(**how), "talk")


def test_the_command_says_what_is_wrong(talk, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "talk.wav", talk[0][: 8 * RATE], RATE)
    soundfile.write(tmp_path / "silence.wav", np.zeros(2 * RATE), RATE)
    model = shutil.copytree(BUNDLES / "default", tmp_path / "model")
    (model / "calibration.json").unlink()
    monkeypatch.chdir(tmp_path)  # short paths, which the box around an error does not break
    voice, output = Path("talk.wav"), Path("x.rttm")

    def refused(*arguments):
        answer = acanet("segments", *arguments)
        assert not output.exists()
        return answer.code, answer.err

    for arguments, code, words in (
        ((voice, "-o", "x.txt"), 2, "does not end in .rttm"),
        ((voice, "-o", output, "--plot", "x.jpg"), 2, "does not end in .png"),
        ((voice, "-o", "none/x.rttm"), 2, "there is no folder"),
        ((voice, "-o", output, "--speakers", "2", "--threshold", "0"), 2, "give one of them"),
        ((voice, "-o", output, "--speakers", "0"), 2, "--speakers"),
        ((voice, "-o", output, "--speakers", "500"), 2, "windows of speech"),
        ((voice, "-o", output, "--model", model), 4, "--speakers does without"),
        (("silence.wav", "-o", output), 3, "no speech"),
        (("none.wav", "-o", output), 2, "no such file"),
    ):
        found, err = refused(*arguments)
        assert (found, words in err) == (code, True), err
    monkeypatch.setitem(sys.modules, "scipy.cluster.hierarchy", None)
    with pytest.raises(MissingExtra, match="scipy"):
        cluster(np.ones((2, 2)))


# The conversations of the benchmark


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("segments_benchmark", FOLDER / "segments.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "segments_benchmark", module)
        spec.loader.exec_module(module)
        yield module


def test_conversations_are_what_they_say(benchmark, voices):
    from acanet.data.lists.manifest import Utterance

    files = sorted(voices.glob("*/*.wav"))
    utterances = [Utterance(str(file), file, file.parent.name, file.name) for file in files]
    sources = benchmark.Voices(utterances)
    made, again = (benchmark.conversation(sources, 3, [5, 3, 0]) for _ in range(2))
    np.testing.assert_array_equal(made.waveform, again.waveform)
    assert made.turns == again.turns
    assert len({turn.speaker for turn in made.turns}) == 3
    assert max(turn.end for turn in made.turns) <= len(made.waveform) / RATE
    for turn in made.turns:  # what is said is heard, 20 dB and more above the noise
        spoken = made.waveform[round(turn.start * RATE) : round(turn.end * RATE)]
        assert 10 * np.log10(np.mean(np.square(spoken))) > benchmark.NOISE + 20
    assert benchmark.conversation(sources, 1, [5, 1, 0]).overlapped == 0


def test_real_voices(benchmark, shared):
    """Five conversations each way: in a single one, two may sound alike, or one speaker like two."""
    from acanet.data.lists.manifest import read_manifest

    sources = benchmark.Voices(read_manifest(shared / "data" / "speechocean762.dev.jsonl"))
    encoder = Encoder.load()
    one_voice, error = 0, DiarizationError()
    for number in range(5):
        alone, two = (benchmark.conversation(sources, speakers, [0, speakers, number]) for speakers in (1, 2))
        one_voice += len({turn.speaker for turn in find_conversation(encoder, alone.waveform).turns()}) == 1
        found = find_conversation(encoder, two.waveform).turns(speakers=2)
        error += diarization_error(two.turns, found, overlap=False)
    assert one_voice >= 4
    assert error.rate < 0.1


def test_the_share_of_overlap_by_hand(benchmark):
    turns = [Turn(0, 6, "a"), Turn(5, 9, "b"), Turn(10, 11, "a")]
    made = benchmark.Conversation(np.zeros(1, np.float32), turns)
    assert made.overlapped == pytest.approx(1 / 10)


def test_intervals_hold_the_rate_and_rows_are_complete(benchmark):
    right, wrong = DiarizationError(10, 0, 0, 0), DiarizationError(30, 3, 1, 2)
    text = benchmark.rate_with_interval([right, wrong], seed=0)
    assert text == "15.0 [0.0, 20.0]"
    errors = {("known", True): wrong, ("known", False): right}
    found = [benchmark.Answer(speakers, 0.1, errors, {"known": 2}) for speakers in (1, 2)]
    rows = list(benchmark.table(found, seed=0))[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == ["1", "2", "2 or more"]
    assert cells[1] == ["2", "known", "20.0 [20.0, 20.0]", "10.0", "3.3", "6.7", "0.0 [0.0, 0.0]", "1 of 1"]
    assert cells[0][-1] == "0 of 1"


@pytest.mark.parametrize("name", ["caf\udce9 1", "new\nline", "\udcff"])
def test_odd_names_are_written(tmp_path, talk, name):
    soundfile.write(tmp_path / "a.wav", talk[0], RATE)
    (tmp_path / "a.wav").rename(tmp_path / f"{name}.wav")
    plot = ["--plot", tmp_path / "a.png"]
    answer = acanet("segments", tmp_path / f"{name}.wav", "-o", tmp_path / "a.rttm", "--speakers", "2", *plot)
    assert answer.code == 0, answer.err
    fields = [line.split(" ") for line in (tmp_path / "a.rttm").read_text("utf-8").splitlines()]
    assert {len(line) for line in fields} == {10}
    assert {line[1] for line in fields} == {{"caf\udce9 1": "caf?_1", "new\nline": "new_line", "\udcff": "?"}[name]}
