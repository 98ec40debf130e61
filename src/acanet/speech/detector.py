"""Who finds speech in a recording that comes block by block.

    LiveDetector         hears every block once, at the level that the recording had so far
    RecordingDetector    hears a recording once it has ended, at its own level, up to where there is enough speech

Whatever finds speech has these few methods, and nothing else in acanet knows how it does that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from acanet.audio.blocks import BLOCK, Waveform
from acanet.audio.resample import Resampler, resampled
from acanet.speech.silero import CHUNK, RATE, Level, Silero, exact_gain
from acanet.speech.speech import Speech, Stretch

LONGEST_GAP = 6
"""Chunks without speech (0.19 s) that still belong to the speech around them: stops and short breaths."""
SHORTEST_SPEECH = 3
"""Chunks (0.1 s) that a voice takes at least; less is a click."""

Progress = Callable[[float], object]
"""Called with the share of the work that is done, from 0 to 1."""


class SpeechDetector(Protocol):
    """What finds speech in one recording."""

    def feed(self, waveform: Waveform) -> None:
        """Take the next samples, (samples,), at the rate of the recording."""

    def end(self) -> None:
        """Take note that the recording ends here."""

    def speech(self, enough: float = math.inf, progress: Progress | None = None) -> Speech:
        """The speech in what was fed.

        Args:
            enough: seconds of speech after which a detector may stop to look for more.
            progress: told the share that is done, where it takes long.
        """


class LiveDetector:
    """Speech as it comes, in whole chunks of 32 ms."""

    def __init__(self, rate: int) -> None:
        """Nothing was heard yet of a recording with so many samples a second."""
        self._resampler, self._level, self._chunks = Resampler(rate, RATE), Level(), _Chunks(Silero())

    def feed(self, waveform: Waveform) -> None:
        """Hear the next samples, (samples,)."""
        self._level.feed(waveform)
        self._chunks.feed(self._resampler.feed(waveform), self._level.gain)

    def end(self) -> None:
        """Hear the last samples, which fill no chunk."""
        self._chunks.feed(self._resampler.end(), self._level.gain)
        self._chunks.finish()

    def speech(self, enough: float = math.inf, progress: Progress | None = None) -> Speech:
        """All speech so far."""
        return self._chunks.speech


class RecordingDetector:
    """Speech in a recording that is kept, so that it can be heard again at its own level."""

    def __init__(self, rate: int, again: Callable[[], Iterable[Waveform]]) -> None:
        """Nothing was fed yet.

        Args:
            rate: samples a second.
            again: all samples that were fed, from the first on, in blocks; while some are being fed, those before.
        """
        self._rate, self._again, self._samples = rate, again, 0
        self._level: Level | None = None  # of many samples; few are looked at one by one
        self._found, self._enough = Speech(()), -math.inf

    def feed(self, waveform: Waveform) -> None:
        """Take note of the next samples, (samples,): `again` gives those before."""
        self._samples += len(waveform)
        if self._level is None and self._samples > BLOCK:
            self._level = Level()
            for block in self._again():
                self._level.feed(block)
        if self._level is not None:
            self._level.feed(waveform)

    def end(self) -> None:
        """There is nothing to do."""

    def speech(self, enough: float = math.inf, progress: Progress | None = None) -> Speech:
        """The speech in the recording; what was found before for as much or more is found again."""
        if enough > self._enough:
            self._found, self._enough = self._search(enough, progress), enough
        return self._found

    def _gain(self) -> float:
        """By the samples where they are few, by their histogram where they are many."""
        if self._level is not None:
            return self._level.gain
        return exact_gain(np.concatenate([*resampled(self._again(), self._rate, RATE)]))

    def _search(self, enough: float, progress: Progress | None) -> Speech:
        gain, chunks, read = self._gain(), _Chunks(Silero.of_this_thread()), 0
        seconds = self._samples / self._rate
        for block in resampled(self._again() if gain else (), self._rate, RATE):
            if chunks.feed(block, gain, enough=enough):
                break
            read += len(block)
            if progress is not None:
                progress(min(1.0, read / RATE / seconds))
        else:
            chunks.finish()
        return Speech([(start, min(end, seconds)) for start, end in chunks.speech.segments if start < seconds])


def find_speech(waveform: Waveform, rate: int, *, enough: float = math.inf) -> Speech:
    """The speech in a waveform.

    Args:
        waveform: (samples,), float32.
        rate: samples a second.
        enough: seconds of speech after which nothing more is looked for.
    """
    detector = RecordingDetector(rate, lambda: [waveform])
    detector.feed(waveform)
    detector.end()
    return detector.speech(enough)


class _Chunks:
    """Chunks of a recording in their order -> stretches of speech: gaps are bridged, clicks left out."""

    def __init__(self, network: Silero) -> None:
        self._network = network
        self._rest = np.empty(0, np.float32)
        self._chunk = 0
        self._closed: list[tuple[int, int]] = []  # first chunk and end of stretches that cannot go on
        self._first, self._last, self._spoken = 0, -math.inf, 0  # of the stretch that may
        self._heard = 0  # chunks with speech in all
        self._padding = 0

    def feed(self, waveform: Waveform, gain: float, *, enough: float = math.inf) -> bool:
        """Hear the next samples.

        Args:
            waveform: (samples,) at `RATE`.
            gain: from `Level`.
            enough: seconds of speech after which nothing more is heard.

        Returns:
            Whether there is enough.
        """
        samples = np.concatenate([self._rest, waveform * np.float32(gain)])
        whole = len(samples) // CHUNK * CHUNK
        self._rest = samples[whole:]
        for chunk in samples[:whole].reshape(-1, CHUNK):
            spoken = self._network.hears_speech(chunk)
            if spoken:
                self._speak()
            self._chunk += 1
            if spoken and self._heard * CHUNK >= enough * RATE and self.speech.seconds >= enough:
                return True
        return False

    def finish(self) -> None:
        """Hear the last samples, which fill no chunk."""
        if len(self._rest):
            self._padding = CHUNK - len(self._rest)
            self.feed(np.zeros(self._padding, np.float32), 1.0)

    @property
    def speech(self) -> Speech:
        """The speech in the chunks that were heard so far."""
        end = self._chunk * CHUNK - self._padding
        return Speech([_seconds(*stretch, end) for stretch in (*self._closed, *self._open())])

    def _open(self) -> list[tuple[int, int]]:
        """The stretch that may go on, where it is more than a click."""
        return [(self._first, int(self._last) + 1)] if self._spoken >= SHORTEST_SPEECH else []

    def _speak(self) -> None:
        """Take note of speech in this chunk."""
        if self._chunk - self._last > LONGEST_GAP + 1:
            self._closed += self._open()
            self._first, self._spoken = self._chunk, 0
        self._last, self._spoken, self._heard = self._chunk, self._spoken + 1, self._heard + 1


def _seconds(first: int, end: int, samples: int) -> Stretch:
    """A stretch of chunks, in seconds of a recording with so many samples."""
    return first * CHUNK / RATE, min(end * CHUNK, samples) / RATE
