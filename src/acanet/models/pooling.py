"""What ACA replaces: fixed functions of time, (batch, frames, channels) -> (batch, features).

Every pooling takes `mask`: (batch, frames) bool, true where a frame is real, or None when all are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from acanet.models.config import AttentiveStatisticsPooling, StatisticsPooling
from acanet.models.layers import FrameNorm, GroupedLinear, grouped

LEAST_VARIANCE = 1e-12
_UNBIASED_OFFSET = 1e-7


class Mean(nn.Module):
    """The mean over real frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = channels

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, channels) -> (batch, channels)."""
        weights = even_weights(frames, mask)
        return (weights * frames).sum(dim=1)


class Statistics(nn.Module):
    """Mean and standard deviation over real frames.

    `unbiased` is the arithmetic of WeSpeaker's TSTP: squares divided by frames - 1 (by 1 for a single frame, which has
    no deviation), and 1e-7 added before the root.
    """

    def __init__(self, channels: int, config: StatisticsPooling) -> None:
        super().__init__()
        self.unbiased = config.unbiased
        self.features = 2 * channels

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, channels) -> (batch, 2 * channels)."""
        weights = even_weights(frames, mask)
        mean, variance = self.moments(frames, weights)
        if not self.unbiased:
            return torch.cat([mean, variance.clamp(min=LEAST_VARIANCE).sqrt()], dim=1)
        share = weights.amax(dim=1)  # of one frame
        variance = variance / (1 - share).clamp(min=share)
        return torch.cat([mean, (variance + _UNBIASED_OFFSET).sqrt()], dim=1)

    def moments(self, frames: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted mean and variance over time, (batch, channels) each."""
        return _moments(frames, weights)


class FrameInContext(nn.Module):
    """A hidden layer that sees each frame, and the plain mean and deviation of its utterance (global context).

    Source: Desplanques et al., "ECAPA-TDNN", Interspeech 2020, section 3.2; arithmetic of SpeechBrain's
    AttentiveStatisticsPooling. A branch's share of the hidden layer sees its share of the channels.
    """

    def __init__(self, channels: int, hidden: int, branches: int = 1) -> None:
        super().__init__()
        self.branches = branches
        self.squeeze = nn.Linear(3 * channels // branches, hidden)
        self.norm = FrameNorm(hidden)

    def hidden(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, channels) -> (batch, frames, hidden), between -1 and 1."""
        local, from_mean, from_deviation = self.squeeze.weight.chunk(3, dim=1)
        mean, deviation = _statistics(frames, even_weights(frames, mask))
        context = grouped(mean, from_mean, self.squeeze.bias, self.branches)
        context = context + grouped(deviation, from_deviation, None, self.branches)
        return self.norm(torch.relu(grouped(frames, local, None, self.branches) + context.unsqueeze(1))).tanh()


class AttentiveStatistics(FrameInContext):
    """Mean and standard deviation under a weight of its own for each channel and frame (see `FrameInContext`)."""

    def __init__(self, channels: int, config: AttentiveStatisticsPooling, branches: int = 1) -> None:
        super().__init__(channels, config.channels, branches)
        self.expand = GroupedLinear(config.channels, channels, branches)
        self.features = 2 * channels

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, channels) -> (batch, 2 * channels), means and deviations of the first branch first."""
        scores = self.expand(self.hidden(frames, mask))
        if mask is not None:
            scores = scores.masked_fill(~mask.unsqueeze(2), -math.inf)
        both = torch.stack(_statistics(frames, scores.softmax(dim=1)), dim=1)  # (batch, 2, channels)
        return both.unflatten(2, (self.branches, -1)).transpose(1, 2).flatten(1)


def even_weights(frames: Tensor, mask: Tensor | None) -> Tensor:
    """(batch, frames, 1), the same for every real frame, adding up to one."""
    if mask is None:
        return frames.new_full((1, 1, 1), 1 / frames.shape[1])
    real = mask.unsqueeze(2).to(frames)
    return real / real.sum(dim=1, keepdim=True)


def _statistics(frames: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation over time, (batch, channels) each."""
    mean, variance = _moments(frames, weights)
    return mean, variance.clamp(min=LEAST_VARIANCE).sqrt()


def _moments(frames: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and variance over time, (batch, channels) each."""
    mean = (weights * frames).sum(dim=1)
    return mean, (weights * (frames - mean.unsqueeze(1)).square()).sum(dim=1)
