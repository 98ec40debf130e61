"""The average of the weights over a run, which is often better than the weights at any of its steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from acanet.training.recipe import Average, MovingAverage


def averaged(model: nn.Module, config: Average) -> AveragedModel:
    """An average of a model's weights and batch-norm statistics, of nothing yet.

    `update_parameters` takes the weights of now into it: with equal shares (`last`; Izmailov et al., "Averaging
    weights leads to wider optima and better generalization", UAI 2018), or with a share of 1 - decay (`ema`). The
    first updates of a moving average count more, so that it forgets the weights at the start: after n of them the
    decay is at most (1 + n) / (10 + n).
    """
    if not isinstance(config, MovingAverage):
        return AveragedModel(model, use_buffers=True)
    most = config.decay

    def update(average: list[Tensor], now: list[Tensor], count: Tensor | int) -> None:
        share = 1.0 - min(most, (1.0 + float(count)) / (10.0 + float(count)))
        if average[0].is_floating_point():
            torch._foreach_lerp_(average, now, share)
        else:
            torch._foreach_copy_(average, now)  # counters of batch norm

    fold: Any = update
    return AveragedModel(model, multi_avg_fn=fold, use_buffers=True)
