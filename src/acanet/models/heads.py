"""What the aggregator gives -> the embedding (batch, dim), not yet of unit length."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acanet.config import LinearHead, OwnReadout


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
    """A linear layer over all features, with batch norm before it, after it or not at all."""

    norm: nn.Module

    def __init__(self, features: int, config: LinearHead) -> None:
        super().__init__()
        self.norm_after = config.norm == "after"
        if self.norm_after:
            self.norm = nn.BatchNorm1d(config.dim, affine=False)
        else:
            self.norm = nn.BatchNorm1d(features) if config.norm == "before" else nn.Identity()
        self.linear = nn.Linear(features, config.dim, bias=not self.norm_after)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, features) or (batch, latents, features) -> (batch, dim)."""
        vector = features.flatten(1)
        return self.norm(self.linear(vector)) if self.norm_after else self.linear(self.norm(vector))
