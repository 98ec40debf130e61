"""Strict configs: everything that is wrong is told at once, unknown keys with the nearest known ones."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field, PositiveInt

from acanet.config.strict import UNKNOWN_KEY, Strict
from acanet.errors import BadConfig


class Point(Strict):
    high: int
    low: int = 0


class Circle(Strict):
    kind: Literal["circle"] = "circle"
    radius: PositiveInt = 1


class Square(Strict):
    kind: Literal["square"] = "square"
    side: PositiveInt = 1


class Drawing(Strict):
    name: str = "none"
    size: PositiveInt = 1
    place: Point = Point(high=1)
    points: tuple[Point, ...] = ()
    shape: Annotated[Circle | Square, Field(discriminator="kind")] = Circle()
    named: dict[str, Point] = Field({})


def problems(data, **how):
    """What is told of a drawing."""
    with pytest.raises(BadConfig) as caught:
        Drawing.parse(data, "drawing.json", **how)
    return caught.value.problems


def test_unknown_keys_and_wrong_values_of_a_group_are_told_together():
    told = problems({"sise": 3, "size": 0, "nam": "x", "zzz": 1})
    assert told[0] == "size: Input should be greater than 0"
    assert set(told[1:]) == {
        "unknown key 'sise', did you mean 'size'?",
        "unknown key 'nam', did you mean 'name'?",
        "unknown key 'zzz'; known are name, size, place, points, shape, named",
    }


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            {"place": {"high": "up", "lo": 1}, "sizee": 1},
            ["place.high: Input should be a valid integer, unable to parse string as an integer",
             "place: unknown key 'lo', did you mean 'low'?", "unknown key 'sizee', did you mean 'size'?"],
        ),
        (
            {"shape": {"kind": "square", "sid": 2, "side": -1}},
            ["shape.square.side: Input should be greater than 0",
             "shape.square: unknown key 'sid', did you mean 'side'?"],
        ),
        (
            {"shape": {"kind": "squar", "sid": 2}, "size": 0},
            ["size: Input should be greater than 0", "shape: unknown kind 'squar', did you mean 'square'?"],
        ),
        (
            {"points": [{"high": 1}, {"high": 2, "lov": 1}, {"high": None, "hihg": 1}]},
            ["points.1: unknown key 'lov', did you mean 'low'?",
             "points.2.high: Input should be a valid integer", "points.2: unknown key 'hihg', did you mean 'high'?"],
        ),
        (
            {"named": {"a": {"high": 1, "lwo": 1}, "b": {"high": ""}}},
            ["named.a: unknown key 'lwo', did you mean 'low'?",
             "named.b.high: Input should be a valid integer, unable to parse string as an integer"],
        ),
        ({1: 2, "size": 0}, ["size: Input should be greater than 0", "unknown key 1; known are name, size, place, "
                             "points, shape, named"]),
    ],
    ids=["nested", "union", "union of another kind", "list", "mapping", "number as a key"],
)  # fmt: skip
def test_wherever_they_stand(data, told):
    assert problems(data) == told


def test_a_missing_key_that_is_there_misspelt_is_told_once():
    assert problems({"place": {"hihg": 1}}) == ["place: unknown key 'hihg', did you mean 'high'?"]
    assert problems({"place": {"lo": 1}}) == [
        "place.high: Field required", "place: unknown key 'lo', did you mean 'low'?"
    ]  # fmt: skip


def test_an_origin_gets_the_place_of_each_problem_and_its_kind():
    asked = []

    def origin(place, kind):
        asked.append((place, kind == UNKNOWN_KEY))
        return f"<{len(asked)}> "

    told = problems({"size": 0, "place": {"high": 1, "lo": 2}}, origin=origin)
    assert asked == [(("size",), False), (("place", "lo"), True)]
    assert [problem[:4] for problem in told] == ["<1> ", "<2> "]


def test_what_is_right_is_read():
    drawing = Drawing.parse({"shape": {"kind": "square", "side": 2}, "points": [{"high": 3}]}, "drawing.json")
    assert (drawing.shape, drawing.points) == (Square(side=2), (Point(high=3),))
