"""Convolutions over time: local context at half the frame rate."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import PositiveInt, model_validator
from torch import Tensor, nn

from acanet.models.base import Frames, FramesConfig, ReceptiveField, register_frames
from acanet.models.layers import FrameNorm, InvertedBlock, TimeConv


@register_frames
class ConvolutionFrames(FramesConfig):
    """A strided stem and inverted depthwise blocks: local context at half the frame rate."""

    kind: Literal["convolution"] = "convolution"
    channels: PositiveInt = 256
    hidden: PositiveInt = 512
    stem_kernel: PositiveInt = 5
    stride: PositiveInt = 2
    kernel: PositiveInt = 7
    dilations: tuple[PositiveInt, ...] = (1, 2, 3, 1)
    exact_when_padded = True
    division = None

    @model_validator(mode="after")
    def _odd_kernels(self) -> Self:
        if self.kernel % 2 == 0 or self.stem_kernel % 2 == 0:
            raise ValueError("kernel and stem_kernel must be odd, so that frames keep their place")
        return self

    @property
    def channels_out(self) -> int:
        """Those of the config."""
        return self.channels

    @property
    def receptive_field(self) -> ReceptiveField:
        """The blocks see so many frames, and the stem so many features of the outermost."""
        blocks = sum(dilation * (self.kernel // 2) for dilation in self.dilations)
        return ReceptiveField(self.stem_kernel // 2 + self.stride * blocks, self.stride)

    def build(self, mels: int, branches: int) -> Convolution:
        """A `Convolution`."""
        return Convolution(mels, self)


class Convolution(Frames):
    """A strided convolution, inverted depthwise blocks, batch norm."""

    def __init__(self, mels: int, config: ConvolutionFrames) -> None:
        super().__init__()
        self.stride = config.stride
        self.stem = TimeConv(
            mels, config.channels, config.stem_kernel, stride=config.stride, padding=config.stem_kernel // 2
        )
        self.stem_norm = FrameNorm(config.channels)
        self.blocks = nn.ModuleList(
            InvertedBlock(config.channels, config.hidden, config.kernel, dilation) for dilation in config.dilations
        )
        self.norm = FrameNorm(config.channels)

    def forward(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames, mels) -> (batch, ceil(frames / stride), channels)."""
        x = self.stem_norm(self.stem(features).relu())
        mask = None if mask is None else mask[:, :: self.stride]
        for block in self.blocks:
            x = block(x if mask is None else x * mask.unsqueeze(2))
        return self.norm(x), mask
