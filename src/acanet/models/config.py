"""What a model is, as data that travels with its weights: the configs of its parts."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from acanet.config.strict import Strict
from acanet.runtime.front_end import FrontEndConfig

# Frame encoders: (batch, frames, mels) -> (batch, frames', channels)


class PointwiseFrames(Strict):
    """A 1x1 TDNN block: ACA-Net's own frames."""

    kind: Literal["pointwise"] = "pointwise"
    channels: PositiveInt = 256


class ConvolutionFrames(Strict):
    """A strided stem and inverted depthwise blocks: local context at half the frame rate."""

    kind: Literal["convolution"] = "convolution"
    channels: PositiveInt = 256
    hidden: PositiveInt = 512
    stem_kernel: PositiveInt = 5
    stride: PositiveInt = 2
    kernel: PositiveInt = 7
    dilations: tuple[PositiveInt, ...] = (1, 2, 3, 1)

    @model_validator(mode="after")
    def _odd_kernels(self) -> Self:
        if self.kernel % 2 == 0 or self.stem_kernel % 2 == 0:
            raise ValueError("kernel and stem_kernel must be odd, so that frames keep their place")
        return self


class PictureStage(Strict):
    """Convolutions over mel bins and time: a strided one, then residual blocks."""

    channels: PositiveInt
    mel_stride: PositiveInt = 2
    stride: PositiveInt = Field(1, description="in time")
    blocks: NonNegativeInt = Field(1, description="residual blocks of two convolutions")


class SpectralFrames(Strict):
    """Convolutions over mel bins and time at falling resolution, then inverted blocks over time."""

    kind: Literal["spectral"] = "spectral"
    stages: tuple[PictureStage, ...] = Field(
        (PictureStage(channels=24, stride=2, blocks=0), PictureStage(channels=32, stride=2)), min_length=1
    )
    channels: PositiveInt = 256
    hidden: PositiveInt = 512
    kernel: PositiveInt = 7
    dilations: tuple[PositiveInt, ...] = (1, 2, 3, 1)

    @model_validator(mode="after")
    def _odd_kernel(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError("kernel must be odd, so that frames keep their place")
        return self

    @property
    def stride(self) -> int:
        """Frames of features for each frame."""
        return math.prod(stage.stride for stage in self.stages)


class TdnnFrames(Strict):
    """The x-vector's time-delay layers: each sees a few frames of the one below, the last is wider."""

    kind: Literal["tdnn"] = "tdnn"
    channels: PositiveInt = 512
    out_channels: PositiveInt = 1500
    kernels: tuple[PositiveInt, ...] = (5, 3, 3, 1, 1)
    dilations: tuple[PositiveInt, ...] = (1, 2, 3, 1, 1)

    @model_validator(mode="after")
    def _same_depth(self) -> Self:
        if len(self.kernels) != len(self.dilations):
            raise ValueError(f"{len(self.kernels)} kernels but {len(self.dilations)} dilations")
        if not self.kernels or any(kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError("kernels must be odd, so that frames keep their place, and at least one")
        return self


class EcapaFrames(Strict):
    """ECAPA-TDNN's SE-Res2Net blocks and multi-layer feature aggregation, in SpeechBrain's form."""

    kind: Literal["ecapa"] = "ecapa"
    channels: PositiveInt = 1024
    out_channels: PositiveInt = 3072
    kernels: tuple[PositiveInt, ...] = (5, 3, 3, 3)
    dilations: tuple[PositiveInt, ...] = (1, 2, 3, 4)
    res2net_scale: PositiveInt = 8
    se_channels: PositiveInt = 128

    @model_validator(mode="after")
    def _same_depth(self) -> Self:
        if len(self.kernels) != len(self.dilations):
            raise ValueError(f"{len(self.kernels)} kernels but {len(self.dilations)} dilations")
        if self.channels % self.res2net_scale:
            raise ValueError(f"channels {self.channels} is not a multiple of res2net_scale {self.res2net_scale}")
        return self


class CampplusFrames(Strict):
    """CAM++: residual convolutions over time and mel bins, then densely connected layers with context-aware masking."""

    kind: Literal["campplus"] = "campplus"
    front_channels: PositiveInt = 32
    channels: PositiveInt = Field(128, description="that enter the first dense block")
    growth: PositiveInt = Field(32, description="channels that each dense layer adds")
    bottleneck: PositiveInt = Field(128, description="channels inside a dense layer")
    layers: tuple[PositiveInt, ...] = Field((12, 24, 16), description="dense layers of each block")
    dilations: tuple[PositiveInt, ...] = Field((1, 2, 2), description="of each block")

    @model_validator(mode="after")
    def _same_depth(self) -> Self:
        if len(self.layers) != len(self.dilations):
            raise ValueError(f"{len(self.layers)} blocks of layers but {len(self.dilations)} dilations")
        if self.bottleneck < 2:
            raise ValueError("bottleneck must be 2 or more, because the mask is made from half of it")
        return self

    @property
    def out_channels(self) -> int:
        """Channels after the last block; every block ends by halving them."""
        channels = self.channels
        for layers in self.layers:
            channels = (channels + layers * self.growth) // 2
        return channels


FramesConfig = Annotated[
    PointwiseFrames | ConvolutionFrames | SpectralFrames | TdnnFrames | EcapaFrames | CampplusFrames,
    Field(discriminator="kind"),
]


# Aggregators: (batch, frames, channels) -> (batch, features) or (batch, latents, features)


class MlaAggregator(Strict):
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


class AcaStatisticsAggregator(Strict):
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


class MeanPooling(Strict):
    """The mean over time."""

    kind: Literal["mean"] = "mean"


class StatisticsPooling(Strict):
    """Mean and standard deviation over time."""

    kind: Literal["statistics"] = "statistics"
    unbiased: bool = Field(False, description="divide the squares by frames - 1, as CAM++ does")


class AttentiveStatisticsPooling(Strict):
    """Mean and standard deviation under a learned weight for each channel and frame (ECAPA's form)."""

    kind: Literal["attentive-statistics"] = "attentive-statistics"
    channels: PositiveInt = 128


AggregatorConfig = Annotated[
    MlaAggregator | AcaStatisticsAggregator | MeanPooling | StatisticsPooling | AttentiveStatisticsPooling,
    Field(discriminator="kind"),
]


# Heads: what the aggregator gives -> (batch, dim)


class SharedReadout(Strict):
    """One vector read out of every latent, so that each latent is one number of the embedding (the paper's)."""

    kind: Literal["shared-readout"] = "shared-readout"


class OwnReadout(Strict):
    """A read-out matrix of its own for each latent."""

    kind: Literal["own-readout"] = "own-readout"
    dim: PositiveInt = 192


class LinearHead(Strict):
    """A linear layer over all that the aggregator gives.

    `norm`: where batch norm is. `before` the layer (ECAPA); `after` it, without gain and offset, the layer without bias
    (CAM++); or `none` (x-vector; `acanet2`, whose ACA has it).
    """

    kind: Literal["linear"] = "linear"
    dim: PositiveInt = 192
    norm: Literal["before", "after", "none"] = "before"


HeadConfig = Annotated[SharedReadout | OwnReadout | LinearHead, Field(discriminator="kind")]


class DiscriminantConfig(Strict):
    """A projection after the head, onto directions in which speakers differ; it is fitted, not trained."""

    directions: PositiveInt = Field(description="that are kept; an embedding has one number more")


class ModelConfig(Strict):
    """What every model has; a model of your own derives its config from this (see `register_model`)."""

    front_end: FrontEndConfig = FrontEndConfig()


class ExtractorConfig(ModelConfig):
    """Frames -> aggregator -> head.

    With several `branches`, channels, hidden, keys, latents and dim of the parts are those of all branches together.
    """

    frames: FramesConfig
    aggregator: AggregatorConfig
    head: HeadConfig
    branches: PositiveInt = Field(
        1,
        description="networks side by side after the first convolutions, each with its share of channels, latents and "
        "the embedding, and a loss of its own",
    )
    discriminant: DiscriminantConfig | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        by_latents = isinstance(self.aggregator, MlaAggregator | AcaStatisticsAggregator)
        if not by_latents and not isinstance(self.head, LinearHead):
            raise ValueError(f"aggregator {self.aggregator.kind!r} needs head 'linear', not {self.head.kind!r}")
        if isinstance(self.aggregator, MlaAggregator | AcaStatisticsAggregator):
            if self.frames_channels % self.aggregator.heads:
                raise ValueError(
                    f"{self.frames_channels} channels of frames do not divide into {self.aggregator.heads} heads"
                )
            if isinstance(self.head, OwnReadout) and self.head.dim % self.aggregator.latents:
                raise ValueError(f"head.dim {self.head.dim} is not a multiple of {self.aggregator.latents} latents")
        if isinstance(self.aggregator, AcaStatisticsAggregator) and self.frames_channels % self.aggregator.aca_heads:
            raise ValueError(
                f"{self.frames_channels} channels of frames do not divide into {self.aggregator.aca_heads} aca_heads"
            )
        if self.branches > 1:
            self._branches_fit()
        if self.discriminant is not None and self.discriminant.directions > self.head_dim:
            raise ValueError(
                f"discriminant.directions {self.discriminant.directions} is more than the {self.head_dim} numbers that "
                "the head gives"
            )
        return self

    def _branches_fit(self) -> None:
        frames, aggregator, head = self.frames, self.aggregator, self.head
        if not isinstance(frames, SpectralFrames):
            raise ValueError(f"{self.branches} branches need frames 'spectral', not {frames.kind!r}")
        if not isinstance(head, LinearHead) or head.norm == "after":
            raise ValueError(f"{self.branches} branches need head 'linear' with norm 'none' or 'before'")
        match aggregator:
            case AcaStatisticsAggregator(keys=int(keys), latents=latents, latent_layers=0):
                sizes = {"aggregator.keys": keys, "aggregator.latents": latents}
            case AttentiveStatisticsPooling(channels=channels):
                sizes = {"aggregator.channels": channels}
            case _:
                raise ValueError(
                    f"{self.branches} branches need aggregator 'aca-statistics' with keys and latent_layers 0, or "
                    "'attentive-statistics'"
                )
        sizes |= {"frames.channels": frames.channels, "frames.hidden": frames.hidden, "head.dim": head.dim}
        for name, size in sizes.items():
            if size % self.branches:
                raise ValueError(f"{name} {size} does not divide into {self.branches} branches")
        each = frames.channels // self.branches
        if isinstance(aggregator, AcaStatisticsAggregator) and each % aggregator.aca_heads:
            raise ValueError(f"{each} channels of a branch do not divide into {aggregator.aca_heads} aca_heads")

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later and is not there, so that a model without it keeps its fingerprint."""
        plain: dict[str, Any] = serialise(self)
        for key, absent in (("discriminant", None), ("branches", 1)):
            if plain.get(key, ...) == absent:
                del plain[key]
        return plain

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""
        return self.head_dim if self.discriminant is None else self.discriminant.directions + 1

    @property
    def head_dim(self) -> int:
        """Numbers that the head gives, which the training loss sees."""
        if isinstance(self.head, SharedReadout):
            assert isinstance(self.aggregator, MlaAggregator | AcaStatisticsAggregator)  # _parts_fit saw to it
            return self.aggregator.latents
        return self.head.dim

    @property
    def frames_channels(self) -> int:
        """Channels that the frame encoder gives."""
        if isinstance(self.frames, PointwiseFrames | ConvolutionFrames | SpectralFrames):
            return self.frames.channels
        return self.frames.out_channels
