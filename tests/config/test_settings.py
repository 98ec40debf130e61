"""Settings on the command line: read, and laid over nested keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acanet.config.settings import lay, read_setting
from acanet.errors import BadConfig

KEYS = st.lists(st.text(st.characters(categories=["Ll"]), min_size=1, max_size=5), min_size=1, max_size=4)
VALUES = st.one_of(st.integers(), st.booleans(), st.none(), st.lists(st.integers(), max_size=3))


@given(KEYS, VALUES)
def test_what_is_laid_is_found(keys, value):
    data = {}
    shown = str(value).lower() if isinstance(value, bool) else "null" if value is None else value
    lay(data, *read_setting(f"{'.'.join(keys)}={shown}"))
    for key in keys:
        assert list(data) == [key]
        data = data[key]
    assert data == value


def test_what_was_there_stays_beside_it():
    data = {"model": {"name": "acanet"}, "steps": 3}
    lay(data, ("model", "change", "frames"), 1)
    assert data == {"model": {"name": "acanet", "change": {"frames": 1}}, "steps": 3}


def test_a_value_holds_no_keys():
    with pytest.raises(BadConfig, match="--set: 'steps' holds a value, it has no 'first'"):
        lay({"steps": 3}, ("steps", "first"), 1)


@pytest.mark.parametrize(("setting", "problem"), [("steps", "'steps' is not key=value"), ("steps=[1", "not YAML")])
def test_what_is_not_a_setting(setting, problem):
    with pytest.raises(BadConfig, match=problem):
        read_setting(setting)
