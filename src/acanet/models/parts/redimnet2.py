"""ReDimNet2: what is said of an utterance as maps over time and as pictures of mel bins and time, in turns.

Source: Yakovlev and Okhotnikov, "ReDimNet2: Scaling Speaker Verification via Time-Pooled Dimension Reshaping",
Interspeech 2026; arithmetic of PalabraAI/redimnet2. A map, (batch, volume, frames), has as many numbers for each frame
as a picture, (batch, channels, mels, frames), so one is the other in another order, and all maps can be added up. Each
stage attends to the whole utterance, so a recording cannot be encoded in pieces; convolutions, norms and attention know
which frames are padded, so padded batches are exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from operator import add, mul
from typing import Literal, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from acanet.config.strict import Strict
from acanet.models.base import Frames, FramesConfig, register_frames
from acanet.models.config import ExtractorConfig
from acanet.models.folding import constant
from acanet.models.layers import NormedConv, PictureNorm, frame_mask, masked
from acanet.models.parts.astp import AstpPooling
from acanet.models.parts.linear_head import LinearHead
from acanet.models.parts.redimnet2_fbank import Redimnet2FrontEnd
from acanet.models.parts.time_context import HEADS, ChannelNorm, TimeContext
from acanet.models.registry import register_model
from acanet.models.weights import Changes, Layout, Rename, Weights, count_of, register_layout, renamed, size_of

_EPSILON = 1e-6  # of the norm after a projection


class RedimStage(Strict):
    """Two-dimensional convolutions at a resolution of their own, then the context of each frame in time."""

    hidden: PositiveInt = Field(description="channels of its residual blocks")
    blocks: PositiveInt
    context: PositiveInt = Field(multiple_of=HEADS, description="channels of its time context")
    mel_stride: PositiveInt = 1
    stride: PositiveInt = Field(1, description="in time, beside those of the stages before")


def _stages(channels: int, reduction: int) -> tuple[RedimStage, ...]:
    """Those of a small published size: time contexts have a share of the volume, in the last two stages twice that."""
    context = 72 * channels // reduction
    return (
        RedimStage(hidden=2 * channels, blocks=2, context=context),
        RedimStage(hidden=2 * channels, blocks=3, context=context, mel_stride=2),
        RedimStage(hidden=2 * channels, blocks=4, context=context, stride=2),
        RedimStage(hidden=4 * channels, blocks=5, context=context, mel_stride=2),
        RedimStage(hidden=4 * channels, blocks=4, context=2 * context, stride=2),
        RedimStage(hidden=8 * channels, blocks=3, context=2 * context, mel_stride=2),
    )


@register_frames
class Redimnet2Frames(FramesConfig):
    """ReDimNet2: stages that see a weighted sum of what all before gave, as pictures and as maps."""

    kind: Literal["redimnet2"] = "redimnet2"
    mels: PositiveInt = Field(72, description="those of the front end")
    channels: PositiveInt = Field(12, description="of the first picture; later ones have more, and fewer mel bins")
    stages: tuple[RedimStage, ...] = Field(_stages(12, 36), min_length=1)
    out_channels: PositiveInt | None = Field(64, description="of the last picture; None: as many as it has")
    norm_maps: bool = Field(False, description="group norm of every map, as later weights of theirs have")
    exact_when_padded = True
    division = None

    @model_validator(mode="after")
    def _whole_pictures(self) -> Self:
        if self.mels % self.mel_strides[-1]:
            raise ValueError(f"mels {self.mels} is not a multiple of {self.mel_strides[-1]}, all mel_strides together")
        return self

    @property
    def mel_strides(self) -> list[int]:
        """Of the picture that each stage leaves, over the first one."""
        return list(accumulate((stage.mel_stride for stage in self.stages), mul))

    @property
    def strides(self) -> list[int]:
        """Features for each frame, at each stage."""
        return list(accumulate((stage.stride for stage in self.stages), mul))

    @property
    def channels_out(self) -> int:
        """Channels of the last picture, in each of its mel bins."""
        if self.out_channels is None:
            return self.mels * self.channels
        return self.mels // self.mel_strides[-1] * self.out_channels

    @property
    def receptive_field(self) -> None:
        """The whole utterance, by attention."""
        return None

    def check_mels(self, mels: int) -> None:
        """They are in the config, which the channels depend on."""
        if mels != self.mels:
            raise ValueError(f"frames.mels {self.mels} is not front_end.mels {mels}")

    def build(self, mels: int, branches: int) -> Redimnet2:
        """A `Redimnet2`."""
        return Redimnet2(self)


class SeparableBlock(nn.Module):
    """Two depthwise convolutions over mel bins and time, each with one of one bin and frame after it; residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False) for _ in range(2)
        )
        self.first_mix, self.first_norm = nn.Conv2d(channels, channels, 1), PictureNorm(channels)
        self.second_mix = NormedConv(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, picture: Tensor, real: Tensor | None) -> Tensor:
        """(batch, channels, mels, frames) -> the same shape.

        Args:
            picture: anything in padded frames.
            real: (batch, 1, 1, frames) bool, true where a frame is real; None when all are.
        """
        picture = masked(picture, real)
        x = masked(self.first_norm(self.first_mix(self.first(picture)).relu()), real)
        return (self.second_mix(self.second(x)) + picture).relu()


class MapSum(nn.Module):
    """The sum of several maps, with a weight for each of them in each channel; the weights add up to one."""

    def __init__(self, maps: int, volume: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(maps, volume), requires_grad=maps > 1)

    @constant("weights")
    def shares(self) -> Tensor:
        """(maps, volume, 1)."""
        return self.weights.softmax(dim=0).unsqueeze(2)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(batch, volume, frames) each -> the same shape."""
        weighted = (share * each for share, each in zip(self.shares.unbind(), maps, strict=True))
        return reduce(add, weighted)  # one after the other, which takes less memory than all at once


class MapNorm(nn.GroupNorm):
    """Group norm of a map over the real frames."""

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """(batch, volume, frames), and (batch, 1, frames) bool, true where a frame is real -> the same shape."""
        if real is None:
            return super().forward(x)
        groups = x.unflatten(1, (self.num_groups, -1))
        even = real.unsqueeze(1) / real.sum(dim=2, keepdim=True).unsqueeze(1)  # (batch, 1, 1, frames)
        mean = (groups * even).sum(dim=3, keepdim=True).mean(dim=2, keepdim=True)
        variance = ((groups - mean).square() * even).sum(dim=3, keepdim=True).mean(dim=2, keepdim=True)
        level = ((groups - mean) * (variance + self.eps).rsqrt()).flatten(1, 2)
        return level * self.weight.unsqueeze(1) + self.bias.unsqueeze(1)


class Stage(nn.Module):
    """A sum of the maps before, as a picture of fewer bins and frames; residual blocks; as a map, its context."""

    def __init__(self, number: int, config: Redimnet2Frames) -> None:
        super().__init__()
        sizes, volume = config.stages[number], config.mels * config.channels
        after, self.stride = config.mel_strides[number], config.strides[number]
        self.mels = config.mels * sizes.mel_stride // after
        before, channels = volume // self.mels, config.channels * after
        self.sum = MapSum(number + 1, volume)
        stride = (sizes.mel_stride, self.stride)
        self.narrow = nn.Conv2d(before, sizes.hidden, stride, stride, groups=math.gcd(before, sizes.hidden))
        self.blocks = nn.ModuleList(SeparableBlock(sizes.hidden) for _ in range(sizes.blocks))
        self.project: nn.Module = nn.Identity()
        if sizes.hidden != channels:
            self.project = NormedConv(nn.Conv2d(sizes.hidden, channels, 1), nn.BatchNorm2d(channels, eps=_EPSILON))
        self.context = TimeContext(volume, sizes.context)

    def forward(self, maps: Sequence[Tensor], real: Tensor | None) -> Tensor:
        """(batch, volume, frames) each -> (batch, volume, frames / stride).

        Args:
            maps: what the stages before gave, and the first map.
            real: (batch, 1, frames / stride) bool, true where a frame is real; None when all are.
        """
        picture = self.narrow(_picture(self.sum(maps), self.mels))
        for block in self.blocks:
            picture = block(picture, None if real is None else real.unsqueeze(1))
        output: Tensor = self.context(_map(self.project(picture)), real)
        return output


class Redimnet2(Frames):
    """A first convolution, then stages of which each sees what all before it gave, at full rate."""

    def __init__(self, config: Redimnet2Frames) -> None:
        super().__init__()
        volume, maps = config.mels * config.channels, len(config.stages) + 1
        self.mels, self.stride = config.mels // config.mel_strides[-1], config.strides[-1]
        self.stem = nn.Conv2d(1, config.channels, 3, padding=1)
        self.stem_norm = ChannelNorm(config.channels)
        self.stages = nn.ModuleList(Stage(number, config) for number in range(len(config.stages)))
        self.map_norms = nn.ModuleList(MapNorm(config.channels, volume) for _ in range(maps if config.norm_maps else 0))
        self.sum = MapSum(maps, volume)
        self.last: nn.Module = nn.Identity()
        if config.out_channels is not None:
            self.last = nn.Conv2d(volume // self.mels, config.out_channels, 1)

    def forward(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames, mels), zero in padded frames -> (batch, whole strides of frames, channels_out)."""
        features, mask = self._in_strides(features, mask)
        real = None if mask is None else mask.unsqueeze(1)  # (batch, 1, frames)
        first = _map(self.stem_norm(self.stem(features.transpose(1, 2).unsqueeze(1))))
        maps = [self._normed(first, 0, real)]
        for number, stage in enumerate(self.stages, 1):
            assert isinstance(stage, Stage)
            each = None if real is None else real[:, :, :: stage.stride]
            output = self._normed(stage(maps, each), number, each)
            maps.append(output.repeat_interleave(stage.stride, dim=2) if stage.stride > 1 else output)
        return self.last(_picture(self.sum(maps), self.mels)).flatten(1, 2).transpose(1, 2), mask

    def _normed(self, x: Tensor, number: int, real: Tensor | None) -> Tensor:
        return self.map_norms[number](x, real) if self.map_norms else x

    def _in_strides(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Features and mask without what is left over at the end of a row; the shortest get zeros for a stride."""
        frames, stride = features.shape[1], self.stride
        if mask is None and frames >= stride:
            return features[:, : frames // stride * stride], None
        lengths = features.new_full(features.shape[:1], frames) if mask is None else mask.sum(dim=1)
        longest = (frames + stride - 1) // stride * stride
        whole = frame_mask((lengths // stride).clamp(min=1) * stride, longest)
        padded = functional.pad(features, (0, 0, 0, longest - frames))
        return padded * whole.unsqueeze(2), whole


def _picture(x: Tensor, mels: int) -> Tensor:
    """A map (batch, volume, frames) -> (batch, channels, mels, frames); of each bin, a map has all channels."""
    return x.unflatten(1, (mels, -1)).transpose(1, 2)


def _map(picture: Tensor) -> Tensor:
    """(batch, channels, mels, frames) -> (batch, volume, frames)."""
    return picture.transpose(1, 2).flatten(1, 2)


def _redimnet2(frames: Redimnet2Frames) -> ExtractorConfig:
    front_end = Redimnet2FrontEnd(mels=72, high_hz=7600.0)
    return ExtractorConfig(front_end=front_end, frames=frames, aggregator=AstpPooling(), head=LinearHead())


register_model("redimnet2-b0", _redimnet2(Redimnet2Frames()))
register_model("redimnet2-b1", _redimnet2(Redimnet2Frames(channels=16, stages=_stages(16, 32), out_channels=None)))


# redimnet2/redimnet2.py of PalabraAI/redimnet2; a stage is a list there, told apart by what is below each number
_STAGE = r"^backbone\.stage(\d+)\."
_NAMES: Rename = [
    (r"^backbone\.stem\.0\.", "frames.stem."),
    (r"^backbone\.stem\.1\.", "frames.stem_norm."),
    (r"^backbone\.stem_gnorm\.", "frames.map_norms.0."),
    (_STAGE + r"0\.w$", r"frames.stages.\1.sum.weights"),
    (_STAGE + r"2\.(weight|bias)$", r"frames.stages.\1.narrow.\2"),
    (_STAGE + r"\d+\.(weight|bias)$", lambda found: f"frames.map_norms.{int(found[1]) + 1}.{found[2]}"),
    (_STAGE + r"(\d+)\.conv_block\.", lambda found: f"frames.stages.{found[1]}.blocks.{int(found[2]) - 3}."),
    (_STAGE + r"\d+\.([01])\.", r"frames.stages.\1.project.\2."),
    (_STAGE + r"\d+\.", r"frames.stages.\1.context."),
    (r"\.conv1\.", ".first."),
    (r"\.conv1pw\.", ".first_mix."),
    (r"\.bn1\.", ".first_norm."),
    (r"\.conv2\.", ".second."),
    (r"\.conv2pw\.", ".second_mix.0."),
    (r"\.bn2\.", ".second_mix.1."),
    (r"\.red_dim_conv\.0\.", ".reduce."),
    (r"\.red_dim_conv\.1\.", ".reduce_norm."),
    (r"\.exp_dim_conv\.", ".expand."),
    (r"\.tcm\.([0-3])\.dwconvs\.0\.", r".blocks.\1.depthwise.0."),
    (r"\.tcm\.([0-3])\.norm\.", r".blocks.\1.depthwise.1."),
    (r"\.tcm\.([0-3])\.pwconv1\.", r".blocks.\1.mix."),
    (r"\.tcm\.4\.", ".attention."),
    (r"\.attention\.attention\.q_proj\.", ".attention.query."),
    (r"\.attention\.attention\.k_proj\.", ".attention.key."),
    (r"\.attention\.attention\.v_proj\.", ".attention.value."),
    (r"\.attention\.attention\.out_proj\.", ".attention.out."),
    (r"\.attention\.layer_norm\.", ".attention.norm."),
    (r"\.attention\.final_layer_norm\.", ".attention.last_norm."),
    (r"\.feed_forward\.intermediate_dense\.", ".hidden."),
    (r"\.feed_forward\.output_dense\.", ".back."),
    (r"^backbone\.fin_wght1d\.w$", "frames.sum.weights"),
    (r"^backbone\.head\.", "frames.last."),
    (r"^pool\.linear1\.", "aggregator.squeeze."),
    (r"^pool\.linear2\.", "aggregator.expand."),
    (r"^bn\.", "head.norm."),
    (r"^linear\.", "head.linear."),
]
_FRONT_END = tuple(
    f"spec.torchfbank.{name}"
    for name in ("1.flipped_filter", *(f"2.{each}_pt" for each in ("real_kernel", "image_kernel", "melbanks")))
)


def _renamed(name: str, value: Tensor) -> dict[str, Tensor]:
    """Constants of the front end that is computed here, and the classifier of training code, are left out."""
    return {} if name in _FRONT_END or name.startswith("projection.") else {renamed(name, _NAMES): value}


def _fit(weights: Weights) -> tuple[str, Changes]:
    """Of later sizes, too, the model that is nearest in name; heads and kernels of time contexts are as published."""
    channels, strides, stages = size_of(weights, "frames.stem.weight"), [1], []
    mels = size_of(weights, "frames.sum.weights", 2) // max(channels, 1)
    for number in range(count_of(weights, "frames.stages")):
        stage = f"frames.stages.{number}"
        strides.append(size_of(weights, f"{stage}.narrow.weight", 3))
        stages.append(
            {
                "hidden": size_of(weights, f"{stage}.narrow.weight"),
                "blocks": count_of(weights, f"{stage}.blocks"),
                "context": size_of(weights, f"{stage}.context.reduce.weight"),
                "mel_stride": size_of(weights, f"{stage}.narrow.weight", 2),
                "stride": strides[-1] // max(strides[-2], 1),
            }
        )
    last = "frames.last.weight"
    return "redimnet2-b0" if channels == 12 else "redimnet2-b1", {
        "front_end": {"mels": mels},
        "frames": {
            "mels": mels,
            "channels": channels,
            "stages": stages,
            "out_channels": size_of(weights, last) if last in weights else None,
            "norm_maps": "frames.map_norms.0.weight" in weights,
        },
        "aggregator": {"channels": size_of(weights, "aggregator.squeeze.weight")},
        "head": {"dim": size_of(weights, "head.linear.weight")},
    }


PALABRA = register_layout(
    "redimnet2",
    Layout("a ReDimNet2 in its authors' layout", "backbone.fin_wght1d.w", _renamed, _fit),
)
