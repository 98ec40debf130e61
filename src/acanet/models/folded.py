"""The same functions with everything constant worked out beforehand: what is exported.

`fold` replaces the parts of a model by forms that know nothing of training. Batch norms and the gains and offsets of
layer norms go into the matrices beside them; the key and value matrices of an ACA layer become two; positions are one
sine. A part that has no such form stays as it is, so a model of anybody's own can be folded too. Constants are worked
out in double precision.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from acanet.models.frames import Convolution, InvertedBlock, Spectral
from acanet.models.frontend import FrontEnd
from acanet.models.heads import LinearHeadModule, OwnReadoutHead, SharedReadoutHead
from acanet.models.latents import (
    VARIANCE_FLOOR,
    AcaLayer,
    AcaStatistics,
    LatentLayer,
    LatentNorm,
    Mla,
    by_head,
    of_latents,
    scored,
    under_heads,
)
from acanet.models.layers import FrameNorm, GroupedLinear, PictureConv
from acanet.models.pooling import LEAST_VARIANCE, FrameInContext, Statistics

_LEAST = -60.0
"""What a score below the best one counts at least: its exponential (1e-26) weighs nothing, and a sum of such numbers is
not made of denormals, which processors are up to a hundred times slower with."""


def fold(model: nn.Module) -> Any:
    """A copy of a model in evaluation mode, with the same interface and the same embeddings, that cannot be trained."""
    folded = copy.deepcopy(model).eval().requires_grad_(False)
    return _folded(folded)


def _folded(module: nn.Module) -> nn.Module:
    form = _FORMS.get(type(module))
    if form is not None:
        return form(module)
    for name, child in module.named_children():
        setattr(module, name, _folded(child))
    return module


class Affine(nn.Module):
    """x * scale + shift."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale, self.shift = _constant(scale), _constant(shift)

    def forward(self, x: Tensor) -> Tensor:
        """(..., channels) -> the same shape."""
        return x * self.scale + self.shift


class Product(nn.Module):
    """x @ matrix + offset."""

    def __init__(self, matrix: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.matrix, self.offset = _constant(matrix), _constant(offset)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        return x @ self.matrix + self.offset


class SideBySide(nn.Module):
    """A module for each of several equal shares of the inputs."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        shares = x.chunk(len(self.each), dim=-1)
        return torch.cat([module(share) for module, share in zip(self.each, shares, strict=True)], dim=-1)


class FoldedFrontEnd(FrontEnd):
    """`FrontEnd` whose windows are put together from hops, which every backend does quickly."""

    def __init__(self, plain: FrontEnd) -> None:
        super().__init__(plain.config)

        self.register_buffer("both_filters", torch.cat([plain.filters, plain.filters]), persistent=False)

    both_filters: Tensor  # (2 * bins, mels), for real parts and imaginary parts

    def power(self, spectrum: Tensor) -> Tensor:
        """(batch, frames, 2 * bins) -> (batch, frames, mels)."""
        return (spectrum * spectrum) @ self.both_filters

    def spectrum(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) -> (batch, frames, 2 * bins)."""
        window, hop = self.config.window, self.config.hop
        pieces = math.ceil(window / hop)
        frames = (waveforms.shape[1] - window) // hop + 1
        reach = functional.pad(waveforms, (0, (pieces - 1) * hop))[:, : (frames + pieces - 1) * hop]
        hops = reach.unflatten(1, (-1, hop))  # (batch, frames + pieces - 1, hop)
        parts = [hops[:, i : frames + i, : min(hop, window - i * hop)] for i in range(pieces)]
        return torch.cat(parts, dim=2) @ self.transform


class FoldedConvolution(nn.Module):
    """`Convolution`, with the batch norm of each block inside its depthwise convolution."""

    def __init__(self, plain: Convolution) -> None:
        super().__init__()
        self.stride = plain.stride
        self.stem, self.stem_norm = plain.stem, _batch_norm(plain.stem_norm)
        blocks: list[Any] = list(plain.blocks)
        self.blocks = nn.ModuleList(FoldedInvertedBlock(block) for block in blocks)
        self.norm = _batch_norm(plain.norm)

    forward = Convolution.forward


class FoldedSpectral(nn.Module):
    """`Spectral`, with batch norms inside the convolutions before them."""

    def __init__(self, plain: Spectral) -> None:
        super().__init__()
        self.stages = plain.stages
        for stage in self.stages:
            _folded(stage)
        self.stem, self.stem_norm = _linear(plain.stem), _batch_norm(plain.stem_norm)
        blocks: list[Any] = list(plain.blocks)
        self.blocks = nn.ModuleList(FoldedInvertedBlock(block) for block in blocks)
        self.norm = _batch_norm(plain.norm)

    forward = Spectral.forward


def _picture_conv(plain: PictureConv) -> nn.Conv2d:
    """The convolution, with the batch norm in it."""
    scale, shift = _scale_and_shift(plain.norm)
    conv = copy.deepcopy(plain.conv)
    conv.weight = _constant(plain.conv.weight.double() * scale[:, None, None, None])
    conv.bias = _constant(shift)
    return conv


class FoldedInvertedBlock(nn.Module):
    """`InvertedBlock` without its batch norm."""

    def __init__(self, plain: InvertedBlock) -> None:
        super().__init__()
        scale, shift = _scale_and_shift(plain.norm)
        depthwise = copy.deepcopy(plain.depthwise)
        depthwise.weight = _constant(plain.depthwise.weight.double() * scale[:, None, None])
        depthwise.bias = _constant(shift)
        self.depthwise = depthwise
        layers = zip(_products(plain.expand), _products(plain.project), strict=True)
        self.each_frame = _side_by_side(
            [nn.Sequential(expand, plain.activation, project) for expand, project in layers]
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, channels), zero in padded frames -> the same shape."""
        return x + self.each_frame(self.depthwise(x))


class FoldedMlp(nn.Sequential):
    """`Mlp`, with the gain and the offset of its layer norm inside the first matrix."""

    def __init__(self, plain: Any) -> None:
        norm, first, activation, second, _ = plain
        super().__init__(_Normalise(), _after_norm(norm, first), activation, _linear(second))


class FoldedLatentLayer(nn.Module):
    """`LatentLayer`, with one matrix for all that is made from the normalised latents."""

    def __init__(self, plain: LatentLayer) -> None:
        super().__init__()
        self.heads = plain.heads
        scale = 1 / math.sqrt(plain.out.in_features // plain.heads)
        key = nn.Linear(plain.key.in_features, plain.key.out_features, bias=False)
        key.weight = plain.key.weight
        parts = [_after_norm(plain.norm, key), _after_norm(plain.norm, plain.value)]
        norm = plain.norm_queries
        query = _after_norm(norm, plain.query) if isinstance(norm, nn.LayerNorm) else _linear(plain.query)
        query = Product(query.matrix * scale, query.offset * scale)
        self.query = None if isinstance(norm, nn.LayerNorm) else query
        self.project = _beside([query, *parts] if self.query is None else parts)
        self.out, self.mlp = _linear(plain.out), FoldedMlp(plain.mlp)

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, latents, dim) -> (batch, latents, dim)."""
        projected = self.project(_normalise(latents))
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
        self.latents = _constant(plain.latents)
        self.first_queries = _constant(_to_queries(acas[0])(plain.latents))
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
        return _normalise(frames)

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
        constant = out @ (value @ aca.norm.bias.double() + aca.value.bias.double()) + aca.out.bias.double()
        self.value = Product((out @ (value * aca.norm.weight.double())).T, constant)
        self.mlp = FoldedMlp(aca.mlp)
        self.transformer = nn.ModuleList(FoldedLatentLayer(layer) for layer in (ended.transformer if ended else ()))
        self.aggregate = _linear(ended.aggregate) if ended else None
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
        self.latents = _constant(queries[:1] if plain.latents is None else plain.latents)
        self.steps = nn.ModuleList([StatisticsStep(plain)])
        if plain.in_context is None:
            self.keys = None
            self.first_queries = _constant(queries * plain.norm.weight.double())
        else:
            self.keys = FoldedFrameInContext(plain.in_context)
            self.first_queries = _constant(queries.new_zeros(len(queries) + self.branches, queries.shape[1]))
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
            keys = _normalise(frames)
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
        self.local = nn.ParameterList(_constant(part.T) for part in local.chunk(plain.branches))
        self.norm = _batch_norm(plain.norm)

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
        self.queries = _constant(queries)
        context = squeeze.weight[:, squeeze.in_features // 3 :].chunk(plain.branches)
        offsets = _bias(squeeze).chunk(plain.branches)
        self.share = _side_by_side([Product(each.T, offset) for each, offset in zip(context, offsets, strict=True)])

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
        self.norm_statistics = _latent_norm(plain.norm_statistics, latents)
        layers: list[Any] = list(plain.transformer)
        self.transformer = nn.ModuleList(FoldedLatentLayer(layer) for layer in layers)
        if layers:
            self.hear = _linear(plain.hear)
            self.norm_states = _latent_norm(plain.norm_states, latents)

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
        scale, shift = _scale_and_shift(plain.norm)
        self.readout = _constant(plain.readout.weight.T)
        self.norm = Affine(scale, shift + scale * plain.readout.bias.double())

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, latents, features) -> (batch, latents)."""
        return self.norm((latents @ self.readout).squeeze(-1))


class FoldedOwnReadout(nn.Module):
    """`OwnReadoutHead`, with its batch norm inside the matrices."""

    def __init__(self, plain: OwnReadoutHead) -> None:
        super().__init__()
        scale, shift = _scale_and_shift(plain.norm)
        latents, _, numbers = plain.readout.shape
        self.readout = _constant(plain.readout.double() * scale.view(latents, 1, numbers))
        self.offset = _constant(shift)

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, latents, features) -> (batch, dim)."""
        numbers = latents.unsqueeze(2) @ self.readout  # (batch, latents, 1, dim / latents)
        return numbers.flatten(1) + self.offset


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


class _Normalise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return _normalise(x)


def _normalise(x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:])


def _constant(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value.detach().float().contiguous(), requires_grad=False)


def _scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What a batch norm does in evaluation, in double precision."""
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    return scale, shift if norm.bias is None else shift + norm.bias.double()


def _batch_norm(norm: nn.Module) -> Affine:
    return Affine(*_scale_and_shift(norm))


def _latent_norm(norm: LatentNorm, latents: int) -> Affine:
    scale, shift = _scale_and_shift(norm)
    return Affine(scale.view(latents, -1), shift.view(latents, -1))


def _linear(linear: nn.Linear) -> Product:
    return Product(linear.weight.T, _bias(linear))


def _products(linear: GroupedLinear) -> list[Product]:
    """Of each group."""
    parts = zip(linear.weight.chunk(linear.groups), _bias(linear).chunk(linear.groups), strict=True)
    return [Product(weight.T, offset) for weight, offset in parts]


def _side_by_side(modules: Sequence[nn.Module]) -> nn.Module:
    return modules[0] if len(modules) == 1 else SideBySide(modules)


def _after_norm(norm: nn.LayerNorm, linear: nn.Linear) -> Product:
    """A linear layer with the gain and offset of the layer norm before it."""
    weight = linear.weight.double()
    return Product((weight * norm.weight.double()).T, weight @ norm.bias.double() + _bias(linear))


def _beside(products: Sequence[Product]) -> Product:
    """Products of one input as a single one, their outputs one after the other."""
    return Product(torch.cat([p.matrix for p in products], dim=1), torch.cat([p.offset for p in products]))


def _bias(linear: nn.Linear) -> Tensor:
    return linear.weight.new_zeros(linear.out_features) if linear.bias is None else linear.bias.double()


def _to_queries(aca: AcaLayer) -> Product:
    """Latents -> queries, with query, key and the gain of the frames' layer norm in one matrix."""
    query, key = aca.query.weight.double(), aca.key.weight.double() * aca.norm.weight.double()
    key = key / math.sqrt(key.shape[1])
    return Product(query.T @ key, aca.query.bias.double() @ key)


def _fold_linear_head(head: LinearHeadModule) -> nn.Module:
    if not isinstance(head.level, nn.Identity):
        norm = () if isinstance(head.norm, nn.Identity) else (_batch_norm(head.norm),)
        return nn.Sequential(nn.Flatten(), *norm, _side_by_side(_products(head.linear)), head.level)
    return nn.Sequential(nn.Flatten(), _folded_linear(head))


def _folded_linear(head: LinearHeadModule) -> Product:
    if isinstance(head.norm, nn.Identity):
        return _linear(head.linear)
    scale, shift = _scale_and_shift(head.norm)
    weight, bias = head.linear.weight.double(), _bias(head.linear)
    if head.norm_after:
        return Product((weight * scale.unsqueeze(1)).T, bias * scale + shift)
    return Product((weight * scale).T, weight @ shift + bias)


_FORMS: dict[type, Callable[[Any], nn.Module]] = {
    FrontEnd: FoldedFrontEnd,
    FrameNorm: _batch_norm,
    Convolution: FoldedConvolution,
    Spectral: FoldedSpectral,
    PictureConv: _picture_conv,
    LatentLayer: FoldedLatentLayer,
    Mla: FoldedMla,
    AcaStatistics: FoldedAcaStatistics,
    Statistics: FoldedStatistics,
    SharedReadoutHead: FoldedSharedReadout,
    OwnReadoutHead: FoldedOwnReadout,
    LinearHeadModule: _fold_linear_head,
}
