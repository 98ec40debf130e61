"""ACA, the paper's and that of second order, folded: passes over the frames, and steps of the latents between them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from acanet.models.folded.parts import (
    Normalise,
    Product,
    affine_of,
    after_norm,
    beside,
    bias_of,
    constant,
    latents_affine_of,
    normalised,
    product_of,
    side_by_side,
)
from acanet.models.latents import (
    VARIANCE_FLOOR,
    AcaLayer,
    AcaStatistics,
    LatentLayer,
    Mla,
    by_head,
    of_latents,
    scored,
    under_heads,
)
from acanet.models.pooling import LEAST_VARIANCE, FrameInContext

_LEAST = -60.0
"""What a score below the best one counts at least: its exponential (1e-26) weighs nothing, and a sum of such numbers is
not made of denormals, which processors are up to a hundred times slower with."""


class FoldedMla(nn.Module):
    """`Mla`: passes over the frames, and what the latents do between them."""

    def __init__(self, plain: Mla) -> None:
        super().__init__()
        self.features, self.positions = plain.features, plain.positions
        rates = torch.exp(torch.arange(0, plain.features, 2).float() * (-math.log(10000.0) / plain.features))
        self.register_buffer("rates", rates.repeat_interleave(2))
        self.register_buffer("quarter", torch.tensor([0.0, math.pi / 2]).repeat(plain.features // 2))
        blocks: list[Any] = list(plain.blocks)
        acas: list[AcaLayer] = [aca for block in blocks for aca in block.aca]
        self.latents = constant(plain.latents)
        self.first_queries = constant(_to_queries(acas[0])(plain.latents))
        self.steps = nn.ModuleList()
        for block in blocks:
            for number, aca in enumerate(block.aca, start=1):
                following = acas[len(self.steps) + 1] if len(self.steps) + 1 < len(acas) else None
                self.steps.append(MlaStep(aca, block if number == len(block.aca) else None, following))

    rates: Tensor
    quarter: Tensor  # added to the phases of cosines, which are computed as sines

    def normalise(self, frames: Tensor, start: Tensor | int = 0) -> Tensor:
        """Frames with positions, of zero mean and unit variance; `start` is the number of the first of them."""
        if self.positions == "time":
            number = (torch.arange(frames.shape[1], device=frames.device) + start).to(frames)
            frames = frames + (number.unsqueeze(1) * self.rates + self.quarter).sin()
        elif self.positions == "first":
            frames = frames + self.quarter.sin()
        return normalised(frames)

    def start(self) -> tuple[Tensor, Tensor]:
        """Latents and queries before the first pass, (latents, channels) each."""
        return self.latents, self.first_queries

    def hear(self, queries: Tensor, frames: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """One pass over frames, or over some of them.

        Args:
            queries: (latents, channels) or (batch, latents, channels).
            frames: (batch, frames, channels), from `normalise`.
            mask: (batch, frames) bool, true where a frame is real; None when all are.

        Returns:
            The highest score of each latent, (batch, latents, 1); the exponentials of all scores less that one,
            (batch, latents, frames); and, (batch, latents, channels), the sum of the frames under these weights.
        """
        highest, weights = _exponentials(queries @ frames.transpose(1, 2), mask)
        return highest, weights, weights @ frames

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, channels) -> (batch, latents, channels)."""
        return self.attend(frames, mask)[0]

    def attend(self, frames: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """As `forward`; and the attention of the last ACA layer, (batch, latents, frames)."""
        return _attend(self, *self.start(), self.normalise(frames), mask)


class MlaStep(nn.Module):
    """What the latents do after a pass: the rest of the ACA layer, at a block's end its transformer; new queries."""

    def __init__(self, aca: Any, ended: Any | None, following: Any | None) -> None:
        super().__init__()
        out, value = aca.out.weight.double(), aca.value.weight.double()
        offset = out @ (value @ aca.norm.bias.double() + aca.value.bias.double()) + aca.out.bias.double()
        self.value = Product((out @ (value * aca.norm.weight.double())).T, offset)
        self.mlp = FoldedMlp(aca.mlp)
        self.transformer = nn.ModuleList(FoldedLatentLayer(layer) for layer in (ended.transformer if ended else ()))
        self.aggregate = product_of(ended.aggregate) if ended else None
        self.query = _to_queries(following) if following else None

    def forward(self, latents: Tensor, mean: Tensor) -> tuple[Tensor, Tensor | None]:
        """(batch, latents, channels) each -> latents, and the queries of the next pass if there is one."""
        latents = latents + self.value(mean)
        latents = latents + self.mlp(latents)
        if self.aggregate is not None:
            seen = [latents]
            for layer in self.transformer:
                seen.append(layer(seen[-1]))
            latents = self.aggregate(torch.cat(seen, dim=-1)).relu()
        return latents, None if self.query is None else self.query(latents)


class FoldedAcaStatistics(nn.Module):
    """`AcaStatistics`: one pass over the frames and what the latents do after it; with keys that see the statistics of
    the utterance, a pass of even attention before it.

    Such keys take the utterance's share of their hidden layer as more rows below the queries, one for each branch.
    """

    def __init__(self, plain: AcaStatistics) -> None:
        super().__init__()
        self.features = plain.features
        self.heads, self.branches = plain.heads, plain.branches
        queries = plain.queries.double()
        # Without a latent layer there are no latents to start from; the stages pass something on all the same.
        self.latents = constant(queries[:1] if plain.latents is None else plain.latents)
        self.steps = nn.ModuleList([StatisticsStep(plain)])
        if plain.in_context is None:
            self.keys = None
            self.first_queries = constant(queries * plain.norm.weight.double())
        else:
            self.keys = FoldedFrameInContext(plain.in_context)
            self.first_queries = constant(queries.new_zeros(len(queries) + self.branches, queries.shape[1]))
            self.steps.insert(0, ContextStep(plain, queries))

    def normalise(self, frames: Tensor, start: Tensor | int = 0) -> Tensor:
        """The frames as they are: their own statistics are what counts."""
        return frames

    def start(self) -> tuple[Tensor, Tensor]:
        """As `FoldedMla.start`; before a pass of even attention all queries are zero."""
        return self.latents, self.first_queries

    forward = FoldedMla.forward

    def attend(self, frames: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """As `FoldedMla.attend`; the attention of a latent is the mean of its heads'."""
        latents, queries = self.start()
        if self.keys is not None:
            queries = queries[-self.heads - self.branches :]  # an even attention is the same for every latent
        features, attention = _attend(self, latents, queries, frames, mask)
        by_branch = attention.unflatten(1, (self.branches, self.heads // self.branches, -1))
        return features, by_branch.mean(dim=2).flatten(1, 2)

    def hear(self, queries: Tensor, frames: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """As `FoldedMla.hear`, for heads * latents queries of which each hears its share of the channels; also the sum
        of the squares of the frames."""
        if self.keys is None:
            keys = normalised(frames)
        else:
            queries, context = queries[..., : -self.branches, :], queries[..., -self.branches :, :]
            keys = self.keys(frames, context.flatten(-2).unsqueeze(-2))
        highest, weights = _exponentials(scored(queries, keys, self.branches), mask)
        shares = by_head(frames, self.heads)
        sums = (under_heads(weights, values) for values in (shares, shares * shares))
        return highest, weights, *sums


class FoldedFrameInContext(nn.Module):
    """`FrameInContext`, of which the utterance's share is worked out before."""

    def __init__(self, plain: FrameInContext) -> None:
        super().__init__()
        local, _, _ = plain.squeeze.weight.chunk(3, dim=1)
        self.local = nn.ParameterList(constant(part.T) for part in local.chunk(plain.branches))
        self.norm = affine_of(plain.norm)

    def forward(self, frames: Tensor, context: Tensor) -> Tensor:
        """(batch, frames, channels) and (batch or 1, 1, hidden) -> (batch, frames, hidden)."""
        shares = zip(frames.chunk(len(self.local), dim=-1), self.local, strict=True)
        local = torch.cat([share @ matrix for share, matrix in shares], dim=-1)
        hidden: Tensor = self.norm((local + context).relu())
        return hidden.tanh()


class ContextStep(nn.Module):
    """From the mean and mean square of the whole utterance to its share of the keys, below the queries."""

    def __init__(self, plain: AcaStatistics, queries: Tensor) -> None:
        super().__init__()
        assert plain.in_context is not None
        squeeze = plain.in_context.squeeze
        self.heads, self.branches = plain.heads, plain.branches
        self.queries = constant(queries)
        context = squeeze.weight[:, squeeze.in_features // 3 :].chunk(plain.branches)
        offsets = bias_of(squeeze).chunk(plain.branches)
        self.share = side_by_side([Product(each.T, offset) for each, offset in zip(context, offsets, strict=True)])

    def forward(self, latents: Tensor, mean: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, heads * latents, channels / heads) twice, the same for all latents -> the latents as they were, and
        (batch, heads * latents + branches, hidden / branches)."""
        mean, square = (of_latents(each, self.heads, self.branches) for each in (mean, square))
        mean, square = (each[:, :: each.shape[1] // self.branches] for each in (mean, square))  # (batch, branches, ...)
        deviation = (square - mean * mean).clamp(min=LEAST_VARIANCE).sqrt()
        share = self.share(torch.cat([mean, deviation], dim=-1).flatten(1)).unflatten(1, (self.branches, -1))
        return latents, torch.cat([self.queries.expand(len(share), -1, -1), share], dim=1)


class StatisticsStep(nn.Module):
    """From mean and mean square to the latents' features."""

    def __init__(self, plain: AcaStatistics) -> None:
        super().__init__()
        self.heads, self.branches = plain.heads, plain.branches
        latents = len(plain.queries) * plain.branches // plain.heads
        self.norm_statistics = latents_affine_of(plain.norm_statistics, latents)
        layers: list[Any] = list(plain.transformer)
        self.transformer = nn.ModuleList(FoldedLatentLayer(layer) for layer in layers)
        if layers:
            self.hear = product_of(plain.hear)
            self.norm_states = latents_affine_of(plain.norm_states, latents)

    def forward(self, latents: Tensor, mean: Tensor, square: Tensor) -> tuple[Tensor, None]:
        """(latents, channels) and (batch, heads * latents, channels / heads) twice -> (batch, latents, features); no
        queries follow."""
        mean, square = (of_latents(each, self.heads, self.branches) for each in (mean, square))
        deviation = (square - mean * mean).clamp(min=VARIANCE_FLOOR).sqrt()
        statistics = self.norm_statistics(torch.cat([mean, deviation], dim=-1))
        if not self.transformer:
            return statistics, None
        states = [latents + self.hear(statistics)]
        for layer in self.transformer:
            states.append(layer(states[-1]))
        return torch.cat([statistics, self.norm_states(torch.cat(states, dim=-1))], dim=-1), None


class FoldedLatentLayer(nn.Module):
    """`LatentLayer`, with one matrix for all that is made from the normalised latents."""

    def __init__(self, plain: LatentLayer) -> None:
        super().__init__()
        self.heads = plain.heads
        scale = 1 / math.sqrt(plain.out.in_features // plain.heads)
        key = nn.Linear(plain.key.in_features, plain.key.out_features, bias=False)
        key.weight = plain.key.weight
        parts = [after_norm(plain.norm, key), after_norm(plain.norm, plain.value)]
        norm = plain.norm_queries
        query = after_norm(norm, plain.query) if isinstance(norm, nn.LayerNorm) else product_of(plain.query)
        query = Product(query.matrix * scale, query.offset * scale)
        self.query = None if isinstance(norm, nn.LayerNorm) else query
        self.project = beside([query, *parts] if self.query is None else parts)
        self.out, self.mlp = product_of(plain.out), FoldedMlp(plain.mlp)

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, latents, dim) -> (batch, latents, dim)."""
        projected = self.project(normalised(latents))
        if self.query is None:
            query, key, value = (self._by_head(x) for x in projected.chunk(3, dim=-1))
        else:
            key, value = (self._by_head(x) for x in projected.chunk(2, dim=-1))
            query = self._by_head(self.query(latents))
        heard = _mean_under(query @ key.transpose(-1, -2), value)
        latents = latents + self.out(heard.transpose(1, 2).flatten(2))
        return latents + self.mlp(latents)

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (batch, heads, latents, dim / heads)


class FoldedMlp(nn.Sequential):
    """`Mlp`, with the gain and the offset of its layer norm inside the first matrix."""

    def __init__(self, plain: Any) -> None:
        norm, first, activation, second, _ = plain
        super().__init__(Normalise(), after_norm(norm, first), activation, product_of(second))


def _to_queries(aca: AcaLayer) -> Product:
    """Latents -> queries, with query, key and the gain of the frames' layer norm in one matrix."""
    query, key = aca.query.weight.double(), aca.key.weight.double() * aca.norm.weight.double()
    key = key / math.sqrt(key.shape[1])
    return Product(query.T @ key, aca.query.bias.double() @ key)


def _attend(
    aggregator: Any, latents: Tensor, queries: Tensor, frames: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    attention = frames  # there is at least one pass
    for step in aggregator.steps:
        _, weights, *sums = aggregator.hear(queries, frames, mask)
        total = weights.sum(dim=-1, keepdim=True)
        latents, queries = step(latents, *(each / total for each in sums))
        attention = weights / total
    return latents, attention


def _exponentials(scores: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scores (..., rows, columns) -> the highest of each row, and exp(scores - highest)."""
    if mask is not None:
        scores = scores.masked_fill(~mask.unsqueeze(1), -math.inf)
    highest = scores.amax(dim=-1, keepdim=True)
    return highest, (scores - highest).clamp(min=_LEAST).exp()


def _mean_under(scores: Tensor, values: Tensor) -> Tensor:
    """softmax(scores) @ values."""
    _, weights = _exponentials(scores)
    return (weights @ values) / weights.sum(dim=-1, keepdim=True)
