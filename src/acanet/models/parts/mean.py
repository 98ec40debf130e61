"""The mean over time: the plainest pooling."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from acanet.models.base import Aggregator, AggregatorConfig, register_aggregator
from acanet.models.parts.statistics import even_weights


@register_aggregator
class MeanPooling(AggregatorConfig):
    """The mean over time."""

    kind: Literal["mean"] = "mean"
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
        """A mean of each channel."""
        return channels

    def build(self, channels: int, branches: int) -> Mean:
        """A `Mean`."""
        return Mean()


class Mean(Aggregator):
    """The mean over real frames."""

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, channels) -> (batch, channels)."""
        return (even_weights(frames, mask) * frames).sum(dim=1)
