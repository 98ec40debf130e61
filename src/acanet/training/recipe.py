"""Recipes and experiments from YAML, with settings laid over them; problems are told with their line."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from acanet.config.settings import lay, read_setting, read_yaml
from acanet.config.strict import FOLDER, UNKNOWN_KEY, FromHere, Place, Strict
from acanet.errors import BadConfig, UnknownModel, nearest
from acanet.models.registry import model_config
from acanet.training.config import Evaluation, Experiment, Recipe

R = TypeVar("R", bound=Recipe)
S = TypeVar("S", bound=Strict)


@dataclass(frozen=True)
class Systems:
    """What `acanet experiment` does.

    Attributes:
        path: of the recipe's file.
        settings: what was laid over it, as `key.below=value`.
        experiment: what the file says.
        recipes: for each system, by name.
        test: the lists that all are measured on, by name.
    """

    path: Path
    settings: tuple[str, ...]
    experiment: Experiment
    recipes: Mapping[str, Recipe]
    test: Mapping[str, Evaluation]

    def only(self, names: Collection[str]) -> dict[str, Recipe]:
        """The recipes of the systems of these names, in their order; of none: of all.

        Raises:
            BadConfig: for a name that no system has, with the nearest that one has.
        """
        for name in names:
            if name not in self.recipes:
                near = nearest(name, self.recipes)
                hint = f"did you mean {near!r}?" if near else f"known are {', '.join(self.recipes)}"
                raise BadConfig("--only", [f"no system {name!r} in {self.path}; {hint}"])
        return {name: recipe for name, recipe in self.recipes.items() if not names or name in names}


def read_recipe(path: Path, settings: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe and lay `key.below=value` settings over it; of an experiment, what its systems share.

    Paths in the recipe count from its folder, those in settings from the working directory.

    Raises:
        BadConfig: naming the line and the key, and the nearest known one when it is unknown.
    """
    source = _Source.read(path, settings)
    _systems(source, settings)  # the whole file has to be right
    return source.shared().parse(Recipe)


def read_experiment(path: Path, settings: tuple[str, ...] = ()) -> Systems:
    """Read a recipe with `systems` and `test`; without systems, the recipe is the only one, by the file's name.

    Raises:
        BadConfig: as `read_recipe`, and when there is no test list.
    """
    found = _systems(_Source.read(path, settings), settings)
    if not found.test:
        raise BadConfig(path, ["no 'test'; an experiment needs a trial list to measure on"])
    return found


def _systems(source: _Source, settings: tuple[str, ...]) -> Systems:
    experiment, shared = source.parse(Experiment), source.shared()
    changes = experiment.systems or {source.path.stem: {}}
    recipes = {name: shared.changed(name, change).parse(Recipe) for name, change in changes.items()}
    return Systems(source.path, settings, experiment, recipes, experiment.test)


def recipe_yaml(recipe: Recipe) -> str:
    """The recipe with every default spelt out; `read_recipe` reads it back to an equal one."""
    return yaml.safe_dump(json.loads(recipe.model_dump_json()), sort_keys=False)


def portable(config: S) -> S:
    """A config in which files are named without their folders, which mean nothing elsewhere."""
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


@dataclass(frozen=True)
class _Source:
    """What a recipe's file says, with settings laid over it.

    Attributes:
        path: the file.
        data: keys and values.
        root: the nodes of the YAML, which know their lines.
        settings: the places that were set on the command line.
        system: the system whose changes lie over the data, if one's do.
    """

    path: Path
    data: dict[str, Any]
    root: yaml.Node
    settings: tuple[Place, ...]
    system: str | None = None

    @classmethod
    def read(cls, path: Path, settings: tuple[str, ...]) -> _Source:
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise BadConfig(path, ["no such recipe"]) from None
        except UnicodeDecodeError:
            raise BadConfig(path, ["not UTF-8"]) from None
        except OSError as error:
            raise BadConfig(path, [f"cannot be read: {error.strerror}"]) from None
        data, root = read_yaml(text, path), yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(data, dict) or root is None:
            raise BadConfig(path, ["a recipe is a mapping of keys to values"])
        _check_keys(root, path)
        keys = []
        for setting in settings:
            place, value = read_setting(setting)
            keys.append(place)
            _spell_out_effect(data, place)
            lay(data, place, _from_here(value))
        return cls(path, data, root, tuple(keys))

    def shared(self) -> _Source:
        """The recipe in an experiment."""
        own = Experiment.model_fields.keys() - Recipe.model_fields.keys()
        return replace(self, data={key: value for key, value in self.data.items() if key not in own})

    def changed(self, system: str, change: Mapping[str, Any]) -> _Source:
        """With the changes of a system laid over it."""
        return replace(self, data=_merged(self.data, change), system=system)

    def parse(self, kind: type[R]) -> R:
        """What it says, as a recipe or an experiment, with a model that exists."""
        recipe = kind.parse(self.data, self.path, origin=self.origin, context={FOLDER: self.path.parent})
        name, change = recipe.model.name, recipe.model.change
        try:
            model_config(name, change, source=self.path, origin=self._origin_of_change)
        except UnknownModel as error:
            raise BadConfig(
                self.path, [f"{self.origin(('model', 'name'), 'value_error')}model.name: {error}"]
            ) from None
        return recipe

    def _origin_of_change(self, place: Place, kind: str) -> str:
        return self.origin(("model", "change", *place), kind) + "model.change: "

    def origin(self, place: Place, kind: str) -> str:
        """Where something stands that is wrong: on the command line, on a line, or nowhere, when it is missing."""
        starts: list[Place] = [("systems", self.system, *place), place] if self.system else [place]
        for start in starts:
            line, whole = _line(self.root, start)
            if any(_is_below(start, key) for key in self.settings):
                return "--set "
            if whole or (line and start is starts[-1]):
                not_there = kind == UNKNOWN_KEY and not whole
                return "--set " if not_there else f"line {line}: "
        return "--set " if kind == UNKNOWN_KEY else ""


def _from_here(value: Any) -> Any:
    """A value of a setting, in which paths count from the working directory."""
    if isinstance(value, list):
        return [_from_here(item) for item in value]
    if isinstance(value, dict):
        return {key: _from_here(item) for key, item in value.items()}
    return FromHere(value) if isinstance(value, str) else value


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


def _spell_out_effect(data: dict[str, Any], place: Place) -> None:
    """Give an effect that is in its short form, a number, its keys, where one of them is to be set."""
    effects = data.get("augment")
    if place[0] == "augment" and len(place) > 2 and isinstance(effects, dict):
        effect = place[1]
        if isinstance(effects.get(effect), int | float):
            effects[effect] = {"probability": effects[effect]}


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, group by group."""
    merged = dict(base)
    for key, value in changes.items():
        below = base.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _is_below(place: Place, key: Place) -> bool:
    """Whether a place is what was set by a key, or in it; the names of kinds in a place are passed over."""
    rest = iter(place)
    return place[:1] == key[:1] and all(part in rest for part in key)


def _line(node: yaml.Node, place: Place) -> tuple[int | None, bool]:
    """The line, from 1, of the last key of a place that stands in the file, and whether that is the last of all.

    The names of kinds, which validation puts into a place, do not stand in the file and are passed over.
    """
    line, whole = None, False
    for part in place:
        whole = False
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if found:
                line, node, whole = found[0][0].start_mark.line + 1, found[0][1], True
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line, whole = node.start_mark.line + 1, True
    return line, whole


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
