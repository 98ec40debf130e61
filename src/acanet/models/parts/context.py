"""Frames that see the statistics of their utterance (global context): hidden layers of attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from acanet.models.folding import constant
from acanet.models.layers import FrameNorm


class FrameInContext(nn.Module):
    """A hidden layer that sees each frame, and the plain mean and deviation of its utterance.

    Source: Desplanques et al., "ECAPA-TDNN", Interspeech 2020, section 3.2; arithmetic of SpeechBrain's
    AttentiveStatisticsPooling. A branch's share of the hidden layer sees its share of the channels.
    """

    def __init__(self, channels: int, hidden: int, branches: int) -> None:
        super().__init__()
        self.branches = branches
        self.squeeze = nn.Linear(3 * channels // branches, hidden)
        self.norm = FrameNorm(hidden)

    @constant("squeeze")
    def of_frame(self) -> tuple[Tensor, ...]:
        """The matrix over a frame for each branch, (channels / branches, hidden / branches)."""
        local, _, _ = self.squeeze.weight.chunk(3, dim=1)
        return tuple(each.T for each in local.chunk(self.branches))

    @constant("squeeze")
    def of_utterance(self) -> tuple[Tensor, ...]:
        """The matrix over the utterance for each branch, (2 * channels / branches, hidden / branches)."""
        shared = self.squeeze.weight[:, self.squeeze.in_features // 3 :]
        return tuple(each.T for each in shared.chunk(self.branches))

    @constant("squeeze")
    def offset(self) -> Tensor:
        """The offset of the hidden layer, (branches, hidden / branches)."""
        return self.squeeze.bias.view(self.branches, -1)

    def context(self, mean: Tensor, deviation: Tensor) -> Tensor:
        """(batch, branches, channels / branches) each -> the utterance's share, (batch, branches, hidden / branches).

        Both are of the whole utterance, under even weights.
        """
        each = torch.cat([mean, deviation], dim=-1).unbind(dim=1)
        return torch.stack([x @ matrix for x, matrix in zip(each, self.of_utterance, strict=True)], dim=1) + self.offset

    def hidden(self, frames: Tensor, context: Tensor) -> Tensor:
        """(batch, frames, channels) and what `context` gave -> (batch, frames, hidden), between -1 and 1."""
        shared = context.flatten(-2).unsqueeze(-2)
        return self.norm((_products(frames, self.of_frame) + shared).relu()).tanh()


def _products(x: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """The product of each share of the channels with its own matrix, (..., inputs) -> (..., outputs)."""
    if len(matrices) == 1:
        return x @ matrices[0]
    shares = zip(x.chunk(len(matrices), dim=-1), matrices, strict=True)
    return torch.cat([share @ matrix for share, matrix in shares], dim=-1)
