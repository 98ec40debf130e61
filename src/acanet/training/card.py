"""The model card of a run's best model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acanet.bundle import Provenance
from acanet.config import Strict
from acanet.training.checkpoint import DevRow
from acanet.training.config import Recipe
from acanet.training.recipe import recipe_yaml


def model_card(recipe: Recipe, step: int, chosen: DevRow | None, provenance: Provenance, init: str | None) -> str:
    """The model card; files are named without their folders, which mean nothing elsewhere.

    Args:
        recipe: of the run.
        step: after which the weights were taken.
        chosen: the look at dev that chose them; None without a dev set.
        provenance: what the model was trained on.
        init: fingerprint of the model that the run started from.
    """
    origin = f"\nStarted from the weights of model `{init}`, whose licence holds for these too.\n" if init else ""
    return f"""# {recipe.model.name}

{_origin(recipe, step, chosen)} Evaluate it on a list of its own: `acanet evaluate`.

Trained on {len(provenance.speakers)} speakers, {len(provenance.audio)} utterances: {", ".join(provenance.data)}.
Licence: {recipe.licence}.
{origin}
```yaml
{recipe_yaml(_portable(recipe))}```
"""


def _origin(recipe: Recipe, step: int, chosen: DevRow | None) -> str:
    what = {"ema": "moving average of the weights", "last": "mean of the last checkpoints"}
    weights = "weights" if recipe.average is None else what[recipe.average.kind]
    if chosen is None or recipe.dev is None:
        return f"The {weights} after step {step}, the last; no dev set chose it."
    return (
        f"The {weights}, chosen at step {step} of {recipe.all_steps}: EER {chosen.eer:.2%} on "
        f"`{recipe.dev.manifest.name}`, which chose it and\nso says little about other voices."
    )


def _portable(config: Strict) -> Any:
    """A config in which files are named without their folders."""
    return config.model_copy(update={name: _without_folder(value) for name, value in config})


def _without_folder(value: Any) -> Any:
    if isinstance(value, Strict):
        return _portable(value)
    if isinstance(value, Path):
        return Path(value.name)
    return tuple(map(_without_folder, value)) if isinstance(value, tuple) else value
