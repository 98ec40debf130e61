"""ECAPA-TDNN's frame encoder, in SpeechBrain's form: the strong baseline of the field.

Source: Desplanques et al., "ECAPA-TDNN: Emphasized Channel Attention, Propagation and Aggregation in TDNN Based Speaker
Verification", Interspeech 2020; arithmetic of speechbrain.lobes.models.ECAPA_TDNN. Convolutions pad by reflection and
squeeze-excitation averages over the utterance, so padded batches are not exact near the end of a row (batch equal
lengths), and a recording cannot be encoded in pieces.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acanet.models.config import EcapaFrames


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


class Ecapa(nn.Module):
    """(batch, frames, mels) -> (batch, frames, out_channels)."""

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
