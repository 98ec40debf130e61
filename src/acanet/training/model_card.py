"""The model card of a run's best model."""

from __future__ import annotations

from acanet.runtime.bundle import Bundle
from acanet.training.fit_discriminant import Fitted
from acanet.training.portable import portable
from acanet.training.progress import DevResult
from acanet.training.recipe import Recipe, recipe_yaml
from acanet.training.setup import Setup


def model_card(setup: Setup, step: int, chosen: DevResult | None, fitted: Fitted | None = None) -> str:
    """The model card of a run in Markdown; files are named without their folders, which mean nothing elsewhere.

    Args:
        setup: of the run.
        step: after which the weights were taken.
        chosen: the dev evaluation that chose them; None without a dev set.
        fitted: its discriminant; None: it has none.
    """
    recipe, init = setup.recipe, setup.init
    sources = "".join(f"- {source}\n" for source in setup.sources)
    origin = f"\nStarted from the weights of model `{init}`, whose licence holds for these too.\n" if init else ""
    return f"""# {recipe.model.name}

{_origin(recipe, step, chosen)} Evaluate it on a list of its own: `acanet evaluate`.

{_heard(setup)}

{sources}
Licence: {recipe.licence}.
{origin}{_teacher(setup.taught_by)}{_discriminant(fitted)}
```yaml
{recipe_yaml(portable(recipe))}```
"""


def _origin(recipe: Recipe, step: int, chosen: DevResult | None) -> str:
    what = {"ema": "moving average of the weights", "last": "mean of the last checkpoints"}
    weights = "weights" if recipe.average is None else what[recipe.average.kind]
    if chosen is None or recipe.dev is None:
        return f"The {weights} after step {step}, the last; no dev set chose it."
    return (
        f"The {weights}, chosen at step {step} of {recipe.all_steps}: EER {chosen.eer:.2%} on "
        f"`{recipe.dev.manifest.name}`, which chose it and\nso says little about other voices."
    )


def _heard(setup: Setup) -> str:
    """Whom the model knows; an evaluation on any of them is refused."""
    known = f"{len(setup.provenance.speakers)} speakers, {len(setup.provenance.audio)} utterances"
    if setup.init is None and setup.taught_by is None:
        return f"Trained on {known}:"
    others = " and ".join(
        ["what it started from"] * (setup.init is not None) + ["its teacher"] * (setup.taught_by is not None)
    )
    return f"Heard by it and, where that is known, by {others}: {known}. This run heard:"


def _teacher(bundle: Bundle | None) -> str:
    if bundle is None:
        return ""
    who = f"model `{bundle.fingerprint}` ({bundle.name}, licence: {bundle.config.licence})"
    return f"\nTaught by {who}:\nit learned to give that model's embeddings of the training speech.\n"


def _discriminant(fitted: Fitted | None) -> str:
    if fitted is None:
        return ""
    fit = fitted.fit
    speeds = f", also at {' and '.join(f'{speed:g}' for speed in fit.speeds)} times their speed" if fit.speeds else ""
    effects = f", with {len(fit.effects)} kinds of effects too" if fit.effects else ""
    rate = "" if fitted.eer is None else f" With it the EER on the same list is {fitted.eer:.2%}."
    return (
        f"\nIts embeddings are projected onto {fitted.fit.directions} directions in which speakers differ, learned\n"
        f"after the training from {fitted.utterances} utterances{speeds}{effects}, of {fitted.speakers} "
        f"speakers.{rate}\n"
    )
