"""The schedules of a run: its rate, margin and averages, as functions of the step alone."""

from __future__ import annotations

import math

from acanet.training.recipe import LastCheckpoints, Loss, Recipe


def rate_at(step: int, recipe: Recipe) -> float:
    """The learning rate of a step: linear warm-up to `rate`, then half a cosine down to `final_rate`.

    In the large-margin phase it is half a cosine again, from that phase's rate.
    """
    final, phase = recipe.optimizer.final_rate, recipe.large_margin
    if phase is not None and step >= recipe.steps:
        return _cosine(phase.rate, final, (step - recipe.steps) / phase.steps)
    warm_up = recipe.optimizer.warm_up * recipe.steps
    if step < warm_up:
        return recipe.optimizer.rate * (step + 1) / (warm_up + 1)
    return _cosine(recipe.optimizer.rate, final, (step - warm_up) / max(recipe.steps - warm_up, 1))


def margin_at(step: int, recipe: Recipe) -> float:
    """The margin of a step in radians: 0, then rising linearly, then `margin`; in the large-margin phase its own.

    Without a loss on speakers there is none: 0.
    """
    if recipe.large_margin is not None and step >= recipe.steps:
        return recipe.large_margin.margin
    return 0.0 if recipe.loss is None else _rising(step, recipe.steps, recipe.loss)


def is_averaged(step: int, recipe: Recipe) -> bool:
    """Whether the weights after that many steps go into the average."""
    if isinstance(recipe.average, LastCheckpoints):
        left, gap = recipe.all_steps - step, recipe.average.every
        return left % gap == 0 and left // gap < recipe.average.checkpoints
    return recipe.average is not None


def _cosine(high: float, low: float, done: float) -> float:
    return low + (high - low) * 0.5 * (1 + math.cos(math.pi * done))


def _rising(step: int, steps: int, config: Loss) -> float:
    begin, end = (share * steps for share in config.margin_rise)
    if step >= end:
        return config.margin
    return 0.0 if step <= begin else config.margin * (step - begin) / (end - begin)
