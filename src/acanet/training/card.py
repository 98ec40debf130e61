"""The model card of a run's best model."""

from __future__ import annotations

from pathlib import Path

from acanet.bundle import Provenance
from acanet.training.checkpoint import DevRow
from acanet.training.config import Recipe, recipe_yaml


def model_card(recipe: Recipe, best: DevRow, provenance: Provenance, init: str | None) -> str:
    """The model card; files are named without their folders, which mean nothing elsewhere.

    `init` is the fingerprint of the model that the run started from.
    """
    origin = f"\nStarted from the weights of model `{init}`, whose licence holds for these too.\n" if init else ""
    train_names = tuple(Path(path.name) for path in recipe.data.train)
    data = recipe.data.model_copy(update={"train": train_names, "cache": Path(recipe.data.cache.name)})
    trials = recipe.dev.trials and Path(recipe.dev.trials.name)
    dev = recipe.dev.model_copy(update={"manifest": Path(recipe.dev.manifest.name), "trials": trials})
    portable = recipe.model_copy(update={"data": data, "dev": dev})
    return f"""# {recipe.model.name}

Chosen at step {best.step} of {recipe.steps}: EER {best.eer:.2%} on `{recipe.dev.manifest.name}`, which chose it and so
says little about other voices. Evaluate it on a list of its own: `acanet evaluate`.

Trained on {len(provenance.speakers)} speakers, {len(provenance.audio)} utterances: {", ".join(provenance.data)}.
Licence: {recipe.licence}.
{origin}
```yaml
{recipe_yaml(portable)}```
"""
