"""The road that every recording takes, from its samples to its embedding.

    samples -> Intake (checked, resampled) -> SpeechDetector: is there enough speech?
                                           -> Kept: the embedding of all of it

`Stream` is a recording that is still going on; `RecordedStream` one that is fed to its end and kept, so that it can be
heard again: at its own level, in windows, without its pauses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import BLOCK, Waveform
from acanet.audio.intake import Intake
from acanet.audio.recording import check_holdable
from acanet.errors import AcanetError
from acanet.runtime.network import Network
from acanet.runtime.pieces import WHOLE_SECONDS
from acanet.runtime.spill import Floats, Spill
from acanet.speech.detector import Progress, RecordingDetector, SpeechDetector
from acanet.speech.speech import Speech

NAME = "<stream>"
"""What errors call one that has no name of its own."""
_TELLING_SECONDS = 10.0
"""Before that a vowel may look like a telephone."""


class Kept(Protocol):
    """What is kept of a recording for its embedding: `acanet.runtime.pieces.Piecewise`, or all samples."""

    def feed(self, waveform: Waveform) -> None:
        """Take the next samples, (samples,), at the model's rate."""

    def embedding(self, rest: Waveform | None = None) -> Floats:
        """The embedding, (dim,), of what was fed and, for this time only, of the `rest` that comes after it."""

    def close(self) -> None:
        """Remove temporary files."""


class Stream:
    """A recording that is still going on; a context manager. Not for several threads at once.

    `embedding()` is what `Encoder.embed` gives for all that was fed, to 1e-4. One exception: what is resampled and has
    nothing above 4 to 6 kHz leaves the highest bands to rounding errors, which models hear; there the two are as
    close only after `end()`, and to some 1e-3 before.

    `speech_seconds` is measured at the level that the recording had so far, which a whole recording's is not: the two
    differ by little, and by more where it begins with silence or gets much louder.
    """

    def __init__(self, intake: Intake, detector: SpeechDetector, kept: Kept, needed: float) -> None:
        """Use `Encoder.stream`.

        Args:
            intake: what checks the samples and gives them at the model's rate.
            detector: what finds speech in them.
            kept: what makes an embedding of them.
            needed: seconds of speech without which there is no embedding.
        """
        self._intake, self._detector, self._kept, self._needed = intake, detector, kept, needed
        self._told = self._ended = self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary file, if there is one: from here on only `seconds` is known."""
        self._closed = True
        self._kept.close()

    @property
    def name(self) -> str:
        """What errors and warnings call it."""
        return self._intake.name

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
            raise AcanetError(f"{self.name} has ended, so nothing can be fed; make another with `Encoder.stream`")
        self._take(self._intake.feed(samples))

    def end(self) -> None:
        """Nothing comes after what was fed: from here on `embedding()` is exactly that of the whole recording.

        Raises:
            AcanetError: after `close`, unless it had ended before.
        """
        if self._ended:
            return
        self._check_open()
        self._take(self._intake.end())
        self._detector.end()
        self._ended = True

    @property
    def seconds(self) -> float:
        """The seconds of audio so far."""
        return self._intake.samples / self._intake.rate

    @property
    def speech_seconds(self) -> float:
        """The seconds of speech so far, in whole chunks of 32 ms.

        Raises:
            AcanetError: after `close`.
        """
        return self.speech().seconds

    def speech(self, enough: float = math.inf, progress: Progress | None = None) -> Speech:
        """The speech so far.

        Args:
            enough: seconds of speech after which nothing more need be looked for.
            progress: told the share that is done, where it takes long.

        Raises:
            AcanetError: after `close`.
        """
        self._check_open()
        if not self._ended:
            self._take(self._intake.flush())
        return self._detector.speech(enough, progress)

    def require_speech(self, enough: float = 0.0, progress: Progress | None = None) -> Speech:
        """The speech so far, when it is as much as an embedding needs; arguments as in `speech`.

        Raises:
            NoSpeech: when nobody has talked.
            TooShort: when there was less speech than the model needs.
            AcanetError: after `close`.

        Warns:
            AudioWarning: of telephone bandwidth and of clipping; once, after ten seconds or at the end.
        """
        speech = self.speech(max(enough, self._needed), progress)
        self._tell()
        speech.require(self._needed, self.seconds, self.name)
        return speech

    def embedding(self) -> NDArray[np.float32]:
        """The embedding of all that was fed so far.

        The mean of the features has changed since the last time, and with it every frame: all of them are computed
        again. This takes as long as embedding a recording of this length whose features are known.

        Returns:
            (dim,) float32, of unit length.

        Raises:
            NoSpeech, TooShort, AcanetError: as `require_speech`.

        Warns:
            AudioWarning: as `require_speech`.
        """
        self.require_speech()
        return self._kept.embedding(None if self._ended else self._intake.rest())

    @property
    def lost(self) -> tuple[str, ...]:
        """What the recording has lost, `telephone` and `clipped`; known after ten seconds or at the end."""
        return self._intake.lost if self._ended or self.seconds >= _TELLING_SECONDS else ()

    def _tell(self) -> None:
        """Warn, once, of what the recording has lost."""
        if not self._told and (self._ended or self.seconds >= _TELLING_SECONDS):
            self._told = True
            self._intake.tell()

    def _check_open(self) -> None:
        if self._closed:
            raise AcanetError(
                f"{self.name} is closed, and its samples are gone; use it, and take its embedding, inside the `with`"
            )

    def _take(self, waveform: Waveform) -> None:
        """Work on the next samples at the model's rate."""
        if len(waveform):
            self._detector.feed(waveform)
            self._kept.feed(waveform)


class RecordedStream(Stream):
    """A recording whose samples are kept: in memory while they are few, else in a temporary file."""

    def __init__(self, intake: Intake, network: Network, needed: float) -> None:
        """Use `Encoder.recording`, which feeds it.

        Args:
            intake: what checks the samples and gives them at the model's rate.
            network: the model.
            needed: seconds of speech without which there is no embedding.
        """
        self._samples = Spill()
        detector = RecordingDetector(network.rate, self.blocks)
        super().__init__(intake, detector, _AllSamples(self._samples, network), needed)

    @property
    def samples(self) -> int:
        """The number of samples at the model's rate."""
        return self._samples.count

    @property
    def waveform(self) -> Waveform:
        """All of it, (samples,), at the model's rate.

        Raises:
            BadAudio: when it is too long to be held as a whole.
            AcanetError: after `close`.
        """
        self._check_open()
        check_holdable(self.samples, self._intake.wanted, self.name)
        return self._samples.read(0, self.samples)

    def blocks(self) -> Iterator[Waveform]:
        """All of it in blocks, (samples,) each, at the model's rate, from the beginning."""
        return self._samples.blocks(BLOCK)


class _AllSamples:
    """The samples of a recording: embedded as a whole up to a minute, and in pieces beyond."""

    def __init__(self, samples: Spill, network: Network) -> None:
        self._samples, self._network = samples, network

    def feed(self, waveform: Waveform) -> None:
        self._samples.append(waveform)

    def close(self) -> None:
        self._samples.close()

    def embedding(self, rest: Waveform | None = None) -> Floats:
        pieces = self._network.in_pieces() if self._samples.count > WHOLE_SECONDS * self._network.rate else None
        parts = [] if rest is None else [rest]
        if pieces is None:
            whole = np.concatenate([self._samples.read(0, self._samples.count), *parts])
            embedding: Floats = self._network.embed_waveforms([whole])[0]
            return embedding
        with pieces:
            for block in chain(self._samples.blocks(BLOCK), parts):
                pieces.feed(block)
            return pieces.embedding()
