"""Attentive statistics pooling in WeSpeaker's form, which ReDimNet2 is pooled by.

Source: arithmetic of ASTP with global context in wespeaker/models/pooling_layers.py. SpeechBrain's, in
`attentive_statistics.py`, has ReLU and batch norm before the hyperbolic tangent and other least variances.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from acanet.models.base import Aggregator, AggregatorConfig, register_aggregator
from acanet.models.folding import constant
from acanet.models.parts.statistics import even_weights
from acanet.models.passes import counted

_LEAST_VARIANCE = 1e-7


@register_aggregator
class AstpPooling(AggregatorConfig):
    """Mean and standard deviation under a learned weight for each channel and frame (WeSpeaker's form)."""

    kind: Literal["astp"] = "astp"
    channels: PositiveInt = 128
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

    def build(self, channels: int, branches: int) -> Astp:
        """An `Astp`."""
        return Astp(channels, self)


class Astp(Aggregator):
    """Mean and deviation under weights that each frame, and the mean and deviation of the utterance, decide on.

    What the hidden layer sees of the utterance is the same for all frames, so it is worked out once.
    """

    def __init__(self, channels: int, config: AstpPooling) -> None:
        super().__init__()
        self.squeeze = nn.Linear(3 * channels, config.channels)
        self.expand = nn.Linear(config.channels, channels)

    @constant("squeeze")
    def to_hidden(self) -> tuple[Tensor, ...]:
        """Matrices over a frame, over the mean and over the deviation of the utterance, and the offset."""
        return *(matrix.T for matrix in self.squeeze.weight.chunk(3, dim=1)), self.squeeze.bias

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, channels) -> (batch, 2 * channels)."""
        weights = even_weights(frames, mask)
        mean, variance = _moments(frames, weights)
        share = weights.amax(dim=1)  # of one frame
        deviation = (variance / (1 - share).clamp(min=share) + _LEAST_VARIANCE).sqrt()
        of_frame, of_mean, of_deviation, offset = self.to_hidden
        context = mean @ of_mean + deviation @ of_deviation + offset
        scores = self.expand((frames @ of_frame + context.unsqueeze(1)).tanh())
        if mask is not None:
            scores = counted(scores.transpose(1, 2), mask).transpose(1, 2)
        mean, variance = _moments(frames, scores.softmax(dim=1))
        return torch.cat([mean, variance.clamp(min=_LEAST_VARIANCE).sqrt()], dim=1)


def _moments(frames: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over time, (batch, channels) each, under weights that add up to one."""
    mean = (weights * frames).sum(dim=1)
    return mean, (weights * (frames - mean.unsqueeze(1)).square()).sum(dim=1)
