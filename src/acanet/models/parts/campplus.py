"""CAM++, as WeSpeaker and 3D-Speaker publish it: densely connected layers with context-aware masking.

Source: Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware Masking",
Interspeech 2023; arithmetic of wespeaker/models/campplus.py, which is that of 3D-Speaker's DTDNN.py. The masks look at
the whole utterance, so a recording cannot be encoded in pieces; every mean and convolution knows which frames are
padded, so padded batches are exact.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from acanet.models.base import Frames, FramesConfig, register_frames
from acanet.models.config import ExtractorConfig
from acanet.models.layers import Conv2dNorm, FrameNorm, ResidualBlock, TimeConv, masked
from acanet.models.parts.linear_head import LinearHead
from acanet.models.parts.statistics import StatisticsPooling
from acanet.models.registry import register_model
from acanet.models.weights import Changes, Layout, Rename, Weights, count_of, register_layout, renamed, size_of

_SEGMENT = 100  # frames (at half rate) whose mean is the near part of a mask's context


@register_frames
class CampplusFrames(FramesConfig):
    """CAM++: residual convolutions over time and mel bins, then densely connected layers with context-aware masking."""

    kind: Literal["campplus"] = "campplus"
    front_channels: PositiveInt = 32
    channels: PositiveInt = Field(128, description="that enter the first dense block")
    growth: PositiveInt = Field(32, description="channels that each dense layer adds")
    bottleneck: PositiveInt = Field(128, description="channels inside a dense layer")
    layers: tuple[PositiveInt, ...] = Field((12, 24, 16), description="dense layers of each block")
    dilations: tuple[PositiveInt, ...] = Field((1, 2, 2), description="of each block")
    exact_when_padded = True
    division = None

    @model_validator(mode="after")
    def _same_depth(self) -> Self:
        if len(self.layers) != len(self.dilations):
            raise ValueError(f"{len(self.layers)} blocks of layers but {len(self.dilations)} dilations")
        if self.bottleneck < 2:
            raise ValueError("bottleneck must be 2 or more, because the mask is made from half of it")
        return self

    @property
    def channels_out(self) -> int:
        """Channels after the last block; every block ends by halving them."""
        channels = self.channels
        for layers in self.layers:
            channels = (channels + layers * self.growth) // 2
        return channels

    @property
    def receptive_field(self) -> None:
        """The whole utterance, by the masks."""
        return None

    def build(self, mels: int, branches: int) -> Campplus:
        """A `Campplus`."""
        return Campplus(mels, self)


class FrontConvolution(nn.Module):
    """Two-dimensional residual convolutions that bring an eighth of the mel bins."""

    def __init__(self, mels: int, channels: int) -> None:
        super().__init__()
        self.stem = Conv2dNorm(1, channels)
        self.blocks = nn.ModuleList(ResidualBlock(channels, stride) for stride in (2, 1, 2, 1))
        self.last = Conv2dNorm(channels, channels, stride=(2, 1))
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


class Campplus(Frames):
    """Two-dimensional convolutions, then dense blocks at half the frame rate."""

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
        """(batch, frames, mels), zero in padded frames -> (batch, ceil(frames / 2), channels_out)."""
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


register_model(
    "campplus",
    ExtractorConfig(
        frames=CampplusFrames(), aggregator=StatisticsPooling(unbiased=True), head=LinearHead(norm="after")
    ),
)


# wespeaker/models/campplus.py; 3D-Speaker's DTDNN.py has the same names
_NAMES: Rename = [
    (r"^head\.conv1\.", "frames.front.stem.conv."),
    (r"^head\.bn1\.", "frames.front.stem.norm."),
    (r"^head\.conv2\.", "frames.front.last.conv."),
    (r"^head\.bn2\.", "frames.front.last.norm."),
    (r"^head\.layer1\.", "frames.front.blocks."),
    (r"^head\.layer2\.(\d)", lambda found: f"frames.front.blocks.{int(found[1]) + 2}"),
    (r"\.shortcut\.0\.", ".shortcut.conv."),
    (r"\.shortcut\.1\.", ".shortcut.norm."),
    (r"(blocks\.\d)\.conv1\.", r"\1.first.conv."),
    (r"(blocks\.\d)\.bn1\.", r"\1.first.norm."),
    (r"(blocks\.\d)\.conv2\.", r"\1.second.conv."),
    (r"(blocks\.\d)\.bn2\.", r"\1.second.norm."),
    (r"^xvector\.tdnn\.linear\.", "frames.tdnn."),
    (r"^xvector\.tdnn\.nonlinear\.batchnorm\.", "frames.tdnn_norm."),
    (r"^xvector\.(?:block|transit)(\d)\.", lambda found: f"frames.blocks.{int(found[1]) - 1}."),
    (r"\.tdnnd(\d+)\.", lambda found: f".layers.{int(found[1]) - 1}."),
    (r"\.nonlinear([12])\.batchnorm\.", r".norm\1."),
    (r"\.cam_layer\.linear_local\.", ".local."),
    (r"\.cam_layer\.linear1\.", ".squeeze."),
    (r"\.cam_layer\.linear2\.", ".excite."),
    (r"(layers\.\d+)\.linear1\.", r"\1.narrow."),
    (r"^(frames\.blocks\.\d)\.nonlinear\.batchnorm\.", r"\1.norm."),
    (r"^(frames\.blocks\.\d)\.linear\.", r"\1.halve."),
    (r"^xvector\.out_nonlinear\.batchnorm\.", "frames.norm."),
    (r"^xvector\.dense\.linear\.", "head.linear."),
    (r"^xvector\.dense\.nonlinear\.batchnorm\.", "head.norm."),
]


def _renamed(name: str, value: Tensor) -> dict[str, Tensor]:
    return {} if name.startswith("projection.") else {renamed(name, _NAMES): value}


def _fit(weights: Weights) -> tuple[str, Changes]:
    front = size_of(weights, "frames.front.stem.conv.weight")
    first = "frames.blocks.0.layers.0"
    return "campplus", {
        "front_end": {"mels": 8 * size_of(weights, "frames.tdnn.weight", 1) // max(front, 1)},
        "frames": {
            "front_channels": front,
            "channels": size_of(weights, "frames.tdnn.weight"),
            "growth": size_of(weights, f"{first}.local.weight"),
            "bottleneck": size_of(weights, f"{first}.narrow.weight"),
            "layers": [
                count_of(weights, f"frames.blocks.{block}.layers")
                for block in range(count_of(weights, "frames.blocks"))
            ],
        },
        "head": {"dim": size_of(weights, "head.linear.weight")},
    }


WESPEAKER = register_layout(
    "campplus",
    Layout("a CAM++ in the layout of WeSpeaker and 3D-Speaker", "xvector.dense.linear.weight", _renamed, _fit),
)
