"""What the head gives -> a few directions in which speakers differ, and one constant number."""

from __future__ import annotations

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from acanet.config.strict import Strict


class DiscriminantConfig(Strict):
    """A projection after the head, onto directions in which speakers differ; it is fitted, not trained."""

    directions: PositiveInt = Field(description="that are kept; an embedding has one number more")


class Discriminant(nn.Module):
    """A linear projection of embeddings at length one, after which their lengths count.

    What is projected is not brought to length one at once, but with one more coordinate, the lift, that is the same for
    all. The larger it is beside the others, the more nearly the cosine of two results x, y is one less half of
    |x - y|² / lift²: it ranks pairs by their Euclidean distance, and so tells a vague embedding, near the centre, from
    one that is far out, which the cosine of the projections themselves cannot. `acanet.training.fit_discriminant`
    learns it from embeddings; a fresh one keeps the first coordinates as they are.
    """

    centre: Tensor  # (dim,) of embeddings at length one
    matrix: Tensor  # (directions, dim)
    lift: Tensor  # ()

    def __init__(self, dim: int, directions: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("matrix", torch.eye(directions, dim))
        self.register_buffer("lift", torch.tensor(0.1))

    @classmethod
    def of(cls, centre: Tensor, matrix: Tensor, lift: float) -> Discriminant:
        """The discriminant with a centre (dim,), a matrix (directions, dim) and a lift."""
        discriminant = cls(matrix.shape[1], matrix.shape[0])
        discriminant.load_state_dict({"centre": centre, "matrix": matrix, "lift": torch.tensor(lift)})
        return discriminant

    def forward(self, embeddings: Tensor) -> Tensor:
        """(batch, dim), of any length -> (batch, directions + 1), not of unit length."""
        projected = (functional.normalize(embeddings) - self.centre) @ self.matrix.T
        return torch.cat([projected, self.lift.expand(len(projected), 1)], dim=1)
