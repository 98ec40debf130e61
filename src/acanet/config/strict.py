"""Typed, strict configurations: data that comes from a file and says all that is wrong with it at once.

An unknown key is an error that names the nearest known one. Every config is frozen, so it can be shared and hashed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from acanet.config.reading import json_text
from acanet.errors import BadConfig, nearest

Place = tuple[int | str, ...]
"""Where in a nested mapping something stands: the keys that lead to it."""
Origin = Callable[[Place, str], str]
"""A place, and the type of the problem there as pydantic calls it -> what to put before it."""
UNKNOWN_KEY = "extra_forbidden"
"""The type of the problem of an unknown key, which is the last part of its place."""


@dataclass(frozen=True, slots=True)
class _Unknown:
    """The value of an unknown key, for as long as it is validated: what the key is, and what is known in its place."""

    key: Any
    known: Collection[str]

    @property
    def near(self) -> str | None:
        """The known key that may be meant."""
        return nearest(str(self.key), self.known)

    def __str__(self) -> str:
        hint = f", did you mean {self.near!r}?" if self.near else f"; known are {', '.join(self.known)}"
        return f"unknown key {self.key!r}{hint}"


class Strict(BaseModel):
    """A frozen config that refuses unknown keys and names the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _mark_unknown_keys(cls, data: Any) -> Any:
        """Have unknown keys say what they are, so that they are told beside all else that is wrong with their group."""
        if not isinstance(data, Mapping):
            return data
        known = cls.model_fields
        return {str(key): value if key in known else _Unknown(key, known) for key, value in data.items()}

    @classmethod
    def parse(
        cls,
        data: Any,
        source: str | Path,
        *,
        origin: Origin = lambda place, kind: "",
        context: Mapping[str, Any] | None = None,
    ) -> Self:
        """Read a config from a mapping.

        Args:
            data: what a JSON or YAML file held.
            source: where it came from, for the error.
            origin: tells for the place and the kind of a problem what to put before it, such as its line.
            context: what validators may need to know.

        Raises:
            BadConfig: with one line for each wrong key or value.
        """
        try:
            return cls.model_validate(data, context=context)
        except ValidationError as error:
            raise BadConfig(source, (_explain(problem, origin) for problem in _worth_telling(error))) from None

    def as_json(self) -> str:
        """The config as JSON that `parse` reads back to an equal config."""
        return json_text(self.model_dump(mode="json"), indent=2) + "\n"


class Located(str):
    """A string that knows its folder: as a path it counts from there, not from the folder of the whole config."""

    folder: Path


def located(value: Any, folder: Path) -> Any:
    """A value, possibly nested, whose strings count from a folder when they are paths."""
    if isinstance(value, list):
        return [located(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: located(item, folder) for key, item in value.items()}
    if not isinstance(value, str) or isinstance(value, Located):
        return value
    here = Located(value)
    here.folder = folder
    return here


def _absolute(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path) or not info.context:
        return value
    return (value.folder if isinstance(value, Located) else info.context[FOLDER]).absolute() / value


FOLDER = "folder"
"""In the context of `Strict.parse`: the folder that relative paths count from."""

ConfigPath = Annotated[Path, BeforeValidator(_absolute)]
"""A path in a config that was read from a file: absolute once it is read."""


def _worth_telling(error: ValidationError) -> list[Any]:
    """The problems of a config, but for a key that is missing because it is there misspelt, which is told."""
    problems: list[Any] = list(error.errors())
    misspelt = {(*each["loc"][:-1], each["input"].near) for each in problems if each["type"] == UNKNOWN_KEY}
    return [each for each in problems if each["type"] != "missing" or each["loc"] not in misspelt]


def _explain(error: Any, origin: Origin) -> str:
    place, kind = error["loc"], error["type"]
    where = ".".join(str(part) for part in (place[:-1] if kind == UNKNOWN_KEY else place))
    return origin(place, kind) + (f"{where}: {_message(error)}" if where else _message(error))


def _message(error: Any) -> str:
    if error["type"] == UNKNOWN_KEY:
        return str(error["input"])
    if not error["type"].startswith("union_tag_"):
        return str(error["msg"]).removeprefix("Value error, ")
    key, known = error["ctx"]["discriminator"].strip("'"), error["ctx"].get("expected_tags", "")
    if error["type"] == "union_tag_not_found":
        return f"no {key!r} that says which of them it is"
    near = nearest(error["ctx"]["tag"], known.replace("'", "").split(", "))
    return f"unknown {key} {error['ctx']['tag']!r}" + (f", did you mean {near!r}?" if near else f"; known are {known}")
