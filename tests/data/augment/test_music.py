"""Generated music: what sets it apart from noise is measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.data.augment.functions import coloured_noise
from acanet.data.augment.music import music

SEEDS = range(6)


def flatness_db(waveform):
    """How flat power is within bands of 32 bins (0.25 kHz) up to 4 kHz: geometric over arithmetic mean, median."""
    windows = waveform[: len(waveform) // 2048 * 2048].reshape(-1, 2048) * np.hanning(2048)
    bands = np.abs(np.fft.rfft(windows)[:, :512].reshape(-1, 32)) ** 2
    return 10 * np.log10(np.median(np.exp(np.log(bands).mean(axis=1)) / bands.mean(axis=1)))


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("seed", SEEDS)
def test_music_has_power_one_throughout(seed, rate):
    track = music(np.random.default_rng(seed), 4 * rate, rate)
    assert track.dtype == np.float32
    assert track.shape == (4 * rate,)
    assert np.mean(np.square(track, dtype=np.float64)) == pytest.approx(1.0, rel=1e-4)
    assert min(np.mean(half**2) for half in np.split(track, 2)) > 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_music_is_more_tonal_than_noise(seed):
    rng = np.random.default_rng(seed)
    assert flatness_db(music(rng, 64000, 16000)) < flatness_db(coloured_noise(rng, 64000)) - 3


def test_a_seed_repeats_its_music_and_another_plays_another():
    tracks = [music(np.random.default_rng(seed), 16000, 16000) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(tracks[0], tracks[1])
    assert abs(np.corrcoef(tracks[0], tracks[2])[0, 1]) < 0.3


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20000), st.integers(0, 2**32))
def test_music_of_any_length(samples, seed):
    track = music(np.random.default_rng(seed), samples, 8000)
    assert track.shape == (samples,)
    assert np.isfinite(track).all()
