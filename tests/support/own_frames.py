"""Somebody else's frame encoder, in one file: a strided convolution, and layers with a memory of some frames."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from acanet.models.base import Division, Frames, FramesConfig, ReceptiveField, register_frames
from acanet.models.layers import FrameNorm, GroupedLinear, TimeConv


@register_frames
class MemoryFrames(FramesConfig):
    kind: Literal["memory"] = "memory"
    channels: PositiveInt = 24
    layers: PositiveInt = 2
    exact_when_padded = True
    division = Division(("channels",))

    @property
    def channels_out(self) -> int:
        return self.channels

    @property
    def receptive_field(self) -> ReceptiveField:
        return ReceptiveField(around=1 + 2 * 2 * self.layers, stride=2)

    def build(self, mels: int, branches: int) -> Memory:
        return Memory(mels, self, branches)


class MemoryLayer(nn.Module):
    def __init__(self, channels: int, branches: int) -> None:
        super().__init__()
        self.memory = TimeConv(channels, channels, 5, padding=2, groups=channels)
        self.linear = GroupedLinear(channels, channels, branches)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.linear(self.memory(x)).tanh()


class Memory(Frames):
    def __init__(self, mels: int, config: MemoryFrames, branches: int) -> None:
        super().__init__()
        self.stem = TimeConv(mels, config.channels, 3, stride=2, padding=1)
        self.layers = nn.ModuleList(MemoryLayer(config.channels, branches) for _ in range(config.layers))
        self.norm = FrameNorm(config.channels)

    def forward(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x = self.stem(features).relu()
        mask = None if mask is None else mask[:, ::2]
        for layer in self.layers:
            x = layer(x if mask is None else x * mask.unsqueeze(2))
        return self.norm(x), mask
