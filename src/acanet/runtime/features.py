"""Samples as they come -> rows of features, each computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from acanet.runtime.spill import Floats

PIECE = 3000
"""Frames of features in a piece: half a minute of speech. Shorter pieces take longer, for what a frame sees around them
is computed twice; longer ones are no quicker, and take more memory."""


class Run(Protocol):
    """What runs a graph, as `acanet.runtime.sessions.Sessions.run`."""

    def __call__(self, stage: str, **inputs: Any) -> list[NDArray[Any]]:
        """The outputs, in order."""


class FeatureStream:
    """A recording that is fed in blocks of any size."""

    def __init__(self, features: Callable[[Floats], Floats], window: int, hop: int, piece: int) -> None:
        """Nothing is heard yet.

        Args:
            features: (samples,) -> (frames, mels), as many frames as windows lie within the samples.
            window, hop: samples in a window, and from one to the next.
            piece: frames that are computed at a time.
        """
        self._features, self._window, self._hop, self._piece = features, window, hop, piece
        self._waiting: list[Floats] = []
        self._count = 0  # samples that wait

    def feed(self, waveform: Floats) -> Iterator[Floats]:
        """Hear the next samples, (samples,): the pieces that they fill, (frames, mels) each."""
        self._waiting.append(waveform)
        self._count += len(waveform)
        if self._count >= self._most:
            yield from self._whole(self._most)

    def flush(self) -> Iterator[Floats]:
        """All whole windows of what waits, (frames, mels) each."""
        yield from self._whole(self._window)

    def rest(self, samples: Floats | None) -> Iterator[Floats]:
        """What `flush` would give if these samples came too; it may go on without them afterwards."""
        if samples is not None and len(samples):
            waiting = np.concatenate([*self._waiting, samples])
            while len(waiting) >= self._window:
                rows = self._features(waiting[: self._most])
                waiting = waiting[len(rows) * self._hop :]
                yield rows

    @property
    def _most(self) -> int:
        """Samples of a piece."""
        return (self._piece - 1) * self._hop + self._window

    def _whole(self, least: int) -> Iterator[Floats]:
        """Rows of what waits, as long as that is so many samples."""
        samples = np.concatenate([*self._waiting, np.empty(0, np.float32)])
        while len(samples) >= least:
            rows = self._features(samples[: self._most])
            samples = samples[len(rows) * self._hop :]
            yield rows
        self._waiting, self._count = [samples.copy()], len(samples)
