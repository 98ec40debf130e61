"""Decisions on trials, counted by hand: false accepts, false rejects, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from acanet.evaluation.conditions.rows import Bootstrap, Pairs
from acanet.evaluation.conditions.tables import Conditions, Row
from acanet.scoring.measure import Measure

TARGET = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], bool)
PAIRS = Pairs(TARGET, np.array([0, 1, 2, 3, 0, 1, 2, 3, 0, 1]), np.array([0, 1, 2, 3, 1, 2, 3, 0, 2, 3]))
ACCEPTED = np.array([1, 1, 0, 1, 0, 1, 0, 0, 0, 0], bool)


def rates(accepted: np.ndarray, refused: np.ndarray) -> tuple[float, float, float]:
    """False accepts, false rejects and what is refused, as shares."""
    found = Bootstrap(20, 0).decisions(accepted, refused, PAIRS)
    accepts, rejects, share = found["false_accepts"], found["false_rejects"], found["refused"]
    assert isinstance(accepts, Measure)
    assert isinstance(rejects, Measure)
    assert isinstance(share, float)
    for measure in (accepts, rejects):
        assert 0 <= measure.low <= measure.value <= measure.high <= 1
    return accepts.value, rejects.value, share


def test_decisions_are_counted_in_their_class() -> None:
    assert rates(ACCEPTED, np.zeros(10, bool)) == (pytest.approx(1 / 6), pytest.approx(1 / 4), 0)


def test_a_refused_trial_is_an_error_of_its_class_whatever_its_score() -> None:
    """Refused: a target that was accepted, one that was rejected anyway, and two nontargets, one of them accepted."""
    refused = np.array([1, 0, 1, 0, 1, 1, 0, 0, 0, 0], bool)
    assert rates(ACCEPTED, refused) == (pytest.approx(2 / 6), pytest.approx(2 / 4), pytest.approx(0.4))


@pytest.mark.parametrize(
    ("accepted", "refused", "expected"),
    [
        (TARGET, False, (0, 0, 0)),
        (~TARGET, False, (1, 1, 0)),
        (TARGET | True, False, (1, 0, 0)),
        (TARGET & False, False, (0, 1, 0)),
        (TARGET, True, (1, 1, 1)),
    ],
    ids=["all right", "all wrong", "all accepted", "all rejected", "all refused"],
)
def test_decisions_at_the_ends(accepted: np.ndarray, refused: bool, expected: tuple[float, ...]) -> None:
    assert rates(accepted, np.full(10, refused)) == expected


def test_a_table_tells_decisions_where_there_are_some() -> None:
    tenth = Measure(value=0.1, low=0.05, high=0.2)
    rows = [
        Row(
            name="zeros",
            group=group,
            side="test",
            trials=10,
            targets=4,
            nontargets=6,
            speakers=4,
            eer=tenth,
            ratio=None,
            false_accepts=accepts,
            false_rejects=accepts,
            refused=refused,
            note="",
        )
        for group, accepts, refused in (("1 s", tenth, 0.025), ("2 s", None, None))
    ]
    text = Conditions(clean=tenth, replicates=10, seed=0, conditions=(), rows=tuple(rows)).table()
    shown = "10.00 [5.00, 20.00]"
    assert f"| zeros | 1 s | test | 4 | 6 | 4 | {shown} |  | {shown} | {shown} | 2.50 |  |" in text
    assert f"| zeros | 2 s | test | 4 | 6 | 4 | {shown} |  |  |  |  |  |" in text
    columns = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert columns == {13}
