"""A read-out for each latent: the head of `acanet-local`."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from acanet.models.base import Head, HeadConfig, register_head
from acanet.models.layers import FrameNorm


@register_head
class OwnReadout(HeadConfig):
    """A read-out matrix of its own for each latent."""

    kind: Literal["own-readout"] = "own-readout"
    dim: PositiveInt = 192
    takes_vectors = False
    division = None

    def dimensions(self, latents: int | None) -> int:
        """Those of the config."""
        return self.dim

    def check_latents(self, latents: int | None) -> None:
        """Each latent gives as many numbers as the others."""
        if latents is not None and self.dim % latents:
            raise ValueError(f"head.dim {self.dim} is not a multiple of {latents} latents")

    def build(self, features: int, latents: int | None, branches: int) -> OwnReadoutHead:
        """An `OwnReadoutHead`."""
        assert latents is not None  # it takes no vectors
        return OwnReadoutHead(latents, features, self)


class OwnReadoutHead(Head):
    """A head with dim / latents numbers for each latent by a matrix of its own, then batch norm."""

    def __init__(self, latents: int, features: int, config: OwnReadout) -> None:
        super().__init__()
        self.readout = nn.Parameter(torch.randn(latents, features, config.dim // latents) / features**0.5)
        self.norm = FrameNorm(config.dim)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, latents, features) -> (batch, dim)."""
        numbers = features.transpose(0, 1) @ self.readout  # (latents, batch, dim / latents)
        return self.norm(numbers.transpose(0, 1).flatten(1))
