"""The idea of the paper: a few learned latents attend to the whole utterance, however long it is.

Asymmetric cross attention (ACA) has one head, so all that it does to the frames is linear. Frames are normalised once
for all layers; key and value projections are folded onto the latents' side, and no projection of a frame is left:

    scores = (l Wq + bq) Wk' z'       z = normalise(frames), Wk' = Wk diag(gamma); the key bias cancels in the softmax
    output = (A z) diag(gamma) Wv' Wo' + constant

Source: Yip et al., "ACA-Net: Towards Lightweight Speaker Verification using Asymmetric Cross Attention",
Interspeech 2023, section 2; parameters and arithmetic of the authors' code (see `weights.py`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from acanet.models.config import AcaStatisticsAggregator, MlaAggregator
from acanet.models.layers import full_precision
from acanet.models.pooling import FrameInContext

VARIANCE_FLOOR = 1e-4


class Mlp(nn.Sequential):
    """LayerNorm, Linear, GELU, Linear, dropout: the residual branch after an attention."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__(
            nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim), nn.Dropout(dropout)
        )


class AcaLayer(nn.Module):
    """Latents (batch, latents, dim) attend to normalised frames (batch, frames, dim) with one head."""

    def __init__(self, dim: int, mlp: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.query, self.key, self.value = (_projection(dim) for _ in range(3))
        self.key.bias.requires_grad_(False)  # it cancels in the softmax
        self.out = _projection(dim, plain=True)
        self.mlp = Mlp(dim, mlp, dropout)

    def forward(self, latents: Tensor, normalised: Tensor, mask: Tensor | None) -> Tensor:
        """One pass over the frames.

        Args:
            latents: (batch or 1, latents, dim).
            normalised: (batch, frames, dim), zero mean and unit variance, without this layer's gain and offset.
            mask: (batch, 1, frames) bool, true where a frame is real.
        """
        key = self.key.weight * self.norm.weight / math.sqrt(latents.shape[-1])
        query = latents @ (self.query.weight.T @ key) + self.query.bias @ key
        heard = functional.scaled_dot_product_attention(
            query.expand(len(normalised), -1, -1), normalised, normalised, mask, scale=1.0
        )
        value = self.out.weight @ (self.value.weight * self.norm.weight)
        constant = self.out.weight @ (self.value.weight @ self.norm.bias + self.value.bias) + self.out.bias
        latents = latents + functional.linear(heard, value, constant)
        return latents + self.mlp(latents)


class LatentLayer(nn.Module):
    """Latents (batch, latents, dim) attend to themselves with several heads.

    Keys and values are normalised; queries are too when `norm_queries` (the paper's are not).
    """

    def __init__(self, dim: int, heads: int, mlp: int, dropout: float, *, norm_queries: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.norm_queries = nn.LayerNorm(dim) if norm_queries else nn.Identity()
        self.norm = nn.LayerNorm(dim)
        self.query, self.key, self.value = (_projection(dim) for _ in range(3))
        self.key.bias.requires_grad_(False)  # it cancels in the softmax
        self.out = _projection(dim, plain=True)
        self.mlp = Mlp(dim, mlp, dropout)

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, latents, dim) -> (batch, latents, dim)."""
        normalised = self.norm(latents)
        heard = functional.scaled_dot_product_attention(
            self._by_head(self.query(self.norm_queries(latents))),
            self._by_head(functional.linear(normalised, self.key.weight)),
            self._by_head(self.value(normalised)),
        )
        latents = latents + self.out(heard.transpose(1, 2).flatten(2))
        return latents + self.mlp(latents)

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (batch, heads, latents, dim / heads)


class MlaBlock(nn.Module):
    """ACA layers, a latent transformer, and the aggregation of all its layers."""

    def __init__(self, dim: int, config: MlaAggregator) -> None:
        super().__init__()
        self.aca = nn.ModuleList(AcaLayer(dim, config.aca_mlp, config.dropout) for _ in range(config.aca_layers))
        self.transformer = nn.ModuleList(
            LatentLayer(dim, config.heads, config.latent_mlp, config.dropout) for _ in range(config.latent_layers)
        )
        self.aggregate = nn.Linear(dim * (config.latent_layers + 1), dim)

    def forward(self, latents: Tensor, normalised: Tensor, mask: Tensor | None) -> Tensor:
        """(batch or 1, latents, dim) and frames -> (batch, latents, dim)."""
        for aca in self.aca:
            latents = aca(latents, normalised, mask)
        seen = [latents]
        for layer in self.transformer:
            seen.append(layer(seen[-1]))
        return functional.relu(self.aggregate(torch.cat(seen, dim=-1)))


class Mla(nn.Module):
    """ACA-Net's aggregator: (batch, frames, dim) -> (batch, latents, dim)."""

    def __init__(self, dim: int, config: MlaAggregator) -> None:
        super().__init__()
        self.positions = config.positions
        self.latents = nn.Parameter(nn.init.trunc_normal_(torch.empty(config.latents, dim), std=0.02, a=-2.0, b=2.0))
        self.blocks = nn.ModuleList(MlaBlock(dim, config) for _ in range(config.blocks))
        self.features = dim

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """`mask`: (batch, frames) bool, true where a frame is real; None when all are."""
        if self.positions != "none":
            code = sinusoids(frames.shape[1] if self.positions == "time" else 1, frames.shape[2])
            frames = frames + code.to(frames)
        normalised = functional.layer_norm(frames, frames.shape[-1:])
        latents = self.latents.unsqueeze(0)
        for block in self.blocks:
            latents = block(latents, normalised, None if mask is None else mask.unsqueeze(1))
        return latents


class AcaStatistics(nn.Module):
    """Second-order ACA: (batch, frames, dim) -> (batch, latents, features).

    Each latent passes the mean and the standard deviation of the frames under its attention (sums of z and of z
    squared, so folding, chunks and a running softmax serve here too). With several heads it has a query, and so an
    attention, for each share of the channels. The keys are the normalised frames, or a hidden layer that also sees the
    statistics of the whole utterance. The latents of a branch hear its share of the channels, through its share of the
    keys. A latent transformer then compares what the latents heard; each latent's features are its statistics and its
    state before and after every layer.
    """

    def __init__(self, dim: int, config: AcaStatisticsAggregator, branches: int = 1) -> None:
        super().__init__()
        count = config.latents
        self.branches = branches
        self.heads = config.aca_heads * branches
        self.in_context = None if config.keys is None else FrameInContext(dim, config.keys, branches)
        if config.keys is None:
            self.norm = nn.LayerNorm(dim, bias=False)  # an offset of the keys would cancel in the softmax
        own = self.heads > 1 or config.keys is not None
        width = (config.keys or dim) // branches
        queries = config.aca_heads * count
        self.own_queries = nn.Parameter(torch.randn(queries, width) / math.sqrt(width)) if own else None
        self.latents = nn.Parameter(torch.randn(count, dim)) if config.latent_layers or not own else None
        self.features = 2 * dim // branches
        self.norm_statistics = LatentNorm(count, self.features)
        if config.latent_layers:
            self.hear = nn.Linear(2 * dim, dim)
            self.norm_states = LatentNorm(count, dim * (config.latent_layers + 1))
            self.features += dim * (config.latent_layers + 1)
        self.transformer = nn.ModuleList(
            LatentLayer(dim, config.heads, config.mlp, config.dropout, norm_queries=True)
            for _ in range(config.latent_layers)
        )

    @property
    def queries(self) -> Tensor:
        """(heads * latents, channels), those of the first head first; see `scored`."""
        if self.own_queries is not None:
            return self.own_queries
        assert self.latents is not None
        return self.latents / math.sqrt(self.latents.shape[1])

    def keys(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, dim) -> (batch, frames, channels of a query)."""
        return self.norm(frames) if self.in_context is None else self.in_context.hidden(frames, mask)

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """`mask`: (batch, frames) bool, true where a frame is real; None when all are."""
        with full_precision(frames):
            scores = scored(self.queries, self.keys(frames, mask), self.branches)
            if mask is not None:
                scores = scores.masked_fill(~mask.unsqueeze(1), -math.inf)
            attention = scores.softmax(dim=-1)  # (batch, heads * latents, frames)
            shares = by_head(frames, self.heads)
            heard = (under_heads(attention, values) for values in (shares, shares.square()))
            mean, square = (of_latents(each, self.heads, self.branches) for each in heard)
        variance = square - mean.square()
        statistics = self.norm_statistics(torch.cat([mean, variance.clamp(min=VARIANCE_FLOOR).sqrt()], dim=-1))
        if self.latents is None or not self.transformer:
            return statistics
        states = [self.latents + self.hear(statistics)]
        for layer in self.transformer:
            states.append(layer(states[-1]))
        return torch.cat([statistics, self.norm_states(torch.cat(states, dim=-1))], dim=-1)


class LatentNorm(nn.BatchNorm1d):
    """Batch norm with statistics of its own for each feature of each latent: (batch, latents, features)."""

    def __init__(self, latents: int, features: int) -> None:
        super().__init__(latents * features)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, latents, features) -> (batch, latents, features)."""
        return super().forward(x.flatten(1)).view_as(x)


def scored(queries: Tensor, keys: Tensor, branches: int) -> Tensor:
    """The products of queries and keys; those of a branch meet each other only.

    Args:
        queries: (..., queries, channels / branches), those of the first branch first.
        keys: (batch, frames, channels).
        branches: how many.

    Returns:
        (batch, queries, frames).
    """
    if branches == 1:
        return queries @ keys.transpose(1, 2)
    pairs = zip(queries.chunk(branches, dim=-2), keys.transpose(1, 2).chunk(branches, dim=1), strict=True)
    return torch.cat([query @ key for query, key in pairs], dim=1)


def by_head(frames: Tensor, heads: int) -> Tensor:
    """(batch, frames, dim) -> (batch, heads, frames, dim / heads): each head's share of the channels."""
    return frames.unflatten(2, (heads, -1)).transpose(1, 2)


def under_heads(weights: Tensor, shares: Tensor) -> Tensor:
    """Sums of the frames under weights.

    Args:
        weights: (batch, heads * latents, frames), those of the first head first.
        shares: (batch, heads, frames, dim / heads), as from `by_head`.

    Returns:
        (batch, heads * latents, dim / heads).
    """
    return (weights.unflatten(1, (shares.shape[1], -1)) @ shares).flatten(1, 2)


def of_latents(heard: Tensor, heads: int, branches: int = 1) -> Tensor:
    """What a latent hears with all its heads, those of the first branch first.

    Args:
        heard: (batch, heads * latents, dim / heads), as from `under_heads`.
        heads: of all branches.
        branches: how many; each has latents of its own.

    Returns:
        (batch, branches * latents, dim / branches).
    """
    by_branch = heard.unflatten(1, (branches, heads // branches, -1)).transpose(2, 3)
    return by_branch.flatten(3).flatten(1, 2)


def sinusoids(frames: int, dim: int) -> Tensor:
    """(frames, dim): sine and cosine of the frame's number at dim / 2 rates (Vaswani et al. 2017, section 3.5)."""
    rates = torch.exp(torch.arange(0, dim, 2).float() * (-math.log(10000.0) / dim))
    phase = torch.arange(frames).float().unsqueeze(1) * rates
    return torch.stack([phase.sin(), phase.cos()], dim=-1).flatten(1)


def _projection(dim: int, *, plain: bool = False) -> nn.Linear:
    """A square projection, started as nn.MultiheadAttention starts its own: inputs by Glorot over all three."""
    linear = nn.Linear(dim, dim)
    if not plain:
        nn.init.uniform_(linear.weight, -math.sqrt(1.5 / dim), math.sqrt(1.5 / dim))
    nn.init.zeros_(linear.bias)
    return linear
