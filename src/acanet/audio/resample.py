"""Recordings at another rate, as a whole or while they come (soxr, "HQ")."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from acanet.audio.blocks import Waveform

_CONTEXT = 0.5
"""Seconds that the end of a resampled recording depends on; soxr holds back up to 0.1 s."""


def resample(waveform: Waveform, have: int, want: int) -> Waveform:
    """The waveform, (samples,), at `want` instead of `have` samples a second."""
    if have == want:
        return waveform
    resampled: Waveform = soxr.resample(waveform, have, want, quality="HQ")
    return resampled


class Resampler:
    """A recording at another rate: with its end, exactly what `resample` gives for the whole."""

    def __init__(self, have: int, want: int) -> None:
        """A recording that comes at `have` samples a second and is wanted at `want`."""
        self._have, self._want = have, want
        self._stream = None if have == want else soxr.ResampleStream(have, want, 1, dtype="float32", quality="HQ")
        self._aligned = have // math.gcd(have, want)  # samples that become a whole number of samples
        self._recent, self._start = np.empty(0, np.float32), 0
        self._given = 0

    def feed(self, block: Waveform) -> Waveform:
        """The next samples, (samples,) -> what they and those before make certain, (samples,)."""
        if self._stream is None:
            return block
        self._keep(block)
        resampled: Waveform = self._stream.resample_chunk(np.ascontiguousarray(block, np.float32))
        self._given += len(resampled)
        return resampled

    def end(self) -> Waveform:
        """The recording ends here: what is still to come, (samples,)."""
        if self._stream is None:
            return np.empty(0, np.float32)
        resampled: Waveform = self._stream.resample_chunk(np.empty(0, np.float32), last=True)
        return resampled

    def rest(self, more: Waveform | None = None) -> Waveform:
        """What would come if the recording ended here, or after `more`, to rounding; it may go on afterwards."""
        more = np.empty(0, np.float32) if more is None else more
        if self._stream is None:
            return more
        recent = np.concatenate([self._recent, more])
        return resample(recent, self._have, self._want)[self._given - self._start * self._want // self._have :]

    def _keep(self, block: Waveform) -> None:
        """Remember the last samples, from a place on that both rates have."""
        recent = np.concatenate([self._recent, block])
        surplus = len(recent) - math.ceil(_CONTEXT * self._have)
        dropped = max(0, surplus // self._aligned * self._aligned)
        self._recent, self._start = recent[dropped:].copy(), self._start + dropped


def resampled(blocks: Iterable[Waveform], have: int, want: int) -> Iterator[Waveform]:
    """Blocks of a recording at another rate, with its very end."""
    resampler = Resampler(have, want)
    for block in blocks:
        yield resampler.feed(block)
    yield resampler.end()
