"""Recordings -> embeddings: what an application uses.

What runs the network is loaded with the model, not before: onnxruntime for an exported bundle, torch for what training
wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform, checked_rate
from acanet.audio.intake import Intake
from acanet.audio.sources import Source, check_many
from acanet.errors import AcanetError, BadArgument, ModelMismatch
from acanet.runtime.ahead import ahead
from acanet.runtime.bundle import SHIPPED, Bundle
from acanet.runtime.load import load_network
from acanet.runtime.many import Outcome, Waiting, embed_together
from acanet.runtime.network import Network
from acanet.runtime.pieces import WHOLE_SECONDS
from acanet.runtime.processors import at_most_processors
from acanet.runtime.recorded import Limit, embed_trimmed, recorded
from acanet.runtime.spill import MEMORY
from acanet.runtime.stream import NAME, RecordedStream, Stream
from acanet.runtime.windows import Progress, Windows, check_windows, embed_windows
from acanet.scoring.calibrate import Calibration
from acanet.scoring.compare import Comparer
from acanet.scoring.decide import Verification, check_decision
from acanet.scoring.heard import Heard

MOST_SECONDS = 600.0
"""The longest recording that is embedded as a whole: gigabytes, with networks as wide as ECAPA-TDNN."""


class Encoder:
    """A model that is ready to embed; make one with `Encoder.load`. Threads may share it.

    A copy, in this process or in another, loads the model again: pickle, `deepcopy`, pools of processes.
    """

    def __init__(
        self, bundle: Bundle, network: Network, *, trim: bool = False, max_seconds: float | None = None
    ) -> None:
        self.bundle, self.network, self.trims, self.max_seconds = bundle, network, trim, max_seconds
        self._how: dict[str, Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self._how is None:
            raise AcanetError("this encoder was not made by `Encoder.load`, so no other process can load it")
        return _load_again, (type(self), self._how, self.fingerprint)

    @classmethod
    def load(
        cls,
        model: str | Path = "default",
        *,
        threads: int | None = None,
        device: str = "cpu",
        trim: bool = False,
        max_seconds: float | None = None,
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
            max_seconds: refuse longer recordings, whether they claim to be or are found to be while they are decoded;
                None: any length. Speech as it comes (`stream`) has no such limit.

        Raises:
            BadArgument: for a limit that is not above 0.
            AcanetError: when there is no model there, it is not the one that was exported, or there is no such device.
            MissingExtra: when what runs it is not installed.
        """
        if max_seconds is not None and not max_seconds > 0:
            raise BadArgument("max_seconds", f"max_seconds is {max_seconds}; seconds above 0 are expected, or None")
        bundle = Bundle.load(model)
        network = load_network(bundle, threads=threads, device=device)
        encoder = cls(bundle, network, trim=trim, max_seconds=max_seconds)
        where = str(model) if str(model) in SHIPPED else bundle.folder.absolute()
        how = {"threads": threads, "device": device, "trim": trim, "max_seconds": max_seconds}
        encoder._how = {"model": where, **how}
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
        return Comparer(self.fingerprint, self.dim, self.bundle.calibration, self.trims)

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

    def embed(self, source: Source, *, rate: int | None = None, channel: int | None = None) -> NDArray[np.float32]:
        """The embedding of one recording.

        It may have any length. More than a minute is embedded in pieces: hours take as much memory as minutes, and a
        temporary file. A model that cannot be run in pieces (global in time before pooling, or not exported) embeds up
        to ten minutes.

        Args:
            source: a path, the bytes of a file, an open file, or an array of samples; any rate, any number of channels.
            rate: samples a second of an array (files know their own); None: the model's own rate.
            channel: the one to hear, 0 is the first (left); None: the mean of all, or the strongest where they cancel
                out, as channels of opposite polarity do.

        Returns:
            (dim,) float32, of unit length.

        Raises:
            BadAudio: when it cannot be read, or has no such channel.
            NoSpeech: when nobody talks in it.
            TooShort: when there is less speech than the model needs.
            TooLong: when it is longer than `max_seconds`, or than ten minutes and the model cannot be run in pieces.
        """
        with self._recording(source, whole=True, rate=rate, channel=channel) as recording:
            return self._embedding(recording)

    def recording(
        self,
        source: Source,
        *,
        rate: int | None = None,
        channel: int | None = None,
        start: float = 0.0,
        duration: float | None = None,
    ) -> AbstractContextManager[RecordedStream]:
        """A recording as a stream that was fed to its end: its speech, its samples, its embedding.

        >>> with encoder.recording("talk.wav") as recording:             # doctest: +SKIP
        ...     print(recording.seconds, recording.speech().segments)

        Args:
            source, rate, channel: as in `embed`.
            start: where to begin, in seconds.
            duration: seconds to read; None: to the end.

        Raises:
            BadAudio, MissingExtra, TooLong: as `embed`.
        """
        return self._recording(source, rate=rate, channel=channel, start=start, duration=duration)

    def _recording(
        self, source: Source, *, whole: bool = False, **options: Any
    ) -> AbstractContextManager[RecordedStream]:
        """A recording as `recording` gives it, which also takes the options; whether the model embeds all of it."""
        limits = [] if self.max_seconds is None else [Limit(self.max_seconds, f"max_seconds is {self.max_seconds:g}")]
        if whole and self.network.only_whole is not None:
            limits.append(Limit(MOST_SECONDS, self.network.only_whole))
        return recorded(source, self.network, self.needed_seconds, limits=limits, **options)

    def _embedding(self, recording: RecordedStream) -> NDArray[np.float32]:
        """The embedding of a recording, or of the speech in it."""
        return embed_trimmed(recording, self.network) if self.trims else recording.embedding()

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
        return Stream(Intake(rate, self.rate, name), pieces, self.needed_seconds)

    def embed_many(
        self, sources: Iterable[Source], *, workers: int = 2, channel: int | None = None
    ) -> Iterator[NDArray[np.float32] | AcanetError]:
        """Embeddings of any number of recordings, while the next ones are being decoded.

        Memory is bounded: some files ahead, and the waveforms of two minutes, which are embedded in batches of similar
        lengths. Recordings that `embed` takes in pieces are embedded by the threads.

        Args:
            sources: as in `embed`; arrays are at the model's rate.
            workers: threads that decode, no more than there are processors.
            channel: as in `embed`, of each.

        Returns:
            For each source, in the order given, its embedding as `embed` gives it, or the error that `embed` raises.

        Raises:
            AcanetError: for one recording in place of many, or no workers.
        """
        check_many(sources)
        workers = at_most_processors(workers, "workers")
        prepared = ahead(partial(self._prepared, channel=channel), sources, workers=workers, most=4 * workers)
        return embed_together(prepared, self.network, self.needed_seconds)

    def embed_windows(
        self,
        source: Source,
        window: float = 3.0,
        hop: float = 1.5,
        *,
        rate: int | None = None,
        channel: int | None = None,
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
            rate, channel: as in `embed`.
            progress: called now and then with the share that is done, from 0 to 1.

        Raises:
            BadAudio, NoSpeech, TooShort: as `embed`, of the whole recording.
            AcanetError: for windows that make no sense, or an encoder that trims.
        """
        if self.trims:
            raise AcanetError("windows are of a recording as it is, with its pauses; load the model without trim")
        check_windows(window, hop, self.needed_seconds)
        tell = progress or (lambda share: None)
        with self.recording(source, rate=rate, channel=channel) as recording:
            return embed_windows(recording, self.network, window, hop, self.needed_seconds, tell)

    def _prepared(self, source: Source, channel: int | None) -> Outcome:
        try:
            with self._recording(source, whole=True, channel=channel) as recording:
                if self.trims or recording.seconds > WHOLE_SECONDS:
                    return self._embedding(recording)
                return Waiting.of(recording)
        except AcanetError as error:
            return error

    def hear(self, source: Source, *, rate: int | None = None, channel: int | None = None) -> Heard:
        """The embedding of a recording and its speech, which `compare` needs; arguments and errors as in `embed`."""
        with self._recording(source, whole=True, rate=rate, channel=channel) as recording:
            embedding = self._embedding(recording)
            return Heard(embedding, recording.speech().seconds, self.fingerprint, recording.lost)

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
        channel: int | tuple[int | None, int | None] | None = None,
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
            channel: as in `embed`, of both; a pair: of the enrolment and of the test.

        Raises:
            AcanetError: for a threshold or prior out of range, or both.
        """
        check_decision(threshold, prior)
        first, second = channel if isinstance(channel, tuple) else (channel, channel)
        sides = self.hear(enrolment, rate=rate, channel=first), self.hear(test, rate=rate, channel=second)
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
