"""Probabilities of speech in steps become stretches of speech."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.speech.steps import LONGEST_GAP, SHORTEST_SPEECH, speech_in

SECONDS = 0.04


def stretches(spoken: Iterable[bool]) -> list[tuple[int, int]]:
    """First step and end of each stretch that is made of such steps."""
    probabilities = np.where(list(spoken), 0.9, 0.1).astype(np.float32)
    found = speech_in(probabilities, len(probabilities) * SECONDS)
    return [(round(start / SECONDS), round(end / SECONDS)) for start, end in found.segments]


def at(*steps: int) -> list[bool]:
    return [number in steps for number in range(40)]


def test_steps_become_stretches() -> None:
    assert stretches(at()) == []
    assert stretches(at(4, 5)) == []
    assert stretches(at(4, 5, 6)) == [(4, 7)]
    assert stretches(at(4, 5, 11, 30, 31, 32)) == [(4, 12), (30, 33)]
    assert stretches(at(4, 5, 12, 13, 14)) == [(12, 15)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.booleans(), max_size=60))
def test_gaps_are_bridged_and_clicks_left_out(spoken: list[bool]) -> None:
    places = np.flatnonzero(spoken)
    groups = np.split(places, np.flatnonzero(np.diff(places) > LONGEST_GAP + 1) + 1)
    assert stretches(spoken) == [(group[0], group[-1] + 1) for group in groups if len(group) >= SHORTEST_SPEECH]


def test_what_is_spoken_in_the_last_step_ends_with_the_recording() -> None:
    found = speech_in(np.array([0.9, 0.9, 0.9, 0.9], np.float32), 0.151)
    assert found.segments == [(0.0, 0.151)]
    assert found.seconds == pytest.approx(0.151)


def test_faint_steps_belong_to_clear_ones_and_are_nothing_alone() -> None:
    assert speech_in(np.full(9, 0.5, np.float32), 0.4).segments == []
    around = np.array([0.1, 0.3, 0.3, 0.9, 0.9, 0.9, 0.4, 0.1, 0.1], np.float32)
    assert speech_in(around, 0.4).segments == [(pytest.approx(0.04), pytest.approx(0.28))]
