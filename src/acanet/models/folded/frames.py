"""The front end and the frame encoders, folded."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from acanet.models.folded.parts import affine_of, constant, product_of, products_of, scale_and_shift, side_by_side
from acanet.models.frames import Convolution, InvertedBlock, Spectral
from acanet.models.frontend import FrontEnd
from acanet.models.layers import PictureConv


class FoldedFrontEnd(FrontEnd):
    """`FrontEnd` whose windows are put together from hops, which every backend does quickly."""

    def __init__(self, plain: FrontEnd) -> None:
        super().__init__(plain.config)

        self.register_buffer("both_filters", torch.cat([plain.filters, plain.filters]), persistent=False)

    both_filters: Tensor  # (2 * bins, mels), for real parts and imaginary parts

    def power(self, spectrum: Tensor) -> Tensor:
        """(batch, frames, 2 * bins) -> (batch, frames, mels)."""
        return (spectrum * spectrum) @ self.both_filters

    def spectrum(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) -> (batch, frames, 2 * bins)."""
        window, hop = self.config.window, self.config.hop
        pieces = math.ceil(window / hop)
        frames = (waveforms.shape[1] - window) // hop + 1
        reach = functional.pad(waveforms, (0, (pieces - 1) * hop))[:, : (frames + pieces - 1) * hop]
        hops = reach.unflatten(1, (-1, hop))  # (batch, frames + pieces - 1, hop)
        parts = [hops[:, i : frames + i, : min(hop, window - i * hop)] for i in range(pieces)]
        return torch.cat(parts, dim=2) @ self.transform


class FoldedConvolution(nn.Module):
    """`Convolution`, with the batch norm of each block inside its depthwise convolution."""

    def __init__(self, plain: Convolution) -> None:
        super().__init__()
        self.stride = plain.stride
        self.stem, self.stem_norm = plain.stem, affine_of(plain.stem_norm)
        blocks: list[Any] = list(plain.blocks)
        self.blocks = nn.ModuleList(FoldedInvertedBlock(block) for block in blocks)
        self.norm = affine_of(plain.norm)

    forward = Convolution.forward


class FoldedSpectral(nn.Module):
    """`Spectral`, with batch norms inside the convolutions before them."""

    def __init__(self, plain: Spectral, stages: nn.Module) -> None:
        """Of the stages in their folded forms."""
        super().__init__()
        self.stages = stages
        self.stem, self.stem_norm = product_of(plain.stem), affine_of(plain.stem_norm)
        blocks: list[Any] = list(plain.blocks)
        self.blocks = nn.ModuleList(FoldedInvertedBlock(block) for block in blocks)
        self.norm = affine_of(plain.norm)

    forward = Spectral.forward


def folded_picture_conv(plain: PictureConv) -> nn.Conv2d:
    """`PictureConv` as a convolution, with the batch norm in it."""
    scale, shift = scale_and_shift(plain.norm)
    conv = copy.deepcopy(plain.conv)
    conv.weight = constant(plain.conv.weight.double() * scale[:, None, None, None])
    conv.bias = constant(shift)
    return conv


class FoldedInvertedBlock(nn.Module):
    """`InvertedBlock` without its batch norm."""

    def __init__(self, plain: InvertedBlock) -> None:
        super().__init__()
        scale, shift = scale_and_shift(plain.norm)
        depthwise = copy.deepcopy(plain.depthwise)
        depthwise.weight = constant(plain.depthwise.weight.double() * scale[:, None, None])
        depthwise.bias = constant(shift)
        self.depthwise = depthwise
        layers = zip(products_of(plain.expand), products_of(plain.project), strict=True)
        self.each_frame = side_by_side([nn.Sequential(expand, plain.activation, project) for expand, project in layers])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, channels), zero in padded frames -> the same shape."""
        return x + self.each_frame(self.depthwise(x))
