"""The trials of a list in groups, by what the manifest says of their utterances, or by how long they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from acanet.data.lists.manifest import Utterance
from acanet.data.lists.sides import Sides
from acanet.data.lists.trials import Trials
from acanet.errors import BadConfig
from acanet.evaluation.conditions.rows import Bootstrap, Pairs, measured_row
from acanet.evaluation.conditions.tables import Condition, Row

MOST_VALUES = 8  # numbers that are groups of their own; of more, quarters are made
MOST_GROUPS = 20
SECONDS = (1, 2, 4, 8, 16, 32, 64)  # where bands of durations end
ADULT, CHILD = 20, 13  # years from which on people are adults, teens

MIXED, UNKNOWN = -1, -2


@dataclass(frozen=True, eq=False)
class Grouping:
    """The group that each trial belongs to.

    Attributes:
        labels: of the groups, in order.
        of: (trials,) index into `labels`; `MIXED` where the sides are of two groups, `UNKNOWN` where the group of a
            side is not known.
        about: what makes a group.
    """

    labels: list[str]
    of: NDArray[np.intp]
    about: str


def fields_of(utterances: Sequence[Utterance]) -> list[str]:
    """The names of fields that the manifest has of at least one utterance, in alphabetical order."""
    return sorted({name for utterance in utterances for name in utterance.fields})


def by_field(field: str, trials: Trials, sides: Sides) -> Grouping:
    """Groups by a field of the manifest: a trial belongs to one when both sides do.

    `age`, in years, is taken in bands: children under 13, teens under 20, then decades. Another field with more than 8
    different numbers is taken in quarters of the utterances, and every other value is a group. A side of several
    utterances belongs to a group when all of them do.

    Raises:
        BadConfig: for a field with more than 20 values that are not numbers.
    """
    values = [_text(utterance.fields.get(field)) for utterance in sides.utterances]
    order, label, how = _labelling(field, [value for value in values if value is not None])
    if len(order) > MOST_GROUPS:
        reason = f"{field} has {len(order)} different values; at most {MOST_GROUPS} can be groups"
        raise BadConfig("conditions", [reason])
    rows = np.array([UNKNOWN if value is None else order.index(label(value)) for value in values])
    names = np.array([_common(rows[members]) for members in sides.members])
    return Grouping(order, _together(names[trials.enrol], names[trials.test]), f"{how}, the same on both sides")


def by_duration(trials: Trials, sides: Sides, seconds: NDArray[np.float64]) -> Grouping:
    """Groups by how many seconds of audio the shorter side of a trial has.

    Args:
        trials: the list.
        sides: what its names stand for; several utterances of a side count together.
        seconds: (utterances,) of each.
    """
    total = np.array([seconds[members].sum() for members in sides.members])
    band = np.searchsorted(SECONDS, np.minimum(total[trials.enrol], total[trials.test]), side="right")
    ends = [f"{end} s" for end in SECONDS]
    inner = [f"{low} to {high}" for low, high in zip(SECONDS, ends[1:], strict=False)]
    labels = [f"under {ends[0]}", *inner, f"from {ends[-1]}"]
    held, of = np.unique(band, return_inverse=True)
    return Grouping([labels[index] for index in held], of, "seconds of audio of the shorter side")


def measure_groups(
    name: str, grouping: Grouping, pairs: Pairs, scores: NDArray[np.float32], bootstrap: Bootstrap
) -> tuple[Condition, list[Row]]:
    """The EER of every group, each at a threshold of its own: at one threshold for all, error rates differ more.

    Args:
        name: of the condition.
        grouping: of the trials.
        pairs: the trials.
        scores: (trials,).
        bootstrap: of the intervals, over the speakers of each group.
    """
    rows = []
    for index, label in enumerate(grouping.labels):
        chosen = grouping.of == index
        if chosen.any():
            rows.append(measured_row(name, label, "both", pairs[chosen], scores[chosen], bootstrap))
    mixed, unknown = (int(np.count_nonzero(grouping.of == value)) for value in (MIXED, UNKNOWN))
    return Condition(name=name, kind="field", about=grouping.about, mixed=mixed, unknown=unknown), rows


def _text(value: object) -> str | None:
    """A value of a manifest; None: it does not tell."""
    return None if value is None or value == "" else str(value)


def _labelling(field: str, values: Sequence[str]) -> tuple[list[str], Callable[[str], str], str]:
    """Labels of the groups in order, the label of a value, and what was done."""
    known = sorted(set(values))
    numbers = _numbers(known)
    if numbers is None or (field != "age" and len(known) <= MOST_VALUES):
        return sorted(known, key=None if numbers is None else float), str, "values of the manifest"
    band = _age_band if field == "age" else _quarters(np.array(values, np.float64))
    how = "bands of years" if field == "age" else "quarters of the utterances"
    return list(dict.fromkeys(map(band, sorted(numbers)))), lambda value: band(float(value)), how


def _numbers(values: Sequence[str]) -> list[float] | None:
    """Values as numbers; None: one of them is not."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _age_band(years: float) -> str:
    if years < ADULT:
        return f"children under {CHILD}" if years < CHILD else f"teens, {CHILD} to {ADULT - 1}"
    decade = int(years // 10 * 10)
    return f"{decade} to {decade + 9}"


def _quarters(values: NDArray[np.float64]) -> Callable[[float], str]:
    """The quarter of the values that a number is in; ties can make them fewer."""
    ends = np.unique(np.quantile(values, [0.25, 0.5, 0.75]))
    inner = [f"above {low:g} to {high:g}" for low, high in pairwise(ends.tolist())]
    labels = [f"up to {ends[0]:g}", *inner, f"above {ends[-1]:g}"]
    return lambda value: labels[int(np.searchsorted(ends, value))]


def _common(rows: NDArray[np.intp]) -> int:
    """The group of an enrolment's utterances."""
    if (rows == UNKNOWN).any():
        return UNKNOWN
    return int(rows[0]) if (rows == rows[0]).all() else MIXED


def _together(enrol: NDArray[np.intp], test: NDArray[np.intp]) -> NDArray[np.intp]:
    """The group of each trial, (trials,), of the groups of its sides."""
    same = np.where(enrol == test, enrol, MIXED)
    return np.where((enrol == UNKNOWN) | (test == UNKNOWN), UNKNOWN, same)
