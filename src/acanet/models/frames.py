"""Frame encoders that are local in time: (batch, frames, mels) -> (batch, frames', channels).

Every encoder takes `mask`: (batch, frames) bool, true where a frame is real, or None when all are; it returns the mask
of its own frames too. Padded frames never reach a real one. (ECAPA's and CAM++'s frames are global in time, and have
files of their own.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acanet.models.config import ConvolutionFrames, PictureStage, PointwiseFrames, SpectralFrames, TdnnFrames
from acanet.models.layers import FrameNorm, GroupedLinear, PictureConv, ResidualBlock, TimeConv, masked


class Pointwise(nn.Module):
    """Linear, ReLU, batch norm on every frame alone: ACA-Net's 1x1 TDNN block."""

    def __init__(self, mels: int, config: PointwiseFrames) -> None:
        super().__init__()
        self.linear = nn.Linear(mels, config.channels)
        self.norm = FrameNorm(config.channels)

    def forward(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames, mels) -> (batch, frames, channels)."""
        return self.norm(self.linear(features).relu()), mask


class InvertedBlock(nn.Module):
    """Depthwise convolution over time, then an expansion and back for each frame (of groups of channels); residual."""

    def __init__(self, channels: int, hidden: int, kernel: int, dilation: int, groups: int = 1) -> None:
        super().__init__()
        self.depthwise = TimeConv(
            channels,
            channels,
            kernel,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=channels,
            bias=False,
        )
        self.norm = FrameNorm(channels)
        self.expand = GroupedLinear(channels, hidden, groups)
        self.activation = nn.GELU()
        self.project = GroupedLinear(hidden, channels, groups)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, channels), zero in padded frames -> the same shape."""
        return x + self.project(self.activation(self.expand(self.norm(self.depthwise(x)))))


class Convolution(nn.Module):
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


class SpectralStage(nn.Module):
    """A strided convolution over mel bins and time, ReLU, residual blocks."""

    def __init__(self, channels: int, config: PictureStage) -> None:
        super().__init__()
        self.stride = config.stride
        self.conv = PictureConv(channels, config.channels, stride=(config.mel_stride, config.stride))
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


class Spectral(nn.Module):
    """Convolutions over mel bins and time, then every frame's picture as a vector, and inverted blocks over time.

    What a voice is lies in patterns that move along the frequency axis from speaker to speaker; the convolutions over
    mel bins share what they learn about them. Branches read the same pictures; each has blocks of its own, and the same
    share of the channels.
    """

    def __init__(self, mels: int, config: SpectralFrames, branches: int = 1) -> None:
        super().__init__()
        channels = [1, *(stage.channels for stage in config.stages)]
        self.stages = nn.ModuleList(SpectralStage(*sizes) for sizes in zip(channels[:-1], config.stages, strict=True))
        for stage in config.stages:
            mels = -(-mels // stage.mel_stride)
        self.stem = nn.Linear(channels[-1] * mels, config.channels)
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


class TdnnLayer(nn.Module):
    """Convolution over time, ReLU, batch norm without gain and offset."""

    def __init__(self, channels: int, out_channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.conv = TimeConv(channels, out_channels, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.norm = FrameNorm(out_channels, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, channels), zero in padded frames -> (batch, frames, out_channels)."""
        return self.norm(self.conv(x).relu())


class Tdnn(nn.Module):
    """The x-vector's frames.

    Source: Snyder et al., "X-Vectors: Robust DNN Embeddings for Speaker Recognition", ICASSP 2018, table 1; ReLU, then
    batch norm without gain and offset, as in Kaldi's recipe. Kaldi leaves out the frames whose context is cut off; here
    frames keep their place and what is outside of the recording is zero, which is the mean of every layer's output, so
    the shortest recording has an embedding.
    """

    def __init__(self, mels: int, config: TdnnFrames) -> None:
        super().__init__()
        inside = [config.channels] * (len(config.kernels) - 1)
        widths = [mels, *inside, config.out_channels]
        self.layers = nn.ModuleList(
            TdnnLayer(*sizes) for sizes in zip(widths[:-1], widths[1:], config.kernels, config.dilations, strict=True)
        )

    def forward(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames, mels) -> (batch, frames, out_channels)."""
        x = features
        for layer in self.layers:
            x = layer(x if mask is None else x * mask.unsqueeze(2))
        return x, mask
