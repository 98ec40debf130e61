"""An exported bundle on onnxruntime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acanet.errors import AcanetError, BadArgument
from acanet.runtime.batching import batches, pad
from acanet.runtime.bundle import Bundle
from acanet.runtime.detector import FEATURES, SPEECH, Detector, detected, own_detector
from acanet.runtime.features import PIECE
from acanet.runtime.front_end import FrontEndConfig
from acanet.runtime.network import Hearing
from acanet.runtime.pieces import WHOLE_SECONDS, Piecewise
from acanet.runtime.sessions import Sessions
from acanet.runtime.spill import MEMORY, Floats
from acanet.scoring.heard import check_embeddings

_BATCH_SECONDS = {"cpu": 10.0, "cuda": 120.0}  # one core gains nothing from larger batches
_EMBED = ("whole", "readout")
"""The stages that give embeddings."""


class OnnxNetwork:
    """A bundle's graphs, ready to run; one may be shared by any number of threads.

    Attributes:
        rate: samples a second that the network wants.
        dim: numbers in an embedding.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None, device: str = "cpu") -> None:
        """Load the graph that gives embeddings; others are loaded when they are run.

        Args:
            bundle: an exported one.
            threads, device: as for `Sessions`.

        Raises:
            AcanetError: when the bundle is not exported or is damaged, or onnxruntime does not have the device.
        """
        self.bundle, self._graphs = bundle, bundle.graphs
        self.rate, self.dim = self._graphs.rate, self._graphs.dim
        self._front_end = FrontEndConfig.of_bundle(bundle.config.model["front_end"], bundle.folder / "config.json")
        self._listens = self._front_end.hears_speech and self._graphs.precision == "float32"
        self._sessions = Sessions(bundle.folder, bundle.damaged, threads=threads, device=device)
        self._most = int(_BATCH_SECONDS[device] * self.rate)
        self._sessions.load("whole")

    def run(self, stage: str, **inputs: Any) -> list[NDArray[Any]]:
        """Run one graph of the bundle (`acanet.export.stages` says what each does).

        Args:
            stage: one of `bundle.graphs.stages`.
            inputs: arrays by name.

        Returns:
            Its outputs, in order.

        Raises:
            AcanetError: when the graph cannot be run, or gives embeddings that are none.
        """
        if stage not in self._graphs.stages:
            path = self.bundle.folder / f"{stage}.onnx"
            raise self.bundle.damaged(path, "it is needed, and the config does not name it")
        outputs = self._sessions.run(stage, **inputs)
        if stage in _EMBED:
            self._check(outputs[0], len(next(iter(inputs.values()))), stage)
        return outputs

    def _check(self, embeddings: NDArray[Any], rows: int, stage: str) -> None:
        """See that a graph gives as many embeddings as were asked for: what is none of them would make a score."""
        graph = f"{self.bundle.folder / stage}.onnx"
        if embeddings.shape != (rows, self.dim):
            raise AcanetError(f"{graph}: it gives {embeddings.shape} in place of {rows} embeddings of {self.dim}")
        try:
            check_embeddings(embeddings)
        except BadArgument as error:
            raise AcanetError(f"{graph}: it gives {error.reason}; do not use this model") from None

    def embed_waveforms(self, waveforms: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Embed each waveform as if it were alone, in batches of similar lengths; long ones in pieces, where it can.

        Args:
            waveforms: (samples,) each, at the model's rate, at least one window long.

        Returns:
            (waveforms, dim), of unit length, in the order given.
        """
        return self._embedded(waveforms)[0]

    def hear(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Hearing]:
        """What `embed_waveforms` gives of each waveform, and where speech is in it; arguments as there."""
        embeddings, speech = self._embedded(waveforms)
        if not self._listens:
            speech = [detected(waveform, self.detector()) for waveform in waveforms]
        return [Hearing(*each) for each in zip(embeddings, speech, strict=True)]

    def _embedded(self, waveforms: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], list[Floats]]:
        """Embeddings, and the probabilities of speech of a model that listens for it."""
        embeddings = np.empty((len(waveforms), self.dim), dtype=np.float32)
        speech = [np.empty(0, np.float32)] * len(waveforms)
        only_equal = not self._graphs.exact_when_padded
        longest = WHOLE_SECONDS * self.rate if self._graphs.pieces is not None else math.inf
        for batch in batches([len(waveform) for waveform in waveforms], self._most, only_equal=only_equal):
            short = [i for i in batch if len(waveforms[i]) <= longest]
            if short:
                padded, lengths = pad([waveforms[i] for i in short])
                embeddings[short], *heard = self.run("whole", waveforms=padded, lengths=lengths)
                if self._listens and not heard:
                    raise self.bundle.damaged(self.bundle.folder / "whole.onnx", "it does not say where speech is")
                for i, row in zip(short, heard[0] if heard else (), strict=False):
                    speech[i] = row[: self._front_end.steps(len(waveforms[i]))]
            for i in set(batch) - set(short):
                with self._in_pieces(waveforms[i]) as pieces:
                    embeddings[i] = pieces.embedding()
                    speech[i] = pieces.speech() if self._listens else speech[i]
        return embeddings, speech

    @property
    def only_whole(self) -> str | None:
        """The reason why it cannot embed a recording in pieces; None: it can."""
        if self._graphs.pieces is not None:
            return None
        if self._graphs.precision != "float32":
            return f"a twin in {self._graphs.precision} has no stages to run in pieces (the float32 export has)"
        return f"{self.bundle.name} looks at the whole recording at once (the model that ships does not)"

    def _in_pieces(self, waveform: NDArray[np.float32]) -> Piecewise:
        pieces = self.in_pieces()
        assert pieces is not None
        for block in np.array_split(waveform, math.ceil(len(waveform) / (WHOLE_SECONDS * self.rate))):
            pieces.feed(block)
        return pieces

    def in_pieces(self, *, piece: int = PIECE, memory: int = MEMORY) -> Piecewise | None:
        """A new recording that is embedded in pieces, in constant memory; None: this model only takes it whole.

        Args:
            piece: frames of features in a piece.
            memory: bytes of features, and as many of frames, before they go to a temporary file.
        """
        if self._graphs.pieces is None:
            return None
        detector = None if self._front_end.hears_speech else self.detector()
        return Piecewise(self.run, self._graphs.pieces, self._front_end, detector, piece=piece, memory=memory)

    def detector(self) -> Detector:
        """A new recording in which speech is found, whatever its length."""
        if SPEECH not in self._graphs.stages:  # an export of before acanet found speech in the features
            return own_detector(self.rate)
        return Detector(self.rate, self.run, FEATURES if FEATURES in self._graphs.stages else "features")

    def attention(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the last ACA layer attends to in a waveform, (samples,) -> (latents, frames); rows add up to one.

        Raises:
            AcanetError: when the model has no such layer.
        """
        if "attention" not in self._graphs.stages:
            raise AcanetError(f"model {self.bundle.name} has no asymmetric cross attention, so there is none to show")
        padded, lengths = pad([waveform])
        (attention,) = self.run("attention", waveforms=padded, lengths=lengths)
        return np.asarray(attention[0], dtype=np.float32)
