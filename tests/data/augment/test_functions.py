"""What happens to a crop, measured on signals whose answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from acanet.data.augment.functions import (
    add_at_snr,
    babble,
    change_level,
    clip,
    coloured_noise,
    reverberate,
    spec_masks,
)

RATE = 16000


def tone(hz, samples=RATE, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(samples) / RATE)).astype(np.float32)


def white(samples, level=0.1, seed=0):
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def loudest_hz(waveform):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return spectrum.argmax() * RATE / len(waveform)


def power(waveform):
    return np.mean(np.square(waveform, dtype=np.float64))


@pytest.mark.parametrize("seed", range(20))
def test_noise_has_power_one_and_falls_by_nothing_to_six_decibels_an_octave(seed):
    assert -6.5 < slope(coloured_noise(np.random.default_rng(seed), 48000)) < 0.5


def test_noise_comes_in_every_colour():
    slopes = [slope(coloured_noise(np.random.default_rng(seed), 48000)) for seed in range(40)]
    assert min(slopes) < -5
    assert max(slopes) > -1


def slope(noise):
    """Decibels an octave of power density, fitted from 62 to 8000 Hz."""
    assert noise.dtype == np.float32
    assert power(noise) == pytest.approx(1.0, rel=1e-4)
    density = np.abs(np.fft.rfft(noise)) ** 2
    hz = np.fft.rfftfreq(len(noise), 1 / RATE)
    edges = 62.5 * 2.0 ** np.arange(8)
    decibels = [10 * np.log10(density[(hz >= a) & (hz < b)].mean()) for a, b in itertools.pairwise(edges)]
    return np.polyfit(np.arange(7), decibels, 1)[0]


@given(st.integers(1, 5000))
def test_noise_of_any_length(samples):
    noise = coloured_noise(np.random.default_rng(1), samples)
    assert noise.shape == (samples,)
    assert np.isfinite(noise).all()


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5, 25.0])
def test_signal_to_noise_ratio_is_what_was_asked(snr_db):
    signal, noise = tone(300), 7 * white(RATE)
    added = add_at_snr(signal, noise, snr_db) - signal
    assert 10 * np.log10(power(signal) / power(added)) == pytest.approx(snr_db, abs=0.1)
    assert np.corrcoef(added, noise)[0, 1] > 0.999


def test_nothing_is_added_to_silence_or_of_silence():
    silence = np.zeros(100, dtype=np.float32)
    assert np.array_equal(add_at_snr(silence, white(100), 10.0), silence)
    assert np.array_equal(add_at_snr(tone(300, 100), silence, 10.0), tone(300, 100))


def test_voices_of_a_babble_are_equally_loud():
    hz, amplitudes = (200, 500, 1100), (0.9, 0.01, 0.2)
    mixed = babble([tone(f, amplitude=a) for f, a in zip(hz, amplitudes, strict=True)])
    lines = np.abs(np.fft.rfft(mixed))[list(hz)] * 2 / RATE  # amplitude of each tone: one bin is one hertz
    np.testing.assert_allclose(lines**2 / 2, 1.0, rtol=1e-3)


def test_a_silent_voice_adds_nothing():
    silence = np.zeros(RATE, dtype=np.float32)
    np.testing.assert_array_equal(babble([silence, tone(200)]), babble([tone(200)]))


def test_babble_leaves_the_voices_alone():
    voices = [tone(200), tone(300)]
    babble(voices)
    np.testing.assert_array_equal(voices, [tone(200), tone(300)])


def test_a_room_of_two_paths_is_heard_as_two():
    dry = np.zeros(1000, dtype=np.float32)
    dry[[10, 400]] = 1.0, -0.5
    response = np.zeros(300, dtype=np.float32)
    response[[0, 250]] = 0.8, 0.6
    heard = np.zeros(1000)
    heard[[10, 260, 400, 650]] = 0.8, 0.6, -0.4, -0.3
    np.testing.assert_allclose(reverberate(dry, response), heard, atol=1e-6)  # of energy 1: so is the response


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(0, 2**32))
def test_reverberation_keeps_length_power_and_place(samples, taps, seed):
    dry = white(samples, seed=seed)
    response = white(taps, seed=seed + 1) * 10 ** (-3 * np.arange(taps, dtype=np.float32) / taps)
    direct = np.convolve(dry.astype(np.float64), response)[:samples]
    assume(power(direct) > 1e-7)  # what counts as silence stays as it is
    wet = reverberate(dry, response)
    assert wet.dtype == np.float32
    assert power(wet) == pytest.approx(power(dry), rel=1e-3)
    np.testing.assert_allclose(wet, direct * np.sqrt(power(dry) / power(direct)), atol=1e-4)


def test_silence_stays_silence_in_a_room():
    silence = np.zeros(100, dtype=np.float32)
    np.testing.assert_array_equal(reverberate(silence, white(50)), silence)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5])
def test_the_share_that_was_asked_is_clipped(share):
    signal = white(20000)
    hot = clip(signal, share)
    assert hot.dtype == np.float32
    assert np.count_nonzero(np.abs(hot) == 1.0) == round(share * 20000)
    assert np.abs(hot).max() == 1.0
    below = np.abs(hot) < 1.0
    gain = 1 / np.sort(np.abs(signal))[-round(share * 20000)]
    np.testing.assert_allclose(hot[below], signal[below] * gain, rtol=1e-5)
    np.testing.assert_array_equal(np.sign(hot), np.sign(signal))


def test_nothing_is_clipped_without_a_sample_to_clip_or_of_silence():
    signal, silence = white(1000), np.zeros(1000, dtype=np.float32)
    np.testing.assert_array_equal(clip(signal, 0.0004), signal)
    np.testing.assert_array_equal(clip(silence, 0.1), silence)


@pytest.mark.parametrize("gain_db", [-20.0, -6.0, 0.0, 6.0])
def test_level_changes_by_decibels(gain_db):
    changed = change_level(tone(300, amplitude=0.4), gain_db)
    assert changed.dtype == np.float32
    assert 10 * np.log10(power(changed) / power(tone(300, amplitude=0.4))) == pytest.approx(gain_db, abs=0.01)


def test_level_clips_as_a_recorder_would():
    changed = change_level(tone(300, amplitude=0.9), 6.0)
    assert changed.max() == 1.0
    assert changed.min() == -1.0
    assert np.mean(np.abs(changed) == 1.0) > 0.3


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 4), st.integers(0, 80), st.integers(0, 30), st.integers())
def test_masks_are_bands_no_wider_than_asked(frames, mels, masks, most_frames, most_mels, seed):
    rng = np.random.default_rng(abs(seed))
    hidden = spec_masks(rng, (frames, mels), masks, most_frames, most_mels)
    assert hidden.shape == (frames, mels)
    if hidden.all():
        return
    rows, columns = hidden.all(axis=1), hidden.all(axis=0)
    np.testing.assert_array_equal(hidden, rows[:, None] | columns[None, :])
    assert rows.sum() <= masks * most_frames
    assert columns.sum() <= masks * most_mels
    for axis in (rows, columns):
        assert np.count_nonzero(np.diff(axis.astype(int)) == 1) + axis[0] <= masks


def test_masks_reach_their_full_width_and_every_place():
    drawn = np.stack([spec_masks(np.random.default_rng(seed), (30, 8), 1, 5, 2) for seed in range(300)])
    rows, columns = drawn.all(axis=2), drawn.all(axis=1)
    assert set(rows.sum(axis=1)) == {0, 1, 2, 3, 4, 5}
    assert set(columns.sum(axis=1)) == {0, 1, 2}
    assert rows.any(axis=0).all()
    assert columns.any(axis=0).all()
