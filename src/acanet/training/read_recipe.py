"""Recipes and experiments from YAML, with settings laid over them; problems are told with their line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acanet.errors import BadConfig, nearest
from acanet.training.recipe import Evaluation, Experiment, Recipe, Seeding
from acanet.training.recipe_file import RecipeFile


@dataclass(frozen=True)
class Systems:
    """The systems of an experiment, and what they are measured on.

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

    Paths in a recipe count from its folder, those in settings from the working directory.

    Raises:
        BadConfig: naming the line and the key, and the nearest known one when it is unknown.
    """
    file = RecipeFile.read(path, settings)
    _systems(file, settings)  # the whole file has to be right
    return file.shared().parse(Recipe)


def read_experiment(path: Path, settings: tuple[str, ...] = ()) -> Systems:
    """Read a recipe with `systems` and `test`; without systems, the recipe is the only one, by the file's name.

    Raises:
        BadConfig: as `read_recipe`, and when there is no test list.
    """
    found = _systems(RecipeFile.read(path, settings), settings)
    if not found.test:
        raise BadConfig(path, ["no 'test'; an experiment needs a trial list to measure on"])
    return found


def _systems(file: RecipeFile, settings: tuple[str, ...]) -> Systems:
    experiment, shared = file.parse(Experiment), file.shared()
    recipes: dict[str, Recipe] = {}
    problems: dict[str, None] = {}  # each once, though it may be one of several seeds
    for system, name, change in _by_seeds(file, experiment):
        try:
            recipes[name] = shared.changed(system, change).parse(Recipe)
        except BadConfig as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise BadConfig(file.path, problems)
    return Systems(file.path, settings, experiment, recipes, experiment.test)


def _by_seeds(file: RecipeFile, experiment: Experiment) -> list[tuple[str, str, dict[str, Any]]]:
    """The systems, one for each of their seeds: name in the file, name of its own, and changes.

    Raises:
        BadConfig: for wrong seeds, or a name that two systems have.
    """
    written = experiment.systems or {file.path.stem: {}}
    found: dict[str, tuple[str, str, dict[str, Any]]] = {}
    for system, change in written.items():
        for name, seeded in _seeded(file.changed(system, change), system, change, experiment):
            if name in found or (name in written and name != system):
                at = file.spot(("systems", system), "value_error").text
                problem = f"{at}systems.{system}: its seeds make a system {name!r}, which is there already"
                raise BadConfig(file.path, [problem])
            found[name] = system, name, seeded
    return list(found.values())


def _seeded(
    file: RecipeFile, system: str, change: dict[str, Any], experiment: Experiment
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The names and changes of a system by its seeds: those of its own, else those of the experiment."""
    change, seeds = dict(change), experiment.seeds
    if "seeds" in change:
        seeds = file.parse_key(Seeding, "seeds").seeds
        del change["seeds"]
        if "seed" in change:
            at = file.spot(("seed",), "value_error").text
            raise BadConfig(file.path, [f"{at}systems.{system}: give it 'seed' or 'seeds', not both"])
    elif "seed" in change:
        seeds = None
    if seeds is None:
        yield system, change
        return
    for seed in seeds:
        yield system if seed == 0 else f"{system}-seed-{seed}", change | {"seed": seed}
