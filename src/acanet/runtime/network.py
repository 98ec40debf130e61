"""What runs a model: `acanet.runtime.onnx.OnnxNetwork`, or `acanet.models.inference.TorchNetwork` before export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.runtime.detector import SpeechDetector
from acanet.runtime.pieces import Piecewise
from acanet.runtime.spill import MEMORY, Floats


class Hearing(NamedTuple):
    """What a network hears in a waveform.

    Attributes:
        embedding: (dim,), of unit length.
        speech: (steps,) probability of speech in each step.
    """

    embedding: Floats
    speech: Floats


class Network(Protocol):
    """A model that is ready to run; any number of threads may share it."""

    @property
    def rate(self) -> int:
        """Samples a second that it wants."""

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""

    @property
    def only_whole(self) -> str | None:
        """The reason why it cannot embed a recording in pieces; None: it can."""

    def embed_waveforms(self, waveforms: Sequence[Waveform]) -> NDArray[np.float32]:
        """The embeddings of waveforms, each as if it were alone.

        Args:
            waveforms: (samples,) each, float32 in [-1, 1], at the model's rate, at least one window long.

        Returns:
            (waveforms, dim), of unit length, in the order given.
        """

    def hear(self, waveforms: Sequence[Waveform]) -> list[Hearing]:
        """What `embed_waveforms` gives of each waveform, and where speech is in it; arguments as there."""

    def detector(self) -> SpeechDetector:
        """What finds speech in a new recording, whatever its length, without embedding it."""

    def in_pieces(self, *, memory: int = MEMORY) -> Piecewise | None:
        """A new recording that is embedded in pieces, in constant memory; None: the model only takes it whole.

        Args:
            memory: bytes of features, and as many of frames, before they go to a temporary file.
        """

    def attention(self, waveform: Waveform) -> NDArray[np.float32]:
        """The attention of the last ACA layer over a waveform, (samples,) -> (latents, frames); rows add up to one.

        Raises:
            AcanetError: when the model has no such layer, or does not tell.
        """
