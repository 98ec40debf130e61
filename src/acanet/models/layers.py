"""Layers that several parts have.

Over (batch, frames, channels), which stay in that memory order: several times faster on a CPU. Over pictures, (batch,
channels, mels, frames), with the channels last in memory for the same reason.
"""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from acanet.models.folding import Affine, Product, bias_of, scale_and_shift, side_by_side


class TimeConv(nn.Conv1d):
    """Convolution along time: (batch, frames, channels) -> (batch, frames', channels')."""

    def forward(self, x: Tensor) -> Tensor:
        """Computed as a convolution of pictures one pixel high, channels last, which backends have fast kernels for."""
        picture = x.transpose(1, 2).unsqueeze(2)  # (batch, channels, 1, frames), no copy
        output = functional.conv2d(
            picture,
            self.weight.unsqueeze(2),
            self.bias,
            stride=(1, *self.stride),
            padding=(0, *self.padding),
            dilation=(1, *self.dilation),
            groups=self.groups,
        )
        return output.squeeze(2).transpose(1, 2)


class FrameNorm(nn.BatchNorm1d):
    """Batch norm of every channel over all frames of the batch: (batch, frames, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, channels) -> the same shape."""
        return super().forward(x.reshape(-1, x.shape[-1])).view(x.shape)

    def folded(self) -> Affine:
        """An affine map of every channel."""
        return Affine(*scale_and_shift(self))


class GroupedLinear(nn.Linear):
    """A linear layer of its own for each of some equal shares of the channels: (..., inputs) -> (..., outputs)."""

    def __init__(self, inputs: int, outputs: int, groups: int, *, bias: bool = True) -> None:
        super().__init__(inputs // groups, outputs, bias)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """The first outputs are of the first inputs."""
        return grouped(x, self.weight, self.bias, self.groups)

    def products(self) -> list[Product]:
        """The product of each group, folded."""
        parts = zip(self.weight.chunk(self.groups), bias_of(self).chunk(self.groups), strict=True)
        return [Product(weight.T, offset) for weight, offset in parts]

    def folded(self) -> nn.Module:
        """Products with matrices that lie as backends want them."""
        return side_by_side(self.products())


def grouped(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
    """The product of each group's share of `x` with its own matrix.

    Args:
        x: (..., inputs).
        weight: (outputs, inputs / groups), the rows of the first group first.
        bias: (outputs,) or None.
        groups: how many.

    Returns:
        (..., outputs).
    """
    if groups == 1:
        return functional.linear(x, weight, bias)
    biases = [None] * groups if bias is None else bias.chunk(groups)
    parts = zip(x.chunk(groups, dim=-1), weight.chunk(groups), biases, strict=True)
    return torch.cat([functional.linear(*part) for part in parts], dim=-1)


class Conv2dNorm(nn.Module):
    """Convolution without bias over mel bins and time, batch norm; padded so that only a stride makes less."""

    def __init__(self, channels: int, out_channels: int, kernel: int = 3, stride: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, picture: Tensor) -> Tensor:
        """(batch, channels, mels, frames) -> (batch, out_channels, mels / stride, frames / stride), rounded up."""
        output: Tensor = self.norm(self.conv(picture))
        return output

    def folded(self) -> nn.Module:
        """The convolution, with the batch norm in it, as int8 and fp16 want it; float32 is as fast without."""
        return with_norm(self.conv, self.norm)


class PictureNorm(nn.BatchNorm2d):
    """Batch norm of every channel over all bins and frames of the batch: (batch, channels, mels, frames)."""

    def folded(self) -> Affine:
        """An affine map of every channel."""
        return Affine(*(each.view(-1, 1, 1) for each in scale_and_shift(self)))


class NormedConv(nn.Sequential):
    """A convolution, over time alone or over mel bins too, and the batch norm after it."""

    def folded(self) -> nn.Module:
        """The convolution, with the batch norm in it."""
        conv, norm = self
        assert isinstance(conv, nn.Conv1d | nn.Conv2d)
        return with_norm(conv, norm)


class ResidualBlock(nn.Module):
    """Two convolutions; a shortcut of one bin and frame where a stride of mel bins makes the sizes differ."""

    def __init__(self, channels: int, mel_stride: int = 1) -> None:
        super().__init__()
        self.first = Conv2dNorm(channels, channels, stride=(mel_stride, 1))
        self.second = Conv2dNorm(channels, channels)
        self.shortcut = Conv2dNorm(channels, channels, 1, (mel_stride, 1)) if mel_stride > 1 else nn.Identity()

    def forward(self, picture: Tensor, real: Tensor | None) -> Tensor:
        """(batch, channels, mels, frames), zero in padded frames -> (batch, channels, ceil(mels / stride), frames).

        `real`: (batch, 1, 1, frames) bool, true where a frame is real; None when all are.
        """
        x = masked(self.first(picture).relu(), real)
        return masked((self.second(x) + self.shortcut(picture)).relu(), real)


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

    def folded(self) -> nn.Module:
        """`FoldedInvertedBlock` of this one."""
        return FoldedInvertedBlock(self)


class FoldedInvertedBlock(nn.Module):
    """`InvertedBlock` with its batch norm in the convolution, and each group of channels by itself up to the end.

    Exported, that makes `acanet2-large` 2 to 3 % faster than the forms of the layers inside would.
    """

    def __init__(self, plain: InvertedBlock) -> None:
        super().__init__()
        self.depthwise = with_norm(plain.depthwise, plain.norm)
        layers = zip(plain.expand.products(), plain.project.products(), strict=True)
        self.each_frame = side_by_side([nn.Sequential(expand, plain.activation, project) for expand, project in layers])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, channels), zero in padded frames -> the same shape."""
        return x + self.each_frame(self.depthwise(x))


def with_norm(conv: nn.Conv1d | nn.Conv2d, norm: nn.Module) -> nn.Module:
    """A convolution with the batch norm after it in it."""
    scale, shift = scale_and_shift(norm)
    both = copy.deepcopy(conv)
    both.weight = nn.Parameter(conv.weight * scale.view(-1, *[1] * (conv.weight.ndim - 1)), requires_grad=False)
    both.bias = nn.Parameter(shift if conv.bias is None else shift + scale * conv.bias, requires_grad=False)
    return both


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """The mask of real frames: (batch,) lengths -> (batch, frames) bool, true where a frame is real."""
    return torch.arange(frames, device=lengths.device) < lengths.unsqueeze(1)


def masked(x: Tensor, real: Tensor | None) -> Tensor:
    """`x` with zeros in padded frames."""
    return x if real is None else x * real


def upcast(x: Tensor) -> Tensor:
    """`x`, in float32 where training in bfloat16 left it in less."""
    return x.float() if x.dtype == torch.bfloat16 else x


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """A context in which products are as precise as their factors: variances are small differences of large sums."""
    kind = "cuda" if x.is_cuda else "cpu"
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()
