"""Settings on the command line: `key.below=value`, laid over nested keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from acanet.config.reading import DEEPEST, TOO_DEEP
from acanet.errors import BadArgument, BadConfig

OPTION = "--set"
MOST_TEXT, MOST_VALUES, LONGEST = 2**18, 100_000, 10_000
"""Characters of a document, values in it with every alias laid out, and characters of a value."""


def read_setting(setting: str) -> tuple[tuple[str, ...], Any]:
    """The keys and the value of a setting; the value is YAML.

    >>> read_setting("data.crop_seconds=[2, 4]")
    (('data', 'crop_seconds'), [2, 4])

    Raises:
        BadConfig: when it is not `key=value`, or the value is not YAML.
    """
    key, sign, value = setting.partition("=")
    if not sign:
        raise BadConfig(OPTION, [f"{setting!r} is not key=value"])
    return tuple(key.split(".")), read_yaml(value, f"{OPTION} {key}")


def lay(data: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    """Put a value into nested data, making the groups that it is in.

    Raises:
        BadConfig: when there is a value where a group should be.
    """
    *above, last = keys
    for key in above:
        below = data.setdefault(key, {})
        if not isinstance(below, dict):
            raise BadConfig(OPTION, [f"{key!r} holds a value, it has no {last!r}"])
        data = below
    data[last] = value


def read_yaml(text: str, source: str | Path) -> Any:
    """The value that YAML tells.

    Raises:
        BadConfig: when it is not YAML, or stands for more than any recipe tells: a few aliases of aliases are billions
            of values.
    """
    try:
        if len(text) > MOST_TEXT:
            raise BadArgument("text", f"it has more than {MOST_TEXT:,} characters, which no such file has")
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}, ()) > MOST_VALUES:
            raise BadArgument("text", f"its aliases stand for more than {MOST_VALUES:,} values")
        return loader.construct_document(node)
    except BadArgument as error:
        raise BadConfig(source, [error.reason]) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # such as a date that is none
        raise BadConfig(source, [f"not YAML: {' '.join(str(error).split())}"]) from None


class _Loader(yaml.SafeLoader):
    """A loader of plain values that goes no deeper than is sane."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node, with those below it."""
        if self._depth > DEEPEST:
            raise BadArgument("text", TOO_DEEP)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _size(node: yaml.Node, known: dict[yaml.Node, int], above: tuple[yaml.Node, ...]) -> int:
    """How many values a node stands for, with every alias laid out."""
    if node in above:
        raise BadArgument("text", "an alias stands for what it is in")
    if node not in known:
        below: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            below = [each for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            below = node.value
        elif len(node.value) > LONGEST:
            raise BadArgument("text", f"a value has more than {LONGEST:,} characters")
        known[node] = 1 + sum(_size(each, known, (*above, node)) for each in below)
    return known[node]
