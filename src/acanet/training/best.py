"""The model of a run, as the bundle in its folder `best`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acanet.runtime.bundle import Bundle, write_bundle
from acanet.training.finite import require_finite_weights
from acanet.training.fit_discriminant import Fitted
from acanet.training.model_card import model_card
from acanet.training.progress import DevResult
from acanet.training.setup import Setup

BEST = "best"


def write_best(setup: Setup, model: Any, step: int, chosen: DevResult | None, fitted: Fitted | None = None) -> None:
    """Write a network as the model of a run, in place of the one before.

    Args:
        setup: of the run.
        model: the network.
        step: after which its weights were taken.
        chosen: the dev evaluation that chose them; None without a dev set.
        fitted: its discriminant, which is then part of its config; None: it has none.

    Raises:
        Diverged: for weights that are not finite, which are no model.
    """
    require_finite_weights(step, model)
    config = setup.config
    if fitted is not None:
        config = config.model_copy(update={"model": model.config.model_dump(mode="json")})
    weights = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
    card = model_card(setup, step, chosen, fitted)
    write_bundle(setup.folder / BEST, config, weights, setup.provenance, card)


def load_best(folder: Path) -> Bundle:
    """The model in the folder of a run."""
    return Bundle.load(folder / BEST)
