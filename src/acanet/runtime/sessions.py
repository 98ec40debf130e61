"""Graphs of a folder on onnxruntime, which only this module knows; each is loaded when it is first run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from acanet.errors import AcanetError
from acanet.runtime.processors import at_most_processors

onnxruntime.disable_telemetry_events()  # where somebody imported it before acanet, which turns all of it off
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_ERRORS_ONLY = 3


class Sessions:
    """The graphs of a folder, ready to run; any number of threads may share them."""

    def __init__(
        self,
        folder: Path,
        damaged: Callable[[Path, object], AcanetError],
        *,
        threads: int | None = None,
        device: str = "cpu",
    ) -> None:
        """Nothing is loaded yet.

        Args:
            folder: of the graphs.
            damaged: the error about a file that onnxruntime cannot read, and what it says of it.
            threads: that work on one recording, no more than there are processors; None: one. Recordings in parallel
                need no more than that.
            device: `cpu`, or `cuda` with onnxruntime-gpu installed.

        Raises:
            AcanetError: when onnxruntime does not have the device.
        """
        self._folder, self._damaged = folder, damaged
        self._threads = 1 if threads is None else at_most_processors(threads, "threads")
        self._device = _checked(device)
        self._open: dict[str, onnxruntime.InferenceSession] = {}
        self._lock = threading.Lock()

    def load(self, stage: str) -> None:
        """Load one graph.

        Raises:
            AcanetError: when its file is damaged, or the device cannot be used.
        """
        self._session(stage)

    def run(self, stage: str, **inputs: Any) -> list[NDArray[Any]]:
        """The outputs of one graph, in order, for inputs by name.

        Raises:
            AcanetError: when it cannot be run.
        """
        session = self._session(stage)
        try:
            outputs: list[NDArray[Any]] = session.run(None, inputs)
        except Exception as error:  # onnxruntime's own exceptions derive from nothing narrower
            raise AcanetError(f"{self._folder / stage}.onnx: it cannot be run ({error})") from None
        return outputs

    def _session(self, stage: str) -> onnxruntime.InferenceSession:
        with self._lock:
            if stage not in self._open:
                self._open[stage] = self._opened(self._folder / f"{stage}.onnx")
            return self._open[stage]

    def _opened(self, path: Path) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        # Threads that wait leave the cores to others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False  # every recording has a length of its own
        options.log_severity_level = _ERRORS_ONLY
        try:
            session = onnxruntime.InferenceSession(path, options, providers=[_PROVIDERS[self._device]])
        except Exception as error:  # onnxruntime's own exceptions derive from nothing narrower
            raise self._damaged(path, error) from None
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
