"""What a frame of ReDimNet2 sees of the others: long convolutions over time, then attention to all frames.

Over (batch, channels, frames). Exported, attention goes through the frames some at a time, so that its memory grows
with the recording, not with its square.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.nn import functional

from acanet.models.layers import NormedConv, masked

HEADS = 4
"""Of attention; channels of a time context are a multiple of it."""
_KERNELS = (7, 19, 31, 59)
_EPSILON = 1e-6
_QUERIES = 64  # frames that attend at once in an exported graph


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of maps or pictures: (batch, channels, ..., frames)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, ..., frames) -> the same shape."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class TimeBlock(nn.Module):
    """A depthwise convolution over time, batch norm, GELU, and a product for each frame; residual."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        depthwise = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.depthwise = NormedConv(depthwise, nn.BatchNorm1d(channels))
        self.mix = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """(batch, channels, frames), and (batch, 1, frames) bool, true where a frame is real -> the same shape."""
        return x + self.mix(functional.gelu(self.depthwise(masked(x, real))))


class FrameAttention(nn.Module):
    """A transformer's layer with its norms after the sums: frames attend to all real frames, with several heads."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(channels, channels) for _ in range(4))
        self.norm, self.last_norm = (nn.LayerNorm(channels, eps=_EPSILON) for _ in range(2))
        self.hidden, self.back = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """(batch, frames, channels), and (batch, 1, frames) bool, true where a frame is real -> the same shape."""
        query, key, value = (_by_head(layer(x)) for layer in (self.query, self.key, self.value))
        real = None if real is None else real.unsqueeze(1)  # (batch, 1, 1, frames)
        if torch.compiler.is_exporting():
            heard = attention_in_turns(query, key, value, real)
        else:
            heard = functional.scaled_dot_product_attention(query, key, value, real)
        x = self.norm(x + self.out(heard.transpose(1, 2).flatten(2)))
        output: Tensor = self.last_norm(x + self.back(functional.gelu(self.hidden(x), approximate="tanh")))
        return output


class TimeContext(nn.Module):
    """A few channels made of all, in which frames see each other; added to what came in."""

    def __init__(self, volume: int, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv1d(volume, channels, 1)
        self.reduce_norm = ChannelNorm(channels)
        self.blocks = nn.ModuleList(TimeBlock(channels, kernel) for kernel in _KERNELS)
        self.attention = FrameAttention(channels)
        self.expand = nn.Conv1d(channels, volume, 1)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """(batch, volume, frames), and (batch, 1, frames) bool, true where a frame is real -> the same shape."""
        few = self.reduce_norm(self.reduce(x))
        for block in self.blocks:
            few = block(few, real)
        return x + self.expand(self.attention(few.transpose(1, 2), real).transpose(1, 2))


def _by_head(x: Tensor) -> Tensor:
    return x.unflatten(2, (HEADS, -1)).transpose(1, 2)  # (batch, heads, frames, channels / heads)


def attention_in_turns(query: Tensor, key: Tensor, value: Tensor, real: Tensor | None) -> Tensor:
    """Attention as a loop over the queries, which an exported graph runs one turn after the other.

    Args:
        query, key, value: (batch, heads, frames, channels / heads).
        real: (batch, 1, 1, frames) bool; None when all are.

    Returns:
        (batch, heads, frames, channels / heads).
    """
    frames = query.shape[2]
    turns = (frames + _QUERIES - 1) // _QUERIES
    padded = functional.pad(query * query.shape[3] ** -0.5, (0, 0, 0, turns * _QUERIES - frames))
    keys = key.transpose(2, 3)

    def turn(carried: Tensor, queries: Tensor) -> tuple[Any, Tensor]:
        scores = queries @ keys
        scores = scores if real is None else scores.masked_fill(~real, float("-inf"))
        return carried.clone(), scores.softmax(dim=-1) @ value

    _, heard = scan(turn, query.new_zeros(1), padded.unflatten(2, (turns, _QUERIES)).movedim(2, 0))
    return heard.movedim(0, 2).flatten(2, 3)[:, :, :frames]
