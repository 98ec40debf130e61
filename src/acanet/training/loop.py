"""The training loop, from a batch of crops to the next state of the weights.

Every random draw derives from (seed, step, place), so a run that was stopped in any way and resumed ends with the same
weights, bit by bit, as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from acanet.data.augment.functions import spec_masks
from acanet.data.feed.batches import Batch, Purpose, generator
from acanet.training.best import write_best
from acanet.training.checkpoint import save_run
from acanet.training.dev import DevSet
from acanet.training.finite import require_finite_step, require_finite_weights
from acanet.training.log import Log
from acanet.training.progress import DevResult, Progress, best_of
from acanet.training.recipe import Recipe
from acanet.training.schedule import is_averaged, margin_at, rate_at
from acanet.training.setup import Setup
from acanet.training.start import learning


def train_steps(setup: Setup, progress: Progress, log: Log | None, stopped: Sequence[int]) -> bool:
    """Train to the end of the recipe, or to the end of the step in which somebody pressed Ctrl-C.

    Args:
        setup: of the run.
        progress: where it is, which moves on.
        log: takes note of every step; None: in the processes beside the main one, which alone writes files.
        stopped: gets an entry when the run shall stop (see `interrupts`).

    Returns:
        Whether the end was reached; otherwise the run is saved.

    Raises:
        Diverged: when numbers are not finite any more; what was saved before stays.
    """
    recipe, model, optimizer, accelerator = setup.recipe, setup.model, setup.optimizer, setup.accelerator
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    waiting = time.perf_counter()  # since when, for the next batch
    for batch in setup.loader(setup.batches, range(progress.step, recipe.all_steps)):
        began = time.perf_counter()
        step = progress.step
        rate, margin = rate_at(step, recipe), margin_at(step, recipe)
        torch.manual_seed(int(generator(recipe.seed, Purpose.MODEL, step).integers(2**62)))  # of dropout
        learning(model, setup.frozen)

        with torch.no_grad():
            heard = setup.weights.front_end.hear(torch.from_numpy(batch.waveforms).to(setup.device))
            hidden = hidden_features(heard.values.shape, recipe, step).to(setup.device)
            heard = heard._replace(values=heard.values.masked_fill(hidden, 0.0))  # the mean of an utterance's features
        with setup.precision():
            embeddings = model(*heard.inputs)  # (batch, dim)
        classes = torch.from_numpy(batch.classes).to(setup.device)
        losses = setup.loss(embeddings, classes, _targets(setup, batch), margin)

        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"]
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(losses.total)
        norm = accelerator.clip_grad_norm_(parameters, recipe.optimizer.clip)
        require_finite_step(step + 1, losses.total, norm)
        optimizer.step()

        progress.step = step + 1
        require_finite_weights(progress.step, setup.weights, accelerator.unwrap_model(setup.loss))
        if setup.average is not None and is_averaged(progress.step, recipe):
            setup.average.update_parameters(setup.weights)
        now = time.perf_counter()
        if log is not None:
            log.step(progress.step, losses, rate, margin, len(classes), began - waiting, now - waiting)
            evaluate_and_save(setup, progress, log, bool(stopped))
        if stopped and progress.step < recipe.all_steps:
            return False
        waiting = time.perf_counter()
    return True


def _targets(setup: Setup, batch: Batch) -> Tensor | None:
    """What the teacher says of a batch, (rows, teacher's dim); None without one."""
    if setup.teacher is None:
        return None
    return torch.from_numpy(setup.teacher.targets(batch)).to(setup.device)


def hidden_features(shape: Sequence[int], recipe: Recipe, step: int) -> Tensor:
    """The mask (batch, frames, mels) of a step, true where SpecAugment hides a feature."""
    spec, rng = recipe.augment.spec, generator(recipe.seed, Purpose.SPEC, step)
    hidden = np.zeros(shape, dtype=bool)
    for row in range(shape[0]):
        if spec.happens(rng):
            hidden[row] = spec_masks(rng, (shape[1], shape[2]), spec.masks, spec.frames, spec.mels)
    return torch.from_numpy(hidden)


def evaluate_and_save(setup: Setup, progress: Progress, log: Log, stopped: bool) -> None:
    """The dev evaluation and the checkpoint, where they are due after a step."""
    recipe, step = setup.recipe, progress.step
    last = step == recipe.all_steps
    if setup.dev is not None and (last or step % recipe.dev_every == 0):
        evaluate_on_dev(setup, setup.dev, progress)
        log.dev(progress.history)
    if setup.dev is None and last:
        write_best(setup, setup.candidate, step, None)
    if last or stopped or step % recipe.save_every == 0:
        save_run(setup, progress)


def evaluate_on_dev(setup: Setup, dev: DevSet, progress: Progress) -> None:
    """Take the dev EER of the model of now, and write the model when it is the best so far."""
    with setup.precision():
        result = DevResult(step=progress.step, eer=dev.eer(setup.candidate, progress.step))
    before = best_of(progress.history)
    if before is None or result.eer < before.eer:
        write_best(setup, setup.candidate, progress.step, result)
    progress.history.append(result)
