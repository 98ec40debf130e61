"""A recording in blocks, as every reader gives it, and what is refused whatever reads it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from acanet.errors import BadAudio

Waveform = NDArray[np.float32]
Frames = NDArray[np.float32]
"""Samples of all channels, (samples, channels)."""

LOWEST_RATE, HIGHEST_RATE = 4000, 384_000
MOST_CHANNELS = 64
LOUDEST = 8.0
"""Floating-point samples beyond this are not on the scale of [-1, 1]."""
BLOCK = 2**20
"""Samples of all channels together that a reader decodes at a time."""


@dataclass(frozen=True)
class Recording:
    """A recording that is open.

    Attributes:
        rate: samples a second.
        claimed: samples that it has, if its header tells the truth; None: it does not say. Where files were joined,
            those of the first.
        blocks: (samples,) each, float32, of one channel or the mean of all; in order, once.
    """

    rate: int
    claimed: int | None
    blocks: Iterator[Waveform]

    @property
    def claimed_seconds(self) -> float | None:
        """How long it is, if its header tells the truth; None: it does not say."""
        return None if self.claimed is None else self.claimed / self.rate


@dataclass(frozen=True)
class Tracks:
    """A recording that is open, with all of its channels.

    Attributes:
        rate, claimed: as of a `Recording`.
        channels: at its beginning.
        frames: decodes it from its beginning, in blocks, float32; what it gave before is closed then.
    """

    rate: int
    claimed: int | None
    channels: int
    frames: Callable[[], Generator[Frames]]


@dataclass(frozen=True)
class Span:
    """The part of a recording that is wanted: `duration` seconds from `start` on, to the end where it is None."""

    start: float = 0.0
    duration: float | None = None

    def check(self, name: str) -> None:
        """Refuse times that make no sense.

        Raises:
            BadAudio: naming the recording.
        """
        if not (np.isfinite(self.start) and self.start >= 0):
            raise BadAudio(name, f"start is {self.start}; it has to be 0 s or later")
        if self.duration is not None and not (np.isfinite(self.duration) and self.duration > 0):
            raise BadAudio(name, f"duration is {self.duration}; it has to be more than 0 s")

    def first(self, rate: int) -> int:
        """The first sample."""
        return round(self.start * rate)

    def wanted(self, rate: int) -> int | None:
        """The number of samples that are wanted; None: all to the end."""
        return None if self.duration is None else max(1, round(self.duration * rate))

    def count(self, total: int, rate: int, name: str) -> int:
        """The number of samples of the span in a recording of `total` samples.

        Raises:
            BadAudio: when the recording ends before the span begins.
        """
        left, wanted = total - self.first(rate), self.wanted(rate)
        if left <= 0:
            raise BadAudio(name, f"start is {self.start:g} s, but the recording has only {total / rate:g} s")
        return left if wanted is None else min(left, wanted)


def checked_rate(rate: float, name: str) -> int:
    """Samples a second, if they are a whole number in range; one in floating point is as good.

    Raises:
        BadAudio: when they are not.
    """
    if not isinstance(rate, Real) or not LOWEST_RATE <= rate <= HIGHEST_RATE or rate != int(rate):
        raise BadAudio(
            name, f"{rate} samples a second; a whole number from {LOWEST_RATE} to {HIGHEST_RATE} can be used"
        )
    return int(rate)


def check_channels(channels: int, name: str) -> None:
    """Refuse more channels than make sense.

    Raises:
        BadAudio: naming the recording.
    """
    if channels > MOST_CHANNELS:
        raise BadAudio(name, f"{channels} channels; at most {MOST_CHANNELS} make sense")


def check_scale(waveform: Waveform, name: str) -> None:
    """Refuse samples, one at least, that are not finite, or on another scale than [-1, 1].

    Raises:
        BadAudio: naming the recording.
    """
    peak = max(waveform.max(), -waveform.min())
    if not np.isfinite(peak):
        bad = int((~np.isfinite(waveform)).sum())
        raise BadAudio(name, f"{bad} samples are not finite (NaN or infinite)")
    if peak > LOUDEST:
        raise BadAudio(name, f"samples reach {peak:g}, far beyond 1: if they are 16-bit values, divide them by 32768")
