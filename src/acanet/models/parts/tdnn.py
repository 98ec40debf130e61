"""The x-vector: time-delay layers under plain statistics.

Source: Snyder et al., "X-Vectors: Robust DNN Embeddings for Speaker Recognition", ICASSP 2018, table 1; ReLU, then
batch norm without gain and offset, as in Kaldi's recipe. Kaldi leaves out the frames whose context is cut off; here
frames keep their place and what is outside of the recording is zero, which is the mean of every layer's output, so
the shortest recording has an embedding.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import PositiveInt, model_validator
from torch import Tensor, nn

from acanet.models.base import Frames, FramesConfig, ReceptiveField, register_frames
from acanet.models.config import ExtractorConfig
from acanet.models.layers import FrameNorm, TimeConv
from acanet.models.parts.linear_head import LinearHead
from acanet.models.parts.statistics import StatisticsPooling
from acanet.models.registry import register_model


@register_frames
class TdnnFrames(FramesConfig):
    """The x-vector's time-delay layers: each sees a few frames of the one below, the last is wider."""

    kind: Literal["tdnn"] = "tdnn"
    channels: PositiveInt = 512
    out_channels: PositiveInt = 1500
    kernels: tuple[PositiveInt, ...] = (5, 3, 3, 1, 1)
    dilations: tuple[PositiveInt, ...] = (1, 2, 3, 1, 1)
    exact_when_padded = True
    division = None

    @model_validator(mode="after")
    def _same_depth(self) -> Self:
        if len(self.kernels) != len(self.dilations):
            raise ValueError(f"{len(self.kernels)} kernels but {len(self.dilations)} dilations")
        if not self.kernels or any(kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError("kernels must be odd, so that frames keep their place, and at least one")
        return self

    @property
    def channels_out(self) -> int:
        """Those of the last layer."""
        return self.out_channels

    @property
    def receptive_field(self) -> ReceptiveField:
        """What all layers see together."""
        return ReceptiveField(sum(d * (k // 2) for k, d in zip(self.kernels, self.dilations, strict=True)), stride=1)

    def build(self, mels: int, branches: int) -> Tdnn:
        """A `Tdnn`."""
        return Tdnn(mels, self)


class TdnnLayer(nn.Module):
    """Convolution over time, ReLU, batch norm without gain and offset."""

    def __init__(self, channels: int, out_channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.conv = TimeConv(channels, out_channels, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.norm = FrameNorm(out_channels, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, channels), zero in padded frames -> (batch, frames, out_channels)."""
        return self.norm(self.conv(x).relu())


class Tdnn(Frames):
    """The x-vector's frames."""

    def __init__(self, mels: int, config: TdnnFrames) -> None:
        super().__init__()
        inside = [config.channels] * (len(config.kernels) - 1)
        widths = [mels, *inside, config.out_channels]
        self.layers = nn.ModuleList(
            TdnnLayer(*sizes) for sizes in zip(widths[:-1], widths[1:], config.kernels, config.dilations, strict=True)
        )

    def forward(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames, mels) -> (batch, frames, out_channels)."""
        x = features
        for layer in self.layers:
            x = layer(x if mask is None else x * mask.unsqueeze(2))
        return x, mask


register_model(
    "x-vector",
    ExtractorConfig(frames=TdnnFrames(), aggregator=StatisticsPooling(), head=LinearHead(dim=512, norm="none")),
)
