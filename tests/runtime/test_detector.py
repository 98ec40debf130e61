"""Speech is found where somebody talks, and nowhere else."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from acanet.audio.recording import read_audio
from acanet.audio.resample import resample
from acanet.data.augment.music import music
from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.errors import NoSpeech, TooShort
from acanet.runtime.detector import detected, find_speech, own_detector
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


def test_music_is_seldom_enough_speech() -> None:
    taken = 0
    for seed in range(20):
        piece = 0.1 * music(np.random.default_rng(seed), 4 * RATE, RATE)
        taken += find_speech(piece, RATE).seconds >= 0.5
    assert taken <= 1


def test_silence_is_not_speech() -> None:
    rng = np.random.default_rng(0)
    dither = (rng.integers(-1, 2, 3 * RATE) / 32768).astype(np.float32)
    for quiet in (np.zeros(3 * RATE, np.float32), np.full(3 * RATE, 0.3, np.float32), dither):
        assert find_speech(quiet, RATE).segments == []


@pytest.mark.parametrize("value", [1e-45, 1e-38, 1e-12])
def test_samples_too_small_to_scale_are_silence(value: float) -> None:
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
            assert find_speech(waveform, rate).seconds > 0.1 * len(waveform) / rate


def test_trimming_a_recording_leaves_speech() -> None:
    quiet = np.random.default_rng(0).normal(0, 1e-4, 2 * RATE).astype(np.float32)
    talk = np.concatenate([quiet, voice(1, 2.0), quiet, voice(2, 2.0)])
    trimmed = find_speech(talk, RATE).trim(talk, RATE)
    assert 2 < len(trimmed) / RATE < 4.6
    assert find_speech(trimmed, RATE).seconds > 0.9 * len(trimmed) / RATE


# As it comes


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    """Two voices with silence and hiss between, of no whole number of steps."""
    hiss = np.random.default_rng(0).normal(0, 1e-3, 2 * RATE)
    return np.concatenate([np.zeros(RATE), voice(1), hiss, 0.3 * voice(2)[:-77]]).astype(np.float32)


@pytest.mark.parametrize("rate", [RATE, 8000, 44100])
@pytest.mark.parametrize("sizes", [[1600], [37, 4000, 512], [10**6]])
def test_speech_as_it_comes_is_that_of_what_came(talk: np.ndarray, rate: int, sizes: list[int]) -> None:
    samples = resample(talk, RATE, rate)
    samples += np.random.default_rng(1).normal(0, 1e-4, len(samples)).astype(np.float32)
    detector, fed = own_detector(rate), 0
    for number, block in enumerate(cut(samples, sizes)):
        detector.feed(block)
        fed += len(block)
        if number % 40 == 0 or fed == len(samples):
            so_far = detector.speech()
            np.testing.assert_allclose(so_far, detected(samples[:fed], own_detector(rate)), rtol=0, atol=2e-3)
            steps = -(-((fed * RATE // rate - 400) // 160 + 1) // 4)
            assert abs(len(so_far) - max(0, steps)) <= 1


def test_a_rest_counts_for_this_time_only(talk: np.ndarray) -> None:
    detector, other = own_detector(RATE), own_detector(RATE)
    for each in (detector, other):
        each.feed(talk[:30000])
    np.testing.assert_allclose(
        detector.speech(talk[30000:41000]), detected(talk[:41000], own_detector(RATE)), rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(detector.speech(), other.speech(), rtol=0, atol=1e-6)


def test_long_recordings_are_heard_in_pieces_as_in_one(talk: np.ndarray) -> None:
    long = np.tile(talk, 12)  # 100 s: four pieces
    whole = detected(talk, own_detector(RATE))
    found = detected(long, own_detector(RATE))
    assert len(found) == -(-((len(long) - 400) // 160 + 1) // 4)
    np.testing.assert_allclose(found[: len(whole) - 20], whole[:-20], rtol=0, atol=1e-4)
    in_blocks = own_detector(RATE)
    for block in cut(long, [48000]):
        in_blocks.feed(block)
        in_blocks.speech()
    np.testing.assert_allclose(in_blocks.speech(), found, rtol=0, atol=1e-4)


def test_speech_that_is_cut_off_ends_with_the_samples(talk: np.ndarray) -> None:
    in_speech = 0
    for end in range(2 * RATE, 4 * RATE, 2345):
        segments = find_speech(talk[:end], RATE).segments
        in_speech += segments[-1][1] == end / RATE
    assert in_speech > 5


@pytest.mark.parametrize("seconds", [0.3, 1, 5, 30])
def test_silence_before_speech_moves_it_and_nothing_else(seconds: float) -> None:
    talk = voice(3)
    before = round(seconds * RATE / 640) * 640  # whole steps
    alone = detected(talk, own_detector(RATE))
    later = detected(np.pad(talk, (before, 0)), own_detector(RATE))
    assert (later[: before // 640 - 2] < 0.5).all()
    assert np.mean((later[before // 640 :] > 0.5) == (alone > 0.5)) > 0.9
