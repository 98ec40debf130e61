"""What the aggregator gives -> the embedding (batch, dim), not yet of unit length."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from acanet.models.config import LinearHead, OwnReadout
from acanet.models.layers import GroupedLinear


class SharedReadoutHead(nn.Module):
    """One number for each latent, by one shared vector, then batch norm."""

    def __init__(self, latents: int, features: int) -> None:
        super().__init__()
        self.readout = nn.Linear(features, 1)
        self.norm = nn.BatchNorm1d(latents)

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, latents, features) -> (batch, latents)."""
        return self.norm(self.readout(latents).squeeze(-1))


class OwnReadoutHead(nn.Module):
    """dim / latents numbers for each latent by a matrix of its own, then batch norm."""

    def __init__(self, latents: int, features: int, config: OwnReadout) -> None:
        super().__init__()
        self.readout = nn.Parameter(torch.randn(latents, features, config.dim // latents) / features**0.5)
        self.norm = nn.BatchNorm1d(config.dim)

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, latents, features) -> (batch, dim)."""
        numbers = latents.transpose(0, 1) @ self.readout  # (latents, batch, dim / latents)
        return self.norm(numbers.transpose(0, 1).flatten(1))


class LinearHeadModule(nn.Module):
    """A linear layer over all features, with batch norm before it, after it or not at all.

    Each of several branches has a layer of its own over its features; what they give is of length one each.
    """

    norm: nn.Module

    def __init__(self, features: int, config: LinearHead, branches: int = 1) -> None:
        super().__init__()
        self.norm_after = config.norm == "after"
        if self.norm_after:
            self.norm = nn.BatchNorm1d(config.dim, affine=False)
        else:
            self.norm = nn.BatchNorm1d(features) if config.norm == "before" else nn.Identity()
        self.linear = GroupedLinear(features, config.dim, branches, bias=not self.norm_after)
        self.level = EachAtLengthOne(branches) if branches > 1 else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(batch, features) or (batch, latents, features) -> (batch, dim)."""
        vector = features.flatten(1)
        return self.level(self.norm(self.linear(vector)) if self.norm_after else self.linear(self.norm(vector)))


class EachAtLengthOne(nn.Module):
    """The share of each branch at length one, so that a cosine is the mean of the branches' own."""

    def __init__(self, branches: int) -> None:
        super().__init__()
        self.branches = branches

    def forward(self, embeddings: Tensor) -> Tensor:
        """(batch, dim) -> (batch, dim)."""
        return functional.normalize(embeddings.unflatten(1, (self.branches, -1)), dim=2).flatten(1)
