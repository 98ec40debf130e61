"""Seconds of speech, measured while a recording comes.

    blocks -> Level: how loud it is -> SpeechMeter: chunks of 32 ms -> Silero VAD -> stretches of speech -> seconds

The detector hears a recording scaled by its loudness, as in `acanet.speech.segments`. Who can read a recording twice
measures the level of the whole first, and gets the seconds that `speech_seconds` gives. Who cannot takes the level so
far.
"""

from __future__ import annotations

import math

import numpy as np

from acanet.audio.recording import Waveform
from acanet.speech.segments import (
    CHUNK,
    LONGEST_GAP,
    LOUD,
    LOUDEST_SHARE,
    QUIETEST,
    RATE,
    SHORTEST_SPEECH,
    THRESHOLD,
    new_detector,
)

_SHIFT = 12
"""Bits of a float32 that its bin leaves out: bins are 0.05 % wide at most."""
_SMALLEST = int(np.float32(2.0**-30).view(np.uint32))
"""Bits of a float32 below `QUIETEST`: what is smaller goes into the first bin."""


class Level:
    """The gain by which the detector wants a recording scaled: a histogram of its magnitudes."""

    def __init__(self) -> None:
        self._counts = np.zeros(1, np.int64)

    def feed(self, waveform: Waveform) -> None:
        """Count the next samples, (samples,), none of them NaN."""
        bins = np.maximum(np.abs(waveform).view(np.uint32), _SMALLEST) - _SMALLEST >> _SHIFT
        counts = np.bincount(bins, minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts

    @property
    def gain(self) -> float:
        """What `acanet.speech.segments` multiplies the recording so far by, to 0.05 %; 0 for silence."""
        reached = np.cumsum(self._counts)
        rank = int((1 - LOUDEST_SHARE) * reached[-1])
        middle = _SMALLEST + (int(np.searchsorted(reached, rank, "right")) << _SHIFT) + (1 << _SHIFT - 1)
        loud = float(np.uint32(middle).view(np.float32))
        return LOUD / loud if loud > QUIETEST else 0.0


class SpeechMeter:
    """How long somebody has talked so far."""

    def __init__(self) -> None:
        self._detector = new_detector()
        self._rest = np.empty(0, np.float32)
        self._chunk = 0
        self._first, self._last, self._spoken = 0, -math.inf, 0  # of the stretch that may go on
        self._closed = 0  # chunks of stretches that cannot
        self._heard = 0  # chunks with speech in all
        self._padding = 0

    def feed(self, waveform: Waveform, gain: float, *, enough: float = math.inf) -> bool:
        """Hear the next samples.

        Args:
            waveform: (samples,) at `acanet.speech.segments.RATE`.
            gain: from `Level`.
            enough: seconds of speech after which nothing more is heard.

        Returns:
            Whether there is enough.
        """
        samples = np.concatenate([self._rest, waveform * np.float32(gain)])
        whole = len(samples) // CHUNK * CHUNK
        self._rest = samples[whole:]
        for chunk in samples[:whole].reshape(-1, CHUNK):
            if self._detector.process_samples(chunk.data) > THRESHOLD:
                self._speak()
                if self._heard * CHUNK >= enough * RATE and self.seconds >= enough:
                    return True
            self._chunk += 1
        return False

    def finish(self, *, enough: float = math.inf) -> bool:
        """Hear the last samples, which fill no chunk; returns as `feed`."""
        if not len(self._rest):
            return False
        self._padding = CHUNK - len(self._rest)
        return self.feed(np.zeros(self._padding, np.float32), 1.0, enough=enough)

    @property
    def seconds(self) -> float:
        """Of speech, in the chunks heard so far."""
        stretch = int(self._last) + 1 - self._first if self._spoken >= SHORTEST_SPEECH else 0
        beyond = self._padding if stretch and self._last == self._chunk - 1 else 0
        return ((self._closed + stretch) * CHUNK - beyond) / RATE

    def _speak(self) -> None:
        """There is speech in this chunk: `acanet.speech.segments` bridges gaps and leaves out clicks."""
        if self._chunk - self._last > LONGEST_GAP + 1:
            self._closed += int(self._last) + 1 - self._first if self._spoken >= SHORTEST_SPEECH else 0
            self._first, self._spoken = self._chunk, 0
        self._last, self._spoken, self._heard = self._chunk, self._spoken + 1, self._heard + 1
