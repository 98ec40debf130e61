"""Speech in a recording: how much, in which parts, and alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.errors import BadAudio, TooShort
from acanet.runtime.detector import find_speech
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


# Asked for alone


@pytest.mark.parametrize(
    ("samples", "rate", "reason"),
    [
        (np.full(16000, np.nan), 16000, "not finite"),
        (np.full(16000, np.inf, np.float32), 16000, "not finite"),
        (np.zeros((2, 16000), np.float32), 16000, "one channel"),
        (np.zeros(16000, np.complex64), 16000, "complex64"),
        *((np.zeros(16000, np.float32), rate, "samples a second") for rate in (0, -1, 3, 8000.5, "x", None)),
    ],
)
def test_what_is_no_waveform_holds_no_answer(samples: np.ndarray, rate: Any, reason: str) -> None:
    with pytest.raises(BadAudio, match=reason):
        find_speech(samples, rate)


def test_a_waveform_of_any_type_that_streams_take() -> None:
    voice = synthesise(SyntheticVoice.draw(0, 0), 3.0, 0)
    found = find_speech(voice, 16000)
    assert found.seconds > 1
    for same in (voice.astype(np.float64), voice.astype(">f4")):
        assert find_speech(same, 16000) == found
    assert find_speech(np.zeros(0, np.float32), 16000).seconds == 0
