"""The folder of a run, which belongs to one recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acanet.config.files import write_text
from acanet.errors import AcanetError, BadConfig
from acanet.training.read_recipe import read_recipe
from acanet.training.recipe import Recipe, recipe_yaml

RECIPE = "recipe.yaml"


def check_folder(folder: Path, recipe: Recipe, resume: bool) -> None:
    """See that no run is in a folder, or that it is the one to resume.

    Raises:
        AcanetError: for a run that is not to be resumed.
        BadConfig: for a run by another recipe, with each key that differs and decides weights.
    """
    path = folder / RECIPE
    if not path.exists():
        return
    if not resume:
        raise AcanetError(f"{folder} holds a run already; add --resume to go on with it, or choose another --out")
    ours, theirs = (each.decisive.model_dump(mode="json") for each in (recipe, read_recipe(path)))
    different = differences(ours, theirs)
    if different:
        problems = [f"{key} is {ours}, the run has {theirs}" for key, ours, theirs in different]
        raise BadConfig(f"{folder} was started with another recipe", problems)


def claim_folder(folder: Path, recipe: Recipe) -> None:
    """Make the folder of a run, once everything that the run needs was found to be there."""
    path = folder / RECIPE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, recipe_yaml(recipe))


def differences(ours: Any, theirs: Any, key: str = "") -> list[tuple[str, Any, Any]]:
    """The places in which two nested configs differ: the dotted key and both values.

    >>> differences({"loss": {"margin": 0.2}, "steps": 3}, {"loss": {"margin": 0.3}, "steps": 3})
    [('loss.margin', 0.2, 0.3)]
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            difference
            for name in ours | theirs
            for difference in differences(ours.get(name), theirs.get(name), f"{key}.{name}" if key else name)
        ]
    return [] if ours == theirs else [(key, ours, theirs)]
