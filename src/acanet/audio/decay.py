"""How fast the sounds of a recording die away, which tells a reverberant room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform

_FRAMES_PER_SECOND = 100
_SPAN = 8
"""Frames over which a fall is measured."""
_FALL = 1.6
"""Decibels a frame: 60 dB in 0.4 s. The fastest falls of speech are faster unless the room goes on sounding."""
_FASTEST = 0.02
"""The share of all spans that counts as the fastest."""
_LOUD, _HEARD, _RANGE = 20.0, 45.0, 20.0
"""Decibels: where a fall begins and where it ends below the loudest frames, and how much quieter a tenth of all has to
be, or noise covers the falls."""
_LEAST = 100
"""Spans from loud frames without which nothing is told."""
_MOST = 300 * _FRAMES_PER_SECOND
"""Frames that are looked at: of the first five minutes."""
_SILENT = 1e-12


class Decay:
    """The levels of a recording that comes in blocks."""

    def __init__(self, rate: int) -> None:
        """Nothing has come yet of a recording with so many samples a second."""
        self._hop = rate // _FRAMES_PER_SECOND
        self._rest = np.empty(0, np.float32)
        self._powers: list[NDArray[np.float64]] = []
        self._count, self._told = 0, (0, False)

    def feed(self, block: Waveform) -> None:
        """Look at the next samples, (samples,)."""
        if self._count >= _MOST:
            return
        samples = np.concatenate([self._rest, block])
        whole = len(samples) // self._hop * self._hop
        frames = samples[:whole].reshape(-1, self._hop)
        self._powers.append(np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / self._hop)
        self._count, self._rest = self._count + len(frames), samples[whole:].copy()

    @property
    def slow(self) -> bool:
        """Whether even the fastest falls are slow, as in a room with a reverberation time of half a second and more.

        Of recordings of at least a second with pauses between their sounds; others never are.
        """
        if self._told[0] != self._count:  # it is asked for more than once
            self._told = self._count, self._is_slow()
        return self._told[1]

    def _is_slow(self) -> bool:
        if self._count < _LEAST + _SPAN:
            return False
        levels = 10 * np.log10(np.concatenate(self._powers) + _SILENT)
        quiet, top = _quantile(levels, 0.1), _quantile(levels, 0.95)
        if top - quiet < _RANGE:
            return False
        place = np.arange(_SPAN) - (_SPAN - 1) / 2
        falls = np.correlate(levels, -place / (place @ place))
        begins, ends = levels[: 1 - _SPAN], levels[_SPAN - 1 :]
        heard = falls[(begins > top - _LOUD) & (ends > top - _HEARD)]
        return len(heard) >= _LEAST and _quantile(heard, 1 - _FASTEST) < _FALL


def _quantile(values: NDArray[np.float64], share: float) -> float:
    """What `numpy.quantile` gives, which takes ten times as long for few values."""
    return float(np.interp(share * (len(values) - 1), np.arange(len(values)), np.sort(values)))
