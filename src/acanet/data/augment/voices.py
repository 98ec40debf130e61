"""Voices that do not exist: what somebody said, as another throat would have said it.

At another speed, pitch and formants move together, and the words come faster or slower. Formants that move alone leave
pitch and pace where they are: a longer or shorter vocal tract with the same vocal folds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import fft

from acanet.audio.blocks import Waveform

_WINDOW_SECONDS, _OVERLAP = 0.032, 4
_ENVELOPE_SECONDS = 0.0025
"""Quefrency up to which the cepstrum tells of the vocal tract; the period of a voice, up to 400 Hz, lies above."""
_MOST_GAIN = np.log(10.0)
"""In nepers: 20 dB. Beyond that only what was below the noise would be raised."""
_FAINTEST = np.float32(1e-6)


class Voice(NamedTuple):
    """A voice, as what it does to that of a recording.

    Attributes:
        speed: how many times as fast it speaks, with pitch and formants so many times as high.
        formants: how many times as high they are beside that.
    """

    speed: float = 1.0
    formants: float = 1.0

    def samples_needed(self, samples: int) -> int:
        """The number of samples from which `as_voice` makes so many."""
        return samples if self.speed == 1.0 else int(np.ceil(samples * self.speed)) + 2

    def samples_of(self, samples: int) -> int:
        """The number of samples that a recording of so many has in this voice."""
        return int(samples / self.speed)


def as_voice(waveform: Waveform, voice: Voice, samples: int, rate: int) -> Waveform:
    """What a recording would be in another voice, (samples,).

    Args:
        waveform: with `voice.samples_needed(samples)` samples or more.
        voice: the other one.
        samples: how many are wanted.
        rate: samples a second.
    """
    if voice.speed != 1.0:
        waveform = soxr.resample(waveform, voice.speed, 1.0, quality="MQ")
    waveform = waveform[:samples]
    return waveform if voice.formants == 1.0 else move_formants(waveform, voice.formants, rate)


def move_formants(waveform: Waveform, factor: float, rate: int) -> Waveform:
    """The waveform (samples,) with its formants `factor` times as high, and its pitch where it was.

    In short windows, the spectral envelope, which is what the low quefrencies of the cepstrum say (Oppenheim, "Speech
    analysis-synthesis system based on homomorphic filtering", JASA 1969), is stretched along the frequency axis; each
    bin gets the ratio of the two envelopes as its gain, and keeps its phase.
    """
    size = fft.next_fast_len(round(rate * _WINDOW_SECONDS / _OVERLAP), real=True) * _OVERLAP
    hop = size // _OVERLAP
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size, dtype=np.float32) / size)).astype(np.float32)
    padded = np.pad(waveform, (size, size + hop))
    spectra = fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window, axis=1)
    envelopes = _envelopes(np.abs(spectra), size, round(rate * _ENVELOPE_SECONDS))
    gains = np.exp(np.clip(_stretched(envelopes, factor) - envelopes, -_MOST_GAIN, _MOST_GAIN))
    pieces = fft.irfft(spectra * gains, size, axis=1) * window
    moved = np.zeros(len(padded) + size, np.float32)
    for first in range(_OVERLAP):  # windows that do not overlap each other stand side by side
        side_by_side = pieces[first::_OVERLAP].ravel()
        moved[first * hop : first * hop + len(side_by_side)] += side_by_side
    moved *= np.float32(2 / _OVERLAP)
    return moved[size : size + len(waveform)]


def _envelopes(magnitudes: NDArray[np.float32], size: int, quefrencies: int) -> NDArray[np.float32]:
    """The logarithm of the spectral envelopes, (windows, bins), from magnitudes of the same shape."""
    cepstra = fft.irfft(np.log(magnitudes + _FAINTEST), size, axis=1)
    cepstra[:, quefrencies : size - quefrencies + 1] = 0.0
    envelopes: NDArray[np.float32] = fft.rfft(cepstra, axis=1).real
    return envelopes


def _stretched(envelopes: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Envelopes (windows, bins) along a frequency axis that is `factor` times as long; the last bin stands for more."""
    bins = envelopes.shape[1]
    places = np.minimum(np.arange(bins) / factor, bins - 1)
    below = np.minimum(places.astype(int), bins - 2)
    share = (places - below).astype(np.float32)
    stretched: NDArray[np.float32] = envelopes[:, below] * (1 - share) + envelopes[:, below + 1] * share
    return stretched
