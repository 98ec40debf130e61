"""Waveforms of any lengths -> embeddings, with a torch model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from acanet.errors import AcanetError, BadArgument
from acanet.models.registry import build_model, saved_config
from acanet.models.weights import load_exactly
from acanet.runtime.batching import batches, pad
from acanet.runtime.detector import Detector, detected, own_detector
from acanet.runtime.network import Hearing
from acanet.runtime.spill import MEMORY
from acanet.scoring.heard import check_embeddings

_BATCH_SECONDS = 60.0


def load_model(name: str, config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> Any:
    """A registered model with its weights, ready to embed.

    Raises:
        UnknownModel: when no model of that name is registered.
        BadConfig: when the config is not one of that model.
        ModelMismatch: when the weights are of another size.
    """
    model = build_model(name, saved_config(name, config))
    load_exactly(model, {key: torch.from_numpy(value) for key, value in weights.items()})
    return model.eval()


class TorchNetwork:
    """A torch model as an encoder runs it: what a training run has, which nobody exported."""

    def __init__(self, model: Any, *, threads: int | None = None, device: str = "cpu") -> None:
        """Threads are torch's own, of the whole process; None: as they are.

        Raises:
            AcanetError: when torch does not have the device.
        """
        if device not in ("cpu", "cuda"):
            raise AcanetError(f"unknown device {device!r}; there are cpu, cuda")
        if device == "cuda" and not torch.cuda.is_available():
            raise AcanetError("device cuda: torch finds none here; use --device cpu")
        if threads is not None:
            torch.set_num_threads(threads)
        self.model = model.to(device)
        self.rate, self.dim = int(model.front_end.config.rate), int(model.dim)

    @property
    def only_whole(self) -> str:
        """The reason why it cannot embed a recording in pieces."""
        return "the model runs on torch, as a whole (`acanet export` makes a bundle of it)"

    def in_pieces(self, *, memory: int = MEMORY) -> None:
        """Never in pieces: exporting is what cuts a model into stages."""

    def detector(self) -> Detector:
        """A new recording in which speech is found, whatever its length."""
        return own_detector(self.rate)

    def hear(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Hearing]:
        """What `embed_waveforms` gives of each waveform, and where speech is in it; arguments as there."""
        speech = [detected(waveform, self.detector()) for waveform in waveforms]
        return [Hearing(*each) for each in zip(self.embed_waveforms(waveforms), speech, strict=True)]

    def attention(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """The attention of the last ACA layer, which only an exported model tells.

        Raises:
            AcanetError: always.
        """
        raise AcanetError(
            "this is not an exported bundle, which alone tells what it attends to; make one with `acanet export`"
        )

    def embed_waveforms(self, waveforms: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """See `embed_waveforms` of this module.

        Raises:
            AcanetError: when what the model gives is no embedding.
        """
        embeddings = embed_waveforms(self.model, waveforms)
        try:
            check_embeddings(embeddings)
        except BadArgument as error:
            raise AcanetError(f"the model gives {error.reason}; do not use it") from None
        return embeddings


@torch.no_grad()
def embed_waveforms(model: Any, waveforms: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Embed each waveform as if it were alone, in batches of similar lengths.

    Args:
        model: an `Extractor`, in evaluation mode, on any device.
        waveforms: (samples,) each, at the model's rate, at least one window long.

    Returns:
        (waveforms, dim), of unit length, in the order given.
    """
    device = next(model.parameters()).device
    most = int(_BATCH_SECONDS * model.front_end.config.rate)
    embeddings = np.empty((len(waveforms), model.dim), dtype=np.float32)
    for batch in batches([len(w) for w in waveforms], most, only_equal=not model.exact_when_padded):
        padded, samples = pad([waveforms[i] for i in batch])
        lengths = torch.from_numpy(samples).to(device) if samples.min() < padded.shape[1] else None
        embeddings[batch] = model.embed(torch.from_numpy(padded).to(device), lengths).float().cpu().numpy()
    return embeddings
