"""Recordings in blocks: what `acanet.audio.recording` does with a whole waveform, done while it comes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import soxr

from acanet.audio.quality import energies, is_telephone_band, samples_in_runs, warn_of_losses
from acanet.audio.recording import Source, Waveform, check_scale, describe, open_blocks, resample
from acanet.errors import BadAudio

_CONTEXT = 0.5
"""Seconds that the end of a resampled recording depends on; soxr holds back up to 0.1 s."""
_WINDOWS, _FIRST_WINDOWS = 8, 64
"""Windows a second whose energy tells the bandwidth, and how many there are in the first second."""
_STEP = 2.0**-15


class Checks:
    """Whether a recording can be used, and what it lost: the checks of `acanet.audio.recording.load`."""

    def __init__(self, rate: int, name: str) -> None:
        """Of a recording with so many samples a second; the name is for errors and warnings."""
        self.samples = 0
        self._rate, self._name = rate, name
        self._below = self._above = 0.0
        self._windows = 0
        self._peak, self._clipped = 0.0, 0

    def feed(self, block: Waveform) -> None:
        """Check the next samples, (samples,).

        Raises:
            BadAudio: when they are not finite, or far beyond 1.
        """
        if not len(block):
            return
        check_scale(block, self._name)
        self.samples += len(block)
        self._look_at_bands(block)
        self._count_clipped(block)

    def finish(self, wanted: int) -> None:
        """Warn as `acanet.audio.recording.load` does for a model that wants so many samples a second.

        The bandwidth is that of some windows a second, and runs of clipped samples end where blocks do.

        Raises:
            BadAudio: when there was not a single sample.

        Warns:
            AudioWarning: of telephone bandwidth and of clipping.
        """
        if not self.samples:
            raise BadAudio(self._name, "there are no samples")
        narrow = wanted > 8000 and is_telephone_band(self._rate, self._below, self._above)
        clipped = self._clipped / self.samples if self._peak >= 0.05 else 0.0
        warn_of_losses(self._name, narrow, clipped)

    def _look_at_bands(self, block: Waveform) -> None:
        seconds = len(block) / self._rate
        first = min(_FIRST_WINDOWS - self._windows, math.ceil(_FIRST_WINDOWS * seconds))
        windows = max(math.ceil(_WINDOWS * seconds), first)
        below, above = energies(block, self._rate, windows)
        self._below, self._above, self._windows = self._below + below, self._above + above, self._windows + windows

    def _count_clipped(self, block: Waveform) -> None:
        """Add the samples in runs of three or more at the peak; a higher peak begins anew."""
        peak = float(max(block.max(), -block.min()))
        if peak >= self._peak + _STEP:
            self._clipped = 0
        self._peak = max(self._peak, peak)
        if peak < self._peak - _STEP:
            return
        self._clipped += samples_in_runs(np.abs(block) >= np.float32(self._peak - _STEP))


class Resampler:
    """A recording at another rate: with its end, exactly what `acanet.audio.recording.resample` gives for the whole."""

    def __init__(self, have: int, want: int) -> None:
        """From `have` to `want` samples a second."""
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

    def rest(self) -> Waveform:
        """What `end` would give if the recording ended here, to rounding; it may go on afterwards."""
        if self._stream is None:
            return np.empty(0, np.float32)
        return resample(self._recent, self._have, self._want)[self._given - self._start * self._want // self._have :]

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


@contextmanager
def open_checked(source: Source, source_rate: int | None, rate: int) -> Iterator[Iterator[Waveform]]:
    """Blocks of a recording at a rate, checked; once all are read, what it lost is warned of.

    Args:
        source: as in `acanet.audio.recording.decode`.
        source_rate: samples a second of an array.
        rate: samples a second to give.

    Raises:
        BadAudio, MissingExtra: as `acanet.audio.recording.load`.

    Warns:
        AudioWarning: as `acanet.audio.recording.load`.
    """
    with open_blocks(source, source_rate) as recording:
        checks = Checks(recording.rate, describe(source))

        def blocks() -> Iterator[Waveform]:
            for block in recording.blocks:
                checks.feed(block)
                yield block

        yield resampled(blocks(), recording.rate, rate)
    checks.finish(rate)


@contextmanager
def open_again(source: Source, source_rate: int | None, rate: int) -> Iterator[Iterator[Waveform]]:
    """Blocks of a recording that was checked before; arguments as in `open_checked`."""
    with open_blocks(source, source_rate) as recording:
        yield resampled(recording.blocks, recording.rate, rate)
