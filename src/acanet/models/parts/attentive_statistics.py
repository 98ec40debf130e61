"""Statistics under a learned weight for each channel and frame: ECAPA's pooling."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor

from acanet.models.base import Aggregator, AggregatorConfig, Division, register_aggregator
from acanet.models.layers import GroupedLinear
from acanet.models.parts.context import FrameInContext
from acanet.models.parts.statistics import even_weights, statistics
from acanet.models.passes import counted


@register_aggregator
class AttentiveStatisticsPooling(AggregatorConfig):
    """Mean and standard deviation under a learned weight for each channel and frame (ECAPA's form)."""

    kind: Literal["attentive-statistics"] = "attentive-statistics"
    channels: PositiveInt = 128
    exact_when_padded = True
    division = Division(("channels",))

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

    def build(self, channels: int, branches: int) -> AttentiveStatistics:
        """An `AttentiveStatistics`."""
        return AttentiveStatistics(channels, self, branches)


class AttentiveStatistics(FrameInContext, Aggregator):
    """Mean and standard deviation under a weight of its own for each channel and frame (see `FrameInContext`)."""

    def __init__(self, channels: int, config: AttentiveStatisticsPooling, branches: int) -> None:
        super().__init__(channels, config.channels, branches)
        self.expand = GroupedLinear(config.channels, channels, branches)

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, channels) -> (batch, 2 * channels), means and deviations of the first branch first."""
        plain = statistics(frames, even_weights(frames, mask))
        context = self.context(*(each.unflatten(1, (self.branches, -1)) for each in plain))
        scores = self.expand(self.hidden(frames, context))
        if mask is not None:
            scores = counted(scores.transpose(1, 2), mask).transpose(1, 2)
        both = torch.stack(statistics(frames, scores.softmax(dim=1)), dim=1)  # (batch, 2, channels)
        return both.unflatten(2, (self.branches, -1)).transpose(1, 2).flatten(1)
