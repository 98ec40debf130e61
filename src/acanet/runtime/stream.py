"""Speech as it comes -> its embedding so far, at any time: `Encoder.stream` makes one."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Checks, Resampler
from acanet.audio.recording import Waveform, check_scale
from acanet.errors import AcanetError, BadAudio, NoSpeech, TooShort
from acanet.runtime.pieces import Piecewise
from acanet.speech.meter import Level, SpeechMeter
from acanet.speech.segments import RATE

NAME = "<stream>"
"""What errors call one that has no name of its own."""
_BLOCK_SECONDS = 1.0
_TELLING_SECONDS = 10.0
"""Before that a vowel may look like a telephone."""


class Stream:
    """A recording that is still going on; a context manager. Not for several threads at once.

    `embedding()` is what `Encoder.embed` gives for all that was fed, to 1e-4. One exception: what is resampled and has
    nothing above 4 to 6 kHz leaves the highest bands to rounding errors, which models hear; there the two are as
    close only after `end()`, and to some 1e-3 before.

    `speech_seconds` is measured at the level that the recording had so far, which a whole recording's is not: the two
    differ by little, and by more where it begins with silence or gets much louder.
    """

    def __init__(self, piecewise: Piecewise, rate: int, wanted: int, needed: float, name: str) -> None:
        """Use `Encoder.stream`.

        Args:
            piecewise: a new one, of the model.
            rate: samples a second that are fed.
            wanted: samples a second that the model wants.
            needed: seconds of speech without which there is no embedding.
            name: what errors and warnings call it.
        """
        self._name = name
        self._piecewise, self._rate, self._wanted, self._needed = piecewise, rate, wanted, needed
        self._checks = Checks(rate, name)
        self._resampler, self._to_meter = Resampler(rate, wanted), Resampler(wanted, RATE)
        self._level, self._meter = Level(), SpeechMeter()
        self._pending: list[Waveform] = []
        self._fed = self._taken = 0
        self._told = self._ended = self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary file, if there is one: from here on only `seconds` is known."""
        self._closed = True
        self._piecewise.close()

    def feed(self, samples: NDArray[Any]) -> None:
        """Hear what comes next.

        Args:
            samples: (samples,), any number of them: floating-point in [-1, 1], or int16.

        Raises:
            BadAudio: when they are of another shape or type, not finite, or far beyond 1.
            AcanetError: after `end` or `close`.
        """
        self._check_open()
        if self._ended:
            raise AcanetError(f"{self._name} has ended, so nothing can be fed; make another with `Encoder.stream`")
        waveform = _as_waveform(samples, self._name)
        if not len(waveform):
            return
        check_scale(waveform, self._name)
        self._pending.append(waveform)
        self._fed += len(waveform)
        if self._fed - self._taken >= _BLOCK_SECONDS * self._rate:
            self._take()

    def end(self) -> None:
        """Nothing comes after what was fed: from here on `embedding()` is exactly that of the whole recording.

        Raises:
            AcanetError: after `close`, unless it had ended before.
        """
        if self._ended:
            return
        self._check_open()
        self._take()
        self._ended = True
        self._hear(self._resampler.end())
        self._meter.feed(self._to_meter.end(), self._level.gain)
        self._meter.finish()

    @property
    def seconds(self) -> float:
        """Of audio so far."""
        return self._fed / self._rate

    @property
    def speech_seconds(self) -> float:
        """Of speech so far, in whole chunks of 32 ms.

        Raises:
            AcanetError: after `close`.
        """
        self._check_open()
        self._take()
        return self._meter.seconds

    def embedding(self) -> NDArray[np.float32]:
        """The embedding of all that was fed so far.

        The mean of the features has changed since the last time, and with it every frame: all of them are computed
        again. This takes as long as embedding a recording of this length whose features are known.

        Returns:
            (dim,) float32, of unit length.

        Raises:
            NoSpeech: when nobody has talked.
            TooShort: when there was less speech than the model needs.
            AcanetError: after `close`.

        Warns:
            AudioWarning: of telephone bandwidth and of clipping; once, after ten seconds or at the end.
        """
        speech = self.speech_seconds
        if self.seconds < self._needed:
            raise TooShort(self._name, self.seconds, self._needed)
        if not speech:
            raise NoSpeech(self._name, self.seconds)
        if speech < self._needed:
            raise TooShort(self._name, speech, self._needed)
        if not self._told and (self._ended or self.seconds >= _TELLING_SECONDS):
            self._told = True
            self._checks.finish(self._wanted)
        return self._piecewise.embedding(None if self._ended else self._resampler.rest())

    def _check_open(self) -> None:
        if self._closed:
            raise AcanetError(
                f"{self._name} is closed, and its samples are gone; use it, and take its embedding, inside the `with`"
            )

    def _take(self) -> None:
        """Work on what was fed since the last time."""
        if not self._pending:
            return
        block = np.concatenate(self._pending)
        self._pending, self._taken = [], self._fed
        self._checks.feed(block)
        self._hear(self._resampler.feed(block))

    def _hear(self, waveform: Waveform) -> None:
        """(samples,) at the model's rate."""
        self._level.feed(waveform)
        self._piecewise.feed(waveform)
        self._meter.feed(self._to_meter.feed(waveform), self._level.gain)


def _as_waveform(samples: NDArray[Any], name: str) -> Waveform:
    if not isinstance(samples, np.ndarray) or samples.ndim != 1:
        found = f"an array {samples.shape}" if isinstance(samples, np.ndarray) else type(samples).__name__
        raise BadAudio(name, f"{found}; samples of one channel are expected, (samples,)")
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / np.float32(2**15)
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    raise BadAudio(name, f"samples are {samples.dtype}; floating-point numbers or int16 are expected")
