"""Groups of trials by what a manifest says, worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acanet.data.lists.manifest import Utterance
from acanet.data.lists.sides import Sides
from acanet.data.lists.trials import Trials
from acanet.errors import BadConfig
from acanet.evaluation.conditions.groups import MIXED, UNKNOWN, by_duration, by_field, fields_of, measure_groups
from acanet.evaluation.conditions.rows import Bootstrap, Pairs


def listed(fields, pairs, members=None):
    """A list over utterances with these fields; `pairs` of the names, each an utterance unless `members` says more."""
    utterances = [
        Utterance(id=str(row), path=Path(f"{row}.wav"), speaker=str(row), recording=str(row), fields=each)
        for row, each in enumerate(fields)
    ]
    members = [[row] for row in range(len(fields))] if members is None else members
    enrol, test = np.array(pairs).T
    trials = Trials(Path("list"), [str(name) for name in range(len(members))], enrol, test, enrol == test, "")
    sides = Sides(utterances, [np.array(rows) for rows in members], np.arange(len(members)), "manifest")
    return trials, sides


def grouped(field, fields, pairs, members=None):
    """The group of each trial, by name."""
    grouping = by_field(field, *listed(fields, pairs, members))
    names = {MIXED: "mixed", UNKNOWN: "unknown"} | dict(enumerate(grouping.labels))
    return [names[group] for group in grouping.of.tolist()]


def test_a_trial_belongs_to_the_group_of_both_sides():
    people = [{"gender": "f"}, {"gender": "m"}, {"gender": "f"}, {}, {"gender": None}]
    pairs = [(0, 2), (0, 1), (1, 1), (2, 3), (3, 4)]
    assert grouped("gender", people, pairs) == ["f", "mixed", "m", "unknown", "unknown"]


def test_an_enrolment_of_several_utterances_has_their_common_group():
    devices = [{"device": name} for name in ("phone", "phone", "desk")] + [{}]
    members = [[0, 1], [0, 2], [1, 3], [0], [2]]
    pairs = [(0, 3), (1, 3), (2, 3), (1, 1), (0, 4)]
    assert grouped("device", devices, pairs, members) == ["phone", "mixed", "unknown", "mixed", "mixed"]


def test_ages_are_banded():
    years = [6, 12, 13, 19, 20, 29, "30", 41.5, 88]
    people = [{"age": each} for each in years]
    grouping = by_field("age", *listed(people, [(row, row) for row in range(len(years))]))
    bands = ["children under 13", "teens, 13 to 19", "20 to 29", "30 to 39", "40 to 49", "80 to 89"]
    assert grouping.labels == bands
    assert grouping.of.tolist() == [0, 0, 1, 1, 2, 2, 3, 4, 5]


def test_an_age_in_words_is_taken_as_it_is():
    assert grouped("age", [{"age": "old"}, {"age": 7}], [(0, 0), (1, 1)]) == ["old", "7"]


def test_few_numbers_are_groups_in_their_order():
    grouping = by_field("floor", *listed([{"floor": each} for each in (10, 2, 10)], [(0, 2), (1, 1)]))
    assert grouping.labels == ["2", "10"]
    assert grouping.of.tolist() == [1, 0]


def test_many_numbers_are_taken_in_quarters():
    values = [{"distance": each} for each in range(1, 13)]  # quartiles 3.75, 6.5, 9.25
    expected = ["up to 3.75"] * 3 + ["above 3.75 to 6.5"] * 3 + ["above 6.5 to 9.25"] * 3 + ["above 9.25"] * 3
    assert grouped("distance", values, [(row, row) for row in range(12)]) == expected


def test_a_field_of_too_many_values_is_refused():
    words = [{"text": f"sentence {row}"} for row in range(21)]
    with pytest.raises(BadConfig, match="text has 21 different values; at most 20"):
        by_field("text", *listed(words, [(0, 1)]))


def test_durations_are_those_of_the_shorter_side():
    trials, sides = listed([{}] * 4, [(0, 1), (1, 2), (2, 3), (3, 3), (4, 3)], [[0], [1], [2], [3], [0, 1]])
    grouping = by_duration(trials, sides, np.array([0.5, 1.0, 3.0, 70.0]))
    shown = [grouping.labels[group] for group in grouping.of]
    assert shown == ["under 1 s", "1 to 2 s", "2 to 4 s", "from 64 s", "1 to 2 s"]


def test_the_fields_of_a_manifest():
    _, sides = listed([{"gender": "f"}, {"age": 3, "gender": "m"}], [(0, 1)])
    assert fields_of(sides.utterances) == ["age", "gender"]


@given(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=2, max_size=6), st.data())
def test_no_trial_is_lost(values, data):
    place = st.integers(0, len(values) - 1)
    pairs = data.draw(st.lists(st.tuples(place, place), min_size=1, max_size=20))
    trials, sides = listed([{"x": value} for value in values], pairs)
    grouping = by_field("x", trials, sides)
    condition, rows = measure_groups(
        "x",
        grouping,
        Pairs(trials.target, trials.enrol, trials.test),
        np.zeros(len(trials), np.float32),
        Bootstrap(2, 0),
    )
    assert sum(row.trials for row in rows) + condition.mixed + condition.unknown == len(trials)
    for row in rows:
        same = [(values[one], values[other]) for one, other in pairs].count((row.group, row.group))
        assert row.trials == same


def test_groups_without_a_figure_say_why():
    # Five people of group a, four of b, one of c; trials of everybody with everybody.
    groups = "aaaaabbbbc"
    enrol, test = np.indices((10, 10)).reshape(2, -1)
    trials, sides = listed([{"x": each} for each in groups], list(zip(enrol, test, strict=True)))
    pairs = Pairs(trials.target, trials.enrol, trials.test)
    scores = np.where(pairs.target, 1.0, 0.0).astype(np.float32)
    condition, (a, b, c) = measure_groups("x", by_field("x", trials, sides), pairs, scores, Bootstrap(10, 0))
    assert (a.trials, a.targets, a.nontargets, a.speakers) == (25, 5, 20, 5)
    assert a.eer is not None
    assert (a.eer.value, a.eer.low, a.note) == (0.0, 0.0, "")
    assert (b.eer, b.note) == (None, "target trials of 4 speakers, a figure needs 5")
    assert (c.eer, c.note) == (None, "no nontarget trials")
    assert (condition.mixed, condition.unknown) == (100 - 25 - 16 - 1, 0)
