"""Embeddings over time: a recording in windows that overlap.

once      checks, speech
again     windows with enough of it -> the network, in batches of equal lengths

The recording is decoded in blocks, twice, so that it may have any length. A window goes through the whole network, as
`embed` would have it: the mean of the features is that of the window. Sharing the log-mel features among windows would
save little of the time (`benchmarks/windows.py` measures it), and only exported models with stages could.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import open_again, open_checked
from acanet.audio.recording import Source, Waveform, claimed_seconds, describe
from acanet.errors import AcanetError, BadAudio, NoSpeech, TooShort
from acanet.speech.segments import CHUNK, LONGEST_GAP, RATE, speech_segments

Segments = list[tuple[float, float]]
Progress = Callable[[float], object]
"""Called with the share of the work that is done, from 0 to 1."""

SHORTEST_HOP = 0.01
_SPEECH_BLOCK = 300.0
"""Seconds in which speech is looked for at a time; a multiple of the detector's chunks."""
_BLOCK = 64
"""Windows that are embedded between two reports of progress."""
_HELD = 300.0
"""Seconds from the first to the last sample of several windows that are embedded together."""


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
    embedder: Embedder,
    source: Source,
    source_rate: int | None,
    window: float,
    hop: float,
    *,
    progress: Progress | None = None,
) -> Windows:
    """What `acanet.Encoder.embed_windows` does, in memory that grows with the window but not with the recording.

    Args:
        embedder: the model.
        source: as in `acanet.audio.recording.decode`.
        source_rate: samples a second of an array.
        window, hop: as `check_windows` allows them.
        progress: told what is done.

    Raises:
        BadAudio, MissingExtra: as `acanet.audio.recording.load`; also when a file has become shorter while it was read.
        NoSpeech, TooShort: as `find_speech`.

    Warns:
        AudioWarning: as `acanet.audio.recording.load`.
    """
    rate, tell = embedder.rate, progress or (lambda share: None)
    claimed = claimed_seconds(source, source_rate)
    finder = SpeechFinder(rate)
    with open_checked(source, source_rate, rate) as blocks:
        for block in blocks:
            finder.feed(block)
            if claimed:
                tell(min(0.5, finder.samples / rate / claimed / 2))
    segments = finder.finish(embedder.needed_seconds, describe(source))
    tell(0.5)
    spans = np.array(cover(0, finder.samples, round(window * rate), round(hop * rate)))
    starts, ends = spans.T / rate
    speech = speech_within(segments, starts, ends)
    enough = np.flatnonzero(speech >= embedder.needed_seconds)
    embeddings = np.full((len(spans), embedder.dim), np.nan, np.float32)
    with open_again(source, source_rate, rate) as blocks:
        embedded = embed_spans(embedder, blocks, spans[enough], progress=lambda share: tell((1 + share) / 2))
    if len(embedded) < len(enough):
        raise BadAudio(describe(source), "it has become shorter while it was read; try again once it is complete")
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
    embedder: Embedder, blocks: Iterable[Waveform], spans: NDArray[np.intp], *, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Embed stretches of a recording as it comes, some at a time.

    Args:
        embedder: the model.
        blocks: (samples,) each, at its rate, in order.
        spans: (stretches, 2) first sample and end of each, both in order, at least `needed_seconds` long.
        progress: told what is done.

    Returns:
        (stretches, dim), in their order; fewer, where the recording ends before they do.
    """
    embedded = [np.empty((0, embedder.dim), np.float32)]
    done = 0
    for waveforms in _stretches(blocks, spans, round(_HELD * embedder.rate)):
        embedded.append(embedder.embed_waveforms(waveforms))
        done += len(waveforms)
        if progress is not None:
            progress(done / len(spans))
    return np.concatenate(embedded)


def _stretches(blocks: Iterable[Waveform], spans: NDArray[np.intp], most: int) -> Iterator[list[Waveform]]:
    """Stretches of a recording: up to `_BLOCK` at a time that lie within `most` samples, or one that is longer."""
    held, start, remaining, first = np.empty(0, np.float32), 0, iter(blocks), 0
    while first < len(spans):
        within = int(np.searchsorted(spans[:, 1], spans[first, 0] + most, "right"))
        together = spans[first : max(first + 1, min(first + _BLOCK, within))]
        wanted, end = int(together[0, 0]), int(together[-1, 1])
        held, start = _slide(held, start, remaining, wanted, end), wanted
        if len(held) < end - start:
            return
        yield [held[begin - start : stop - start] for begin, stop in together]
        first += len(together)


def _slide(held: Waveform, start: int, blocks: Iterator[Waveform], wanted: int, end: int) -> Waveform:
    """Samples from `wanted` up to `end` or further, where `held` are those from `start`."""
    parts, reached = [held], start + len(held)
    while reached < end and (block := next(blocks, None)) is not None:
        parts = [*parts, block] if reached > wanted else [block]
        reached += len(block)
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return joined[max(0, len(joined) - (reached - wanted)) :] if reached > wanted else joined[:0]


class SpeechFinder:
    """Where somebody talks in a recording that may last hours: `speech_segments`, block by block.

    Stretches on both sides of the border of two blocks are one if they would be within a block.

    Attributes:
        samples: that it was fed.
    """

    def __init__(self, rate: int) -> None:
        """In a recording with so many samples a second."""
        self.samples = 0
        self._rate, self._size = rate, round(_SPEECH_BLOCK * rate)
        self._gathered: list[Waveform] = []
        self._searched = 0
        self._segments: Segments = []

    def feed(self, waveform: Waveform) -> None:
        """The next samples, (samples,), float32."""
        while self.samples + len(waveform) >= self._searched + self._size:
            missing = self._searched + self._size - self.samples
            self._gather(waveform[:missing])
            self._search()
            waveform = waveform[missing:]
        self._gather(waveform)

    def finish(self, needed: float, name: str) -> Segments:
        """Start and end of each stretch of speech, in seconds; the recording ends here.

        Args:
            needed: seconds of speech.
            name: of the recording, for errors.

        Raises:
            NoSpeech, TooShort: as `acanet.speech.segments.require_segments`.
        """
        total = self.samples / self._rate
        if total < needed:
            raise TooShort(name, total, needed)
        self._search()
        if not self._segments:
            raise NoSpeech(name, total)
        spoken = sum(end - start for start, end in self._segments)
        if spoken < needed:
            raise TooShort(name, spoken, needed)
        return self._segments

    def _gather(self, waveform: Waveform) -> None:
        if len(waveform):
            self._gathered.append(waveform)
            self.samples += len(waveform)

    def _search(self) -> None:
        """Look at what was gathered."""
        if not self._gathered:
            return
        border, segments = self._searched / self._rate, self._segments
        block = np.concatenate(self._gathered)
        self._gathered, self._searched = [], self.samples
        for start, end in speech_segments(block, self._rate):
            start, end = start + border, end + border
            at_border = border > 0 and segments and segments[-1][1] <= border <= start
            if at_border and start - segments[-1][1] <= (LONGEST_GAP + 0.5) * CHUNK / RATE:
                segments[-1] = (segments[-1][0], end)
            else:
                segments.append((start, end))


def find_speech(
    waveform: Waveform, rate: int, needed: float, name: str, *, progress: Progress | None = None
) -> Segments:
    """What `SpeechFinder` finds in a whole recording.

    Args:
        waveform: (samples,), float32.
        rate: samples a second.
        needed: seconds of speech.
        name: of the recording, for errors.
        progress: told what is done.

    Raises:
        NoSpeech, TooShort: as `acanet.speech.segments.require_segments`.
    """
    finder, size = SpeechFinder(rate), round(_SPEECH_BLOCK * rate)
    for first in range(0, len(waveform), size):
        finder.feed(waveform[first : first + size])
        if progress is not None:
            progress(finder.samples / len(waveform))
    return finder.finish(needed, name)


def speech_within(segments: Segments, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds of speech in each stretch, (stretches,); `segments` as from `find_speech`."""
    edges = np.array(segments).reshape(-1)
    spoken = np.cumsum(np.diff(edges, prepend=edges[0]) * (np.arange(len(edges)) % 2))
    within: NDArray[np.float64] = np.interp(ends, edges, spoken) - np.interp(starts, edges, spoken)
    return within
