"""Which waveforms go through a network together: those of similar lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def batches(lengths: Sequence[int], most: int, *, only_equal: bool) -> Iterator[list[int]]:
    """Numbers of waveforms, shortest first, in batches.

    Args:
        lengths: samples of each waveform.
        most: samples of a batch, with its padding; a longer waveform is a batch of its own.
        only_equal: for models that padding changes: only waveforms of one length share a batch.
    """
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        full = batch and lengths[i] * (len(batch) + 1) > most
        if full or (only_equal and batch and lengths[i] != lengths[batch[0]]):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def pad(waveforms: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Waveforms (samples,) each -> (batch, samples), padded with zeros, and the samples of each row."""
    lengths = np.array([len(waveform) for waveform in waveforms], dtype=np.int64)
    padded = np.zeros((len(waveforms), int(lengths.max())), dtype=np.float32)
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return padded, lengths
