"""What comes in, from a file, a microphone or a caller: checked, then brought to the rate that a model wants."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform, check_scale
from acanet.audio.quality import Losses, warn_of_losses
from acanet.audio.resample import Resampler
from acanet.audio.sources import MASKED
from acanet.errors import BadAudio

_BLOCK_SECONDS = 1.0
"""Samples are worked on when there are so many, or when somebody asks."""
_NOTHING = np.empty(0, np.float32)


class Intake:
    """A recording on its way in.

    Attributes:
        name: what errors and warnings call it.
        rate: samples a second that are fed.
        wanted: samples a second that are given.
        samples: that were fed.
    """

    def __init__(self, rate: int, wanted: int, name: str) -> None:
        """Nothing has come yet."""
        self.name, self.rate, self.wanted, self.samples = name, rate, wanted, 0
        self._losses, self._resampler = Losses(rate), Resampler(rate, wanted)
        self._gathered: list[Waveform] = []
        self._taken = 0

    def feed(self, samples: NDArray[Any]) -> Waveform:
        """The next samples.

        Args:
            samples: (samples,), any number of them: floating-point in [-1, 1], or int16.

        Returns:
            (samples,) at the wanted rate: what is certain by now and was not given before, often nothing.

        Raises:
            BadAudio: when they are of another shape or type, not finite, or far beyond 1; as if they had not come.
        """
        waveform = checked_waveform(samples, self.name)
        if len(waveform):
            self._gathered.append(waveform)
            self.samples += len(waveform)
        return self.flush() if self.samples - self._taken >= _BLOCK_SECONDS * self.rate else _NOTHING

    def flush(self) -> Waveform:
        """What is certain by now and was not given before, (samples,) at the wanted rate."""
        if not self._gathered:
            return _NOTHING
        block = self._gathered[0] if len(self._gathered) == 1 else np.concatenate(self._gathered)
        self._gathered, self._taken = [], self.samples
        self._losses.feed(block)
        return self._resampler.feed(block)

    def end(self) -> Waveform:
        """What is still to come of a recording that ends here, (samples,) at the wanted rate."""
        return np.concatenate([self.flush(), self._resampler.end()])

    def rest(self) -> Waveform:
        """What `end` would give if the recording ended here, to rounding; it may go on afterwards."""
        return self._resampler.rest()

    @property
    def lost(self) -> tuple[str, ...]:
        """What the recording so far has lost, as `acanet.audio.quality.Losses.found` says it."""
        return self._losses.found(self.wanted)

    def tell(self) -> None:
        """Warn of what the recording so far has lost.

        Warns:
            AudioWarning: of telephone bandwidth and of clipping.
        """
        warn_of_losses(self._losses, self.wanted, self.name)


def checked_waveform(samples: NDArray[Any], name: str) -> Waveform:
    """A copy of samples of one channel, (samples,), any number of them, as float32.

    Raises:
        BadAudio: when they are of another shape or type than floating-point or int16, not finite, or far beyond 1.
    """
    waveform = _as_float32(samples, name)
    if len(waveform):
        check_scale(waveform, name)
    return waveform


def _as_float32(samples: NDArray[Any], name: str) -> Waveform:
    if not isinstance(samples, np.ndarray) or samples.ndim != 1:
        found = f"an array {samples.shape}" if isinstance(samples, np.ndarray) else type(samples).__name__
        raise BadAudio(name, f"{found}; samples of one channel are expected, (samples,)")
    if isinstance(samples, np.ma.MaskedArray):
        raise BadAudio(name, MASKED)
    if samples.dtype == np.float32:
        return samples.copy()
    if samples.dtype.kind == "i" and samples.dtype.itemsize == 2:  # in any order of bytes
        return samples.astype(np.float32) / np.float32(2**15)
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    raise BadAudio(name, f"samples are {samples.dtype}; floating-point numbers or int16 are expected")
