"""Recipes and settings whose files are named without their folders, which mean nothing elsewhere."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeVar

import yaml

from acanet.config.settings import read_setting
from acanet.config.strict import Strict

S = TypeVar("S", bound=Strict)


def portable(config: S) -> S:
    """A config in which files are named without their folders."""
    return config.model_copy(update={name: _without_folder(value) for name, value in config})


def portable_setting(setting: str) -> str:
    """A `key.below=value` setting in which files outside of the working directory are named without their folders.

    >>> portable_setting("data.train=[/home/me/train.jsonl, prepared/dev.jsonl]")
    'data.train=[train.jsonl, prepared/dev.jsonl]'
    >>> portable_setting("steps=400")
    'steps=400'
    """
    keys, before = read_setting(setting)
    after = _named(before)
    if after == before:
        return setting
    told = yaml.safe_dump(after, default_flow_style=True, width=math.inf, sort_keys=False)
    return ".".join(keys) + "=" + told.removesuffix("\n").removesuffix("\n...")


def _without_folder(value: Any) -> Any:
    if isinstance(value, Strict):
        return portable(value)
    if isinstance(value, Path):
        return Path(value.name)
    return tuple(map(_without_folder, value)) if isinstance(value, tuple) else value


def _named(value: Any) -> Any:
    """A value of a setting, in which absolute paths and those above the working directory are names of files."""
    if isinstance(value, list):
        return [_named(item) for item in value]
    if isinstance(value, dict):
        return {key: _named(item) for key, item in value.items()}
    outside = isinstance(value, str) and (Path(value).is_absolute() or ".." in Path(value).parts)
    return Path(value).name if outside else value
