"""The file of a recipe, with the files below it and the settings over it: what they say, and on which line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import yaml

from acanet.config.reading import read_regular
from acanet.config.settings import MOST_TEXT, OPTION, lay, read_setting, read_yaml
from acanet.config.strict import FOLDER, UNKNOWN_KEY, Origin, Place, Strict, located
from acanet.errors import AcanetError, BadConfig, UnknownModel, one_line
from acanet.models.registry import model_config
from acanet.training.recipe import Experiment, ModelChoice, Recipe

BASE = "base"

S = TypeVar("S", bound=Strict)


@dataclass(frozen=True)
class _Layer:
    """One of the files of a recipe.

    Attributes:
        path: of the file.
        data: keys and values.
        root: the nodes of the YAML, which know their lines.
    """

    path: Path
    data: dict[str, Any]
    root: yaml.Node

    @classmethod
    def read(cls, path: Path) -> _Layer:
        if not path.exists():
            raise BadConfig(path, ["no such recipe"])
        try:
            text = read_regular(path, MOST_TEXT, links=True).decode("utf-8")
        except UnicodeDecodeError:
            raise BadConfig(path, ["not UTF-8"]) from None
        except AcanetError as error:
            raise BadConfig(path, [str(error).removeprefix(one_line(f"{path}: "))]) from None
        data, root = read_yaml(text, path), yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(data, dict) or root is None:
            raise BadConfig(path, ["a recipe is a mapping of keys to values"])
        _check_keys(root, path)
        return cls(path, data, root)

    @property
    def base(self) -> Path | None:
        """The file that lies below this one.

        Raises:
            BadConfig: when it is not there.
        """
        name = self.data.get(BASE)
        if name is None:
            return None
        if not isinstance(name, str):
            raise self.wrong_base(f"the path of another recipe is expected, not {name!r}")
        path = self.path.parent / name
        if not path.is_file():
            raise self.wrong_base(f"there is no recipe {path}")
        return path

    def wrong_base(self, reason: str) -> BadConfig:
        """The error for what this file says of its base."""
        (line,) = _lines(self.root, (BASE,))
        return BadConfig(self.path, [f"{f'line {line}: ' if line else ''}{BASE}: {reason}"])


@dataclass(frozen=True)
class _Spot:
    """The spot where something stands: in a file, on the command line, or nowhere.

    Attributes:
        order: by which problems are sorted.
        text: what stands before a problem.
    """

    order: tuple[float, float]
    text: str


_SETTING, _NOWHERE = _Spot((math.inf, 0), f"{OPTION} "), _Spot((math.inf, 1), "")


@dataclass(frozen=True)
class RecipeFile:
    """The keys and values of a recipe's file, over its bases and under the settings.

    Attributes:
        path: of the file.
        data: keys and values.
        layers: the file itself, the one below it, and so on.
        settings: the places that were set on the command line.
        system: the system whose changes lie over the data, if one's do.
    """

    path: Path
    data: dict[str, Any]
    layers: tuple[_Layer, ...]
    settings: tuple[Place, ...]
    system: str | None = None

    @classmethod
    def read(cls, path: Path, settings: Sequence[str]) -> RecipeFile:
        """Read a file with its bases, and lay settings over it.

        Raises:
            BadConfig: naming the file and the line of what cannot be read.
        """
        layers = tuple(_with_bases(path))
        below = (located(layer.data, layer.path.parent) for layer in reversed(layers[1:]))
        data, keys = _merged(reduce(_merged, below, {}), layers[0].data), []
        for setting in settings:
            place, value = read_setting(setting)
            if place[0] == BASE:
                raise BadConfig(OPTION, [f"{BASE!r} can be told by the file of a recipe only"])
            keys.append(place)
            _spell_out_effect(data, place)
            lay(data, place, located(value, Path()))
        return cls(path, data, layers, tuple(keys))

    def shared(self) -> RecipeFile:
        """The recipe that the systems of an experiment share."""
        own = Experiment.model_fields.keys() - Recipe.model_fields.keys()
        return replace(self, data={key: value for key, value in self.data.items() if key not in own})

    def changed(self, system: str, change: Mapping[str, Any]) -> RecipeFile:
        """The recipe with the changes of a system laid over it."""
        return replace(self, data=_merged(self.data, change), system=system)

    def parse(self, kind: type[S]) -> S:
        """The recipe or experiment that the file tells of, with a model that exists.

        Raises:
            BadConfig: with all that is wrong, in the order of the lines.
        """
        problems: list[tuple[_Spot, str]] = []
        with self._noting(problems) as origin:
            recipe = kind.parse(self.data, self.path, origin=origin, context={FOLDER: self.path.parent})
        self._check_model(problems)
        if problems:
            raise BadConfig(self.path, [told for _, told in sorted(problems, key=lambda each: each[0].order)])
        return recipe

    def parse_key(self, kind: type[S], key: str) -> S:
        """One key of what the file says, as the only one of a config.

        Raises:
            BadConfig: when its value is wrong.
        """
        return kind.parse({key: self.data[key]}, self.path, origin=lambda *where: self.spot(*where).text)

    def _check_model(self, problems: list[tuple[_Spot, str]]) -> None:
        """Note what is wrong with the choice of the model, beside what the recipe's own check told."""
        try:
            choice = ModelChoice.parse(self.data.get("model", {}), self.path)
        except BadConfig:
            return
        try:
            with self._noting(problems, ("model", "change")) as origin:
                model_config(choice.name, choice.change, source=self.path, origin=origin)
        except UnknownModel as error:
            spot = self.spot(("model", "name"), "value_error")
            problems.append((spot, f"{spot.text}model.name: {error}"))

    @contextmanager
    def _noting(self, problems: list[tuple[_Spot, str]], group: Place = ()) -> Iterator[Origin]:
        """An origin for the check of a group, whose problems are noted with their spots."""
        spots: list[_Spot] = []
        above = f"{'.'.join(map(str, group))}: " if group else ""

        def origin(place: Place, kind: str) -> str:
            spots.append(self.spot((*group, *place), kind))
            return spots[-1].text + above

        try:
            yield origin
        except BadConfig as error:
            if len(spots) != len(error.problems):  # of something else
                raise
            problems += zip(spots, error.problems, strict=True)

    def spot(self, place: Place, kind: str) -> _Spot:
        """The spot of something that is wrong: on the command line, on a line, or nowhere, when it is missing."""
        starts: list[Place] = [("systems", self.system, *place), place] if self.system else [place]
        for start in starts:
            if any(_is_below(start, key) for key in self.settings):
                return _SETTING
            found = [_lines(layer.root, start) for layer in self.layers]
            for number, lines in enumerate(found):
                if lines and lines[-1] is not None:
                    return self._spot(number, lines)
        deepest = max(range(len(found)), key=lambda number: _depth(found[number]))
        if kind == UNKNOWN_KEY:  # which stands somewhere, and in no file
            return _SETTING
        return self._spot(deepest, found[deepest]) if _depth(found[deepest]) else _NOWHERE

    def _spot(self, number: int, lines: Sequence[int | None]) -> _Spot:
        line = [line for line in lines if line is not None][-1]
        file = f"{self.layers[number].path}, " if number else ""
        return _Spot((number, line), f"{file}line {line}: ")


def _with_bases(path: Path) -> Iterator[_Layer]:
    """A file, the one below it, and so on.

    Raises:
        BadConfig: for a file that lies below itself, or cannot be read.
    """
    seen: set[Path] = set()
    base: Path | None = path
    while base is not None:
        layer = _Layer.read(base)
        yield layer
        seen.add(base.resolve())
        base = layer.base
        if base is not None and base.resolve() in seen:
            raise layer.wrong_base(f"{base} lies below itself")


def _spell_out_effect(data: dict[str, Any], place: Place) -> None:
    """Give an effect that is in its short form, a number, its keys, where one of them is to be set."""
    effects = data.get("augment")
    if place[0] == "augment" and len(place) > 2 and isinstance(effects, dict):
        effect = place[1]
        if isinstance(effects.get(effect), int | float):
            effects[effect] = {"probability": effects[effect]}


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping with changes laid over it, group by group."""
    merged = dict(base)
    for key, value in changes.items():
        below = base.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _is_below(place: Place, key: Place) -> bool:
    """Whether a place is what was set by a key, or in it; the names of kinds in a place are passed over."""
    rest = iter(place)
    return place[:1] == key[:1] and all(part in rest for part in key)


def _lines(node: yaml.Node, place: Place) -> list[int | None]:
    """The line, from 1, of each part of a place that stands in the file, else None.

    The names of kinds, which validation puts into a place, do not stand in the file and are passed over.
    """
    lines: list[int | None] = []
    for part in place:
        lines.append(None)
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if found:
                lines[-1], node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            lines[-1] = node.start_mark.line + 1
    return lines


def _depth(lines: Sequence[int | None]) -> int:
    return sum(line is not None for line in lines)


def _check_keys(node: yaml.Node, path: Path) -> None:
    """See that no key stands twice in a group, of which YAML would take the last."""
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in lines:
                raise BadConfig(path, [f"line {line}: {key.value!r} has a value already, on line {lines[key.value]}"])
            lines[key.value] = line
            _check_keys(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_keys(item, path)
