"""ECAPA-TDNN, in SpeechBrain's form: the strong baseline of the field.

Source: Desplanques et al., "ECAPA-TDNN: Emphasized Channel Attention, Propagation and Aggregation in TDNN Based Speaker
Verification", Interspeech 2020; arithmetic of speechbrain.lobes.models.ECAPA_TDNN. Convolutions pad by reflection and
squeeze-excitation averages over the utterance, so padded batches are not exact near the end of a row (batch equal
lengths), and a recording cannot be encoded in pieces.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import PositiveInt, model_validator
from torch import Tensor, nn

from acanet.models.base import Frames, FramesConfig, register_frames
from acanet.models.config import ExtractorConfig
from acanet.models.parts.attentive_statistics import AttentiveStatisticsPooling
from acanet.models.parts.linear_head import LinearHead
from acanet.models.registry import register_model
from acanet.models.weights import Changes, Layout, Rename, Weights, count_of, register_layout, renamed, size_of


@register_frames
class EcapaFrames(FramesConfig):
    """ECAPA-TDNN's SE-Res2Net blocks and multi-layer feature aggregation, in SpeechBrain's form."""

    kind: Literal["ecapa"] = "ecapa"
    channels: PositiveInt = 1024
    out_channels: PositiveInt = 3072
    kernels: tuple[PositiveInt, ...] = (5, 3, 3, 3)
    dilations: tuple[PositiveInt, ...] = (1, 2, 3, 4)
    res2net_scale: PositiveInt = 8
    se_channels: PositiveInt = 128
    exact_when_padded = False
    division = None

    @model_validator(mode="after")
    def _same_depth(self) -> Self:
        if len(self.kernels) != len(self.dilations):
            raise ValueError(f"{len(self.kernels)} kernels but {len(self.dilations)} dilations")
        if self.channels % self.res2net_scale:
            raise ValueError(f"channels {self.channels} is not a multiple of res2net_scale {self.res2net_scale}")
        return self

    @property
    def channels_out(self) -> int:
        """Those of the multi-layer feature aggregation."""
        return self.out_channels

    @property
    def receptive_field(self) -> None:
        """The whole utterance, by squeeze-excitation."""
        return None

    def build(self, mels: int, branches: int) -> Ecapa:
        """An `Ecapa`."""
        return Ecapa(mels, self)


class TdnnBlock(nn.Module):
    """Convolution padded by reflection, ReLU, batch norm: (batch, channels, frames) -> (batch, channels', frames)."""

    def __init__(self, channels: int, out_channels: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv1d(
            channels, out_channels, kernel, dilation=dilation, padding=padding, padding_mode="reflect"
        )
        self.norm = nn.BatchNorm1d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) -> (batch, out_channels, frames)."""
        return self.norm(self.conv(x).relu())


class Res2Net(nn.Module):
    """Groups of channels in a cascade, each seeing the one before it."""

    def __init__(self, channels: int, scale: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.scale = scale
        width = channels // scale
        self.blocks = nn.ModuleList(TdnnBlock(width, width, kernel, dilation) for _ in range(scale - 1))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) -> the same shape."""
        first, second, *others = x.chunk(self.scale, dim=1)
        outputs = [first, self.blocks[0](second)]
        for block, group in zip(self.blocks[1:], others, strict=True):
            outputs.append(block(group + outputs[-1]))
        return torch.cat(outputs, dim=1)


class SqueezeExcitation(nn.Module):
    """Scales every channel by what the whole utterance says about it."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, channels, frames) -> the same shape."""
        mean = x.mean(dim=2) if mask is None else (x * mask.unsqueeze(1)).sum(dim=2) / mask.sum(dim=1, keepdim=True)
        return x * self.excite(self.squeeze(mean).relu()).sigmoid().unsqueeze(2)


class SeRes2Block(nn.Module):
    """TDNN, Res2Net, TDNN, squeeze-excitation; residual."""

    def __init__(self, config: EcapaFrames, kernel: int, dilation: int) -> None:
        super().__init__()
        self.tdnn1 = TdnnBlock(config.channels, config.channels)
        self.res2net = Res2Net(config.channels, config.res2net_scale, kernel, dilation)
        self.tdnn2 = TdnnBlock(config.channels, config.channels)
        self.se = SqueezeExcitation(config.channels, config.se_channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, channels, frames) -> the same shape."""
        return x + self.se(self.tdnn2(self.res2net(self.tdnn1(x))), mask)


class Ecapa(Frames):
    """SE-Res2Net blocks, whose outputs a last layer brings together."""

    def __init__(self, mels: int, config: EcapaFrames) -> None:
        super().__init__()
        self.stem = TdnnBlock(mels, config.channels, config.kernels[0], config.dilations[0])
        self.blocks = nn.ModuleList(
            SeRes2Block(config, kernel, dilation)
            for kernel, dilation in zip(config.kernels[1:], config.dilations[1:], strict=True)
        )
        self.aggregate = TdnnBlock(config.channels * len(self.blocks), config.out_channels)

    def forward(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames, mels) -> (batch, frames, out_channels); every frame keeps its place."""
        x = self.stem(features.transpose(1, 2))
        outputs = []
        for block in self.blocks:
            x = block(x, mask)
            outputs.append(x)
        return self.aggregate(torch.cat(outputs, dim=1)).transpose(1, 2), mask


def _ecapa(channels: int) -> ExtractorConfig:
    frames = EcapaFrames(channels=channels, out_channels=3 * channels)
    return ExtractorConfig(frames=frames, aggregator=AttentiveStatisticsPooling(), head=LinearHead())


register_model("ecapa-512", _ecapa(512))
register_model("ecapa-1024", _ecapa(1024))


# speechbrain.lobes.models.ECAPA_TDNN
_NAMES: Rename = [
    (r"^blocks\.0\.", "frames.stem."),
    (r"^blocks\.(\d+)\.", lambda found: f"frames.blocks.{int(found[1]) - 1}."),
    (r"^mfa\.", "frames.aggregate."),
    (r"^asp\.tdnn\.conv\.conv\.", "aggregator.squeeze."),
    (r"^asp\.tdnn\.norm\.norm\.", "aggregator.norm."),
    (r"^asp\.conv\.conv\.", "aggregator.expand."),
    (r"^asp_bn\.norm\.", "head.norm."),
    (r"^fc\.conv\.", "head.linear."),
    (r"\.res2net_block\.", ".res2net."),
    (r"\.se_block\.conv1\.conv\.", ".se.squeeze."),
    (r"\.se_block\.conv2\.conv\.", ".se.excite."),
    (r"\.conv\.conv\.", ".conv."),
    (r"\.norm\.norm\.", ".norm."),
]


def _renamed(name: str, value: Tensor) -> dict[str, Tensor]:
    return {renamed(name, _NAMES): value}


def _fit(weights: Weights) -> tuple[str, Changes]:
    """The features are those of SpeechBrain's recipes: its Fbank as it is without settings, from 0 Hz on."""
    channels = size_of(weights, "frames.stem.conv.weight")
    blocks = range(count_of(weights, "frames.blocks"))
    kernels = (f"frames.blocks.{block}.res2net.blocks.0.conv.weight" for block in blocks)
    return "ecapa-512" if channels == 512 else "ecapa-1024", {
        "front_end": {"kind": "speechbrain", "low_hz": 0.0, "mels": size_of(weights, "frames.stem.conv.weight", 1)},
        "frames": {
            "channels": channels,
            "out_channels": size_of(weights, "frames.aggregate.conv.weight"),
            "kernels": [size_of(weights, name, 2) for name in ("frames.stem.conv.weight", *kernels)],
            "res2net_scale": count_of(weights, "frames.blocks.0.res2net.blocks") + 1,
            "se_channels": size_of(weights, "frames.blocks.0.se.squeeze.weight"),
        },
        "aggregator": {"channels": size_of(weights, "aggregator.squeeze.weight")},
        "head": {"dim": size_of(weights, "head.linear.weight")},
    }


SPEECHBRAIN = register_layout(
    "speechbrain-ecapa",
    Layout("an ECAPA-TDNN in SpeechBrain's layout", "asp.conv.conv.weight", _renamed, _fit),
)
