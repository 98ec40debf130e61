"""The idea of the paper: a few learned latents attend to the whole utterance, however long it is.

Asymmetric cross attention (ACA) has one head, so all that it does to the frames is linear. Frames are normalised once
for all layers; key and value projections are folded onto the latents' side, and no projection of a frame is left:

    scores = (l Wq + bq) Wk' z'       z = normalise(frames), Wk' = Wk diag(gamma); the key bias cancels in the softmax
    output = (A z) diag(gamma) Wv' Wo' + constant

Source: Yip et al., "ACA-Net: Towards Lightweight Speaker Verification using Asymmetric Cross Attention",
Interspeech 2023, section 2; parameters and arithmetic of the authors' code.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from acanet.errors import ModelMismatch
from acanet.models.base import AggregatorConfig, register_aggregator
from acanet.models.config import ExtractorConfig
from acanet.models.folding import constant, normalised
from acanet.models.latents import LatentLayer, Mlp, projection
from acanet.models.layers import GroupedLinear
from acanet.models.parts.pointwise import PointwiseFrames
from acanet.models.parts.shared_readout import SharedReadout
from acanet.models.passes import AggregatorInPasses, product
from acanet.models.registry import register_model
from acanet.models.weights import Changes, Layout, Rename, Weights, count_of, register_layout, renamed, size_of


@register_aggregator
class MlaAggregator(AggregatorConfig):
    """ACA-Net's Multi-Layer Aggregation blocks, as published.

    `positions`: the sinusoidal code along time, none at all, or that of position 0 on every frame (`first`: what the
    authors' code does to the first row of a batch, so that their checkpoints keep their meaning).
    """

    kind: Literal["mla"] = "mla"
    latents: PositiveInt = 192
    blocks: PositiveInt = 2
    aca_layers: PositiveInt = 2
    latent_layers: PositiveInt = 3
    heads: PositiveInt = 8
    aca_mlp: PositiveInt = 256
    latent_mlp: PositiveInt = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    positions: Literal["time", "none", "first"] = "time"
    exact_when_padded = True
    division = None

    @property
    def latents_out(self) -> int:
        """Those of the config."""
        return self.latents

    def features_out(self, channels: int, branches: int) -> int:
        """Those of the frames."""
        return channels

    @property
    def passes(self) -> int:
        """One for each ACA layer."""
        return self.blocks * self.aca_layers

    def check_channels(self, channels: int, branches: int) -> None:
        """The channels are shared out among the heads of a latent layer."""
        if channels % self.heads:
            raise ValueError(f"{channels} channels of frames do not divide into {self.heads} heads")

    def build(self, channels: int, branches: int) -> Mla:
        """An `Mla`."""
        return Mla(channels, self)


class AcaLayer(nn.Module):
    """Latents (batch, latents, dim) attend to normalised frames (batch, frames, dim) with one head."""

    def __init__(self, dim: int, mlp: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.query, self.key, self.value = (projection(dim) for _ in range(3))
        self.key.bias.requires_grad_(False)  # it cancels in the softmax
        self.out = projection(dim, plain=True)
        self.mlp = Mlp(dim, mlp, dropout)

    @constant("norm", "query", "key")
    def to_queries(self) -> tuple[Tensor, ...]:
        """Matrix and offset of the queries, with the keys' matrix and the gain of the frames' layer norm in them."""
        key = self.key.weight * self.norm.weight / math.sqrt(self.key.in_features)
        return self.query.weight.T @ key, self.query.bias @ key

    @constant("norm", "value", "out")
    def to_latents(self) -> tuple[Tensor, ...]:
        """Matrix and offset of what is added to the latents."""
        value = self.out.weight @ (self.value.weight * self.norm.weight)
        offset = self.out.weight @ (self.value.weight @ self.norm.bias + self.value.bias) + self.out.bias
        return value.T, offset

    def queries(self, latents: Tensor) -> Tensor:
        """The questions of the latents to normalised frames: (..., latents, dim) -> the same shape."""
        return product(latents, *self.to_queries)

    def forward(self, latents: Tensor, mean: Tensor) -> Tensor:
        """The latents before, and the mean of the normalised frames under their attention -> (batch, latents, dim)."""
        latents = latents + product(mean, *self.to_latents)
        return latents + self.mlp(latents)


class MlaBlock(nn.Module):
    """ACA layers; then `forward` is a latent transformer, and the aggregation of all its layers."""

    def __init__(self, dim: int, config: MlaAggregator) -> None:
        super().__init__()
        self.aca = nn.ModuleList(AcaLayer(dim, config.aca_mlp, config.dropout) for _ in range(config.aca_layers))
        self.transformer = nn.ModuleList(
            LatentLayer(dim, config.heads, config.latent_mlp, config.dropout) for _ in range(config.latent_layers)
        )
        self.aggregate = GroupedLinear(dim * (config.latent_layers + 1), dim, 1)

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, latents, dim) -> (batch, latents, dim)."""
        seen = [latents]
        for layer in self.transformer:
            seen.append(layer(seen[-1]))
        return functional.relu(self.aggregate(torch.cat(seen, dim=-1)))


class Mla(AggregatorInPasses):
    """ACA-Net's aggregator: (batch, frames, dim) -> (batch, latents, dim)."""

    def __init__(self, dim: int, config: MlaAggregator) -> None:
        super().__init__(config.passes)
        self.positions = config.positions
        self.latents = nn.Parameter(nn.init.trunc_normal_(torch.empty(config.latents, dim), std=0.02, a=-2.0, b=2.0))
        self.blocks = nn.ModuleList(MlaBlock(dim, config) for _ in range(config.blocks))

    @constant()
    def first_queries(self) -> Tensor:
        """The queries of latents before the first pass, (latents, dim)."""
        return self._aca(0).queries(self.latents)

    def prepare(self, frames: Tensor, first: Tensor | int = 0) -> Tensor:
        """Frames with positions, of zero mean and unit variance."""
        if self.positions == "time":
            numbers = torch.arange(frames.shape[1], device=frames.device) + first
            frames = frames + sinusoids(numbers, frames.shape[2]).to(frames)
        elif self.positions == "first":
            frames = frames + sinusoids(torch.zeros(1, device=frames.device), frames.shape[2]).to(frames)
        return normalised(frames)

    def start(self) -> tuple[Tensor, Tensor]:
        """Latents and queries, (latents, dim) each."""
        return self.latents, self.first_queries

    def scores(self, queries: Tensor, frames: Tensor) -> Tensor:
        """The scores: (..., latents, dim) and (batch, frames, dim) -> (batch, latents, frames)."""
        return queries @ frames.transpose(1, 2)

    def sums(self, weights: Tensor, frames: Tensor) -> tuple[Tensor, ...]:
        """The sum of the frames, (batch, latents, dim)."""
        return (weights @ frames,)

    def means(self, number: int, queries: Tensor, frames: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
        """The means under the attention; in training by fused attention, which keeps no weights."""
        if not self.training:
            return super().means(number, queries, frames, mask)
        each = None if mask is None else mask.to(frames).log().unsqueeze(1)
        queries = queries.expand(len(frames), -1, -1)
        return (functional.scaled_dot_product_attention(queries, frames, frames, each, scale=1.0),)

    def step(self, number: int, state: Tensor, *means: Tensor) -> tuple[Tensor, Tensor | None]:
        """The rest of the ACA layer, at a block's end its transformer; and new queries."""
        (mean,) = means
        latents = self._aca(number)(state, mean)
        block, layer = self._place(number)
        if layer == len(block.aca) - 1:
            latents = block(latents)
        return latents, self._aca(number + 1).queries(latents) if number + 1 < self.passes else None

    def finish(self, state: Tensor) -> Tensor:
        """The latents."""
        return state

    def _aca(self, number: int) -> Any:
        block, layer = self._place(number)
        return block.aca[layer]

    def _place(self, number: int) -> tuple[Any, int]:
        """The block of an ACA layer, and its number there."""
        layers = self.passes // len(self.blocks)
        return self.blocks[number // layers], number % layers


def sinusoids(numbers: Tensor, dim: int) -> Tensor:
    """The position code, (frames, dim): sine and cosine of each number at dim / 2 rates (Vaswani et al. 2017, 3.5)."""
    rates = torch.exp(torch.arange(0, dim, 2, device=numbers.device).float() * (-math.log(10000.0) / dim))
    phase = numbers.float().unsqueeze(1) * rates
    return torch.stack([phase.sin(), phase.cos()], dim=-1).flatten(1)


register_model("acanet", ExtractorConfig(frames=PointwiseFrames(), aggregator=MlaAggregator(), head=SharedReadout()))


# The authors' ACANet.py and TDNN.py (GitHub: Yip-Jia-Qi/ACA-Net)
_NAMES: Rename = [
    (r"^ch_expansion\.conv\.conv\.", "frames.linear."),
    (r"^ch_expansion\.norm\.norm\.", "frames.norm."),
    (r"^latent$", "aggregator.latents"),
    (r"^ACA_blocks\.", "aggregator.blocks."),
    (r"\.cross_attention\.", ".aca."),
    (r"\.latent_transformer\.transformer\.", ".transformer."),
    (r"\.latent_transformer\.ch_reduction\.", ".aggregate."),
    (r"\.lnorm1\.", ".norm."),
    (r"\.attn\.out_proj\.", ".out."),
    (r"\.lnorm2\.", ".mlp.0."),
    (r"\.linear1\.", ".mlp.1."),
    (r"\.linear2\.", ".mlp.3."),
    (r"^ch_compression\.", "head.readout."),
    (r"^final_norm\.norm\.", "head.norm."),
]


def _renamed(name: str, value: Tensor) -> dict[str, Tensor]:
    if name == "embed.pe":
        return {}  # computed, not learned
    match = re.search(r"\.attn\.in_proj_(weight|bias)$", name)
    if match is None:
        return {renamed(name, _NAMES): value}
    if value.ndim == 0 or len(value) == 0 or len(value) % 3:
        raise ModelMismatch(f"{name} of shape {tuple(value.shape)}", "rows for queries, keys and values")
    base = renamed(name[: match.start()] + ".", _NAMES)
    parts = zip(("query", "key", "value"), value.chunk(3), strict=True)
    return {f"{base}{part}.{match[1]}": rows for part, rows in parts}


def _fit(weights: Weights) -> tuple[str, Changes]:
    block = "aggregator.blocks.0"
    return "acanet", {
        "front_end": {"mels": size_of(weights, "frames.linear.weight", 1)},
        "frames": {"channels": size_of(weights, "frames.linear.weight")},
        "aggregator": {
            "latents": size_of(weights, "aggregator.latents"),
            "blocks": count_of(weights, "aggregator.blocks"),
            "aca_layers": count_of(weights, f"{block}.aca"),
            "latent_layers": count_of(weights, f"{block}.transformer"),
            "aca_mlp": size_of(weights, f"{block}.aca.0.mlp.1.weight"),
            "latent_mlp": size_of(weights, f"{block}.transformer.0.mlp.1.weight"),
            "positions": "first",
        },
    }


AUTHORS = register_layout(
    "authors-acanet",
    Layout("an ACA-Net in the layout of the authors' code", "ch_expansion.conv.conv.weight", _renamed, _fit),
)
"""Of the final layer "1dE". Their code adds the position code along the batch; `positions="first"` computes what it
gives for row 0."""
