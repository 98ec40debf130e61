"""What a recording lost on its way here, and a warning of it: the band above a telephone's, and clipped peaks."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray


class AudioWarning(UserWarning):
    """A recording that can be used, but lost something that speaker verification needs."""


def warn_of_losses(name: str, narrow: bool, clipped: float) -> None:
    """Warn of a recording of telephone bandwidth, and of one with more than 0.1 % of its samples clipped."""
    if narrow:
        message = f"{name}: nothing above 4 kHz (telephone band); expect more errors"
        warnings.warn(message, AudioWarning, stacklevel=3)
    if clipped > 0.001:
        message = f"{name}: {clipped:.1%} of the samples are clipped; record at a lower level"
        warnings.warn(message, AudioWarning, stacklevel=3)


def is_narrow_band(waveform: NDArray[np.float32], rate: int) -> bool:
    """Whether a waveform, (samples,), has the bandwidth of a telephone, at whatever rate it is stored.

    So is every waveform at up to 8 kHz, and one at 16 kHz or more whose energy above 4.2 kHz is more than
    50 dB under that below. The energy is that of at most 128 windows, spread evenly.
    """
    return is_telephone_band(rate, *energies(waveform, rate, 128))


def energies(waveform: NDArray[np.float32], rate: int, most: int) -> tuple[float, float]:
    """The energy of a waveform, (samples,), below 4.2 kHz and above, in up to `most` windows spread evenly."""
    size = round(rate * 0.032)
    if rate < 16000 or len(waveform) < size:
        return 0.0, 0.0
    starts = np.linspace(0, len(waveform) - size, min(most, 2 * len(waveform) // size)).astype(int)
    windows = np.stack([waveform[at : at + size] for at in starts]) * np.hanning(size).astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(windows))).sum(axis=0)
    edge = round(4200 * size / rate)
    return float(power[:edge].sum()), float(power[edge:].sum())


def is_telephone_band(rate: int, below: float, above: float) -> bool:
    """Whether a recording at this rate with these `energies` has the bandwidth of a telephone."""
    return rate <= 8000 or above < 1e-5 * below


def clipped_share(waveform: NDArray[np.float32]) -> float:
    """The share of samples of a waveform, (samples,), that lie in runs of three or more at its very peak."""
    peak = max(waveform.max(), -waveform.min())
    if peak < 0.05:
        return 0.0
    return samples_in_runs(np.abs(waveform) >= peak - 2**-15) / len(waveform)


def samples_in_runs(marked: NDArray[np.bool_]) -> int:
    """How many of the marked samples, (samples,), lie in runs of three or more."""
    runs = marked[:-2] & marked[1:-1] & marked[2:]
    starts = int(np.count_nonzero(runs[:1])) + int(np.count_nonzero(runs[1:] & ~runs[:-1]))
    return int(np.count_nonzero(runs)) + 2 * starts
