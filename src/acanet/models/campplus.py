"""CAM++'s frame encoder, as WeSpeaker and 3D-Speaker publish it: densely connected layers with context-aware masking.

Source: Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware Masking",
Interspeech 2023; arithmetic of wespeaker/models/campplus.py, which is that of 3D-Speaker's DTDNN.py. The masks look at
the whole utterance, so a recording cannot be encoded in pieces; every mean and convolution knows which frames are
padded, so padded batches are exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from acanet.models.config import CampplusFrames
from acanet.models.layers import FrameNorm, PictureConv, ResidualBlock, TimeConv, masked

_SEGMENT = 100  # frames (at half rate) whose mean is the near part of a mask's context


class FrontConvolution(nn.Module):
    """Two-dimensional residual convolutions that bring an eighth of the mel bins."""

    def __init__(self, mels: int, channels: int) -> None:
        super().__init__()
        self.stem = PictureConv(1, channels)
        self.blocks = nn.ModuleList(ResidualBlock(channels, stride) for stride in (2, 1, 2, 1))
        self.last = PictureConv(channels, channels, stride=(2, 1))
        self.features = channels * -(-mels // 8)

    def forward(self, features: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, mels) -> (batch, frames, features), zero in padded frames."""
        real = None if mask is None else mask[:, None, None]  # (batch, 1, 1, frames)
        picture = features.transpose(1, 2).unsqueeze(1).contiguous(memory_format=torch.channels_last)
        x = masked(self.stem(picture).relu(), real)
        for block in self.blocks:
            x = block(x, real)
        x = masked(self.last(x).relu(), real)
        return x.permute(0, 3, 1, 2).flatten(2)  # channel by channel, each with all its bins


class DenseLayer(nn.Module):
    """A bottleneck, then a convolution over time whose output a mask scales: the paper's context-aware masking.

    The mask of a frame comes from the mean of the utterance plus the mean of the frame's segment, so it is worked out
    once for each segment.
    """

    def __init__(self, channels: int, config: CampplusFrames, dilation: int) -> None:
        super().__init__()
        inside = config.bottleneck
        self.norm1 = FrameNorm(channels)
        self.narrow = nn.Linear(channels, inside, bias=False)
        self.norm2 = FrameNorm(inside)
        self.local = TimeConv(inside, config.growth, 3, padding=dilation, dilation=dilation, bias=False)
        self.squeeze = nn.Linear(inside, inside // 2)
        self.excite = nn.Linear(inside // 2, config.growth)

    def forward(self, x: Tensor, real: Tensor | None, counts: Tensor) -> Tensor:
        """(batch, frames, channels) -> (batch, frames, growth).

        Args:
            x: whatever the layers before gave.
            real: (batch, frames, 1) bool, true where a frame is real; None when all are.
            counts: (batch or 1, segments, 1) real frames of each segment.
        """
        hidden = masked(self.norm2(self.narrow(self.norm1(x).relu())).relu(), real)
        sums = _segments(hidden).sum(dim=2)  # (batch, segments, channels)
        context = sums.sum(dim=1, keepdim=True) / counts.sum(dim=1, keepdim=True) + sums / counts.clamp(min=1)
        mask = self.excite(self.squeeze(context).relu()).sigmoid()
        return self.local(hidden) * mask.repeat_interleave(_SEGMENT, dim=1)[:, : x.shape[1]]


class DenseBlock(nn.Module):
    """Layers of which each sees what all before it gave; then batch norm, ReLU and half the channels."""

    def __init__(self, channels: int, config: CampplusFrames, layers: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DenseLayer(channels + i * config.growth, config, dilation) for i in range(layers))
        self.out_channels = (channels + layers * config.growth) // 2
        self.norm = FrameNorm(channels + layers * config.growth)
        self.halve = nn.Linear(channels + layers * config.growth, self.out_channels, bias=False)

    def forward(self, x: Tensor, real: Tensor | None, counts: Tensor) -> Tensor:
        """(batch, frames, channels) -> (batch, frames, out_channels); `real` and `counts` as in `DenseLayer`."""
        for layer in self.layers:
            x = torch.cat([x, layer(x, real, counts)], dim=2)
        return self.halve(self.norm(x).relu())


class Campplus(nn.Module):
    """(batch, frames, mels) -> (batch, ceil(frames / 2), out_channels)."""

    def __init__(self, mels: int, config: CampplusFrames) -> None:
        super().__init__()
        self.front = FrontConvolution(mels, config.front_channels)
        self.tdnn = TimeConv(self.front.features, config.channels, 5, stride=2, padding=2, bias=False)
        self.tdnn_norm = FrameNorm(config.channels)
        self.blocks = nn.ModuleList()
        channels = config.channels
        for layers, dilation in zip(config.layers, config.dilations, strict=True):
            block = DenseBlock(channels, config, layers, dilation)
            self.blocks.append(block)
            channels = block.out_channels
        self.norm = FrameNorm(channels)
        for module in self.modules():
            if isinstance(module, nn.Linear | TimeConv):
                _start(module)

    def forward(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames, mels), zero in padded frames -> (batch, ceil(frames / 2), out_channels)."""
        x = self.tdnn_norm(self.tdnn(self.front(features, mask))).relu()
        mask = None if mask is None else mask[:, ::2]
        real = None if mask is None else mask.unsqueeze(2)
        counts = _segments(x.new_ones(1, x.shape[1], 1) if real is None else real.to(x)).sum(dim=2)
        for block in self.blocks:
            x = block(x, real, counts)
        return self.norm(x).relu(), mask


def _start(module: nn.Linear | TimeConv) -> None:
    """The published start of everything that is one-dimensional."""
    nn.init.kaiming_normal_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def _segments(x: Tensor) -> Tensor:
    """(batch, frames, channels) -> (batch, segments, _SEGMENT, channels), zero after the last frame."""
    return functional.pad(x, (0, 0, 0, -x.shape[1] % _SEGMENT)).unflatten(1, (-1, _SEGMENT))
