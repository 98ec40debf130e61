"""What latents do among themselves: attention to each other with several heads, and a small network for each."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from acanet.models.folding import Normalise, Product, after_norm, bias_of, constant, normalised
from acanet.models.passes import mean_under, product


class Mlp(nn.Sequential):
    """LayerNorm, Linear, GELU, Linear, dropout: the residual branch after an attention."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim), nn.Dropout(dropout)
        )

    def folded(self) -> nn.Sequential:
        """The same network with the gain and the offset of the layer norm inside the first matrix."""
        layers: list[nn.Module] = list(self)
        norm, first, activation, second, _ = layers
        assert isinstance(first, nn.Linear)
        assert isinstance(second, nn.Linear)
        last = Product(second.weight.T, bias_of(second))
        return nn.Sequential(Normalise(), Product(*after_norm(norm, first)), activation, last)


class LatentLayer(nn.Module):
    """Latents (batch, latents, dim) attend to themselves with several heads.

    Keys and values are normalised; queries are too when `norm_queries` (the paper's are not).
    """

    def __init__(self, dim: int, heads: int, mlp: int, dropout: float, *, norm_queries: bool = False) -> None:
        super().__init__()
        self.heads, self.normalises_queries = heads, norm_queries
        self.norm_queries = nn.LayerNorm(dim) if norm_queries else nn.Identity()
        self.norm = nn.LayerNorm(dim)
        self.query, self.key, self.value = (projection(dim) for _ in range(3))
        self.key.bias.requires_grad_(False)  # it cancels in the softmax
        self.out = projection(dim, plain=True)
        self.mlp = Mlp(dim, mlp, dropout)

    @constant("norm_queries", "query")
    def to_queries(self) -> tuple[Tensor, ...]:
        """Matrix and offset of the queries, at the size in which they are used."""
        scale = 1 / math.sqrt(self.query.in_features // self.heads)
        return tuple(each * scale for each in after_norm(self.norm_queries, self.query))

    @constant("norm", "key", "value")
    def to_keys_and_values(self) -> tuple[Tensor, ...]:
        """Matrix and offset of keys and values, one after the other."""
        key, _ = after_norm(self.norm, self.key)
        value, offset = after_norm(self.norm, self.value)
        return torch.cat([key, value], dim=1), torch.cat([torch.zeros_like(offset), offset])

    @constant("out")
    def to_latents(self) -> tuple[Tensor, ...]:
        """Matrix and offset of what is added to the latents."""
        return self.out.weight.T, self.out.bias

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, latents, dim) -> (batch, latents, dim)."""
        inner = normalised(latents)
        query = self._by_head(product(inner if self.normalises_queries else latents, *self.to_queries))
        key, value = (self._by_head(x) for x in product(inner, *self.to_keys_and_values).chunk(2, dim=-1))
        if self.training:
            heard = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        else:
            heard = mean_under(query @ key.transpose(-1, -2), value)
        latents = latents + product(heard.transpose(1, 2).flatten(2), *self.to_latents)
        return latents + self.mlp(latents)

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (batch, heads, latents, dim / heads)


def projection(dim: int, *, plain: bool = False) -> nn.Linear:
    """A square projection, started as nn.MultiheadAttention starts its own: inputs by Glorot over all three."""
    linear = nn.Linear(dim, dim)
    if not plain:
        nn.init.uniform_(linear.weight, -math.sqrt(1.5 / dim), math.sqrt(1.5 / dim))
    nn.init.zeros_(linear.bias)
    return linear
