"""Voices that do not exist: pitch, formants and pace are where they should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.data.augment.effects import Speed
from acanet.data.augment.voices import Voice, as_voice, move_formants
from acanet.errors import BadConfig

RATE = 16000


def vowel(pitch, formants, seconds=1.0, rate=RATE):
    """Pulses at a pitch in Hz through a resonance at each of some frequencies, 150 Hz wide."""
    samples = round(seconds * rate)
    wave = np.zeros(samples)
    wave[:: round(rate / pitch)] = 1.0
    for hz in formants:
        radius, angle = np.exp(-np.pi * 150 / rate), 2 * np.pi * hz / rate
        one, two = 2 * radius * np.cos(angle), -(radius**2)
        before, last = 0.0, 0.0
        for i, value in enumerate(wave):
            before, last = last, value + one * last + two * before
            wave[i] = last
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


def harmonics(waveform, rate=RATE):
    """Frequencies of the spectrum's bins in Hz, and its magnitudes."""
    return np.fft.rfftfreq(len(waveform), 1 / rate), np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))


def loudest_between(waveform, low, high):
    hz, magnitudes = harmonics(waveform)
    chosen = (hz > low) & (hz < high)
    return hz[chosen][magnitudes[chosen].argmax()]


@pytest.mark.parametrize("speed", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_another_speed_moves_the_pitch(speed):
    voice = Voice(speed)
    tone = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(voice.samples_needed(RATE)) / RATE)).astype(np.float32)
    changed = as_voice(tone, voice, RATE, RATE)
    assert (changed.dtype, len(changed)) == (np.float32, RATE)
    assert loudest_between(changed, 0, 8000) == pytest.approx(1000 * speed, abs=1.0)
    assert np.mean(changed[1000:-1000] ** 2) == pytest.approx(0.125, rel=0.01)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_formants_move_and_the_pitch_stays(factor):
    before = vowel(100, (1000, 2500))
    after = move_formants(before, factor, RATE)
    assert (after.dtype, after.shape) == (np.float32, before.shape)
    for formant in (1000, 2500):  # the loudest harmonic near where the formant is now
        low, high = formant * factor - 300, formant * factor + 300
        assert loudest_between(after, low, high) == pytest.approx(formant * factor, abs=101)
        assert loudest_between(before, formant - 300, formant + 300) == pytest.approx(formant, abs=51)
    hz, magnitudes = harmonics(after)
    on = np.abs((hz + 50) % 100 - 50) < 3  # harmonics of 100 Hz
    assert magnitudes[on & (hz < 4000)].sum() > 20 * magnitudes[(np.abs(hz % 100 - 50) < 3) & (hz < 4000)].sum()
    assert 0.3 < np.mean(after**2) / np.mean(before**2) < 3


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
def test_formants_that_do_not_move_change_nothing(rate):
    before = vowel(150, (700, 1500), 0.5, rate)
    np.testing.assert_allclose(move_formants(before, 1.0, rate), before, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50000), st.floats(0.5, 2.0), st.floats(0.5, 2.0))
def test_there_are_as_many_samples_as_asked_for_and_all_are_finite(samples, speed, formants):
    voice = Voice(speed, formants)
    noise = np.random.default_rng(0).normal(0, 0.1, voice.samples_needed(samples)).astype(np.float32)
    changed = as_voice(noise, voice, samples, RATE)
    assert (changed.dtype, len(changed)) == (np.float32, samples)
    assert np.isfinite(changed).all()


def test_silence_stays_silent():
    assert not move_formants(np.zeros(5000, np.float32), 1.3, RATE).any()


def test_the_own_voice_is_the_recording_itself():
    waveform = vowel(120, (500,), 0.1)
    assert as_voice(waveform, Voice(), len(waveform), RATE) is not None
    np.testing.assert_array_equal(as_voice(waveform, Voice(), len(waveform), RATE), waveform)
    assert Voice().samples_needed(77) == Voice().samples_of(77) == 77


def test_voices_are_speeds_and_formants_and_both():
    effect = Speed(probability=0.5, speeds=(0.9,), formants=(0.8, 1.2))
    assert effect.voices == (Voice(0.9), Voice(1, 0.8), Voice(0.9, 0.8), Voice(1, 1.2), Voice(0.9, 1.2))
    assert Speed(speeds=(0.9,), formants=(0.8, 1.2)).voices == ()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"probability": 0.5, "speeds": []}, "neither speeds nor formants"),
        ({"speeds": [1.0, 1.1]}, "speeds has 1, or a factor twice"),
        ({"formants": [1.1, 1.1]}, "formants has 1, or a factor twice"),
        ({"formants": [3.0]}, "less than or equal to 2"),
    ],
)
def test_what_is_no_other_voice_is_refused(given, told):
    with pytest.raises(BadConfig, match=told):
        Speed.parse(given, "the recipe")
