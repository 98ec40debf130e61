"""Typed, strict configurations: data that comes from a file and says all that is wrong with it at once.

An unknown key is an error that names the nearest known one. Every config is frozen, so it can be shared and hashed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
from pydantic_core import PydanticCustomError

from acanet.errors import BadConfig, nearest

Place = tuple[int | str, ...]
"""Where in a nested mapping something stands: the keys that lead to it."""
Origin = Callable[[Place, str], str]
"""A place, and the type of the problem there as pydantic calls it (or `UNKNOWN_KEY`) -> what to put before it."""
UNKNOWN_KEY = "unknown_key"


class Strict(BaseModel):
    """A frozen config that refuses unknown keys and names the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key in data:
                if key not in cls.model_fields:
                    near = nearest(str(key), cls.model_fields)
                    hint = f", did you mean {near!r}?" if near else f"; known are {', '.join(cls.model_fields)}"
                    raise PydanticCustomError(
                        UNKNOWN_KEY, "unknown key {shown}{hint}", {"key": key, "shown": repr(key), "hint": hint}
                    )
        return data

    @classmethod
    def parse(
        cls,
        data: Any,
        source: str | Path,
        *,
        origin: Origin = lambda place, kind: "",
        context: Mapping[str, Any] | None = None,
    ) -> Self:
        """Read a mapping.

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
            raise BadConfig(source, (_explain(problem, origin) for problem in error.errors())) from None

    def as_json(self) -> str:
        """The config as JSON that `parse` reads back to an equal config."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"


class FromHere(str):
    """A value that was given on the command line: as a path it counts from the working directory."""


def _absolute(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path) or not info.context:
        return value
    return (Path() if isinstance(value, FromHere) else info.context[FOLDER]).absolute() / value


FOLDER = "folder"
"""In the context of `Strict.parse`: the folder that relative paths count from."""

ConfigPath = Annotated[Path, BeforeValidator(_absolute)]
"""A path in a config that was read from a file: absolute once it is read."""


def _explain(error: Any, origin: Origin) -> str:
    place, kind = error["loc"], error["type"]
    where = ".".join(str(part) for part in place)
    at = origin((*place, error["ctx"]["key"]) if kind == UNKNOWN_KEY else place, kind)
    return at + (f"{where}: {_message(error)}" if where else _message(error))


def _message(error: Any) -> str:
    if not error["type"].startswith("union_tag_"):
        return str(error["msg"]).removeprefix("Value error, ")
    key, known = error["ctx"]["discriminator"].strip("'"), error["ctx"].get("expected_tags", "")
    if error["type"] == "union_tag_not_found":
        return f"no {key!r} that says which of them it is"
    near = nearest(error["ctx"]["tag"], known.replace("'", "").split(", "))
    return f"unknown {key} {error['ctx']['tag']!r}" + (f", did you mean {near!r}?" if near else f"; known are {known}")
