"""Speech is found where somebody talks, and nowhere else."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.audio.recording import decode, resample
from acanet.data.augment.music import music
from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.errors import NoSpeech, TooShort
from acanet.speech import segments as speech
from acanet.speech.segments import (
    CHUNK,
    FADE,
    LONGEST_GAP,
    _bridge,
    _level,
    _loudest_places,
    _probabilities,
    _surely_holds,
    require_segments,
    require_speech,
    speech_seconds,
    speech_segments,
    trim,
)

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


# Never speech


@pytest.mark.parametrize("slope", [0, 1, 2], ids=["white", "pink", "brown"])
@pytest.mark.parametrize("level", LEVELS)
def test_noise_is_not_speech(slope: float, level: float) -> None:
    for seed, seconds in enumerate([0.5, 1, 3, 3]):
        noise = scaled(coloured(seconds, seed, slope), level)
        for heard in (noise, noise.clip(-1, 1)):
            assert speech_seconds(heard, RATE) == 0
            assert not _surely_holds(heard, RATE, 0.5)


def test_long_noise_is_not_speech() -> None:
    for slope in (0, 1):
        assert speech_segments(scaled(coloured(30, 9, slope), -30), RATE) == []


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
    assert speech_seconds(tone, RATE) == 0
    assert not _surely_holds(tone, RATE, 0.5)


def test_music_is_not_enough_speech() -> None:
    for seed in range(20):
        piece = 0.1 * music(np.random.default_rng(seed), 4 * RATE, RATE)
        assert speech_seconds(piece, RATE) < 0.5
        assert not _surely_holds(piece, RATE, 0.5)


def test_silence_is_not_speech() -> None:
    rng = np.random.default_rng(0)
    dither = (rng.integers(-1, 2, 3 * RATE) / 32768).astype(np.float32)
    for quiet in (np.zeros(3 * RATE, np.float32), np.full(3 * RATE, 0.3, np.float32), dither):
        assert speech_segments(quiet, RATE) == []
        assert not _surely_holds(quiet, RATE, 0.5)


@pytest.mark.parametrize("value", [1e-45, 1e-38, 1e-12])
def test_samples_too_small_to_scale_are_silence(value: float) -> None:
    assert not _level(np.full(RATE, value, np.float32)).any()
    assert speech_segments(np.full(RATE, value, np.float32), RATE) == []


def test_nothing_at_all_is_not_speech() -> None:
    assert speech_segments(np.zeros(0, np.float32), RATE) == []


# Always speech


@pytest.mark.parametrize("speaker", range(6))
def test_synthetic_voices_are_speech(speaker: int) -> None:
    assert speech_seconds(voice(speaker), RATE) > 1.5


def test_segments_lie_where_the_voice_is() -> None:
    background = np.random.default_rng(0).normal(0, 1e-4, 2 * RATE).astype(np.float32)
    first, second = voice(1, 2.0), voice(2, 2.0)
    segments = speech_segments(np.concatenate([background, first, background, second, background]), RATE)
    talk = [(2.0, 4.0), (6.0, 8.0)]
    for start, end in segments:
        assert any(low - 0.2 <= start < end <= high + 0.4 for low, high in talk)
    for low, high in talk:
        assert sum(min(end, high) - max(start, low) for start, end in segments if start < high > low < end) > 1
    assert all(end < start for (_, end), (start, _) in pairwise(segments))


def test_seconds_are_the_sum_of_the_segments_and_fit_in() -> None:
    talk = voice(3, 2.013)
    segments = speech_segments(talk, RATE)
    assert speech_seconds(talk, RATE) == pytest.approx(sum(end - start for start, end in segments))
    assert segments[-1][1] <= len(talk) / RATE


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_the_rate_changes_little(rate: int) -> None:
    talk = voice(4)
    want = speech_seconds(talk, RATE)
    assert speech_seconds(resample(talk, RATE, rate), rate) == pytest.approx(want, abs=0.4)


def test_the_level_changes_nothing() -> None:
    talk = voice(4)
    for gain in (0.001, 0.03):
        assert speech_seconds(talk * np.float32(gain), RATE) == pytest.approx(speech_seconds(talk, RATE))


def test_one_recording_says_nothing_about_the_next() -> None:
    talk, noise = voice(4), scaled(coloured(2, 0, 0), -20)
    want = speech_segments(talk, RATE)
    assert speech_segments(noise, RATE) == []
    assert speech_segments(talk, RATE) == want


def test_threads_do_not_disturb_each_other() -> None:
    talks = [voice(speaker, 2.0) for speaker in range(4)]
    want = [speech_segments(talk, RATE) for talk in talks]
    got: dict[int, list[tuple[float, float]]] = {}

    def listen(which: int) -> None:
        got[which] = speech_segments(talks[which], RATE)

    threads = [threading.Thread(target=listen, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[which] for which in range(4)] == want


def test_chunks_become_stretches() -> None:
    assert _bridge(np.array([], int)) == []
    assert _bridge(np.array([4, 5])) == []
    assert _bridge(np.array([4, 5, 6])) == [(4, 7)]
    assert _bridge(np.array([4, 5, 12, 30, 31, 32])) == [(4, 13), (30, 33)]
    assert _bridge(np.array([4, 5, 13, 14, 15])) == [(13, 16)]


# Enough speech


def test_enough_speech_is_found_without_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "speech_segments", None)
    for speaker in range(6):
        require_speech(voice(speaker), RATE, 0.5, "talk")


def test_what_the_loudest_places_do_not_settle_the_map_does() -> None:
    noise = scaled(coloured(6, 0, 0), 0)
    word = np.concatenate([noise, 0.01 * voice(1, 2.0), np.zeros(RATE, np.float32)]).astype(np.float32)
    assert not _surely_holds(word, RATE, 2.5)
    with pytest.raises(TooShort):
        require_speech(np.concatenate([voice(1, 1.0), np.zeros(RATE, np.float32)]), RATE, 1.5, "word")


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_enough_speech_is_found_at_any_rate(rate: int) -> None:
    assert _surely_holds(resample(voice(4), RATE, rate), rate, 0.5)


def test_the_loudest_places_come_first_and_lie_apart() -> None:
    loudness = np.repeat([1, 1, 5, 5, 2, 2, 3, 3, 1], 10)  # a sample a chunk: places of two chunks
    places = list(_loudest_places(loudness.astype(np.float32), 10, 2))
    assert [set(place) for place in places] == [{5}, {3}, {2}]
    assert list(_loudest_places(np.zeros(100, np.float32), 10, 2)) == []
    assert list(_loudest_places(np.ones(9, np.float32), 10, 2)) == []
    (short,) = _loudest_places(np.ones(35, np.float32), 10, 50)
    assert len(short) == 30


def test_required_segments_are_the_segments() -> None:
    talk = voice(2)
    assert require_segments(talk, RATE, 0.5, "talk") == speech_segments(talk, RATE)
    with pytest.raises(NoSpeech):
        require_segments(np.zeros(RATE, np.float32), RATE, 0.5, "quiet")


def test_noise_is_refused_with_its_length() -> None:
    with pytest.raises(NoSpeech, match=r"hiss.wav: no speech in 2.00 s") as caught:
        require_speech(scaled(coloured(2, 0, 0), -20), RATE, 0.5, "hiss.wav")
    assert caught.value.seconds == 2


def test_a_recording_shorter_than_needed_is_too_short() -> None:
    with pytest.raises(TooShort) as caught:
        require_speech(np.zeros(800, np.float32), RATE, 0.5, "blip")
    assert (caught.value.speech, caught.value.needed) == (0.05, 0.5)


def test_too_little_speech_in_a_long_recording_is_too_short() -> None:
    quiet = np.random.default_rng(0).normal(0, 1e-4, 3 * RATE).astype(np.float32)
    with pytest.raises(TooShort) as caught:
        require_speech(np.concatenate([quiet, voice(1, 1.0), quiet]), RATE, 2.0, "word")
    assert 0.3 < caught.value.speech < 1.3


@pytest.mark.speech
def test_real_speech_is_speech(shared: Path) -> None:
    for name in ("speechocean762.dev", "librispeech.train", "arabic_commands.train"):
        lines = (shared / "data" / f"{name}.jsonl").read_text().splitlines()
        for line in lines[:: len(lines) // 12]:
            waveform, rate = decode(shared / "data" / json.loads(line)["path"])
            require_speech(waveform, rate, 0.5, line)
            assert speech_seconds(waveform, rate) > 0.25 * len(waveform) / rate


# Speech only


def test_trimming_keeps_the_segments_and_fades_where_they_meet() -> None:
    ones = np.ones(1000, np.float32)
    trimmed = trim(ones, 1000, [(0.1, 0.2), (0.5, 0.8)])
    fade = np.arange(round(FADE * 1000)) / round(FADE * 1000)
    expected = np.ones(400)
    expected[95:100], expected[100:105] = fade[::-1], fade
    np.testing.assert_allclose(trimmed, expected, atol=1e-7)
    assert trimmed.dtype == np.float32
    assert (ones == 1).all()


def test_trimming_to_one_segment_or_none() -> None:
    samples = np.arange(100, dtype=np.float32)
    np.testing.assert_array_equal(trim(samples, 100, [(0.25, 0.5)]), samples[25:50])
    assert trim(samples, 100, []).shape == (0,)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 8000), max_size=12, unique=True), st.sampled_from([8000, 16000, 22050]))
def test_trimmed_speech_is_as_long_as_its_segments(bounds: list[int], rate: int) -> None:
    edges = sorted(bounds)[: len(bounds) // 2 * 2]
    segments = [(start / rate, end / rate) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    waveform = np.random.default_rng(0).uniform(-1, 1, 8000).astype(np.float32)
    trimmed = trim(waveform, rate, segments)
    assert len(trimmed) == sum(end - start for start, end in zip(edges[::2], edges[1::2], strict=True))
    assert np.abs(trimmed).max(initial=0) <= 1


def test_trimming_a_recording_leaves_speech() -> None:
    quiet = np.random.default_rng(0).normal(0, 1e-4, 2 * RATE).astype(np.float32)
    talk = np.concatenate([quiet, voice(1, 2.0), quiet, voice(2, 2.0)])
    trimmed = trim(talk, RATE, speech_segments(talk, RATE))
    assert 2 < len(trimmed) / RATE < 4.6
    assert speech_seconds(trimmed, RATE) > 0.9 * len(trimmed) / RATE


def test_what_is_enough_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = np.tile(voice(1, 3.0), 10)
    whole = speech_segments(talk, RATE)
    heard: list[float] = []
    asked = speech._probabilities
    monkeypatch.setattr(speech, "_probabilities", lambda chunks: (heard.append(p) or p for p in asked(chunks)))
    found = speech_segments(talk, RATE, enough=4.0)
    assert 4.0 <= sum(end - start for start, end in found) < 4.0 + (LONGEST_GAP + 1) * CHUNK / RATE
    assert found[:-1] == whole[: len(found) - 1]
    assert len(heard) * CHUNK / RATE < 8.0
    assert speech_segments(voice(), RATE, enough=60.0) == speech_segments(voice(), RATE)


# The network


def test_no_chunks_have_no_probabilities() -> None:
    assert list(_probabilities(np.empty((0, CHUNK), np.float32))) == []
