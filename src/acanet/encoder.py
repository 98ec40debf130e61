"""Recordings -> embeddings: what an application uses.

What runs the network is loaded with the model, not before: onnxruntime for an exported bundle, torch for what training
wrote.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform, checked_rate
from acanet.audio.intake import Intake
from acanet.audio.recording import Source, describe, open_recording
from acanet.errors import AcanetError, BadAudio, ModelMismatch, TooLong
from acanet.runtime.ahead import ahead, in_groups
from acanet.runtime.bundle import SHIPPED, Bundle
from acanet.runtime.load import load_network
from acanet.runtime.network import Network
from acanet.runtime.pieces import WHOLE_SECONDS
from acanet.runtime.processors import at_most_processors
from acanet.runtime.spill import MEMORY
from acanet.runtime.stream import NAME, RecordedStream, Stream
from acanet.runtime.windows import Windows, check_windows, embed_windows
from acanet.scoring.calibrate import Calibration
from acanet.scoring.compare import Comparer
from acanet.scoring.decide import Verification, check_decision
from acanet.scoring.heard import Heard
from acanet.speech.detector import LiveDetector, Progress

_GROUP_SECONDS, _GROUP_FILES = 120.0, 64
"""What `embed_many` sorts by length at a time."""

MOST_SECONDS = 600.0
"""The longest recording that is embedded as a whole: gigabytes, with networks as wide as ECAPA-TDNN."""


_Outcome = Waveform | Heard | AcanetError
"""What a thread makes of a recording: the waveform of a short one, the embedding of a long one."""


class Encoder:
    """A model that is ready to embed; make one with `Encoder.load`. Threads may share it.

    A copy, in this process or in another, loads the model again: pickle, `deepcopy`, pools of processes.
    """

    def __init__(self, bundle: Bundle, network: Network, *, trim: bool = False) -> None:
        self.bundle, self.network, self.trims = bundle, network, trim
        self._how: dict[str, Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self._how is None:
            raise AcanetError("this encoder was not made by `Encoder.load`, so no other process can load it")
        return _load_again, (type(self), self._how, self.fingerprint)

    @classmethod
    def load(
        cls, model: str | Path = "default", *, threads: int | None = None, device: str = "cpu", trim: bool = False
    ) -> Self:
        """Load a model.

        An exported bundle, as the one that ships, runs on onnxruntime. What training wrote (a run, or a bundle that
        was not exported) runs on torch, and gives the same embeddings.

        Args:
            model: `default` or `small` (the models that ship), the folder of a bundle, or of a training run (its best
                model).
            threads: that work on one recording, no more than there are processors; None: one. With torch they are
                those of the whole process; None: as they are.
            device: `cpu` or `cuda`.
            trim: embed speech only, without the pauses (`embed`, `embed_many` and `verify`). Such embeddings have a
                fingerprint of their own.

        Raises:
            AcanetError: when there is no model there, it is not the one that was exported, or there is no such device.
            MissingExtra: when what runs it is not installed.
        """
        bundle = Bundle.load(model)
        encoder = cls(bundle, load_network(bundle, threads=threads, device=device), trim=trim)
        where = str(model) if str(model) in SHIPPED else bundle.folder.absolute()
        encoder._how = {"model": where, "threads": threads, "device": device, "trim": trim}
        return encoder

    @property
    def name(self) -> str:
        """The architecture's name."""
        return self.bundle.name

    @property
    def rate(self) -> int:
        """Samples a second that the network wants."""
        return self.network.rate

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""
        return self.network.dim

    @property
    def needed_seconds(self) -> float:
        """Seconds of speech without which there is no embedding."""
        return self.bundle.config.needed_speech_seconds

    @property
    def fingerprint(self) -> str:
        """Says which model an embedding comes from, and whether pauses were cut out before."""
        if not self.trims:
            return self.bundle.fingerprint
        return hashlib.sha256(f"{self.bundle.fingerprint} trimmed".encode()).hexdigest()[:16]

    @cached_property
    def _comparer(self) -> Comparer:
        return Comparer(self.fingerprint, self.bundle.calibration, self.trims)

    @property
    def calibration(self) -> Calibration | None:
        """What makes log-likelihood ratios of this encoder's scores; None where its bundle has none for it.

        An encoder that trims has none: calibrations are of recordings as they are.

        Raises:
            AcanetError, BadConfig: when the bundle's file is damaged.
        """
        return self._comparer.calibration

    @property
    def training_speakers(self) -> frozenset[str]:
        """Whom the model heard in training."""
        return self.bundle.provenance.speakers

    @property
    def training_audio(self) -> frozenset[str]:
        """`acanet.audio.recording.content_hash` of what the model heard in training."""
        return self.bundle.provenance.audio

    def embed(self, source: Source, *, rate: int | None = None) -> NDArray[np.float32]:
        """The embedding of one recording.

        It may have any length. More than a minute is embedded in pieces: hours take as much memory as minutes, and a
        temporary file. A model that cannot be run in pieces (global in time before pooling, or not exported) embeds up
        to ten minutes. To cut out pauses, a recording is held as a whole, up to 4.6 hours at 16 kHz.

        Args:
            source: a path, the bytes of a file, or an array of samples; any rate, any number of channels.
            rate: samples a second of an array (files know their own); None: the model's own rate.

        Returns:
            (dim,) float32, of unit length.

        Raises:
            BadAudio: when it cannot be read.
            NoSpeech: when nobody talks in it.
            TooShort: when there is less speech than the model needs.
            TooLong: when the model cannot be run in pieces, and it is longer than ten minutes.
        """
        with self._recording(source, rate, self._most_seconds) as recording:
            return self._embedding(recording)

    def recording(
        self, source: Source, *, rate: int | None = None, start: float = 0.0, duration: float | None = None
    ) -> AbstractContextManager[RecordedStream]:
        """A recording as a stream that was fed to its end: its speech, its samples, its embedding.

        >>> with encoder.recording("talk.wav") as recording:             # doctest: +SKIP
        ...     print(recording.seconds, recording.speech().segments)

        Args:
            source: as in `embed`.
            rate: samples a second of an array; None: the model's own rate.
            start: where to begin, in seconds.
            duration: seconds to read; None: to the end.

        Raises:
            BadAudio, MissingExtra: as `embed`.
        """
        return self._recording(source, rate, math.inf, start, duration)

    @contextmanager
    def _recording(
        self, source: Source, rate: int | None, most: float, start: float = 0.0, duration: float | None = None
    ) -> Iterator[RecordedStream]:
        """A recording as `recording` gives it, when it lasts at most so many seconds."""
        if isinstance(source, np.ndarray) and rate is None:
            rate = self.rate
        name = describe(source)
        with (
            open_recording(source, rate, start=start, duration=duration) as opened,
            RecordedStream(Intake(opened.rate, self.rate, name), self.network, self.needed_seconds) as stream,
        ):
            self._check_length(opened.claimed_seconds or 0.0, most, name)
            for block in opened.blocks:
                stream.feed(block)
                self._check_length(stream.seconds, most, name)
            if not stream.seconds:
                raise BadAudio(name, "there are no samples")
            stream.end()
            yield stream

    def _embedding(self, recording: RecordedStream) -> NDArray[np.float32]:
        """The embedding of a recording, or of the speech in it."""
        if self.trims:
            embedding: NDArray[np.float32] = self.embed_waveforms([self._trimmed(recording)])[0]
            return embedding
        return recording.embedding()

    def _trimmed(self, recording: RecordedStream) -> Waveform:
        """The speech in a recording, (samples,), at the model's rate."""
        return recording.require_speech(math.inf).trim(recording.waveform, self.rate)

    @property
    def _most_seconds(self) -> float:
        """How long a recording may be that the model embeds."""
        return math.inf if self.network.only_whole is None else MOST_SECONDS

    def _check_length(self, seconds: float, most: float, name: str) -> None:
        if seconds > most:
            raise TooLong(name, seconds, most, self.network.only_whole or "")

    def stream(self, *, rate: int | None = None, memory: int = MEMORY, name: str = NAME) -> Stream:
        """Speech as it comes: feed it samples, ask for the embedding at any time.

        >>> with encoder.stream(rate=48000) as stream:                   # doctest: +SKIP
        ...     for samples in microphone:
        ...         stream.feed(samples)
        ...     embedding = stream.embedding()

        Args:
            rate: samples a second that are fed; None: the model's own rate.
            memory: bytes of features, and as many of frames while an embedding is computed, that stay in memory; what
                is more goes to temporary files: for each hour, of the model that ships, 115 MB of features and 276 MB
                of frames.
            name: what errors and warnings call it.

        Raises:
            AcanetError: when the model cannot be run in pieces, the encoder trims, or `memory` is no number of bytes.
            BadAudio: for a rate that cannot be used.
        """
        rate = checked_rate(self.rate if rate is None else rate, name)
        if not isinstance(memory, Integral) or memory < 1:
            raise AcanetError(f"memory is {memory!r}; a number of bytes, 1 or more, is expected")
        if self.trims:
            raise AcanetError("pauses are cut out of whole recordings, not of speech as it comes; leave trimming out")
        pieces = self.network.in_pieces(memory=memory)
        if pieces is None:
            raise AcanetError(f"{self.name} cannot embed speech as it comes: {self.network.only_whole}")
        return Stream(Intake(rate, self.rate, name), LiveDetector(self.rate), pieces, self.needed_seconds)

    def embed_many(self, sources: Iterable[Source], *, workers: int = 2) -> Iterator[NDArray[np.float32] | AcanetError]:
        """Embeddings of any number of recordings, while the next ones are being decoded.

        Memory is bounded: some files ahead, and the waveforms of two minutes, which are embedded in batches of similar
        lengths. Recordings that `embed` takes in pieces are embedded by the threads.

        Args:
            sources: as in `embed`; arrays are at the model's rate.
            workers: threads that decode and look for speech, no more than there are processors.

        Yields:
            For each source, in the order given, its embedding as `embed` gives it, or the error that `embed` raises.
        """
        if isinstance(sources, str | bytes):
            raise AcanetError("embed_many takes a list of recordings; `embed` takes one")
        workers = at_most_processors(workers, "workers")
        prepared = ahead(self._prepared, sources, workers=workers, most=4 * workers)
        for group in in_groups(prepared, self._size, most_size=_GROUP_SECONDS, most_items=_GROUP_FILES):
            embeddings = iter(self.embed_waveforms([item for item in group if isinstance(item, np.ndarray)]))
            for item in group:
                if isinstance(item, Heard):
                    yield item.embedding
                else:
                    yield item if isinstance(item, AcanetError) else next(embeddings)

    def embed_windows(
        self,
        source: Source,
        window: float = 3.0,
        hop: float = 1.5,
        *,
        rate: int | None = None,
        progress: Progress | None = None,
    ) -> Windows:
        """Embeddings over time: of windows of one recording, of any length.

        Windows are equally long and begin every `hop` seconds, from 0 s on, as long as they fit; the last one ends with
        the recording. One that is shorter than `window` is a window. Each embedding is what `embed` gives of these
        samples. Windows with too little speech have none: their numbers are NaN, and `embedded` is false.

        Memory, beyond that of the result, follows the window, not the recording, whose samples go to a temporary file.

        Args:
            source: as in `embed`.
            window: seconds; at least `needed_seconds`.
            hop: seconds from one window to the next; at most `window`.
            rate: samples a second of an array.
            progress: called now and then with the share that is done, from 0 to 1.

        Raises:
            BadAudio, NoSpeech, TooShort: as `embed`, of the whole recording.
            AcanetError: for windows that make no sense, or an encoder that trims.
        """
        if self.trims:
            raise AcanetError("windows are of a recording as it is, with its pauses; load the model without trim")
        check_windows(window, hop, self.needed_seconds)
        tell = progress or (lambda share: None)
        with self.recording(source, rate=rate) as recording:
            return embed_windows(recording, self.network, window, hop, self.needed_seconds, tell)

    def _size(self, item: _Outcome) -> float:
        """Seconds of a waveform that waits to be embedded."""
        return len(item) / self.rate if isinstance(item, np.ndarray) else 0.0

    def _prepared(self, source: Source) -> _Outcome:
        try:
            with self._recording(source, None, self._most_seconds) as recording:
                if self.trims:
                    return self._trimmed(recording)
                recording.require_speech()
                if recording.seconds > WHOLE_SECONDS:
                    return Heard(recording.embedding(), None, self.fingerprint)
                return recording.waveform
        except AcanetError as error:
            return error

    def hear(self, source: Source, *, rate: int | None = None) -> Heard:
        """The embedding of a recording and its speech, which `compare` needs; arguments and errors as in `embed`.

        Its speech is counted up to the longest that the calibration tells apart, not to the end of the recording.
        """
        with self._recording(source, rate, self._most_seconds) as recording:
            speech = None
            if self.calibration is not None:
                speech = recording.require_speech(self.calibration.ratio.longest).seconds
            return Heard(self._embedding(recording), speech, self.fingerprint, recording.lost)

    def embed_waveforms(self, waveforms: Sequence[Waveform]) -> NDArray[np.float32]:
        """Embeddings of waveforms that were checked before: what `embed` and evaluation stand on.

        Args:
            waveforms: (samples,) each, float32 in [-1, 1], at the model's rate, at least `needed_seconds` long.

        Returns:
            (waveforms, dim) float32, of unit length; each as if it were alone.
        """
        return self.network.embed_waveforms(waveforms)

    def verify(
        self,
        enrolment: Source,
        test: Source,
        *,
        threshold: float | None = None,
        prior: float | None = None,
        rate: int | None = None,
    ) -> Verification:
        """Compare two recordings; arguments and errors as in `embed`.

        With a calibration, the answer has a log-likelihood ratio and, unless `threshold` or `prior` say otherwise, the
        decision that the calibration was made for. Without, there is a decision only with `threshold`.

        Args:
            enrolment: a recording of the person claimed.
            test: the recording in question.
            threshold: cosine from which on they count as the same, whatever the calibration says.
            prior: how often it is one voice, from 0 to 1, where both errors cost the same: decides by Bayes' rule.
            rate: samples a second of arrays.

        Raises:
            AcanetError: for a threshold or prior out of range, or both.
        """
        check_decision(threshold, prior)
        sides = self.hear(enrolment, rate=rate), self.hear(test, rate=rate)
        return self.compare(*sides, threshold=threshold, prior=prior)

    def compare(
        self, enrolment: Heard, test: Heard, *, threshold: float | None = None, prior: float | None = None
    ) -> Verification:
        """`verify` of two recordings that were heard before; arguments and errors as there.

        Raises:
            ModelMismatch: for what another model heard, or this one with other pauses.
        """
        return self._comparer(enrolment, test, threshold, prior)


def _load_again(kind: type[Encoder], how: dict[str, Any], fingerprint: str) -> Encoder:
    """An encoder as it was in the process that it comes from.

    Raises:
        ModelMismatch: when there is another model now.
    """
    encoder = kind.load(**how)
    if encoder.fingerprint != fingerprint:
        raise ModelMismatch(f"{encoder.fingerprint} in {how['model']} now", f"{fingerprint}, which was there")
    return encoder
