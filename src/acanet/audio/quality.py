"""What a recording lost on its way here, and a warning of it: a telephone's upper band, peaks, level, a dry sound."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.audio.decay import Decay
from acanet.audio.gaps import Gaps
from acanet.errors import one_line

_WINDOWS, _FIRST_WINDOWS = 8, 64
"""Windows a second whose energy tells the bandwidth, and how many there are in the first second."""
_EDGE = 4200
"""Hz that a telephone does not pass."""
_QUIET = 0.05
"""A peak below this is not clipped."""
_STEP = 2.0**-15
_MOST_CLIPPED = 0.001

_FAINTEST = 0.01  # a peak 40 dB below full scale

_MOST_MISSING = 0.2

TELEPHONE, CLIPPED, FAINT, INTERRUPTED = "telephone", "clipped", "faint", "interrupted"
REVERBERANT = "reverberant"
"""What a recording may have lost."""


class AudioWarning(UserWarning):
    """A recording that can be used, but lost something that speaker verification needs."""


class Losses:
    """The bandwidth, the clipping, the level, the gaps and the room of a recording that comes in blocks."""

    def __init__(self, rate: int) -> None:
        """Nothing has come yet of a recording with so many samples a second."""
        self._rate, self._samples = rate, 0
        self._below = self._above = 0.0
        self._windows = 0
        self._peak, self._clipped = 0.0, 0
        self._gaps, self._decay = Gaps(rate), Decay(rate)

    def feed(self, block: Waveform) -> None:
        """Look at the next samples, (samples,), one at least."""
        self._samples += len(block)
        self._look_at_bands(block)
        self._count_clipped(block)
        self._gaps.feed(block)
        self._decay.feed(block)

    @property
    def narrow(self) -> bool:
        """Whether the recording so far has the bandwidth of a telephone, at whatever rate it is stored.

        So has every recording at up to 8 kHz, and one at 16 kHz or more whose energy above 4.2 kHz is more than 50 dB
        under that below. The energy is that of some windows a second.
        """
        return self._rate <= 8000 or self._above < 1e-5 * self._below

    @property
    def clipped(self) -> float:
        """The share of samples so far that lie in runs of three or more at the very peak; runs end where blocks do."""
        return self._clipped / self._samples if self._peak >= _QUIET else 0.0

    @property
    def missing(self) -> float:
        """The share of the recording so far that is gaps of zeros between samples."""
        return self._gaps.share

    def found(self, wanted: int) -> tuple[str, ...]:
        """What the recording so far has lost.

        `telephone`: nothing is above 4 kHz; `clipped`: 0.1 % of the samples; `faint`: its peak is 40 dB below 1, unless
        it has none; `interrupted`: a fifth of one that is not faint lies in gaps of zeros; `reverberant`: its sounds
        die away as slowly as in a room with half a second of reverberation.

        Args:
            wanted: samples a second that a model wants; one for telephones misses nothing.
        """
        telephone = (TELEPHONE,) if wanted > 8000 and self.narrow else ()
        clipped = (CLIPPED,) if self.clipped > _MOST_CLIPPED else ()
        faint = (FAINT,) if 0 < self._peak < _FAINTEST else ()
        interrupted = (INTERRUPTED,) if self.missing > _MOST_MISSING and not faint else ()
        return telephone + clipped + faint + interrupted + ((REVERBERANT,) if self._decay.slow else ())

    def _look_at_bands(self, block: Waveform) -> None:
        seconds = len(block) / self._rate
        first = min(_FIRST_WINDOWS - self._windows, math.ceil(_FIRST_WINDOWS * seconds))
        windows = max(math.ceil(_WINDOWS * seconds), first)
        below, above = _energies(block, self._rate, windows)
        self._below, self._above, self._windows = self._below + below, self._above + above, self._windows + windows

    def _count_clipped(self, block: Waveform) -> None:
        """Add the samples in runs of three or more at the peak; a higher peak begins anew."""
        peak = float(max(block.max(), -block.min()))
        if peak >= self._peak + _STEP:
            self._clipped = 0
        self._peak = max(self._peak, peak)
        if peak < self._peak - _STEP:
            return
        self._clipped += _in_runs(np.abs(block) >= np.float32(self._peak - _STEP))


def warn_of_losses(losses: Losses, wanted: int, name: str) -> None:
    """Warn of what a recording has lost, as `Losses.found` says it.

    Args:
        losses: of the recording.
        wanted: samples a second that a model wants; one for telephones misses nothing.
        name: of the recording.

    Warns:
        AudioWarning: for each.
    """
    told = {
        TELEPHONE: "nothing above 4 kHz (telephone band); expect more errors",
        CLIPPED: f"{losses.clipped:.1%} of the samples are clipped; record at a lower level",
        FAINT: "its peaks lie 40 dB or more below full scale; record at a higher level",
        INTERRUPTED: f"{losses.missing:.0%} of it is zeros between samples, as lost packets leave them; record again",
        REVERBERANT: "its sounds die away slowly (a reverberant room); expect more errors, record closer to the mouth",
    }
    for loss in losses.found(wanted):
        warnings.warn(f"{one_line(name)}: {told[loss]}", AudioWarning, stacklevel=3)


def _energies(waveform: Waveform, rate: int, most: int) -> tuple[float, float]:
    """The energy of a waveform, (samples,), below 4.2 kHz and above, in up to `most` windows spread evenly."""
    size = round(rate * 0.032)
    if rate < 16000 or len(waveform) < size:
        return 0.0, 0.0
    starts = np.linspace(0, len(waveform) - size, min(most, 2 * len(waveform) // size)).astype(int)
    windows = np.stack([waveform[at : at + size] for at in starts]) * _window(size)
    power = np.square(np.abs(np.fft.rfft(windows))).sum(axis=0)
    edge = round(_EDGE * size / rate)
    return float(power[:edge].sum()), float(power[edge:].sum())


@lru_cache(maxsize=4)
def _window(size: int) -> NDArray[np.float32]:
    return np.hanning(size).astype(np.float32)


def _in_runs(marked: NDArray[np.bool_]) -> int:
    """How many of the marked samples, (samples,), lie in runs of three or more."""
    runs = marked[:-2] & marked[1:-1] & marked[2:]
    starts = int(np.count_nonzero(runs[:1])) + int(np.count_nonzero(runs[1:] & ~runs[:-1]))
    return int(np.count_nonzero(runs)) + 2 * starts
