"""How much of a recording is missing in short gaps of zeros, as lost packets leave them."""

from __future__ import annotations

import numpy as np

from acanet.audio.blocks import Waveform

_SHORTEST, _LONGEST = 0.004, 0.2
"""Seconds of zeros between samples that are a gap; what is longer is a pause that a gate has emptied."""


class Gaps:
    """The gaps of a recording that comes in blocks."""

    def __init__(self, rate: int) -> None:
        """Nothing has come yet of a recording with so many samples a second."""
        self._shortest, self._longest = _SHORTEST * rate, _LONGEST * rate
        self._step = max(1, int(self._shortest))
        self._samples = self._missing = self._zeros = 0
        self._begun = False

    def feed(self, block: Waveform) -> None:
        """Look at the next samples, (samples,)."""
        if self._is_whole(block):
            self._samples, self._begun = self._samples + len(block), True
            return
        heard = np.flatnonzero(block)
        if not len(heard):
            self._zeros += len(block)
            return
        before = np.diff(heard, prepend=-1) - 1  # zeros before each sample that is none
        before[0] += self._zeros
        if not self._begun:
            before[0], self._begun = 0, True
        self._missing += int(before[(before >= self._shortest) & (before <= self._longest)].sum())
        self._samples += len(heard) + int(before[before <= self._longest].sum())
        self._zeros = len(block) - 1 - int(heard[-1])

    def _is_whole(self, block: Waveform) -> bool:
        """Whether no gap lies, begins or ends in a block: each would hold one of the samples that are looked at."""
        return bool(len(block) and not self._zeros and block[-1] and block[:: self._step].all())

    @property
    def share(self) -> float:
        """The share of the recording so far that lies in gaps; zeros at its ends, and pauses of zeros, do not count."""
        return self._missing / self._samples if self._samples else 0.0
