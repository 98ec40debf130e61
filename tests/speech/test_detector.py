"""Speech is found where somebody talks, and nowhere else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.audio.recording import read_audio
from acanet.audio.resample import resample
from acanet.data.augment.music import music
from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.errors import NoSpeech, TooShort
from acanet.speech import detector as module
from acanet.speech.detector import LONGEST_GAP, SHORTEST_SPEECH, LiveDetector, RecordingDetector, find_speech
from acanet.speech.silero import CHUNK, Level, exact_gain
from acanet.speech.speech import FADE, Speech, require_length
from support.blocks import cut

RATE = 16000
LEVELS = [-60, -40, -20, -10, 0]


def voice(speaker: int = 1, seconds: float = 3.0) -> np.ndarray:
    return synthesise(SyntheticVoice.draw(5, speaker), seconds, [5, speaker])


def scaled(samples: np.ndarray, decibels: float) -> np.ndarray:
    return (samples * 10 ** (decibels / 20) / np.sqrt(np.mean(samples**2))).astype(np.float32)


def coloured(seconds: float, seed: int, slope: float) -> np.ndarray:
    """Noise whose power falls with frequency to the `slope`: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(round(seconds * RATE)))
    return np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** (slope / 2))


def required(waveform: np.ndarray, needed: float, name: str) -> None:
    find_speech(waveform, RATE).require(needed, len(waveform) / RATE, name)


# Never speech


@pytest.mark.parametrize("slope", [0, 1, 2], ids=["white", "pink", "brown"])
@pytest.mark.parametrize("level", LEVELS)
def test_noise_is_not_speech(slope: float, level: float) -> None:
    for seed, seconds in enumerate([0.5, 1, 3, 3]):
        noise = scaled(coloured(seconds, seed, slope), level)
        for heard in (noise, noise.clip(-1, 1)):
            assert find_speech(heard, RATE).seconds == 0


def test_long_noise_is_not_speech() -> None:
    for slope in (0, 1):
        assert find_speech(scaled(coloured(30, 9, slope), -30), RATE).segments == []


@pytest.mark.parametrize("level", [-40, -20, -3])
@pytest.mark.parametrize(
    "partials",
    [[50], [50 * k for k in range(1, 12)], [440], [1000], [220, 277.2, 329.6, 440, 554.4, 659.3]],
    ids=["hum", "rich hum", "440 Hz", "1 kHz", "chord"],
)
def test_hum_and_tones_are_not_speech(partials: list[float], level: float) -> None:
    time = np.arange(4 * RATE) / RATE
    sound = sum(np.sin(2 * np.pi * hertz * time) / (1 + k) for k, hertz in enumerate(partials))
    tone = scaled(np.asarray(sound), level)
    assert find_speech(tone, RATE).seconds == 0


def test_music_is_not_enough_speech() -> None:
    for seed in range(20):
        piece = 0.1 * music(np.random.default_rng(seed), 4 * RATE, RATE)
        assert find_speech(piece, RATE).seconds < 0.5


def test_silence_is_not_speech() -> None:
    rng = np.random.default_rng(0)
    dither = (rng.integers(-1, 2, 3 * RATE) / 32768).astype(np.float32)
    for quiet in (np.zeros(3 * RATE, np.float32), np.full(3 * RATE, 0.3, np.float32), dither):
        assert find_speech(quiet, RATE).segments == []


@pytest.mark.parametrize("value", [1e-45, 1e-38, 1e-12])
def test_samples_too_small_to_scale_are_silence(value: float) -> None:
    assert exact_gain(np.full(RATE, value, np.float32)) == 0
    assert find_speech(np.full(RATE, value, np.float32), RATE).segments == []


def test_nothing_at_all_is_not_speech() -> None:
    assert find_speech(np.zeros(0, np.float32), RATE).segments == []


# Always speech


@pytest.mark.parametrize("speaker", range(6))
def test_synthetic_voices_are_speech(speaker: int) -> None:
    assert find_speech(voice(speaker), RATE).seconds > 1.5


def test_segments_lie_where_the_voice_is() -> None:
    background = np.random.default_rng(0).normal(0, 1e-4, 2 * RATE).astype(np.float32)
    first, second = voice(1, 2.0), voice(2, 2.0)
    segments = find_speech(np.concatenate([background, first, background, second, background]), RATE).segments
    talk = [(2.0, 4.0), (6.0, 8.0)]
    for start, end in segments:
        assert any(low - 0.2 <= start < end <= high + 0.4 for low, high in talk)
    for low, high in talk:
        assert sum(min(end, high) - max(start, low) for start, end in segments if start < high > low < end) > 1
    assert all(end < start for (_, end), (start, _) in pairwise(segments))


def test_seconds_are_the_sum_of_the_segments_and_fit_in() -> None:
    talk = voice(3, 2.013)
    segments = find_speech(talk, RATE).segments
    assert find_speech(talk, RATE).seconds == pytest.approx(sum(end - start for start, end in segments))
    assert segments[-1][1] <= len(talk) / RATE


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_the_rate_changes_little(rate: int) -> None:
    talk = voice(4)
    want = find_speech(talk, RATE).seconds
    assert find_speech(resample(talk, RATE, rate), rate).seconds == pytest.approx(want, abs=0.4)


def test_the_level_changes_nothing() -> None:
    talk = voice(4)
    for gain in (0.001, 0.03):
        assert find_speech(talk * np.float32(gain), RATE).seconds == pytest.approx(find_speech(talk, RATE).seconds)


def test_one_recording_says_nothing_about_the_next() -> None:
    talk, noise = voice(4), scaled(coloured(2, 0, 0), -20)
    want = find_speech(talk, RATE).segments
    assert find_speech(noise, RATE).segments == []
    assert find_speech(talk, RATE).segments == want


def test_threads_do_not_disturb_each_other() -> None:
    talks = [voice(speaker, 2.0) for speaker in range(4)]
    want = [find_speech(talk, RATE).segments for talk in talks]
    got: dict[int, list[tuple[float, float]]] = {}

    def listen(which: int) -> None:
        got[which] = find_speech(talks[which], RATE).segments

    threads = [threading.Thread(target=listen, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[which] for which in range(4)] == want


# Enough speech


def test_noise_is_refused_with_its_length() -> None:
    with pytest.raises(NoSpeech, match=r"hiss.wav: no speech in 2.00 s") as caught:
        required(scaled(coloured(2, 0, 0), -20), 0.5, "hiss.wav")
    assert caught.value.seconds == 2


def test_a_recording_shorter_than_needed_is_too_short() -> None:
    with pytest.raises(TooShort) as caught:
        required(np.zeros(800, np.float32), 0.5, "blip")
    assert (caught.value.speech, caught.value.needed) == (0.05, 0.5)


def test_too_little_speech_in_a_long_recording_is_too_short() -> None:
    quiet = np.random.default_rng(0).normal(0, 1e-4, 3 * RATE).astype(np.float32)
    with pytest.raises(TooShort) as caught:
        required(np.concatenate([quiet, voice(1, 1.0), quiet]), 2.0, "word")
    assert 0.3 < caught.value.speech < 1.3


@pytest.mark.speech
def test_real_speech_is_speech(shared: Path) -> None:
    for name in ("speechocean762.dev", "librispeech.train", "arabic_commands.train"):
        lines = (shared / "data" / f"{name}.jsonl").read_text().splitlines()
        for line in lines[:: len(lines) // 12]:
            waveform, rate = read_audio(shared / "data" / json.loads(line)["path"])
            find_speech(waveform, rate).require(0.5, len(waveform) / rate, line)
            assert find_speech(waveform, rate).seconds > 0.25 * len(waveform) / rate


# Speech only


def test_trimming_keeps_the_segments_and_fades_where_they_meet() -> None:
    ones = np.ones(1000, np.float32)
    trimmed = Speech([(0.1, 0.2), (0.5, 0.8)]).trim(ones, 1000)
    fade = np.arange(round(FADE * 1000)) / round(FADE * 1000)
    expected = np.ones(400)
    expected[95:100], expected[100:105] = fade[::-1], fade
    np.testing.assert_allclose(trimmed, expected, atol=1e-7)
    assert trimmed.dtype == np.float32
    assert (ones == 1).all()


def test_trimming_to_one_segment_or_none() -> None:
    samples = np.arange(100, dtype=np.float32)
    np.testing.assert_array_equal(Speech([(0.25, 0.5)]).trim(samples, 100), samples[25:50])
    assert Speech([]).trim(samples, 100).shape == (0,)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 8000), max_size=12, unique=True), st.sampled_from([8000, 16000, 22050]))
def test_trimmed_speech_is_as_long_as_its_segments(bounds: list[int], rate: int) -> None:
    edges = sorted(bounds)[: len(bounds) // 2 * 2]
    segments = [(start / rate, end / rate) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    waveform = np.random.default_rng(0).uniform(-1, 1, 8000).astype(np.float32)
    trimmed = Speech(segments).trim(waveform, rate)
    assert len(trimmed) == sum(end - start for start, end in zip(edges[::2], edges[1::2], strict=True))
    assert np.abs(trimmed).max(initial=0) <= 1


def test_trimming_a_recording_leaves_speech() -> None:
    quiet = np.random.default_rng(0).normal(0, 1e-4, 2 * RATE).astype(np.float32)
    talk = np.concatenate([quiet, voice(1, 2.0), quiet, voice(2, 2.0)])
    trimmed = find_speech(talk, RATE).trim(talk, RATE)
    assert 2 < len(trimmed) / RATE < 4.6
    assert find_speech(trimmed, RATE).seconds > 0.9 * len(trimmed) / RATE


# As it comes


class Answers:
    """A network that is told what it hears."""

    def __init__(self, spoken: Iterable[bool]) -> None:
        self.spoken, self.asked = iter(spoken), 0

    def hears_speech(self, _: np.ndarray) -> bool:
        self.asked += 1
        return next(self.spoken)


def stretches(spoken: Iterable[bool]) -> list[tuple[int, int]]:
    """First chunk and end of each stretch that is made of such answers."""
    answers = list(spoken)
    chunks = module._Chunks(Answers(answers))
    chunks.feed(np.zeros(len(answers) * CHUNK, np.float32), 1.0)
    return [(round(start * RATE / CHUNK), round(end * RATE / CHUNK)) for start, end in chunks.speech.segments]


def at(*chunks: int) -> list[bool]:
    return [number in chunks for number in range(40)]


def test_chunks_become_stretches() -> None:
    assert stretches(at()) == []
    assert stretches(at(4, 5)) == []
    assert stretches(at(4, 5, 6)) == [(4, 7)]
    assert stretches(at(4, 5, 12, 30, 31, 32)) == [(4, 13), (30, 33)]
    assert stretches(at(4, 5, 13, 14, 15)) == [(13, 16)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.booleans(), max_size=60))
def test_gaps_are_bridged_and_clicks_left_out(spoken: list[bool]) -> None:
    places = np.flatnonzero(spoken)
    groups = np.split(places, np.flatnonzero(np.diff(places) > LONGEST_GAP + 1) + 1)
    assert stretches(spoken) == [(group[0], group[-1] + 1) for group in groups if len(group) >= SHORTEST_SPEECH]


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    """Two voices with silence and hiss between, of no whole number of chunks."""
    hiss = np.random.default_rng(0).normal(0, 1e-3, 2 * RATE)
    return np.concatenate([np.zeros(RATE), voice(1), hiss, 0.3 * voice(2)[:-77]]).astype(np.float32)


def recorded(waveform: np.ndarray, sizes: list[int], rate: int = RATE) -> RecordingDetector:
    detector = RecordingDetector(rate, lambda: cut(waveform, sizes))
    for block in cut(waveform, sizes):
        detector.feed(block)
    detector.end()
    return detector


@pytest.mark.parametrize("sizes", [[1600], [37, 4000, 512], [10**6]])
def test_a_recording_in_blocks_holds_what_the_whole_holds(talk: np.ndarray, sizes: list[int]) -> None:
    assert recorded(talk, sizes).speech() == find_speech(talk, RATE)
    assert find_speech(talk, RATE).seconds > 3


def test_speech_that_is_cut_off_ends_with_the_samples(talk: np.ndarray) -> None:
    in_speech = 0
    for end in range(2 * RATE, 4 * RATE, 2345):
        speech = find_speech(talk[:end], RATE)
        live = LiveDetector(RATE)
        live.feed(talk[:end])
        live.end()
        assert live.speech().seconds == pytest.approx(speech.seconds, abs=CHUNK / RATE)
        in_speech += speech.segments[-1][1] == end / RATE == live.speech().segments[-1][1]
    assert in_speech > 5


@pytest.mark.parametrize("enough", [0.5, 1.7, 2.0, 3.5])
def test_what_is_enough_ends_the_search(talk: np.ndarray, enough: float, monkeypatch: pytest.MonkeyPatch) -> None:
    long, read = np.tile(talk, 10), []
    whole = find_speech(long, RATE)
    detector = RecordingDetector(RATE, lambda: (read.append(len(block)) or block for block in cut(long, [RATE])))
    for block in cut(long, [RATE]):
        detector.feed(block)
    found = detector.speech(enough)
    assert enough <= found.seconds < enough + (LONGEST_GAP + 1) * CHUNK / RATE
    assert found.segments[:-1] == whole.segments[: len(found.segments) - 1]
    assert sum(read) < len(long) + 10 * RATE  # all of it for its level, and a few seconds of it to find speech
    assert detector.speech(enough / 2) is found
    assert detector.speech() == whole


def test_many_samples_have_the_level_of_few(talk: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    want = find_speech(talk, RATE)
    monkeypatch.setattr(module, "BLOCK", 1000)
    assert find_speech(talk, RATE).seconds == pytest.approx(want.seconds, abs=2 * CHUNK / RATE)


@pytest.mark.parametrize("scale", [1e-12, 1e-8, 1e-4, 0.1, 3.0])
def test_the_gain_in_blocks_is_that_of_the_samples(scale: float) -> None:
    waveform = (scale * np.random.default_rng(1).standard_normal(30000)).astype(np.float32)
    level = Level()
    for block in cut(waveform, [700, 11]):
        level.feed(block)
    assert level.gain == pytest.approx(exact_gain(waveform), rel=6e-4)


def test_silence_and_nothing_have_no_gain() -> None:
    level = Level()
    assert level.gain == exact_gain(np.zeros(0, np.float32)) == exact_gain(np.zeros(100, np.float32)) == 0
    level.feed(np.zeros(100, np.float32))
    assert level.gain == 0


def test_progress_is_told(talk: np.ndarray) -> None:
    told: list[float] = []
    recorded(talk, [RATE]).speech(progress=told.append)
    assert len(told) > 5
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_the_length_of_a_recording_is_asked_for_first() -> None:
    require_length(0.5, 0.5, "talk")
    with pytest.raises(TooShort, match=r"talk: 0\.40 s of speech, at least 0\.50 s"):
        require_length(0.4, 0.5, "talk")


# In parts of a recording


@given(st.lists(st.integers(1, 30), min_size=2, max_size=20), st.integers(0, 100), st.integers(0, 100))
@settings(deadline=None)
def test_speech_within_parts(steps: list[int], one: int, other: int) -> None:
    edges = np.cumsum(steps[: len(steps) // 2 * 2]).reshape(-1, 2)
    speech = Speech([(float(start), float(end)) for start, end in edges])
    start, end = sorted((one, other))
    spoken = np.zeros(1000, bool)
    for first, last in edges:
        spoken[first:last] = True
    found = speech.within(np.array([float(start)]), np.array([float(end)]))
    assert found[0] == pytest.approx(spoken[start:end].sum())
    assert Speech([]).within(np.array([0.0]), np.array([9.0])).tolist() == [0]
