"""Where somebody talks in a recording, and whether that is enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.errors import NoSpeech, TooShort

Stretch = tuple[float, float]
"""Start and end of a stretch of speech, in seconds."""

FADE = 0.005
"""Seconds over which trimmed speech falls and rises where two stretches meet."""


@dataclass(frozen=True)
class Speech:
    """The speech that was found in a recording.

    Attributes:
        segments: stretches of speech, in order and apart from each other.
    """

    segments: Sequence[Stretch]

    @property
    def seconds(self) -> float:
        """How long somebody talks."""
        return sum(end - start for start, end in self.segments)

    def require(self, needed: float, seconds: float, name: str) -> None:
        """Make sure that somebody talks for long enough.

        Args:
            needed: seconds of speech without which there is no embedding.
            seconds: of the whole recording.
            name: of the recording, for errors.

        Raises:
            NoSpeech: nobody talks.
            TooShort: the recording, or the speech in it, is shorter than `needed`.
        """
        require_length(seconds, needed, name)
        if not self.segments:
            raise NoSpeech(name, seconds)
        if self.seconds < needed:
            raise TooShort(name, self.seconds, needed)

    def within(self, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
        """Seconds of speech in each of some parts of the recording, (parts,), which begin and end at these seconds."""
        edges = np.array(self.segments).reshape(-1)
        if not len(edges):
            return np.zeros(len(starts))
        spoken = np.cumsum(np.diff(edges, prepend=edges[0]) * (np.arange(len(edges)) % 2))
        within: NDArray[np.float64] = np.interp(ends, edges, spoken) - np.interp(starts, edges, spoken)
        return within

    def trim(self, waveform: Waveform, rate: int) -> Waveform:
        """Speech only: the segments of a waveform, one after the other.

        Where two of them meet, the first fades out and the second fades in, linearly, over 5 ms each, so that no
        step is heard; all other samples are those of the waveform.

        Args:
            waveform: (samples,), float32.
            rate: samples a second.

        Returns:
            (samples,), float32, as long as the segments are together; a new array.
        """
        return np.concatenate([*self.trimmed([waveform], rate), np.empty(0, np.float32)])

    def trimmed(self, blocks: Iterable[Waveform], rate: int) -> Iterator[Waveform]:
        """What `trim` gives of a recording that comes in blocks, (samples,) each, in blocks."""
        spans = [(round(start * rate), round(end * rate)) for start, end in self.segments]
        begin = 0
        for block in blocks:
            for number, (start, end) in enumerate(spans):
                first, last = max(start, begin), min(end, begin + len(block))
                if first >= last:
                    continue
                piece, places = block[first - begin : last - begin].copy(), np.arange(first, last)
                samples = min(round(FADE * rate), end - start)
                if number > 0:
                    _fade(piece, places - start, samples)
                if number < len(spans) - 1:
                    _fade(piece, end - 1 - places, samples)
                yield piece
            begin += len(block)


def _fade(piece: Waveform, distances: NDArray[np.intp], samples: int) -> None:
    """Scale what is nearer to an edge than so many samples by its share of that distance."""
    near = distances < samples
    piece[near] *= distances[near].astype(np.float32) / np.float32(samples)


def require_length(seconds: float, needed: float, name: str) -> None:
    """Make sure that a recording of so many seconds can hold the speech that is needed.

    Raises:
        TooShort: when it cannot.
    """
    if seconds < needed:
        raise TooShort(name, seconds, needed)
