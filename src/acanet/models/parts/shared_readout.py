"""The paper's head: one vector reads one number out of each latent."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from acanet.models.base import Head, HeadConfig, register_head
from acanet.models.layers import FrameNorm, GroupedLinear


@register_head
class SharedReadout(HeadConfig):
    """One vector read out of every latent, so that each latent is one number of the embedding (the paper's)."""

    kind: Literal["shared-readout"] = "shared-readout"
    takes_vectors = False
    division = None

    def dimensions(self, latents: int | None) -> int:
        """One for each latent."""
        assert latents is not None  # it takes no vectors
        return latents

    def build(self, features: int, latents: int | None, branches: int) -> SharedReadoutHead:
        """A `SharedReadoutHead`."""
        return SharedReadoutHead(self.dimensions(latents), features)


class SharedReadoutHead(Head):
    """One number for each latent, by one shared vector, then batch norm."""

    def __init__(self, latents: int, features: int) -> None:
        super().__init__()
        self.readout = GroupedLinear(features, 1, 1)
        self.norm = FrameNorm(latents)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, latents, features) -> (batch, latents)."""
        return self.norm(self.readout(features).squeeze(-1))
