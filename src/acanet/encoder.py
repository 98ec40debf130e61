"""Recordings -> embeddings: what an application uses.

What runs the network is loaded with the model, not before: onnxruntime for an exported bundle, torch for what training
wrote.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from acanet.audio.recording import Source, Waveform, checked_rate, claimed_seconds, describe, load
from acanet.errors import AcanetError, MissingExtra, TooLong
from acanet.runtime.bundle import Bundle
from acanet.runtime.hours import embed_hours
from acanet.runtime.pieces import MEMORY, WHOLE_SECONDS, Piecewise
from acanet.runtime.stream import NAME, Stream
from acanet.runtime.windows import Progress, Windows, check_windows, embed_windows
from acanet.scoring.calibrate import Calibration
from acanet.scoring.decide import Verification
from acanet.scoring.operating_point import OperatingPoint
from acanet.speech.segments import require_segments, require_speech, trim

_WINDOW_SECONDS, _WINDOW_FILES = 120.0, 64
"""What `embed_many` sorts by length at a time."""

MOST_SECONDS = 600.0
"""The longest recording that is embedded as a whole: gigabytes, with networks as wide as ECAPA-TDNN."""


class Network(Protocol):
    """What runs a model: `acanet.runtime.network.Network` or `acanet.models.inference.TorchNetwork`."""

    rate: int
    dim: int

    def embed_waveforms(self, waveforms: Sequence[Waveform]) -> NDArray[np.float32]:
        """(samples,) each -> (waveforms, dim), of unit length, each as if it were alone."""

    def in_pieces(self, *, memory: int = ...) -> Piecewise | None:
        """A new recording that is embedded in pieces; None: the model only takes it whole."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What `Encoder.compare` needs to know of a recording.

    Attributes:
        embedding: (dim,) float32, of unit length.
        speech: seconds of speech, looked for up to the longest that the calibration tells apart (`Stream` counts all);
            None: not measured, for without a calibration nobody asks.
    """

    embedding: NDArray[np.float32]
    speech: float | None


_Outcome = Waveform | Heard | AcanetError
"""What a thread makes of a recording: the waveform of a short one, the embedding of a long one."""


class Encoder:
    """A model that is ready to embed; make one with `Encoder.load`. Threads may share it."""

    def __init__(self, bundle: Bundle, network: Network, *, trim: bool = False) -> None:
        self.bundle, self._network, self.trims = bundle, network, trim

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
            threads: that work on one recording; None: one. With torch they are those of the whole process; None: as
                they are.
            device: `cpu` or `cuda`.
            trim: embed speech only, without the pauses (`embed`, `embed_many` and `verify`). Such embeddings have a
                fingerprint of their own.

        Raises:
            AcanetError: when there is no model there, it is not the one that was exported, or there is no such device.
            MissingExtra: when what runs it is not installed.
        """
        bundle = Bundle.load(model)
        return cls(bundle, _network(bundle, threads, device), trim=trim)

    @property
    def name(self) -> str:
        """The architecture's name."""
        return self.bundle.name

    @property
    def rate(self) -> int:
        """Samples a second that the network wants."""
        return self._network.rate

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""
        return self._network.dim

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
    def calibration(self) -> Calibration | None:
        """What makes log-likelihood ratios of this encoder's scores; None where its bundle has none for it.

        An encoder that trims has none: calibrations are of recordings as they are.

        Raises:
            AcanetError, BadConfig: when the bundle's file is damaged.
        """
        found = self.bundle.calibration
        if found is None or self.trims or found.fingerprint != self.fingerprint:
            return None
        return found

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

        It may have any length. More than a minute is decoded, and embedded, in pieces: hours take as much memory as
        minutes, and a temporary file. A model that cannot be run in pieces (global in time before pooling, or not
        exported) embeds up to ten minutes. To cut out pauses, a recording is held as a whole, up to 4.6 hours
        at 16 kHz.

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
        if (piecewise := self._piecewise(source, rate)) is not None:
            return self._embed_hours(piecewise, source, rate, self.needed_seconds).embedding
        embedding: NDArray[np.float32] = self.embed_waveforms([self._waveform(source, rate)])[0]
        return embedding

    def stream(self, *, rate: int | None = None, memory: int = MEMORY, name: str = NAME) -> Stream:
        """Speech as it comes: feed it samples, ask for the embedding at any time.

        >>> with encoder.stream(rate=48000) as stream:                   # doctest: +SKIP
        ...     for samples in microphone:
        ...         stream.feed(samples)
        ...     embedding = stream.embedding()

        Args:
            rate: samples a second that are fed; None: the model's own rate.
            memory: bytes of features, and as many of frames while an embedding is computed, that stay in memory; what
                is more goes to a temporary file, 115 MB for each hour with 80 features.
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
        piecewise = self._network.in_pieces(memory=memory)
        if piecewise is None:
            raise AcanetError(f"{self.name} cannot embed speech as it comes: {self._only_whole}")
        return Stream(piecewise, rate, self.rate, self.needed_seconds, name)

    def embed_many(self, sources: Iterable[Source], *, workers: int = 2) -> Iterator[NDArray[np.float32] | AcanetError]:
        """Embeddings of any number of recordings, while the next ones are being decoded.

        Memory is bounded: some files ahead, and the waveforms of two minutes, which are embedded in batches of similar
        lengths. Recordings that `embed` takes in pieces are embedded by the threads.

        Args:
            sources: as in `embed`; arrays are at the model's rate.
            workers: threads that decode and look for speech.

        Yields:
            For each source, in the order given, its embedding as `embed` gives it, or the error that `embed` raises.
        """
        if isinstance(sources, str | bytes):
            raise AcanetError("embed_many takes a list of recordings; `embed` takes one")
        remaining = iter(sources)
        pool = ThreadPoolExecutor(workers, thread_name_prefix="acanet-decode")
        try:
            ahead = deque(pool.submit(self._try_waveform, source) for source in islice(remaining, 4 * workers))
            while ahead:
                window = self._window(ahead, remaining, pool)
                waveforms = [item for item in window if isinstance(item, np.ndarray)]
                embeddings = iter(self.embed_waveforms(waveforms))
                for item in window:
                    if isinstance(item, Heard):
                        yield item.embedding
                    else:
                        yield item if isinstance(item, AcanetError) else next(embeddings)
        finally:
            pool.shutdown(cancel_futures=True)

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

        The recording is decoded in blocks, twice; memory, beyond that of the result, follows the window, not the
        recording.

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
        return embed_windows(self, source, self._rate_of(source, rate), window, hop, progress=progress)

    def _window(
        self,
        ahead: deque[Future[Waveform | Heard | AcanetError]],
        remaining: Iterator[Source],
        pool: ThreadPoolExecutor,
    ) -> list[Waveform | Heard | AcanetError]:
        """The next decoded recordings; for each one taken, another is decoded."""
        window: list[Waveform | Heard | AcanetError] = []
        seconds = 0.0
        while ahead and seconds < _WINDOW_SECONDS and len(window) < _WINDOW_FILES:
            item = ahead.popleft().result()
            window.append(item)
            seconds += len(item) / self.rate if isinstance(item, np.ndarray) else 0.0
            ahead.extend(pool.submit(self._try_waveform, source) for source in islice(remaining, 1))
        return window

    def _try_waveform(self, source: Source) -> _Outcome:
        try:
            if (piecewise := self._piecewise(source, None)) is not None:
                return self._embed_hours(piecewise, source, None, self.needed_seconds)
            return self._waveform(source, None)
        except AcanetError as error:
            return error

    def _waveform(self, source: Source, rate: int | None) -> Waveform:
        """A recording at the model's rate, with enough speech in it, or the speech in it."""
        waveform = self._load(source, rate)
        needed = waveform, self.rate, self.needed_seconds, describe(source)
        if self.trims:
            return trim(waveform, self.rate, require_segments(*needed))
        require_speech(*needed)
        return waveform

    def hear(self, source: Source, *, rate: int | None = None) -> Heard:
        """What `compare` needs to know of a recording; arguments and errors as in `embed`.

        Its speech is counted up to the longest that the calibration tells apart, not to the end of the recording.
        """
        if self.calibration is None:
            return Heard(self.embed(source, rate=rate), None)
        longest = max(self.calibration.ratio.longest, self.needed_seconds)
        if (piecewise := self._piecewise(source, rate)) is not None:
            return self._embed_hours(piecewise, source, rate, longest)
        waveform = self._load(source, rate)
        needed = waveform, self.rate, self.needed_seconds, describe(source)
        segments = require_segments(*needed, enough=longest)
        return Heard(self.embed_waveforms([waveform])[0], sum(end - start for start, end in segments))

    def _load(self, source: Source, rate: int | None) -> Waveform:
        waveform = load(source, self.rate, source_rate=self._rate_of(source, rate))
        self._check_length(source, len(waveform) / self.rate)  # of those that did not say it
        return waveform

    def _rate_of(self, source: Source, rate: int | None) -> int | None:
        """Samples a second of an array; files know their own."""
        return self.rate if isinstance(source, np.ndarray) and rate is None else rate

    def _piecewise(self, source: Source, rate: int | None) -> Piecewise | None:
        """What embeds this recording while it is decoded; None: it is decoded as a whole first.

        Raises:
            BadAudio, MissingExtra: as `embed`.
            TooLong: when it has to be embedded whole, and is too long.
        """
        seconds = claimed_seconds(source, self._rate_of(source, rate))
        if seconds is not None and seconds <= WHOLE_SECONDS:
            return None
        if seconds is not None:
            self._check_length(source, seconds)
        return None if self.trims else self._network.in_pieces()

    def _check_length(self, source: Source, seconds: float) -> None:
        if seconds > MOST_SECONDS and self._network.in_pieces() is None:
            raise TooLong(describe(source), seconds, MOST_SECONDS, self._only_whole)

    def _embed_hours(self, piecewise: Piecewise, source: Source, rate: int | None, enough: float) -> Heard:
        with piecewise:
            found = embed_hours(source, self._rate_of(source, rate), piecewise, self.rate, self.needed_seconds, enough)
        return Heard(*found)

    @property
    def _only_whole(self) -> str:
        """Why the model cannot be run in pieces."""
        if self.bundle.config.onnx is None:
            return "the model runs on torch, as a whole (`acanet export` makes a bundle of it)"
        if self.bundle.graphs.precision != "float32":
            return f"a twin in {self.bundle.graphs.precision} has no stages to run in pieces (the float32 export has)"
        return f"{self.name} looks at the whole recording at once (the model that ships does not)"

    def embed_waveforms(self, waveforms: Sequence[Waveform]) -> NDArray[np.float32]:
        """Embeddings of waveforms that were checked before: what `embed` and evaluation stand on.

        Args:
            waveforms: (samples,) each, float32 in [-1, 1], at the model's rate, at least `needed_seconds` long.

        Returns:
            (waveforms, dim) float32, of unit length; each as if it were alone.
        """
        return self._network.embed_waveforms(waveforms)

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
        _check_decision(threshold, prior)
        sides = self.hear(enrolment, rate=rate), self.hear(test, rate=rate)
        return self.compare(*sides, threshold=threshold, prior=prior)

    def compare(
        self, enrolment: Heard, test: Heard, *, threshold: float | None = None, prior: float | None = None
    ) -> Verification:
        """`verify` of two recordings that were heard before; arguments and errors as there."""
        _check_decision(threshold, prior)
        score = min(1.0, max(-1.0, float(enrolment.embedding @ test.embedding)))
        if self.calibration is None or enrolment.speech is None or test.speech is None:
            return Verification(score, threshold, undecided=self._undecided)
        chosen = None if prior is None else OperatingPoint(prior=prior).threshold
        return self.calibration.verification(
            score, enrolment.speech, test.speech, threshold=threshold, llr_threshold=chosen
        )

    @property
    def _undecided(self) -> str | None:
        """Why there is no calibration; None for the usual reason."""
        found = self.bundle.calibration
        if found is None:
            return None
        if self.trims:
            return "the calibration of this model is of embeddings with pauses (leave --trim out)"
        return f"the calibration is of another model, {found.fingerprint}; this is {self.fingerprint}"


def _check_decision(threshold: float | None, prior: float | None) -> None:
    if threshold is not None and not -1.0 <= threshold <= 1.0:
        raise AcanetError(f"threshold is {threshold}; a cosine, from -1 to 1, is expected")
    if prior is not None and not 0.0 < prior < 1.0:
        raise AcanetError(f"prior is {prior}; a share between 0 and 1 is expected")
    if threshold is not None and prior is not None:
        raise AcanetError("threshold and prior are two ways to decide; give one of them")


def _network(bundle: Bundle, threads: int | None, device: str) -> Network:
    if threads is not None and threads < 1:
        raise AcanetError(f"threads is {threads}; 1 or more are needed")
    if bundle.config.onnx is not None:
        from acanet.runtime.network import Network as OnnxNetwork

        bundle.verify_files()  # a damaged model gives scores that look like any others
        return OnnxNetwork(bundle, threads=threads, device=device)
    try:
        from acanet.models.inference import TorchNetwork, load_model
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("torch", "train") from None
    model = load_model(bundle.name, bundle.config.model, bundle.weights())
    return TorchNetwork(model, threads=threads, device=device)
