"""A linear layer over all that the aggregator gives: the head of most networks of the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from acanet.models.base import Division, Head, HeadConfig, register_head
from acanet.models.folding import Product, bias_of, folded_form, scale_and_shift
from acanet.models.layers import FrameNorm, GroupedLinear


@register_head
class LinearHead(HeadConfig):
    """A linear layer over all that the aggregator gives.

    `norm`: where batch norm is. `before` the layer (ECAPA); `after` it, without gain and offset, the layer without bias
    (CAM++); or `none` (x-vector; `acanet2`, whose ACA has it).
    """

    kind: Literal["linear"] = "linear"
    dim: PositiveInt = 192
    norm: Literal["before", "after", "none"] = "before"
    takes_vectors = True
    division = Division(("dim",), when="with norm 'none' or 'before'", holds=lambda part: part.norm != "after")

    def dimensions(self, latents: int | None) -> int:
        """Those of the config."""
        return self.dim

    def build(self, features: int, latents: int | None, branches: int) -> LinearHeadModule:
        """A `LinearHeadModule`."""
        return LinearHeadModule(features * (latents or 1), self, branches)


class LinearHeadModule(Head):
    """A linear layer over all features, with batch norm before it, after it or not at all.

    Each of several branches has a layer of its own over its features; what they give is of length one each.
    """

    norm: nn.Module

    def __init__(self, features: int, config: LinearHead, branches: int) -> None:
        super().__init__()
        self.norm_after = config.norm == "after"
        if self.norm_after:
            self.norm = FrameNorm(config.dim, affine=False)
        else:
            self.norm = FrameNorm(features) if config.norm == "before" else nn.Identity()
        self.linear = GroupedLinear(features, config.dim, branches, bias=not self.norm_after)
        self.level = EachAtLengthOne(branches) if branches > 1 else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(batch, features) or (batch, latents, features) -> (batch, dim)."""
        vector = features.flatten(1)
        return self.level(self.norm(self.linear(vector)) if self.norm_after else self.linear(self.norm(vector)))

    def of_vector(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The weights over the vector, and none for the latents beside the first, whose norm is a fresh one's."""
        own, grown = self.state_dict(), dict(weights)
        for name, value in weights.items():
            if value.ndim and value.shape[-1] < own[name].shape[-1]:
                rest = own[name][..., value.shape[-1] :]
                grown[name] = torch.cat([value, torch.zeros_like(rest) if name == "linear.weight" else rest], dim=-1)
        return grown

    def folded(self) -> nn.Sequential:
        """One product, with the batch norm in it; with branches, whose numbers are made level, layer after layer."""
        if not isinstance(self.level, nn.Identity):
            return nn.Sequential(nn.Flatten(), folded_form(self.norm), folded_form(self.linear), self.level)
        weight, bias = self.linear.weight, bias_of(self.linear)
        if not isinstance(self.norm, nn.Identity):
            scale, shift = scale_and_shift(self.norm)
            if self.norm_after:
                weight, bias = weight * scale.unsqueeze(1), bias * scale + shift
            else:
                weight, bias = weight * scale, weight @ shift + bias
        return nn.Sequential(nn.Flatten(), Product(weight.T, bias))


class EachAtLengthOne(nn.Module):
    """The share of each branch at length one, so that a cosine is the mean of the branches' own."""

    def __init__(self, branches: int) -> None:
        super().__init__()
        self.branches = branches

    def forward(self, embeddings: Tensor) -> Tensor:
        """(batch, dim) -> (batch, dim)."""
        return functional.normalize(embeddings.unflatten(1, (self.branches, -1)), dim=2).flatten(1)
