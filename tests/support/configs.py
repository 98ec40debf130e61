"""Nested configs to change, and the problem that one has."""

from __future__ import annotations

import pytest

from acanet.errors import BadConfig


def changed(tree, path, value):
    """A copy of nested mappings with one key (dotted) set."""
    key, _, below = path.partition(".")
    return {**tree, key: changed(tree.get(key, {}), below, value) if below else value}


def problem(function, *arguments):
    """The one problem of the BadConfig that a call raises."""
    with pytest.raises(BadConfig) as caught:
        function(*arguments)
    (message,) = caught.value.problems
    return message
