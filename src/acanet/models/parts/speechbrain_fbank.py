"""SpeechBrain's log-mel filter bank: what its ECAPA weights were trained on."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from acanet.models.base import OtherFrontEndPart, register_front_end
from acanet.models.parts.filterbank import Filterbank, bin_hz, edges
from acanet.runtime.front_end import FrontEndConfig

_FLOOR, _TOP = 1e-10, 80.0  # power, and decibels below the loudest of the utterance


@register_front_end
class SpeechbrainFrontEnd(OtherFrontEndPart):
    """SpeechBrain's Fbank: Hamming window, centred, decibels, at most 80 dB below the loudest bin of the utterance."""

    kind: Literal["speechbrain"] = "speechbrain"
    local = False
    exact_when_padded = True

    def build(self) -> Speechbrain:
        """A `Speechbrain`."""
        return Speechbrain(self)


class Speechbrain(Filterbank):
    """speechbrain.lobes.features.Fbank, with sentence mean removal."""

    def __init__(self, config: SpeechbrainFrontEnd) -> None:
        window = config.window
        framing = torch.diag(torch.hamming_window(window, dtype=torch.float64))
        super().__init__(config, window, framing, _filters(config, window))

    def frames(self, samples: Any) -> Any:
        """The number of windows that have their centre within so many samples."""
        return samples // self.config.hop + 1

    def features(self, waveforms: Tensor) -> Tensor:
        """The energies in decibels, (batch, samples) -> (batch, frames, mels), without the limit of top decibels."""
        half = self.config.window // 2
        return 10 * self.power(functional.pad(waveforms, (half, half))).clamp(min=_FLOOR).log10()

    def over_utterance(self, features: Tensor, real: Tensor | None) -> Tensor:
        """The limit of top decibels."""
        heard = features if real is None else features.masked_fill(~real, -math.inf)
        return features.maximum(heard.amax(dim=(1, 2), keepdim=True) - _TOP)


def _filters(config: FrontEndConfig, n_fft: int) -> Tensor:
    """(bins, mels): triangles that are straight in hertz, both sides as wide as the left one."""
    hz = 700.0 * ((edges(config) / 1127.0).exp() - 1)
    width, centre = (hz[1:] - hz[:-1])[:-1], hz[1:-1]
    return (1 - (bin_hz(config, n_fft).unsqueeze(1) - centre).abs() / width).clamp(min=0)
