"""Affine maps with their constants, and what layers and norms become as such."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from acanet.models.latents import LatentNorm
from acanet.models.layers import GroupedLinear


class Affine(nn.Module):
    """x * scale + shift."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale, self.shift = constant(scale), constant(shift)

    def forward(self, x: Tensor) -> Tensor:
        """(..., channels) -> the same shape."""
        return x * self.scale + self.shift


class Product(nn.Module):
    """x @ matrix + offset."""

    def __init__(self, matrix: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.matrix, self.offset = constant(matrix), constant(offset)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        return x @ self.matrix + self.offset


class SideBySide(nn.Module):
    """A module for each of several equal shares of the inputs."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        shares = x.chunk(len(self.each), dim=-1)
        return torch.cat([module(share) for module, share in zip(self.each, shares, strict=True)], dim=-1)


class Normalise(nn.Module):
    """`normalised`, as a module."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., channels) -> the same shape."""
        return normalised(x)


def normalised(x: Tensor) -> Tensor:
    """(..., channels) of zero mean and unit variance over the channels: a layer norm without gain and offset."""
    return functional.layer_norm(x, x.shape[-1:])


def constant(value: Tensor) -> nn.Parameter:
    """In single precision, not trained."""
    return nn.Parameter(value.detach().float().contiguous(), requires_grad=False)


def scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What a batch norm does in evaluation, in double precision."""
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    return scale, shift if norm.bias is None else shift + norm.bias.double()


def affine_of(norm: nn.Module) -> Affine:
    """A batch norm in evaluation."""
    return Affine(*scale_and_shift(norm))


def latents_affine_of(norm: LatentNorm, latents: int) -> Affine:
    """The norm of so many latents, which has a gain and an offset for each of their features."""
    scale, shift = scale_and_shift(norm)
    return Affine(scale.view(latents, -1), shift.view(latents, -1))


def product_of(linear: nn.Linear) -> Product:
    """A linear layer."""
    return Product(linear.weight.T, bias_of(linear))


def products_of(linear: GroupedLinear) -> list[Product]:
    """The linear layer of each group."""
    parts = zip(linear.weight.chunk(linear.groups), bias_of(linear).chunk(linear.groups), strict=True)
    return [Product(weight.T, offset) for weight, offset in parts]


def side_by_side(modules: Sequence[nn.Module]) -> nn.Module:
    """`SideBySide`, or the module itself where it is the only one."""
    return modules[0] if len(modules) == 1 else SideBySide(modules)


def after_norm(norm: nn.LayerNorm, linear: nn.Linear) -> Product:
    """A linear layer with the gain and offset of the layer norm before it."""
    weight = linear.weight.double()
    return Product((weight * norm.weight.double()).T, weight @ norm.bias.double() + bias_of(linear))


def beside(products: Sequence[Product]) -> Product:
    """Products of one input as a single one, their outputs one after the other."""
    return Product(torch.cat([p.matrix for p in products], dim=1), torch.cat([p.offset for p in products]))


def bias_of(linear: nn.Linear) -> Tensor:
    """(outputs,) in double precision; zero where there is none."""
    return linear.weight.double().new_zeros(linear.out_features) if linear.bias is None else linear.bias.double()
