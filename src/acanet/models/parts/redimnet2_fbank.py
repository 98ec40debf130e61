"""The log-mel filter bank that the weights of ReDimNet2 were trained on.

Source: arithmetic of redimnet2/layers/features_tf.py (PalabraAI/redimnet2), as the published weights set it.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from acanet.models.base import Features, OtherFrontEndPart, register_front_end
from acanet.models.layers import frame_mask
from acanet.models.parts.filterbank import Filterbank, edges, mel
from acanet.runtime.front_end import FrontEndConfig

_LEAST, _MOST = 1e-8, 1e8  # of a power, in a bin of the spectrum or a mel bin
_PRE_EMPHASIS = 0.97


@register_front_end
class Redimnet2FrontEnd(OtherFrontEndPart):
    """ReDimNet2's: mean and deviation of the waveform removed, pre-emphasis 0.97, Hamming window, natural logarithm."""

    kind: Literal["redimnet2"] = "redimnet2"
    local = False
    exact_when_padded = True

    def build(self) -> Redimnet2Fbank:
        """A `Redimnet2Fbank`."""
        return Redimnet2Fbank(self)


class Redimnet2Fbank(Filterbank):
    """TFMelBanks of ReDimNet2: windows reach half a hop beyond the recording, into zeros."""

    def __init__(self, config: Redimnet2FrontEnd) -> None:
        n_fft = 2 ** math.ceil(math.log2(config.window))
        framing = torch.diag(torch.hamming_window(config.window, periodic=False, dtype=torch.float64))
        super().__init__(config, n_fft, framing, _filters(config, n_fft))

    def frames(self, samples: Any) -> Any:
        """The number of windows that lie within so many samples and half a hop to each side."""
        return (samples + 2 * (self.config.hop // 2) - self.config.window) // self.config.hop + 1

    def hear(self, waveforms: Tensor, lengths: Tensor | None = None) -> Features:
        """The features of waveforms of any level and offset; see `FrontEnd.hear`."""
        return super().hear(_emphasised(waveforms, lengths), lengths)

    def features(self, waveforms: Tensor) -> Tensor:
        """The logarithms of the energies, (batch, samples) -> (batch, frames, mels), of emphasised waveforms."""
        half, samples = self.config.hop // 2, waveforms.shape[1]
        frames = self.frames(samples)
        torch._check(frames > 0)  # which a trace does not know
        heard = (frames - 1) * self.config.hop + self.config.window  # what no window sees is cut off
        power = self.power(functional.pad(waveforms, (half, heard - half - samples))).clamp(_LEAST, _MOST)
        return (power + _LEAST).log()

    def spectrum(self, waveforms: Tensor) -> Tensor:
        """The power of each used bin, (batch, samples) -> (batch, frames, bins), within its limits."""
        return super().spectrum(waveforms).clamp(_LEAST, _MOST)


def _emphasised(waveforms: Tensor, lengths: Tensor | None) -> Tensor:
    """Waveforms (batch, samples) without mean, of deviation one, pre-emphasised; zero after the end of a row.

    The sample before the first is taken to be the second.
    """
    samples = waveforms.shape[1]
    real = None if lengths is None else frame_mask(lengths, samples).to(waveforms)
    count = samples if lengths is None else lengths.unsqueeze(1)
    even = waveforms - _within(waveforms, real).sum(dim=1, keepdim=True) / count
    deviation = (_within(even.square(), real).sum(dim=1, keepdim=True) / count).sqrt()
    level = even / (deviation + _LEAST)
    before = functional.pad(level, (1, 0), mode="reflect")[:, :-1]
    return _within(level - _PRE_EMPHASIS * before, real)


def _within(x: Tensor, real: Tensor | None) -> Tensor:
    """(batch, samples) with zeros where `real` is zero."""
    return x if real is None else x * real


def _filters(config: FrontEndConfig, n_fft: int) -> Tensor:
    """(n_fft // 2 + 1, mels): triangles that are straight in mel.

    Theirs lay half the rate on the last bin but one, so each bin counts as a little higher than it is.
    """
    bins = n_fft // 2
    mels = mel(torch.arange(bins, dtype=torch.float64) * (config.rate / 2) / (bins - 1)).unsqueeze(1)
    low, centre, high = (edges(config)[i : config.mels + i] for i in range(3))
    triangles = torch.minimum((mels - low) / (centre - low), (high - mels) / (high - centre)).clamp(min=0)
    triangles[0] = 0
    return functional.pad(triangles, (0, 0, 0, 1))
