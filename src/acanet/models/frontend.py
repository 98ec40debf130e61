"""Waveform -> log-mel features, by one real matrix product for each frame.

Everything that is linear (offset removal, pre-emphasis, window, Fourier transform) is folded into one matrix, so there
are no complex numbers and the same graph runs on every backend.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from acanet.runtime.front_end import FrontEndConfig

_KALDI_FLOOR = torch.finfo(torch.float32).eps
_PRE_EMPHASIS = 0.97
_DECIBEL_FLOOR, _TOP_DECIBELS = 1e-10, 80.0


class FrontEnd(nn.Module):
    """(batch, samples) in [-1, 1] -> (batch, frames, mels).

    `kaldi` follows Kaldi's compute-fbank-feats (snip edges, no dither); `speechbrain` follows
    speechbrain.lobes.features.Fbank with sentence mean removal.
    """

    transform: Tensor  # (window, 2 * bins): real parts, then imaginary parts
    filters: Tensor  # (bins, mels)

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        self.config = config
        n_fft = 2 ** math.ceil(math.log2(config.window)) if config.kind == "kaldi" else config.window
        filters = _kaldi_filters(config, n_fft) if config.kind == "kaldi" else _speechbrain_filters(config, n_fft)
        used = filters.any(dim=1).nonzero().squeeze(1)
        angles = 2 * math.pi / n_fft * torch.outer(torch.arange(config.window).double(), used.double())
        fourier = torch.cat([angles.cos(), -angles.sin()], dim=1)
        framing = _kaldi_framing(config.window) if config.kind == "kaldi" else _hamming(config.window)
        self.register_buffer("transform", (framing @ fourier).float(), persistent=False)
        self.register_buffer("filters", filters[used].float(), persistent=False)

    def frames(self, samples: Tensor | int) -> Tensor | int:
        """How many frames that many samples give."""
        if self.config.kind == "speechbrain":
            return samples // self.config.hop + 1
        return (samples - self.config.window) // self.config.hop + 1

    def spectrum(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) -> (batch, frames, 2 * bins), real parts, then imaginary parts."""
        return waveforms.unfold(1, self.config.window, self.config.hop) @ self.transform

    def log_mel(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) -> (batch, frames, mels), the mean not removed, without the limit of top decibels."""
        if self.config.kind == "kaldi":
            return self.power(self.spectrum(waveforms)).clamp(min=_KALDI_FLOOR).log()
        half = self.config.window // 2
        waveforms = nn.functional.pad(waveforms, (half, half))
        return 10 * self.power(self.spectrum(waveforms)).clamp(min=_DECIBEL_FLOOR).log10()

    def power(self, spectrum: Tensor) -> Tensor:
        """(batch, frames, 2 * bins) -> (batch, frames, mels)."""
        real, imaginary = spectrum.chunk(2, dim=-1)
        return (real.square() + imaginary.square()) @ self.filters

    def forward(self, waveforms: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Features and how many frames of each row are real.

        Args:
            waveforms: (batch, samples) float32 in [-1, 1] at `config.rate`, rows padded with zeros.
            lengths: (batch,) samples of each row, at least one window; None when no row is padded.

        Returns:
            (batch, frames, mels), zero in padded frames, and (batch,) frames of each row (None without lengths).
        """
        features = self.log_mel(waveforms)
        frames = None if lengths is None else torch.as_tensor(self.frames(lengths), device=features.device)
        real_frames = None if frames is None else frame_mask(frames, features.shape[1]).unsqueeze(2)
        if self.config.kind == "speechbrain":
            heard = features if real_frames is None else features.masked_fill(~real_frames, -math.inf)
            features = features.maximum(heard.amax(dim=(1, 2), keepdim=True) - _TOP_DECIBELS)
        if real_frames is None or frames is None:
            mean = features.mean(dim=1, keepdim=True)
        else:
            features = features * real_frames
            mean = features.sum(dim=1, keepdim=True) / frames.view(-1, 1, 1)
        if self.config.remove_mean:
            features = features - mean if real_frames is None else (features - mean) * real_frames
        return features, frames


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """(batch,) lengths -> (batch, frames) bool, true where a frame is real."""
    return torch.arange(frames, device=lengths.device) < lengths.unsqueeze(1)


def _kaldi_framing(window: int) -> Tensor:
    """(window, window): offset removal, pre-emphasis and povey window, for samples scaled to 16 bit."""
    eye = torch.eye(window, dtype=torch.float64)
    no_offset = eye - 1.0 / window
    previous = torch.diag(torch.ones(window - 1, dtype=torch.float64), 1)
    previous[0, 0] = 1.0  # the first sample is its own predecessor
    emphasis = eye - _PRE_EMPHASIS * previous
    phase = 2 * math.pi / (window - 1) * torch.arange(window, dtype=torch.float64)
    povey = (0.5 - 0.5 * phase.cos()) ** 0.85
    return 32768.0 * no_offset @ emphasis * povey


def _hamming(window: int) -> Tensor:
    return torch.diag(torch.hamming_window(window, dtype=torch.float64))


def _mel(hz: Tensor) -> Tensor:
    return 1127.0 * (1 + hz / 700.0).log()


def _edges(config: FrontEndConfig) -> Tensor:
    limits = torch.tensor([config.low_hz, config.high_hz or config.rate / 2], dtype=torch.float64)
    low, high = _mel(limits)
    return torch.linspace(float(low), float(high), config.mels + 2, dtype=torch.float64)


def _bin_hz(config: FrontEndConfig, n_fft: int) -> Tensor:
    return torch.arange(n_fft // 2 + 1, dtype=torch.float64) * config.rate / n_fft


def _kaldi_filters(config: FrontEndConfig, n_fft: int) -> Tensor:
    """(bins, mels): triangles that are straight on the mel scale."""
    edges, bins = _edges(config), _mel(_bin_hz(config, n_fft)).unsqueeze(1)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return rising.minimum(falling).clamp(min=0)


def _speechbrain_filters(config: FrontEndConfig, n_fft: int) -> Tensor:
    """(bins, mels): triangles that are straight in hertz, both sides as wide as the left one."""
    hz = 700.0 * ((_edges(config) / 1127.0).exp() - 1)
    width, centre = (hz[1:] - hz[:-1])[:-1], hz[1:-1]
    return (1 - (_bin_hz(config, n_fft).unsqueeze(1) - centre).abs() / width).clamp(min=0)
