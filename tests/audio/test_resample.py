"""Recordings in blocks, at another rate, are what they are as a whole."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.audio.resample import Resampler, resample, resampled
from support.blocks import cut

RATE = 16000


def noise(seconds, seed=0, rate=RATE):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from([8000, 11025, 22050, 44100, 44101, 48000]),
    st.lists(st.integers(1, 9000), min_size=1, max_size=4),
    st.integers(2000, 40000),
)
def test_resampled_in_blocks_as_in_one(have, sizes, length):
    samples = noise(1, length, rate=length)
    found = np.concatenate(list(resampled(cut(samples, sizes), have, RATE)))
    np.testing.assert_array_equal(found, resample(samples, have, RATE))


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from([8000, 11025, 44100, 44101, 96000]),
    st.lists(st.integers(1, 9000), min_size=1, max_size=4),
    st.integers(1, 150_000),
)
def test_the_rest_is_what_would_come_if_it_ended_here(have, sizes, length):
    samples = noise(1, length, rate=length)
    resampler = Resampler(have, RATE)
    found = []
    for number, block in enumerate(cut(samples, sizes)):
        found.append(resampler.feed(block))
        if number % 7 == 0:
            resampler.rest()  # changes nothing
    found.append(resampler.rest())
    np.testing.assert_allclose(np.concatenate(found), resample(samples, have, RATE), rtol=0, atol=2e-6)
