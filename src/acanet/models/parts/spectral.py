"""Convolutions over mel bins and time, then over time alone.

What a voice is lies in patterns that move along the frequency axis from speaker to speaker; the convolutions over mel
bins share what they learn about them.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from acanet.config.strict import Strict
from acanet.models.base import Division, Frames, FramesConfig, ReceptiveField, register_frames
from acanet.models.layers import Conv2dNorm, FrameNorm, GroupedLinear, InvertedBlock, ResidualBlock, masked


class Conv2dStage(Strict):
    """Convolutions over mel bins and time: a strided one, then residual blocks."""

    channels: PositiveInt
    mel_stride: PositiveInt = 2
    stride: PositiveInt = Field(1, description="in time")
    blocks: NonNegativeInt = Field(1, description="residual blocks of two convolutions")


@register_frames
class SpectralFrames(FramesConfig):
    """Convolutions over mel bins and time at falling resolution, then inverted blocks over time."""

    kind: Literal["spectral"] = "spectral"
    stages: tuple[Conv2dStage, ...] = Field(
        (Conv2dStage(channels=24, stride=2, blocks=0), Conv2dStage(channels=32, stride=2)), min_length=1
    )
    channels: PositiveInt = 256
    hidden: PositiveInt = 512
    kernel: PositiveInt = 7
    dilations: tuple[PositiveInt, ...] = (1, 2, 3, 1)
    exact_when_padded = True
    division = Division(("channels", "hidden"))

    @model_validator(mode="after")
    def _odd_kernel(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError("kernel must be odd, so that frames keep their place")
        return self

    @property
    def channels_out(self) -> int:
        """Those of the config."""
        return self.channels

    @property
    def receptive_field(self) -> ReceptiveField:
        """Each convolution over mel bins and time sees one frame to each side, at the rate of what comes in."""
        around, stride = 0, 1
        for stage in self.stages:
            around += stride
            stride *= stage.stride
            around += 2 * stride * stage.blocks
        return ReceptiveField(around + stride * sum(each * (self.kernel // 2) for each in self.dilations), stride)

    def build(self, mels: int, branches: int) -> Spectral:
        """A `Spectral`."""
        return Spectral(mels, self, branches)


class SpectralStage(nn.Module):
    """A strided convolution over mel bins and time, ReLU, residual blocks."""

    def __init__(self, channels: int, config: Conv2dStage) -> None:
        super().__init__()
        self.stride = config.stride
        self.conv = Conv2dNorm(channels, config.channels, stride=(config.mel_stride, config.stride))
        self.blocks = nn.ModuleList(ResidualBlock(config.channels) for _ in range(config.blocks))

    def forward(self, picture: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, channels, mels, frames), zero in padded frames -> the same, smaller, and where its frames are real.

        `real`: (batch, 1, 1, frames) bool, true where a frame is real; None when all are.
        """
        real = None if real is None else real[..., :: self.stride]
        x = masked(self.conv(picture).relu(), real)
        for block in self.blocks:
            x = block(x, real)
        return x, real


class Spectral(Frames):
    """Convolutions over mel bins and time, then every frame's picture as a vector, and inverted blocks over time.

    Branches read the same pictures; each has blocks of its own, and the same share of the channels.
    """

    def __init__(self, mels: int, config: SpectralFrames, branches: int) -> None:
        super().__init__()
        channels = [1, *(stage.channels for stage in config.stages)]
        self.stages = nn.ModuleList(SpectralStage(*sizes) for sizes in zip(channels[:-1], config.stages, strict=True))
        for stage in config.stages:
            mels = -(-mels // stage.mel_stride)
        self.stem = GroupedLinear(channels[-1] * mels, config.channels, 1)
        self.stem_norm = FrameNorm(config.channels)
        self.blocks = nn.ModuleList(
            InvertedBlock(config.channels, config.hidden, config.kernel, dilation, branches)
            for dilation in config.dilations
        )
        self.norm = FrameNorm(config.channels)

    def forward(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames, mels) -> (batch, ceil(frames / stride), channels)."""
        picture = features.transpose(1, 2).unsqueeze(1).contiguous(memory_format=torch.channels_last)
        real = None if mask is None else mask[:, None, None]
        for stage in self.stages:
            picture, real = stage(picture, real)
        x = self.stem_norm(self.stem(picture.permute(0, 3, 1, 2).flatten(2)).relu())
        mask = None if real is None else real[:, 0, 0]
        for block in self.blocks:
            x = block(x if mask is None else x * mask.unsqueeze(2))
        return self.norm(x), mask
