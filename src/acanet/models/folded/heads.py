"""Statistics pooling and the heads, folded."""

from __future__ import annotations

from torch import Tensor, nn

from acanet.models.folded.parts import (
    Affine,
    Product,
    affine_of,
    bias_of,
    constant,
    product_of,
    products_of,
    scale_and_shift,
    side_by_side,
)
from acanet.models.heads import LinearHeadModule, OwnReadoutHead, SharedReadoutHead
from acanet.models.pooling import Statistics


class FoldedStatistics(Statistics):
    """`Statistics` by matrix products, which backends add up more precisely than long plain sums."""

    def __init__(self, plain: Statistics) -> None:
        nn.Module.__init__(self)
        self.unbiased, self.features = plain.unbiased, plain.features

    def moments(self, frames: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted mean and variance over time, (batch, channels) each."""
        rows = weights.transpose(1, 2).expand(-1, -1, frames.shape[1])
        mean = rows @ frames
        return mean.squeeze(1), (rows @ (frames - mean).square()).squeeze(1)


class FoldedSharedReadout(nn.Module):
    """`SharedReadoutHead`, with its batch norm as one gain and offset for each latent."""

    def __init__(self, plain: SharedReadoutHead) -> None:
        super().__init__()
        scale, shift = scale_and_shift(plain.norm)
        self.readout = constant(plain.readout.weight.T)
        self.norm = Affine(scale, shift + scale * plain.readout.bias.double())

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, latents, features) -> (batch, latents)."""
        return self.norm((latents @ self.readout).squeeze(-1))


class FoldedOwnReadout(nn.Module):
    """`OwnReadoutHead`, with its batch norm inside the matrices."""

    def __init__(self, plain: OwnReadoutHead) -> None:
        super().__init__()
        scale, shift = scale_and_shift(plain.norm)
        latents, _, numbers = plain.readout.shape
        self.readout = constant(plain.readout.double() * scale.view(latents, 1, numbers))
        self.offset = constant(shift)

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, latents, features) -> (batch, dim)."""
        numbers = latents.unsqueeze(2) @ self.readout  # (batch, latents, 1, dim / latents)
        return numbers.flatten(1) + self.offset


def folded_linear_head(head: LinearHeadModule) -> nn.Module:
    """`LinearHeadModule`, with its batch norm inside the matrix; not so with branches, whose numbers are made level."""
    if not isinstance(head.level, nn.Identity):
        norm = () if isinstance(head.norm, nn.Identity) else (affine_of(head.norm),)
        return nn.Sequential(nn.Flatten(), *norm, side_by_side(products_of(head.linear)), head.level)
    return nn.Sequential(nn.Flatten(), _folded_linear(head))


def _folded_linear(head: LinearHeadModule) -> Product:
    if isinstance(head.norm, nn.Identity):
        return product_of(head.linear)
    scale, shift = scale_and_shift(head.norm)
    weight, bias = head.linear.weight.double(), bias_of(head.linear)
    if head.norm_after:
        return Product((weight * scale.unsqueeze(1)).T, bias * scale + shift)
    return Product((weight * scale).T, weight @ shift + bias)
