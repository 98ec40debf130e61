"""ACA-Net's own frames: every frame alone.

Source: Yip et al., "ACA-Net: Towards Lightweight Speaker Verification using Asymmetric Cross Attention",
Interspeech 2023.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from acanet.models.base import Frames, FramesConfig, ReceptiveField, register_frames
from acanet.models.layers import FrameNorm


@register_frames
class PointwiseFrames(FramesConfig):
    """A 1x1 TDNN block: ACA-Net's own frames."""

    kind: Literal["pointwise"] = "pointwise"
    channels: PositiveInt = 256
    exact_when_padded = True
    division = None

    @property
    def channels_out(self) -> int:
        """Those of the config."""
        return self.channels

    @property
    def receptive_field(self) -> ReceptiveField:
        """A frame sees itself."""
        return ReceptiveField(around=0, stride=1)

    def build(self, mels: int, branches: int) -> Pointwise:
        """A `Pointwise`."""
        return Pointwise(mels, self)


class Pointwise(Frames):
    """Linear, ReLU, batch norm on every frame alone."""

    def __init__(self, mels: int, config: PointwiseFrames) -> None:
        super().__init__()
        self.linear = nn.Linear(mels, config.channels)
        self.norm = FrameNorm(config.channels)

    def forward(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames, mels) -> (batch, frames, channels)."""
        return self.norm(self.linear(features).relu()), mask
