"""Recordings -> embeddings: what an application uses.

This is the only room that knows how the network runs; it loads what runs it when a model is loaded, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from acanet.audio import Source, Waveform, describe, load
from acanet.bundle import Bundle
from acanet.errors import MissingExtra
from acanet.scoring.decide import Verification
from acanet.speech import require_speech


class Encoder:
    """A model that is ready to embed; make one with `Encoder.load`."""

    def __init__(self, bundle: Bundle, network: Any) -> None:
        self.bundle, self._network = bundle, network

    @classmethod
    def load(cls, model: str | Path = "default") -> Self:
        """Load a model.

        Args:
            model: `default` (the model that ships), the folder of a bundle, or of a training run (its best model).

        Raises:
            AcanetError: when there is no model there.
            MissingExtra: when what runs it is not installed.
        """
        bundle = Bundle.load(model)
        try:
            from acanet.models.inference import load_model
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise MissingExtra("torch", "train") from None
        return cls(bundle, load_model(bundle.name, bundle.config.model, bundle.weights()))

    @property
    def name(self) -> str:
        """The architecture's name."""
        return self.bundle.name

    @property
    def rate(self) -> int:
        """Samples a second that the network wants."""
        return int(self._network.front_end.config.rate)

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""
        return int(self._network.dim)

    @property
    def needed_seconds(self) -> float:
        """Seconds of speech without which there is no embedding."""
        return self.bundle.config.needed_speech_seconds

    @property
    def fingerprint(self) -> str:
        """Says which model an embedding comes from."""
        return self.bundle.fingerprint

    @property
    def training_speakers(self) -> frozenset[str]:
        """Whom the model heard in training."""
        return self.bundle.provenance.speakers

    @property
    def training_audio(self) -> frozenset[str]:
        """`acanet.audio.content_hash` of what the model heard in training."""
        return self.bundle.provenance.audio

    def embed(self, source: Source, *, rate: int | None = None) -> NDArray[np.float32]:
        """The embedding of one recording.

        Args:
            source: a path, the bytes of a file, or an array of samples; any rate, any number of channels.
            rate: samples a second of an array (files know their own); None: the model's own rate.

        Returns:
            (dim,) float32, of unit length.

        Raises:
            BadAudio: when it cannot be read.
            NoSpeech: when nobody talks in it.
            TooShort: when there is less speech than the model needs.
        """
        if isinstance(source, np.ndarray) and rate is None:
            rate = self.rate
        waveform = load(source, self.rate, source_rate=rate)
        require_speech(waveform, self.rate, self.needed_seconds, describe(source))
        embedding: NDArray[np.float32] = self.embed_waveforms([waveform])[0]
        return embedding

    def embed_waveforms(self, waveforms: Sequence[Waveform]) -> NDArray[np.float32]:
        """Embeddings of waveforms that were checked before: what `embed` and evaluation stand on.

        Args:
            waveforms: (samples,) each, float32 in [-1, 1], at the model's rate, at least `needed_seconds` long.

        Returns:
            (waveforms, dim) float32, of unit length; each as if it were alone.
        """
        from acanet.models.inference import embed_waveforms

        return embed_waveforms(self._network, waveforms)

    def verify(
        self, enrolment: Source, test: Source, *, threshold: float | None = None, rate: int | None = None
    ) -> Verification:
        """Compare two recordings; arguments and errors as in `embed`.

        Args:
            enrolment: a recording of the person claimed.
            test: the recording in question.
            threshold: score from which on they count as the same; None: a score, no decision.
            rate: samples a second of arrays.
        """
        score = float(self.embed(enrolment, rate=rate) @ self.embed(test, rate=rate))
        return Verification(min(1.0, max(-1.0, score)), threshold)
