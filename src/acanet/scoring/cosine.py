"""Cosine scores of trials."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 8192  # trials at a time: two blocks of 192 float32 each are 12 MiB


def cosine(embeddings: NDArray[np.float32], enrol: NDArray[np.intp], test: NDArray[np.intp]) -> NDArray[np.float32]:
    """Score trials by the cosine of the angle between their two embeddings.

    Memory beyond the arguments and the result is bounded, however many trials there are.

    Args:
        embeddings: (utterances, dim), of any length but zero.
        enrol: (trials,) row of the enrolment side.
        test: (trials,) row of the test side.

    Returns:
        (trials,) in [-1, 1].

    Raises:
        ValueError: for an embedding of length zero, or of numbers that are not finite.

    >>> embeddings = np.array([[1, 0], [3, 4]], np.float32)
    >>> cosine(embeddings, np.array([0, 0]), np.array([0, 1])).round(3).tolist()
    [1.0, 0.6000000238418579]
    """
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if bad.size:
        raise ValueError(f"{bad.size} embeddings have no direction (all zero, or not finite), first row {bad[0]}")
    unit = (embeddings / lengths).astype(np.float32, copy=False)
    scores = np.empty(len(enrol), np.float32)
    for start in range(0, len(enrol), BLOCK):
        block = slice(start, start + BLOCK)
        np.einsum("td,td->t", unit[enrol[block]], unit[test[block]], out=scores[block])
    return np.clip(scores, -1, 1, out=scores)
