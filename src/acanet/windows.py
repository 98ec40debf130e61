"""Embeddings over time: a recording in windows that overlap.

    waveform -> speech, block by block -> windows with enough of it -> the network, in batches of equal lengths

A window goes through the whole network, as `embed` would have it: the mean of the features is that of the window.
Sharing the log-mel features among windows would save little of the time (`benchmarks/windows.py` measures it), and
only exported models with stages could.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acanet.audio import Waveform
from acanet.errors import AcanetError, NoSpeech, TooShort
from acanet.speech import CHUNK, LONGEST_GAP, RATE, speech_segments

Segments = list[tuple[float, float]]
Progress = Callable[[float], object]
"""Called with the share of the work that is done, from 0 to 1."""

SHORTEST_HOP = 0.01
_SPEECH_BLOCK = 300.0
"""Seconds in which speech is looked for at a time; a multiple of the detector's chunks."""
_BLOCK = 64
"""Windows that are embedded between two reports of progress."""


class Embedder(Protocol):
    """What windows ask of a model: `acanet.Encoder`."""

    @property
    def rate(self) -> int:
        """Samples a second."""

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""

    @property
    def needed_seconds(self) -> float:
        """Seconds of speech without which there is no embedding."""

    def embed_waveforms(self, waveforms: Sequence[Waveform]) -> NDArray[np.float32]:
        """(samples,) each -> (waveforms, dim)."""


@dataclass(frozen=True, eq=False)
class Windows:
    """A recording in windows, in order.

    Attributes:
        starts, ends: (windows,) in seconds.
        embeddings: (windows, dim) float32, of unit length; NaN in windows with less speech than the model needs, so
            that no score can be made of them.
        speech: (windows,) seconds of speech.
        segments: start and end of each stretch of speech of the recording, in seconds.
    """

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    speech: NDArray[np.float64]
    segments: Segments

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def embedded(self) -> NDArray[np.bool_]:
        """(windows,) which windows hold enough speech for an embedding."""
        embedded: NDArray[np.bool_] = np.isfinite(self.embeddings[:, 0])
        return embedded


def check_windows(window: float, hop: float, needed: float) -> None:
    """Make sure that windows of such a length and distance make sense.

    Args:
        window, hop: in seconds.
        needed: seconds of speech without which there is no embedding.

    Raises:
        AcanetError: when they do not.
    """
    if not (np.isfinite(window) and window >= needed):
        raise AcanetError(
            f"the window is {window:g} s; the model needs {needed:g} s of speech, so give as much or more"
        )
    if not SHORTEST_HOP <= hop <= window:
        raise AcanetError(
            f"the hop is {hop:g} s; give {SHORTEST_HOP:g} s or more, and at most the window ({window:g} s), so that "
            "every moment is in one"
        )


def embed_windows(
    embedder: Embedder, waveform: Waveform, window: float, hop: float, name: str, *, progress: Progress | None = None
) -> Windows:
    """What `acanet.Encoder.embed_windows` does, of a waveform, (samples,), at the model's rate.

    Args:
        embedder: the model.
        waveform: of the whole recording.
        window, hop: as `check_windows` allows them.
        name: of the recording, for errors.
        progress: told what is done.
    """
    rate, tell = embedder.rate, progress or (lambda share: None)
    segments = find_speech(waveform, rate, embedder.needed_seconds, name, progress=lambda share: tell(share / 2))
    spans = np.array(cover(0, len(waveform), round(window * rate), round(hop * rate)))
    starts, ends = spans.T / rate
    speech = speech_within(segments, starts, ends)
    enough = np.flatnonzero(speech >= embedder.needed_seconds)
    embedded = embed_spans(embedder, waveform, spans[enough], progress=lambda share: tell((1 + share) / 2))
    embeddings = np.full((len(spans), embedder.dim), np.nan, np.float32)
    embeddings[enough] = embedded
    return Windows(starts, ends, embeddings, speech, segments)


def cover(start: int, end: int, window: int, hop: int) -> list[tuple[int, int]]:
    """Windows over a stretch, all equally long: the first begins with it, the last ends with it.

    A window begins every `hop` as long as it fits; where that leaves the end uncovered, one more ends there. A stretch
    that is shorter than a window is one.

    >>> cover(0, 10, 4, 3)
    [(0, 4), (3, 7), (6, 10)]
    >>> cover(0, 9, 4, 3)
    [(0, 4), (3, 7), (5, 9)]
    >>> cover(5, 8, 4, 3)
    [(5, 8)]
    """
    window = min(window, end - start)
    starts = list(range(start, end - window + 1, hop))
    if starts[-1] + window < end:
        starts.append(end - window)
    return [(first, first + window) for first in starts]


def embed_spans(
    embedder: Embedder, waveform: Waveform, spans: NDArray[np.intp], *, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Embed stretches of a waveform, block by block.

    Args:
        embedder: the model.
        waveform: (samples,), at its rate.
        spans: (stretches, 2) first sample and end of each, at least `needed_seconds` long.
        progress: told what is done.

    Returns:
        (stretches, dim), in their order.
    """
    blocks = [np.empty((0, embedder.dim), np.float32)]
    for first in range(0, len(spans), _BLOCK):
        part = spans[first : first + _BLOCK]
        blocks.append(embedder.embed_waveforms([waveform[start:end] for start, end in part]))
        if progress is not None:
            progress((first + len(part)) / len(spans))
    return np.concatenate(blocks)


def find_speech(
    waveform: Waveform, rate: int, needed: float, name: str, *, progress: Progress | None = None
) -> Segments:
    """Where somebody talks in a recording that may last hours: `acanet.speech.speech_segments`, block by block.

    Stretches on both sides of the border of two blocks are one if they would be within a block.

    Args:
        waveform: (samples,), float32.
        rate: samples a second.
        needed: seconds of speech.
        name: of the recording, for errors.
        progress: told what is done.

    Raises:
        NoSpeech, TooShort: as `acanet.speech.require_segments`.
    """
    total, size = len(waveform) / rate, round(_SPEECH_BLOCK * rate)
    if total < needed:
        raise TooShort(name, total, needed)
    segments: Segments = []
    for first in range(0, len(waveform), size):
        for start, end in speech_segments(waveform[first : first + size], rate):
            start, end = start + first / rate, end + first / rate
            at_border = first > 0 and segments and segments[-1][1] <= first / rate <= start
            if at_border and start - segments[-1][1] <= (LONGEST_GAP + 0.5) * CHUNK / RATE:
                segments[-1] = (segments[-1][0], end)
            else:
                segments.append((start, end))
        if progress is not None:
            progress(min(1.0, (first + size) / len(waveform)))
    if not segments:
        raise NoSpeech(name, total)
    spoken = sum(end - start for start, end in segments)
    if spoken < needed:
        raise TooShort(name, spoken, needed)
    return segments


def speech_within(segments: Segments, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds of speech in each stretch, (stretches,); `segments` as from `find_speech`."""
    edges = np.array(segments).reshape(-1)
    spoken = np.cumsum(np.diff(edges, prepend=edges[0]) * (np.arange(len(edges)) % 2))
    within: NDArray[np.float64] = np.interp(ends, edges, spoken) - np.interp(starts, edges, spoken)
    return within
