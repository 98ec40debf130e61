"""Second-order ACA: each latent passes the mean and the standard deviation of the frames under its attention.

Both are sums (of z and of z squared), so that folding, pieces and a running softmax serve here as in the paper's ACA.
With queries of zero the attention is even, and this is statistics pooling: a model may start as it.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import (
    Field,
    NonNegativeInt,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from torch import Tensor, nn

from acanet.models.base import AggregatorConfig, Division, register_aggregator
from acanet.models.config import ExtractorConfig
from acanet.models.folding import Affine, constant, normalised, scale_and_shift
from acanet.models.latents import LatentLayer
from acanet.models.layers import GroupedLinear, full_precision
from acanet.models.parts.context import FrameInContext
from acanet.models.parts.convolution import ConvolutionFrames
from acanet.models.parts.kaldi_fbank import KaldiFrontEnd
from acanet.models.parts.linear_head import LinearHead
from acanet.models.parts.own_readout import OwnReadout
from acanet.models.parts.spectral import Conv2dStage, SpectralFrames
from acanet.models.parts.statistics import StatisticsPooling, deviation, even_weights, mean_by_product
from acanet.models.passes import AggregatorInPasses
from acanet.models.registry import register_model

VARIANCE_FLOOR = 1e-4
SPEECH_ALONE = KaldiFrontEnd(floor_db=45.0, speech_only=True)
"""The front end of models to which what is not speech does not count."""


@register_aggregator
class AcaStatisticsAggregator(AggregatorConfig):
    """Second-order ACA: each latent passes mean and standard deviation of the frames under its attention."""

    kind: Literal["aca-statistics"] = "aca-statistics"
    latents: PositiveInt = 64
    aca_heads: PositiveInt = Field(
        1, description="queries of a latent, each for its share of the channels; 1: the latent is its query"
    )
    keys: PositiveInt | None = Field(
        None,
        description="channels of the keys, which see the frame and the mean and deviation of the utterance; None: the "
        "normalised frames are the keys",
    )
    latent_layers: NonNegativeInt = Field(1, description="0: the latents are their statistics, and are not compared")
    heads: PositiveInt = 8
    mlp: PositiveInt = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    pooling: StatisticsPooling | None = Field(
        None,
        description="the pooling that the first latent starts as: its queries are zero, the statistics of all latents "
        "have no batch norm, and deviations are those of the pooling; None: it starts as none",
    )
    exact_when_padded = True
    division = Division(
        ("keys", "latents"),
        when="with keys and latent_layers 0, without pooling",
        holds=lambda part: part.keys is not None and part.latent_layers == 0 and part.pooling is None,
    )

    @model_validator(mode="after")
    def _pools_alone(self) -> Self:
        if self.pooling is not None and self.latent_layers:
            raise ValueError(f"latent_layers {self.latent_layers} with pooling, which compares no latents; set it to 0")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later and is not there, so that a model without it keeps its fingerprint."""
        plain: dict[str, Any] = serialise(self)
        return {key: value for key, value in plain.items() if key != "pooling" or value is not None}

    @property
    def starts_as(self) -> StatisticsPooling | None:
        """The pooling of the config."""
        return self.pooling

    @property
    def latents_out(self) -> int:
        """Those of the config."""
        return self.latents

    def features_out(self, channels: int, branches: int) -> int:
        """Mean and deviation of a branch's channels; with latent layers, the state before and after each, too."""
        states = channels * (self.latent_layers + 1) if self.latent_layers else 0
        return 2 * channels // branches + states

    @property
    def passes(self) -> int | None:
        """One; before it, for keys that see the statistics of the utterance, one of even attention.

        None where it starts as a pooling: to equal that, it has to know the number and the mean of all frames.
        """
        return None if self.pooling is not None else self.passes_of_whole

    @property
    def passes_of_whole(self) -> int:
        """The passes over all frames at once."""
        return 1 if self.keys is None else 2

    def check_channels(self, channels: int, branches: int) -> None:
        """The channels are shared out among the heads of a latent layer, and those of a latent."""
        if channels % self.heads:
            raise ValueError(f"{channels} channels of frames do not divide into {self.heads} heads")
        each, whose = (channels, "frames") if branches == 1 else (channels // branches, "a branch")
        if each % self.aca_heads:
            raise ValueError(f"{each} channels of {whose} do not divide into {self.aca_heads} aca_heads")

    def build(self, channels: int, branches: int) -> AcaStatistics:
        """An `AcaStatistics`."""
        return AcaStatistics(channels, self, branches)


class AcaStatistics(AggregatorInPasses):
    """Second-order ACA: (batch, frames, dim) -> (batch, latents, features).

    With several heads a latent has a query, and so an attention, for each share of the channels. The keys are the
    normalised frames, or a hidden layer that also sees the statistics of the whole utterance, which a pass of even
    attention gives. The latents of a branch hear its share of the channels, through its share of the keys. A latent
    transformer then compares what the latents heard; each latent's features are its statistics and its state before and
    after every layer.

    Where it starts as a pooling, the first latent hears what that gives, and the others have random queries from the
    beginning: with equal ones they would learn the same.

    Queries are (heads * latents, channels of a key), those of the first head first. Keys that see the utterance take
    its share of their hidden layer as more rows below the queries, one for each branch.
    """

    def __init__(self, dim: int, config: AcaStatisticsAggregator, branches: int) -> None:
        super().__init__(config.passes_of_whole)
        count, self.pooling = config.latents, config.pooling
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
        self.norm_statistics: nn.Module = LatentNorm(count, 2 * dim // branches)
        if config.pooling is not None:
            self.norm_statistics = nn.Identity()
            with torch.no_grad():
                for queries_or_latents in self.parameters(recurse=False):
                    queries_or_latents[::count] = 0.0  # of the first latent, with all its heads
        if config.latent_layers:
            self.hear = GroupedLinear(2 * dim, dim, 1)
            self.norm_states = LatentNorm(count, dim * (config.latent_layers + 1))
        self.transformer = nn.ModuleList(
            LatentLayer(dim, config.heads, config.mlp, config.dropout, norm_queries=True)
            for _ in range(config.latent_layers)
        )

    @constant("own_queries", "norm")
    def queries(self) -> Tensor:
        """The queries with the gain of the keys, (heads * latents, channels of a key), the first head first."""
        queries: Tensor | None = self.own_queries
        if queries is None:
            assert self.latents is not None
            queries = self.latents / math.sqrt(self.latents.shape[1])
        return queries * self.norm.weight if self.in_context is None else queries

    def prepare(self, frames: Tensor, first: Tensor | int = 0) -> Tensor:
        """The frames as they are: their own statistics are what counts."""
        return frames

    def start(self) -> tuple[Tensor, Tensor]:
        """The state is nothing yet; before a pass of even attention all queries are zero."""
        queries = self.queries
        if self.in_context is not None:
            queries = queries.new_zeros(len(queries) + self.branches, queries.shape[1])
        return queries[:1], queries

    def scores(self, queries: Tensor, frames: Tensor) -> Tensor:
        """Products of queries and keys, (batch, heads * latents, frames); those of a branch meet only each other."""
        if self.in_context is None:
            keys = normalised(frames)
        else:
            queries, context = queries[..., : -self.branches, :], queries[..., -self.branches :, :]
            keys = self.in_context.hidden(frames, context)
        if self.branches == 1:
            return queries @ keys.transpose(1, 2)
        pairs = zip(queries.chunk(self.branches, dim=-2), keys.transpose(1, 2).chunk(self.branches, dim=1), strict=True)
        return torch.cat([query @ key for query, key in pairs], dim=1)

    def sums(self, weights: Tensor, frames: Tensor) -> tuple[Tensor, ...]:
        """The sums of each query's share of the channels and of its squares, (batch, heads * latents, dim / heads)."""
        shares = frames.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (batch, heads, frames, dim / heads)
        by_head = weights.unflatten(1, (self.heads, -1))
        return tuple((by_head @ values).flatten(1, 2) for values in (shares, shares * shares))

    def means(self, number: int, queries: Tensor, frames: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
        """The means under the attention; under an even one once for each head, as it is the same for all.

        Where it starts as a pooling, those of the last pass are of frames less their even mean, as a deviation is
        precise then; that mean follows, (batch, 1, dim), and the share of one frame among all, (batch or 1, 1, 1).
        """
        with full_precision(frames):
            last = number + 1 == self.passes
            if last and self.pooling is None:
                return super().means(number, queries, frames, mask)
            weights = even_weights(frames, mask)
            if last:
                centre = mean_by_product(frames, weights).unsqueeze(1)
                means = self.heard(self.scores(queries, frames), frames - centre, mask)
                return *means, centre, weights.amax(dim=1, keepdim=True)
            each = (mean_by_product(values, weights) for values in (frames, frames * frames))
            return tuple(values.unflatten(1, (self.heads, -1)) for values in each)

    def step(self, number: int, state: Tensor, *means: Tensor) -> tuple[Tensor, Tensor | None]:
        """The statistics that each latent hears; after a pass of even attention, the utterance's share of the keys.

        Args:
            number: of the pass.
            state: not needed.
            means: (batch, heads * latents, dim / heads) twice; of an even attention also for one latent. What else
                `means` gives may follow.
        """
        mean, square = (self._of_latents(each) for each in means[:2])
        if number + 1 == self.passes:
            return self._statistics(mean, square - mean * mean, *means[2:]), None
        assert self.in_context is not None
        mean, square = (each[:, :: each.shape[1] // self.branches] for each in (mean, square))  # the same for all
        with full_precision(mean):
            context = self.in_context.context(mean, deviation(square - mean * mean, None))
        return state, torch.cat([self.queries.expand(len(context), -1, -1), context], dim=1)

    def finish(self, state: Tensor) -> Tensor:
        """The features of the latents: (batch, latents, 2 * dim / branches) -> (batch, latents, features)."""
        statistics = self.norm_statistics(state)
        if self.latents is None or not self.transformer:
            return statistics
        states = [self.latents + self.hear(statistics)]
        for layer in self.transformer:
            states.append(layer(states[-1]))
        return torch.cat([statistics, self.norm_states(torch.cat(states, dim=-1))], dim=-1)

    def by_latent(self, attention: Tensor) -> Tensor:
        """The mean of a latent's heads."""
        return attention.unflatten(1, (self.branches, self.heads // self.branches, -1)).mean(dim=2).flatten(1, 2)

    def _statistics(self, mean: Tensor, variance: Tensor, *centre_and_share: Tensor) -> Tensor:
        """What each latent hears: mean and deviation, (batch, latents, 2 * dim / branches)."""
        if self.pooling is None:
            return torch.cat([mean, variance.clamp(min=VARIANCE_FLOOR).sqrt()], dim=-1)
        centre, share = centre_and_share
        variance = variance.clamp(min=0.0)  # rounded, it may be less
        return torch.cat([centre + mean, deviation(variance, share if self.pooling.unbiased else None)], dim=-1)

    def _of_latents(self, heard: Tensor) -> Tensor:
        """What a latent hears with all its heads, those of the first branch first.

        (batch, heads * latents of a branch, dim / heads) -> (batch, latents, dim / branches).
        """
        by_branch = heard.unflatten(1, (self.branches, self.heads // self.branches, -1)).transpose(2, 3)
        return by_branch.flatten(3).flatten(1, 2)


class LatentNorm(nn.BatchNorm1d):
    """Batch norm with statistics of its own for each feature of each latent: (batch, latents, features)."""

    def __init__(self, latents: int, features: int) -> None:
        super().__init__(latents * features)
        self.latents = latents

    def forward(self, x: Tensor) -> Tensor:
        """(batch, latents, features) -> (batch, latents, features)."""
        return super().forward(x.flatten(1)).view_as(x)

    def folded(self) -> Affine:
        """An affine map of each feature of each latent."""
        scale, shift = scale_and_shift(self)
        return Affine(scale.view(self.latents, -1), shift.view(self.latents, -1))


register_model(
    "acanet2",
    ExtractorConfig(
        front_end=SPEECH_ALONE,
        frames=SpectralFrames(dilations=(1, 2)),
        aggregator=AcaStatisticsAggregator(latents=4, aca_heads=64, keys=128, latent_layers=0),
        head=LinearHead(norm="none"),
    ),
)
register_model(
    "acanet2-small",
    ExtractorConfig(
        front_end=SPEECH_ALONE,
        frames=SpectralFrames(
            stages=(Conv2dStage(channels=16, stride=2, blocks=0), Conv2dStage(channels=24, stride=2)),
            channels=160,
            dilations=(1, 2),
        ),
        aggregator=AcaStatisticsAggregator(latents=4, aca_heads=40, keys=96, latent_layers=0),
        head=LinearHead(norm="none"),
    ),
)
register_model(
    "acanet2-large",
    ExtractorConfig(
        front_end=SPEECH_ALONE,
        frames=SpectralFrames(channels=768, hidden=1152, dilations=(1,)),
        aggregator=AcaStatisticsAggregator(latents=12, aca_heads=64, keys=384, latent_layers=0),
        head=LinearHead(dim=576, norm="none"),
        branches=3,
    ),
)
register_model(
    "acanet-local",
    ExtractorConfig(frames=ConvolutionFrames(), aggregator=AcaStatisticsAggregator(), head=OwnReadout()),
)
