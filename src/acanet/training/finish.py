"""The end of a run: the discriminant of its model, fitted once the network is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from acanet.models.inference import embed_waveforms, load_model
from acanet.training.best import load_best, write_best
from acanet.training.finite import require_finite_embeddings
from acanet.training.fit_discriminant import Fitted, Views, with_discriminant
from acanet.training.progress import Progress, best_of
from acanet.training.setup import Setup


def finish(setup: Setup, progress: Progress, console: Console, stopped: Sequence[int]) -> bool:
    """Fit the discriminant that the recipe asks for to the model in `best/`, unless that is done.

    Args:
        setup: of the run.
        progress: at its end.
        console: where it is told.
        stopped: gets an entry when the run shall stop (see `interrupts`).

    Returns:
        Whether the run is finished; false when it was stopped before the end of the fit, which leaves no trace.

    Raises:
        Diverged: when what the model in `best/` gives, or the projection, is not finite; the model stays as it is.
    """
    fit = setup.recipe.discriminant
    if fit is None or not setup.main:
        return True
    best = load_best(setup.folder)
    model = load_model(best.name, best.config.model, best.weights()).to(setup.device)
    if model.config.discriminant is not None:
        return True
    views = Views(setup.batches, fit.speeds, setup.chains, model.config.front_end.rate)
    embeddings = _embed(setup, views, model, console, stopped)
    if embeddings is None:
        return False
    chosen = best_of(progress.history)
    step = setup.recipe.all_steps if chosen is None else chosen.step
    require_finite_embeddings(step, embeddings)
    model = with_discriminant(model, embeddings, views.speakers, fit)
    with setup.precision():
        eer = None if setup.dev is None else setup.dev.eer(model, step)
    speakers = len({setup.batches.speakers[utterance] for utterance in views.utterances})
    fitted = Fitted(fit, len(views.utterances), speakers, eer)
    write_best(setup, model, step, chosen, fitted)
    rates = "" if chosen is None or eer is None else f": dev EER {eer:.2%}, {chosen.eer:.2%} without it"
    console.print(f"discriminant fitted{rates}", highlight=False, soft_wrap=True)
    return True


def _embed(
    setup: Setup, views: Views, model: Any, console: Console, stopped: Sequence[int]
) -> NDArray[np.float32] | None:
    """Embeddings (views, dim); None when the run shall stop."""
    chunks = setup.loader(views, range(len(views)))
    embedded = []
    for waveforms in track(chunks, "Fitting the discriminant", len(views), console=console):
        if stopped:
            return None
        with setup.precision():
            embedded.append(embed_waveforms(model, waveforms))
    return np.concatenate(embedded)
