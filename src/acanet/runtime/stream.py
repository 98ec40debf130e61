"""The road that every recording takes, from its samples to its embedding.

    samples -> Intake (checked, resampled) -> Kept: is there enough speech? the embedding of all of it

`Stream` is a recording that is still going on; `RecordedStream` one that is fed to its end and kept, so that it can be
heard again: in windows, without its pauses.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import BLOCK, Waveform
from acanet.audio.intake import Intake
from acanet.audio.recording import check_holdable
from acanet.errors import AcanetError
from acanet.runtime.network import Hearing, Network
from acanet.runtime.pieces import WHOLE_SECONDS, Piecewise
from acanet.runtime.spill import Floats, Spill
from acanet.speech.speech import Speech, require_length
from acanet.speech.steps import SHORTEST_SECONDS, speech_in

NAME = "<stream>"
"""What errors call one that has no name of its own."""
_TELLING_SECONDS = 10.0
"""Before that a vowel may look like a telephone."""


class Kept(Protocol):
    """What is kept of a recording, and heard of it: `acanet.runtime.pieces.Piecewise`, or all samples."""

    def feed(self, waveform: Waveform) -> None:
        """Take the next samples, (samples,), at the model's rate."""

    def speech(self, rest: Waveform | None = None) -> Floats:
        """The probability of speech in each step, (steps,), of what was fed and, for this time only, of the `rest`."""

    def embedding(self, rest: Waveform | None = None) -> Floats:
        """The embedding, (dim,), of what was fed and, for this time only, of the `rest` that comes after it."""

    def close(self) -> None:
        """Remove temporary files."""


class Stream:
    """A recording that is still going on; a context manager. Not for several threads at once.

    `embedding()` is what `Encoder.embed` gives for all that was fed, to 1e-4. One exception: what is resampled and has
    nothing above 4 to 6 kHz leaves the highest bands to rounding errors, which models hear; there the two are as
    close only after `end()`, and to some 1e-3 before.

    `speech()` is what a whole recording that ends here has.
    """

    def __init__(self, intake: Intake, kept: Kept, needed: float) -> None:
        """Use `Encoder.stream`.

        Args:
            intake: what checks the samples and gives them at the model's rate.
            kept: what finds speech in them, and makes an embedding of them.
            needed: seconds of speech without which there is no embedding.
        """
        self._intake, self._kept, self._needed = intake, kept, needed
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
        self._ended = True

    @property
    def seconds(self) -> float:
        """The seconds of audio so far."""
        return self._intake.samples / self._intake.rate

    @property
    def speech_seconds(self) -> float:
        """The seconds of speech so far, in whole steps of 40 ms.

        Raises:
            AcanetError: after `close`.
        """
        return self.speech().seconds

    def speech(self) -> Speech:
        """The speech so far.

        Raises:
            AcanetError: after `close`.
        """
        self._check_open()
        if not self._ended:
            self._take(self._intake.flush())
        if self.seconds < SHORTEST_SECONDS:
            return Speech(())
        return speech_in(self._kept.speech(self._rest()), self.seconds)

    def require_speech(self) -> Speech:
        """The speech so far, when it is as much as an embedding needs.

        Raises:
            NoSpeech: when nobody has talked.
            TooShort: when there was less speech than the model needs.
            AcanetError: after `close`.

        Warns:
            AudioWarning: of telephone bandwidth, of clipping and of a low level; once, after ten seconds or at the end.
        """
        self.require_length()
        speech = self.speech()
        speech.require(self._needed, self.seconds, self.name)
        return speech

    def require_length(self) -> None:
        """Make sure that what was fed can hold the speech that is needed; errors and warnings as `require_speech`."""
        self._check_open()
        if not self._told and (self._ended or self.seconds >= _TELLING_SECONDS):
            self._told = True
            self._intake.tell()
        require_length(self.seconds, self._needed, self.name)

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
        return self._kept.embedding(self._rest())

    def _rest(self) -> Waveform | None:
        """What comes after all that was kept, if the recording ended here."""
        return None if self._ended else self._intake.rest()

    @property
    def lost(self) -> tuple[str, ...]:
        """What the recording has lost, as `acanet.audio.quality.Losses` says; known after ten seconds or at the end."""
        return self._intake.lost if self._ended or self.seconds >= _TELLING_SECONDS else ()

    def _check_open(self) -> None:
        if self._closed:
            raise AcanetError(
                f"{self.name} is closed, and its samples are gone; use it, and take its embedding, inside the `with`"
            )

    def _take(self, waveform: Waveform) -> None:
        """Work on the next samples at the model's rate."""
        if len(waveform):
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
        super().__init__(intake, _AllSamples(self._samples, network), needed)

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
    """The samples of a recording that is heard once it has ended: as a whole up to a minute, and in pieces beyond."""

    def __init__(self, samples: Spill, network: Network) -> None:
        self._samples, self._network = samples, network

    def feed(self, waveform: Waveform) -> None:
        self._samples.append(waveform)

    def close(self) -> None:
        self._samples.close()
        if "_pieces" in vars(self) and self._pieces is not None:
            self._pieces.close()

    def speech(self, rest: Waveform | None = None) -> Floats:
        if self._is_short:
            return self._whole.speech
        return self._detected if self._pieces is None else self._pieces.speech()

    def embedding(self, rest: Waveform | None = None) -> Floats:
        if self._is_short or self._pieces is None:
            return self._whole.embedding
        return self._pieces.embedding()

    @property
    def _is_short(self) -> bool:
        return self._samples.count <= WHOLE_SECONDS * self._network.rate

    @cached_property
    def _whole(self) -> Hearing:
        """The recording, run through the network at once."""
        (hearing,) = self._network.hear([self._samples.read(0, self._samples.count)])
        return hearing

    @cached_property
    def _pieces(self) -> Piecewise | None:
        """The recording, fed to a model that can be run in pieces."""
        pieces = self._network.in_pieces()
        if pieces is not None:
            for block in self._samples.blocks(BLOCK):
                pieces.feed(block)
        return pieces

    @cached_property
    def _detected(self) -> Floats:
        """The probability of speech in each step, found without the model."""
        detector = self._network.detector()
        for block in self._samples.blocks(BLOCK):
            detector.feed(block)
        return detector.speech()
