"""Embeddings over time: windows over a recording, and its speech in each of them.

Each window goes through the whole network, so a window is exactly what `embed` gives of its samples. Sharing the
log-mel features among windows would save little of the time (`benchmarks/windows.py` measures it), and only exported
models with stages could.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.errors import AcanetError
from acanet.runtime.network import Network
from acanet.runtime.stream import RecordedStream
from acanet.speech.speech import Stretch

Progress = Callable[[float], object]
"""Called with the share of the work that is done, from 0 to 1."""

SHORTEST_HOP = 0.01
_BLOCK = 64
"""Windows that are embedded between two reports of progress."""
_HELD = 300.0
"""Seconds from the first to the last sample of several windows that are embedded together."""


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
    segments: Sequence[Stretch]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def embedded(self) -> NDArray[np.bool_]:
        """The windows that hold enough speech for an embedding: (windows,) bool."""
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
    recording: RecordedStream, network: Network, window: float, hop: float, needed: float, progress: Progress
) -> Windows:
    """The embeddings of windows over a recording, as `Encoder.embed_windows` tells.

    Args:
        recording: which has ended.
        network: the model.
        window, hop: seconds, as `check_windows` allows them.
        needed: seconds of speech in a window without which it has no embedding.
        progress: told what is done.

    Raises:
        NoSpeech, TooShort: as `RecordedStream.require_speech`.
    """
    rate = network.rate
    speech = recording.require_speech()
    spans = np.array(cover(0, recording.samples, round(window * rate), round(hop * rate)))
    starts, ends = spans.T / rate
    spoken = speech.within(starts, ends)
    enough = spoken >= needed
    embeddings = np.full((len(spans), network.dim), np.nan, np.float32)
    embeddings[enough] = embed_spans(network, recording.blocks(), spans[enough], progress=progress)
    return Windows(starts, ends, embeddings, spoken, speech.segments)


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
    network: Network, blocks: Iterable[Waveform], spans: NDArray[np.intp], *, progress: Progress | None = None
) -> NDArray[np.float32]:
    """The embeddings of stretches of a recording as it comes, some at a time.

    Args:
        network: the model.
        blocks: (samples,) each, at its rate, in order.
        spans: (stretches, 2) first sample and end of each, both in order, long enough for the model.
        progress: told what is done.

    Returns:
        (stretches, dim), in their order; fewer, where the recording ends before they do.
    """
    embedded = [np.empty((0, network.dim), np.float32)]
    done = 0
    for waveforms in _stretches(blocks, spans, round(_HELD * network.rate)):
        embedded.append(network.embed_waveforms(waveforms))
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
