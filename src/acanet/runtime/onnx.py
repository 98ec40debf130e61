"""An exported bundle on onnxruntime, which only this module knows."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from acanet.errors import AcanetError, BadArgument
from acanet.runtime.batching import batches, pad
from acanet.runtime.bundle import Bundle
from acanet.runtime.front_end import FrontEndConfig
from acanet.runtime.pieces import PIECE, WHOLE_SECONDS, Piecewise
from acanet.runtime.processors import at_most_processors
from acanet.runtime.spill import MEMORY
from acanet.scoring.heard import check_embeddings

onnxruntime.disable_telemetry_events()  # where somebody imported it before acanet, which turns all of it off
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_BATCH_SECONDS = {"cpu": 10.0, "cuda": 120.0}  # one core gains nothing from larger batches
_EMBED = ("whole", "readout")
"""The stages that give embeddings."""
_ERRORS_ONLY = 3


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
            threads: that work on one recording, no more than there are processors; None: one. Recordings in parallel
                need no more than that.
            device: `cpu`, or `cuda` with onnxruntime-gpu installed.

        Raises:
            AcanetError: when the bundle is not exported or is damaged, or onnxruntime does not have the device.
        """
        self.bundle, self._graphs = bundle, bundle.graphs
        self.rate, self.dim = self._graphs.rate, self._graphs.dim
        self._threads = 1 if threads is None else at_most_processors(threads, "threads")
        self._device = _checked(device)
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._lock = threading.Lock()
        self._session("whole")

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
        session = self._session(stage)
        try:
            outputs: list[NDArray[Any]] = session.run(None, inputs)
        except Exception as error:  # onnxruntime's own exceptions derive from nothing narrower
            raise AcanetError(f"{self.bundle.folder / stage}.onnx: it cannot be run ({error})") from None
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
        embeddings = np.empty((len(waveforms), self.dim), dtype=np.float32)
        most = int(_BATCH_SECONDS[self._device] * self.rate)
        only_equal = not self._graphs.exact_when_padded
        longest = WHOLE_SECONDS * self.rate if self._graphs.pieces is not None else math.inf
        for batch in batches([len(waveform) for waveform in waveforms], most, only_equal=only_equal):
            short = [i for i in batch if len(waveforms[i]) <= longest]
            if short:
                padded, lengths = pad([waveforms[i] for i in short])
                (embeddings[short],) = self.run("whole", waveforms=padded, lengths=lengths)
            for i in set(batch) - set(short):
                embeddings[i] = self._embed_in_pieces(waveforms[i])
        return embeddings

    @property
    def only_whole(self) -> str | None:
        """The reason why it cannot embed a recording in pieces; None: it can."""
        if self._graphs.pieces is not None:
            return None
        if self._graphs.precision != "float32":
            return f"a twin in {self._graphs.precision} has no stages to run in pieces (the float32 export has)"
        return f"{self.bundle.name} looks at the whole recording at once (the model that ships does not)"

    def _embed_in_pieces(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        piecewise = self.in_pieces()
        assert piecewise is not None
        with piecewise:
            for block in np.array_split(waveform, math.ceil(len(waveform) / (WHOLE_SECONDS * self.rate))):
                piecewise.feed(block)
            return piecewise.embedding()

    def in_pieces(self, *, piece: int = PIECE, memory: int = MEMORY) -> Piecewise | None:
        """A new recording that is embedded in pieces, in constant memory; None: this model only takes it whole.

        Args:
            piece: frames of features in a piece.
            memory: bytes of features, and as many of frames, before they go to a temporary file.
        """
        if self._graphs.pieces is None:
            return None
        front_end = FrontEndConfig.of_bundle(self.bundle.config.model["front_end"], self.bundle.folder / "config.json")
        return Piecewise(self.run, self._graphs.pieces, front_end, piece=piece, memory=memory)

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

    def _session(self, stage: str) -> onnxruntime.InferenceSession:
        with self._lock:
            if stage not in self._sessions:
                self._sessions[stage] = self._open(stage)
            return self._sessions[stage]

    def _open(self, stage: str) -> onnxruntime.InferenceSession:
        path = self.bundle.folder / f"{stage}.onnx"
        if stage not in self._graphs.stages:
            raise self.bundle.damaged(path, "it is needed, and the config does not name it")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        # Threads that wait leave the cores to others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False  # every recording has a length of its own
        options.log_severity_level = _ERRORS_ONLY
        try:
            session = onnxruntime.InferenceSession(path, options, providers=[_PROVIDERS[self._device]])
        except Exception as error:  # onnxruntime's own exceptions derive from nothing narrower
            raise self.bundle.damaged(path, error) from None
        if _PROVIDERS[self._device] not in session.get_providers():
            raise AcanetError(f"device {self._device}: onnxruntime cannot use it here; use --device cpu")
        return session


def _checked(device: str) -> str:
    if device not in _PROVIDERS:
        raise AcanetError(f"unknown device {device!r}; there are {', '.join(_PROVIDERS)}")
    if _PROVIDERS[device] not in onnxruntime.get_available_providers():
        raise AcanetError(
            f"device {device}: this onnxruntime was built without it; "
            "pip uninstall onnxruntime, then pip install onnxruntime-gpu"
        )
    return device
