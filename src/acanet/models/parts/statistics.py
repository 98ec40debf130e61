"""Mean and standard deviation over time: what an x-vector is pooled by."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from acanet.models.base import Aggregator, AggregatorConfig, register_aggregator

LEAST_VARIANCE = 1e-12
_UNBIASED_OFFSET = 1e-7


@register_aggregator
class StatisticsPooling(AggregatorConfig):
    """Mean and standard deviation over time."""

    kind: Literal["statistics"] = "statistics"
    unbiased: bool = Field(False, description="divide the squares by frames - 1, as CAM++ does")
    exact_when_padded = True
    division = None

    @property
    def latents_out(self) -> None:
        """One vector."""
        return None

    @property
    def passes(self) -> None:
        """It needs all frames at once."""
        return None

    def features_out(self, channels: int, branches: int) -> int:
        """A mean and a deviation of each channel."""
        return 2 * channels

    def build(self, channels: int, branches: int) -> Statistics:
        """A `Statistics`."""
        return Statistics(unbiased=self.unbiased)


class Statistics(Aggregator):
    """Mean and standard deviation over real frames.

    `unbiased` is the arithmetic of WeSpeaker's TSTP: squares divided by frames - 1 (by 1 for a single frame, which has
    no deviation), and 1e-7 added before the root.
    """

    def __init__(self, *, unbiased: bool) -> None:
        super().__init__()
        self.unbiased = unbiased

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, channels) -> (batch, 2 * channels)."""
        weights = even_weights(frames, mask)
        mean = self.mean(frames, weights)
        variance = self.mean((frames - mean.unsqueeze(1)).square(), weights)
        return torch.cat([mean, deviation(variance, weights.amax(dim=1) if self.unbiased else None)], dim=1)

    def mean(self, frames: Tensor, weights: Tensor) -> Tensor:
        """The mean, (batch, channels), under weights as from `even_weights`."""
        return (weights * frames).sum(dim=1)

    def folded(self) -> Statistics:
        """The same by matrix products."""
        return FoldedStatistics(unbiased=self.unbiased)


class FoldedStatistics(Statistics):
    """`Statistics` by matrix products, which backends add up more precisely than long plain sums.

    Training keeps the sums, which `acanet models` counts no multiply-adds for.
    """

    def mean(self, frames: Tensor, weights: Tensor) -> Tensor:
        """The mean, (batch, channels), under weights as from `even_weights`."""
        return mean_by_product(frames, weights)


def deviation(variance: Tensor, share: Tensor | None) -> Tensor:
    """The standard deviation, of the shape of the variance; that of what does not vary is small, and not zero.

    Args:
        variance: (..., channels), the mean of the squares less the square of the mean.
        share: of one frame among all, for the unbiased deviation of `Statistics`; None: for the biased one.
    """
    if share is None:
        return variance.clamp(min=LEAST_VARIANCE).sqrt()
    return (variance / (1 - share).clamp(min=share) + _UNBIASED_OFFSET).sqrt()


def even_weights(frames: Tensor, mask: Tensor | None) -> Tensor:
    """The same weight for every real frame, (batch, frames, 1), adding up to one; (1, 1, 1) when all are real."""
    if mask is None:
        return frames.new_full((1, 1, 1), 1 / frames.shape[1])
    real = mask.unsqueeze(2).to(frames)
    return real / real.sum(dim=1, keepdim=True)


def mean_by_product(frames: Tensor, weights: Tensor) -> Tensor:
    """The mean, (batch, channels), under weights as from `even_weights`, by a matrix product."""
    return (weights.transpose(1, 2).expand(-1, -1, frames.shape[1]) @ frames).squeeze(1)


def statistics(frames: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over time, (batch, channels) each.

    Args:
        frames: (batch, frames, channels).
        weights: (batch, frames, channels), or as from `even_weights`; they add up to one.
    """
    mean = (weights * frames).sum(dim=1)
    variance = (weights * (frames - mean.unsqueeze(1)).square()).sum(dim=1)
    return mean, variance.clamp(min=LEAST_VARIANCE).sqrt()
