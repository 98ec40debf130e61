"""Files of strangers are answered at once: what is no regular file, too large, too deep, or no JSON."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from acanet.config.reading import json_text, parse_json, read_json, read_regular
from acanet.config.settings import read_yaml
from acanet.errors import AcanetError, BadArgument, BadConfig


def refused(path: Path, most: int = 100) -> str:
    with pytest.raises(AcanetError) as caught:
        read_regular(path, most)
    return str(caught.value)


def test_a_regular_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    assert read_regular(path, 100) == b"x" * 100
    assert refused(path, 99) == f"{path}: it has more than 99 bytes, which no such file has"


def test_a_file_of_holes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(2**40)
    assert "more than 100 bytes" in refused(tmp_path / "file")


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/null"), tmp_path):
        assert refused(path) == f"{path}: it is no regular file"
    assert "it is a link" in refused(tmp_path / "link")
    assert "there is no such file" in refused(tmp_path / "none")
    assert "it cannot be read" in refused(tmp_path / "a\0b")


def test_a_link_is_followed_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("file")
    assert read_json(tmp_path / "link", links=True) == 1


DEEP = {
    "lists": "[" * 101 + "]" * 101,
    "groups": '{"a":' * 101 + "1" + "}" * 101,
    "very deep": "[" * 100_000 + "]" * 100_000,
    "both": '[{"a":' * 60 + "1" + "}]" * 60,
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_deep_json_is_refused(text: str) -> None:
    with pytest.raises(BadArgument, match="more than 100 lists and groups lie in one another"):
        parse_json(text)


def test_json_that_is_not_too_deep_is_read() -> None:
    assert parse_json("[" * 100 + "]" * 100) == json.loads("[" * 100 + "]" * 100)
    assert parse_json(str([[]] * 1000)) == [[]] * 1000
    assert parse_json('"' + "[" * 1000 + '"') == "[" * 1000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", "NaN is no number of JSON"),
        ("[-Infinity]", "-Infinity is no number of JSON"),
        ("1e999", "1e999 is no number of JSON"),
        ("1" * 5000, "limit"),
        ("{", "at column 2"),
        ("{\n\n!", "at line 3, column 1"),
        ("", "Expecting value at column 1"),
    ],
)
def test_what_is_no_json_is_told(text: str, reason: str) -> None:
    with pytest.raises(BadArgument, match=reason):
        parse_json(text)


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff")
    with pytest.raises(AcanetError, match=r"a\.json: not JSON \(not UTF-8\)"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_knows_no_number_that_is_not_finite(value: float) -> None:
    text = json_text({"a": value, "b": [value, 1.5], "c": ({"d": value},)})
    assert parse_json(text) == {"a": None, "b": [None, 1.5], "c": [{"d": None}]}


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


YAML: dict[str, tuple[str, str]] = {
    "a billion laughs": (laughs(12), "its aliases stand for more than 100,000 values"),
    "in keys": (laughs(6) + "\n? *a5\n: 1", "not YAML|its aliases"),
    "a circle": ("a: &a [*a]", "an alias stands for what it is in"),
    "a circle of groups": ("a: &a {b: *a}", "an alias stands for what it is in"),
    "deep": ("a: " + "[" * 101 + "]" * 101, "more than 100 lists and groups"),
    "very deep": ("a: " + "[" * 100_000, "more than 100 lists and groups"),
    "deep in blocks": ("\n".join("  " * n + "a:" for n in range(400)), "more than 100 lists and groups"),
    "large": ("a: " + "x" * 300_000, "more than 262,144 characters"),
    "a long number": ("a: " + ":".join(["1"] * 50_000), "a value has more than 10,000 characters"),
    "digits": ("a: " + "1" * 5000, "not YAML"),
    "a date that is none": ("a: 2001-99-99", "not YAML"),
    "not YAML": ("a: [\nb: {", "not YAML"),
    "an object of Python": ("a: !!python/object/apply:os.system [ls]", "not YAML"),
}


@pytest.mark.parametrize(("text", "reason"), YAML.values(), ids=YAML)
def test_yaml_that_stands_for_too_much_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadConfig, match=reason) as caught:
        read_yaml(text, "recipe.yaml")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &b {c: 1}\nd: {<<: *b, e: [*b]}", {"a": {"c": 1}, "d": {"c": 1, "e": [{"c": 1}]}}),
        ("", None),
        ("[1, 2]", [1, 2]),
    ],
)
def test_other_yaml_is_read(text: str, value: Any) -> None:
    assert read_yaml(text, "recipe.yaml") == value
