"""Triangular filters on the mel scale over a power spectrum: what the front ends of this field share.

Everything that is linear before the power (offset removal, pre-emphasis, window, Fourier transform) is folded into one
matrix, so there are no complex numbers and the same graph runs on every backend.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from acanet.models.base import FrontEnd, FrontEndPart
from acanet.runtime.front_end import FrontEndConfig


class Filterbank(FrontEnd):
    """Windows of a waveform -> power in mel bins, by one real matrix product for each frame."""

    transform: Tensor  # (window, 2 * bins): real parts, then imaginary parts
    filters: Tensor  # (bins, mels)

    def __init__(self, config: FrontEndPart, n_fft: int, framing: Tensor, filters: Tensor) -> None:
        """Of a transform.

        Args:
            config: of the front end.
            n_fft: points of the Fourier transform, at least a window.
            framing: (window, window), applied to the samples of a window before it.
            filters: (n_fft // 2 + 1, mels).
        """
        super().__init__(config)
        used = filters.any(dim=1).nonzero().squeeze(1)
        angles = 2 * math.pi / n_fft * torch.outer(torch.arange(config.window).double(), used.double())
        fourier = torch.cat([angles.cos(), -angles.sin()], dim=1)
        self.register_buffer("transform", (framing @ fourier).float(), persistent=False)
        self.register_buffer("filters", filters[used].float(), persistent=False)

    def power(self, waveforms: Tensor) -> Tensor:
        """The energies of the filters: (batch, samples) -> (batch, frames, mels)."""
        return self.spectrum(waveforms) @ self.filters

    def spectrum(self, waveforms: Tensor) -> Tensor:
        """The power of each bin of the transform that a filter sees: (batch, samples) -> (batch, frames, bins)."""
        real, imaginary = (self.windows(waveforms) @ self.transform).chunk(2, dim=-1)
        return real * real + imaginary * imaginary

    def windows(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) -> (batch, frames, window), put together from hops, which every backend does quickly."""
        window, hop = self.config.window, self.config.hop
        pieces = math.ceil(window / hop)
        frames = (waveforms.shape[1] - window) // hop + 1
        used = functional.pad(waveforms, (0, (pieces - 1) * hop))[:, : (frames + pieces - 1) * hop]
        hops = used.unflatten(1, (-1, hop))  # (batch, frames + pieces - 1, hop)
        return torch.cat([hops[:, i : frames + i, : min(hop, window - i * hop)] for i in range(pieces)], dim=2)


def mel(hz: Tensor) -> Tensor:
    """Hertz on the mel scale."""
    return 1127.0 * (1 + hz / 700.0).log()


def edges(config: FrontEndConfig) -> Tensor:
    """The edges of the filters: (mels + 2,) evenly spaced points of the mel scale."""
    limits = torch.tensor([config.low_hz, config.high_hz or config.rate / 2], dtype=torch.float64)
    low, high = mel(limits)
    return torch.linspace(float(low), float(high), config.mels + 2, dtype=torch.float64)


def bin_hz(config: FrontEndConfig, n_fft: int) -> Tensor:
    """The frequencies of the bins of a Fourier transform, (n_fft // 2 + 1,)."""
    return torch.arange(n_fft // 2 + 1, dtype=torch.float64) * config.rate / n_fft
