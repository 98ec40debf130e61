"""The diarization error rate against values worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.errors import BadArgument
from acanet.evaluation.figures.der import DiarizationError, diarization_error
from acanet.segments.rttm import Turn

ANNA = Turn(0, 10, "anna")
BO = Turn(10, 20, "bo")


def error(reference, hypothesis, **how):
    found = diarization_error(reference, hypothesis, **{"collar": 0.0, **how})
    return tuple(round(part, 9) for part in (found.speech, found.miss, found.false_alarm, found.confusion))


def test_names_do_not_matter():
    assert error([ANNA, BO], [Turn(10, 20, "anna"), Turn(0, 10, "x")]) == (20, 0, 0, 0)


def test_miss_and_false_alarm():
    assert error([ANNA], [Turn(2, 12, "1")]) == (10, 2, 2, 0)
    assert error([ANNA], []) == (10, 10, 0, 0)
    assert error([], [Turn(3, 4, "1")]) == (0, 0, 1, 0)
    assert error([], []) == (0, 0, 0, 0)


def test_confusion_after_the_best_mapping():
    """The first of the hypothesis has 6 s of anna and 4 s of bo, the second the other 4 and 6."""
    found = [Turn(0, 6, "1"), Turn(6, 10, "2"), Turn(10, 14, "1"), Turn(14, 20, "2")]
    assert error([ANNA, BO], found) == (20, 0, 0, 8)
    assert diarization_error([ANNA, BO], found, collar=0).rate == pytest.approx(0.4)


def test_the_mapping_is_one_to_one():
    """A voice that is parted in two keeps the larger part; two that are one keep the longer."""
    assert error([ANNA], [Turn(0, 7, "1"), Turn(7, 10, "2")]) == (10, 0, 0, 3)
    assert error([ANNA, Turn(10, 14, "bo")], [Turn(0, 14, "1")]) == (14, 0, 0, 4)


def test_the_best_mapping_is_not_the_greedy_one():
    """The pair that agrees most, 1 with anna (5 s), would leave 2 with nobody: 4 + 4 is more than 5 + 0."""
    reference = [Turn(0, 9, "anna"), Turn(9, 13, "bo")]
    hypothesis = [Turn(0, 4, "2"), Turn(4, 13, "1")]
    assert error(reference, hypothesis) == (13, 0, 0, 5)


def test_overlap():
    """From 8 to 10 s both talk, and one of them is found."""
    reference = [ANNA, Turn(8, 20, "bo")]
    hypothesis = [Turn(0, 9, "1"), Turn(9, 20, "2")]
    assert error(reference, hypothesis) == (22, 2, 0, 0)
    assert error(reference, hypothesis, overlap=False) == (18, 0, 0, 0)
    both = [Turn(0, 10, "1"), Turn(8, 20, "2")]
    assert error(reference, both) == (22, 0, 0, 0)
    assert error([ANNA], [Turn(0, 10, "1"), Turn(4, 6, "2")]) == (10, 0, 2, 0)


def test_a_collar_forgives_at_the_borders():
    """0.25 s on each side of 0, 10 and 20 s: 19 s are left, and 0.75 s of the confusion."""
    hypothesis = [Turn(0.2, 11, "1"), Turn(11, 20.25, "2")]
    assert error([ANNA, BO], hypothesis) == (20, 0.2, 0.25, 1)
    assert error([ANNA, BO], hypothesis, collar=0.25) == (19, 0, 0, 0.75)
    assert error([ANNA, BO], [Turn(0, 20, "1")], collar=5.0) == (0, 0, 0, 0)
    assert np.isnan(diarization_error([ANNA], [], collar=6.0).rate)
    with pytest.raises(BadArgument, match="collar is -1"):
        error([ANNA], [], collar=-1)


def test_collars_are_of_the_reference_alone():
    assert error([ANNA], [Turn(0, 5, "1"), Turn(5, 10, "1")], collar=1.0) == (8, 0, 0, 0)
    assert error([Turn(0, 5, "anna"), Turn(6, 10, "anna")], [Turn(0, 10, "1")], collar=0.25) == (8, 0, 0.5, 0)


def test_recordings_add_up():
    one, other = DiarizationError(10, 1, 2, 3), DiarizationError(30, 0, 1, 1)
    assert one + other == DiarizationError(40, 1, 3, 4)
    assert (one + other).rate == pytest.approx(8 / 40)


turns = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 20), st.sampled_from("abc")).map(
        lambda drawn: Turn(drawn[0] / 2, (drawn[0] + drawn[1]) / 2, drawn[2])
    ),
    max_size=8,
)


@given(reference=turns, hypothesis=turns, overlap=st.booleans())
@settings(deadline=None, max_examples=60)
def test_as_counted_frame_by_frame(reference, hypothesis, overlap):
    """All mappings are tried, on frames of 0.25 s that no border cuts."""
    from itertools import permutations

    times = np.arange(0.125, 40, 0.25)

    def active(given, names):
        return np.array([[any(t.speaker == n and t.start <= at < t.end for t in given) for at in times] for n in names])

    said, found = active(reference, "abc"), active(hypothesis, "abc")
    scored = said.sum(0) < 2 if not overlap else np.ones(len(times), bool)
    correct = max((said & found[list(order)])[:, scored].sum() for order in permutations(range(3)))
    r, h = said.sum(0)[scored], found.sum(0)[scored]
    expected = (r.sum(), np.maximum(r - h, 0).sum(), np.maximum(h - r, 0).sum(), np.minimum(r, h).sum() - correct)
    assert error(reference, hypothesis, overlap=overlap) == pytest.approx(tuple(np.array(expected) / 4))
