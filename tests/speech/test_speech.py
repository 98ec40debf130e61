"""Speech in a recording: how much, in which parts, and alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.errors import TooShort
from acanet.speech.speech import FADE, Speech, require_length


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
