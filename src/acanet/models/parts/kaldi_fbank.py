"""Kaldi's log-mel filter bank, as its compute-fbank-feats gives it: what most networks of the field hear."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor

from acanet.models.base import FrontEndPart, register_front_end
from acanet.models.parts.filterbank import Filterbank, bin_hz, edges, mel
from acanet.runtime.front_end import FrontEndConfig
from acanet.speech.steps import MELS, RATE

_FLOOR = torch.finfo(torch.float32).eps
_PRE_EMPHASIS = 0.97
_TAUGHT = {"rate": RATE, "window_ms": 25.0, "hop_ms": 10.0, "mels": MELS, "low_hz": 20.0, "high_hz": None}


@register_front_end
class KaldiFrontEnd(FrontEndPart):
    """Kaldi's fbank: povey window, pre-emphasis 0.97, samples scaled to 16 bit, natural logarithm."""

    kind: Literal["kaldi"] = "kaldi"
    local = True
    exact_when_padded = True

    @model_validator(mode="after")
    def _heard_as_taught(self) -> Self:
        """See that the network that finds speech gets the features that it was taught on."""
        others = {key: value for key, value in _TAUGHT.items() if getattr(self, key) != value}
        if self.hears_speech and others:
            wanted = ", ".join(f"{key} {value}" for key, value in others.items())
            raise ValueError(f"floor_db and speech_only need the features that speech is found in: {wanted}")
        return self

    def build(self) -> Kaldi:
        """A `Kaldi`."""
        return Kaldi(self)


class Kaldi(Filterbank):
    """Kaldi's compute-fbank-feats: snip edges, no dither."""

    def __init__(self, config: KaldiFrontEnd) -> None:
        n_fft = 2 ** math.ceil(math.log2(config.window))
        super().__init__(config, n_fft, _framing(config.window), _filters(config, n_fft))

    def frames(self, samples: Any) -> Any:
        """The number of windows that lie within so many samples."""
        return (samples - self.config.window) // self.config.hop + 1

    def features(self, waveforms: Tensor) -> Tensor:
        """The logarithms of the energies: (batch, samples) -> (batch, frames, mels)."""
        return self.power(waveforms).clamp(min=_FLOOR).log()


def _framing(window: int) -> Tensor:
    """(window, window): offset removal, pre-emphasis and povey window, for samples scaled to 16 bit."""
    eye = torch.eye(window, dtype=torch.float64)
    no_offset = eye - 1.0 / window
    previous = torch.diag(torch.ones(window - 1, dtype=torch.float64), 1)
    previous[0, 0] = 1.0  # the first sample is its own predecessor
    emphasis = eye - _PRE_EMPHASIS * previous
    phase = 2 * math.pi / (window - 1) * torch.arange(window, dtype=torch.float64)
    povey = (0.5 - 0.5 * phase.cos()) ** 0.85
    return 32768.0 * no_offset @ emphasis * povey


def _filters(config: FrontEndConfig, n_fft: int) -> Tensor:
    """(bins, mels): triangles that are straight on the mel scale."""
    ends, bins = edges(config), mel(bin_hz(config, n_fft)).unsqueeze(1)
    left, centre, right = ends[:-2], ends[1:-1], ends[2:]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return rising.minimum(falling).clamp(min=0)
