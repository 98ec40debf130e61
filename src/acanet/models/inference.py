"""Waveforms of any lengths -> embeddings, with a torch model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from acanet.models.registry import build_model, model_config
from acanet.models.weights import load_exactly

_BATCH_SECONDS = 60.0


def load_model(name: str, config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> Any:
    """A registered model with its weights, ready to embed.

    Raises:
        UnknownModel: when no model of that name is registered.
        BadConfig: when the config is not one of that model.
        ModelMismatch: when the weights are of another size.
    """
    model = build_model(name, model_config(name, dict(config)))
    load_exactly(model, {key: torch.from_numpy(value) for key, value in weights.items()})
    return model.eval()


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
    for batch in _batches([len(w) for w in waveforms], most, only_equal=not model.exact_when_padded):
        lengths = torch.tensor([len(waveforms[i]) for i in batch], device=device)
        padded = np.zeros((len(batch), int(lengths.max())), dtype=np.float32)
        for row, i in enumerate(batch):
            padded[row, : len(waveforms[i])] = waveforms[i]
        ragged = lengths if int(lengths.min()) < padded.shape[1] else None
        embeddings[batch] = model.embed(torch.from_numpy(padded).to(device), ragged).float().cpu().numpy()
    return embeddings


def _batches(lengths: list[int], most: int, *, only_equal: bool) -> Iterator[list[int]]:
    """Numbers of waveforms, shortest first, together at most `most` samples with their padding."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        full = batch and lengths[i] * (len(batch) + 1) > most
        if full or (only_equal and batch and lengths[i] != lengths[batch[0]]):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
