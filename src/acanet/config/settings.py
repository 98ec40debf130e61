"""Settings on the command line: `key.below=value`, laid over nested keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from acanet.errors import BadConfig

OPTION = "--set"


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
        BadConfig: when it is not YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadConfig(source, [f"not YAML: {error}"]) from None
