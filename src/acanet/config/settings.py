"""Settings on the command line: `key.below=value`, laid over nested keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from acanet.config.reading import DEEPEST
from acanet.errors import BadConfig

OPTION = "--set"
MOST_TEXT, MOST_VALUES, LONGEST = 2**18, 100_000, 10_000
"""Characters of a document, values in it with every alias laid out, and characters of a value."""
_TOO_DEEP = f"more than {DEEPEST} lists and groups lie in one another"


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
            raise BadConfig(source, [f"it has more than {MOST_TEXT:,} characters, which no such file has"])
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _check_size(node, source)
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # such as a date that is none
        raise BadConfig(source, [f"not YAML: {' '.join(str(error).split())}"]) from None
    except RecursionError:
        raise BadConfig(source, [_TOO_DEEP]) from None


def _check_size(node: yaml.Node, source: str | Path) -> None:
    """See that a document is not deeper, with all aliases laid out not larger, and no value longer, than is sane."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, above: tuple[int, ...]) -> int:
        if id(node) in above or len(above) > DEEPEST:
            raise BadConfig(source, [_TOO_DEEP])
        if id(node) not in sizes:
            if isinstance(node, yaml.ScalarNode):
                if len(node.value) > LONGEST:
                    raise BadConfig(source, [f"a value has more than {LONGEST:,} characters"])
                return 1
            pairs = isinstance(node, yaml.MappingNode)
            below = [each for pair in node.value for each in pair] if pairs else node.value
            sizes[id(node)] = 1 + sum(size(each, (*above, id(node))) for each in below)
        return sizes[id(node)]

    if size(node, ()) > MOST_VALUES:
        raise BadConfig(source, [f"its aliases stand for more than {MOST_VALUES:,} values"])
