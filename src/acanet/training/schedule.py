"""What changes over a run, as functions of the step alone."""

from __future__ import annotations

import math

from acanet.training.config import Loss, Optimizer


def rate_at(step: int, steps: int, config: Optimizer) -> float:
    """Learning rate of a step: linear warm-up to `rate`, then half a cosine down to `final_rate`."""
    warm_up = config.warm_up * steps
    if step < warm_up:
        return config.rate * (step + 1) / (warm_up + 1)
    done = (step - warm_up) / max(steps - warm_up, 1)
    return config.final_rate + (config.rate - config.final_rate) * 0.5 * (1 + math.cos(math.pi * done))


def margin_at(step: int, steps: int, config: Loss) -> float:
    """Margin of a step in radians: 0, then rising linearly, then `margin`."""
    begin, end = (share * steps for share in config.margin_rise)
    if step >= end:
        return config.margin
    return 0.0 if step <= begin else config.margin * (step - begin) / (end - begin)
