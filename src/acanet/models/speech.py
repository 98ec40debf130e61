"""Where somebody talks, from the log-mel that a model hears anyway: a small network that Silero has taught.

A step sees about 3 s before it and half a second after it, whatever the recording's length or level: so speech is found
in a recording as it comes, and in pieces, where it is found in the whole. `acanet.training.speech` teaches it; every
model that listens for speech has these weights among its own, and no training changes them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from acanet.models.layers import FrameNorm, GroupedLinear, TimeConv, frame_mask, with_norm
from acanet.speech.network import WEIGHTS
from acanet.speech.steps import MELS, STEP

_CHANNELS = 64
_KERNEL = 5
_BLOCKS = ((1, 2), (2, 1), (4, 1))  # the dilation of each, and how many taps of its kernel lie after the step
_LEVEL = (48, 4)  # steps before and after over which the level is taken
_LEAST_LEVEL = -5.0  # a log-mel at 16 bit; dither lies 8 above it
_RANGE = 10.0  # below the level, as a logarithm of power: 43 dB
_NOT, _FULLY = 0.25, 0.75
"""The probability of speech up to which a step does not count, and from which on it counts fully."""


class SpeechNetwork(nn.Module):
    """Kaldi's log-mel at 16 kHz, with the mean still in it -> the probability of speech in each step of 40 ms.

    Features are taken relative to the level around them, so a gain changes nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = GroupedLinear(STEP * MELS, _CHANNELS, 1)
        self.stem_norm = FrameNorm(_CHANNELS)
        self.blocks = nn.ModuleList(_Block(dilation, after) for dilation, after in _BLOCKS)
        self.readout = GroupedLinear(_CHANNELS, 1, 1)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The probability of speech in each step.

        Args:
            features: (batch, frames, MELS).
            lengths: (batch,) frames of each row; None when no row is padded.

        Returns:
            (batch, ceil(frames / STEP)).
        """
        return self.logits(features, lengths).sigmoid()

    def logits(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The logits of `forward`."""
        frames = features.shape[1]
        steps = functional.pad(features, (0, 0, 0, -frames % STEP)).unflatten(1, (-1, STEP))
        counts = features.new_full((1,), frames) if lengths is None else lengths
        real = frame_mask(counts, STEP * steps.shape[1]).unflatten(1, (-1, STEP))  # (batch or 1, steps, STEP)
        some = real.any(dim=2).to(features)
        level = _level((steps.exp() * real.unsqueeze(3)).mean(dim=(2, 3)), some)
        relative = ((steps - level.view(*level.shape, 1, 1)) / _RANGE + 1).clamp(min=0) * real.unsqueeze(3)
        x = self.stem_norm(self.stem(relative.flatten(2)).relu())
        for block in self.blocks:
            x = block(x * some.unsqueeze(2))
        return self.readout(x).squeeze(2)


class _Block(nn.Module):
    """A convolution along time that looks further back than ahead; residual."""

    def __init__(self, dilation: int, after: int) -> None:
        super().__init__()
        self.around = ((_KERNEL - 1 - after) * dilation, after * dilation)
        self.conv: nn.Module = TimeConv(_CHANNELS, _CHANNELS, _KERNEL, dilation=dilation, bias=False)
        self.norm: nn.Module = FrameNorm(_CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, steps, channels), zero in padded steps -> the same shape."""
        return x + self.norm(self.conv(functional.pad(x, (0, 0, *self.around)))).relu()

    def folded(self) -> _Block:
        """The same with the batch norm in the convolution."""
        assert isinstance(self.conv, TimeConv)
        self.conv, self.norm = with_norm(self.conv, self.norm), nn.Identity()
        return self


class Taught(SpeechNetwork):
    """The network as it was taught, which stays as it is while the model around it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.load_state_dict(_weights())
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Taught:
        """Never in training: its batch norms keep the statistics that they have."""
        return super().train(False)


def counts(speech: Tensor, frames: int, lengths: Tensor | None) -> Tensor:
    """How much each frame of features counts as speech, from 0 to 1; all that are real count where nobody talks.

    Args:
        speech: (batch, steps) probability.
        frames: of the batch.
        lengths: (batch,) frames of each row; None when no row is padded.

    Returns:
        (batch, frames).
    """
    each = step_counts(speech).unsqueeze(2).expand(-1, -1, STEP).flatten(1)[:, :frames]
    real = torch.ones_like(each) if lengths is None else frame_mask(lengths, frames).to(each)
    each = each * real
    return torch.where(each.amax(dim=1, keepdim=True) > 0, each, real)


def step_counts(speech: Tensor) -> Tensor:
    """How much each step counts, from 0 to 1, by its probability of speech, (batch, steps)."""
    return ((speech - _NOT) / (_FULLY - _NOT)).clamp(0, 1)


def _level(energy: Tensor, some: Tensor) -> Tensor:
    """The logarithm of the mean energy around each step, (batch, steps), over those steps that there are."""
    before, after = _LEVEL
    width = before + 1 + after
    total, count = (
        functional.avg_pool1d(functional.pad(each, (before, after)), width, 1) for each in (energy * some, some)
    )
    return (total / count.clamp(min=1 / width)).log().clamp(min=_LEAST_LEVEL)


@cache
def _weights() -> dict[str, Tensor]:
    with np.load(WEIGHTS) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}
