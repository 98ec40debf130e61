"""Cosine scores of trials."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from acanet.errors import BadArgument
from acanet.scoring.pairs import Floats, Index, Rows

Float = TypeVar("Float", bound=np.floating)


def unit(embeddings: NDArray[Float]) -> NDArray[Float]:
    """Embeddings at length one, (rows, dim).

    Args:
        embeddings: (rows, dim), of any length but zero.

    Raises:
        BadArgument: for an embedding of length zero, or of numbers that are not finite, and for what is no matrix of
            numbers.
    """
    if np.ndim(embeddings) != 2 or np.asarray(embeddings).dtype.kind not in "fiu":
        told = f"{np.asarray(embeddings).dtype} of shape {np.shape(embeddings)}"
        raise BadArgument("embeddings", f"embeddings are {told}; numbers of shape (rows, dim) are expected")
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if bad.size:
        told = f"{bad.size} embeddings have no direction (all zero, or not finite), first row {bad[0]}"
        raise BadArgument("embeddings", told)
    unit_length: NDArray[Float] = embeddings / lengths
    return unit_length


def cosine_rows(embeddings: NDArray[np.floating]) -> Rows:
    """What `Rows.pairs` and `all_pairs` make cosines of, up to rounding; arguments and errors as in `unit`."""
    vectors = unit(embeddings).astype(np.float32, copy=False)
    return Rows(vectors, np.full(len(vectors), 0.5, np.float32), np.zeros(len(vectors), np.float32))


def cosine(embeddings: NDArray[np.floating], enrol: Index, test: Index) -> Floats:
    """Score trials by the cosine of the angle between their two embeddings.

    Memory beyond the arguments and the result is bounded, however many trials there are.

    Args:
        embeddings: (rows, dim), of any length but zero.
        enrol: (trials,) row of the enrolment side.
        test: (trials,) row of the test side.

    Returns:
        (trials,) in [-1, 1].

    Raises:
        BadArgument: for an embedding of length zero, or of numbers that are not finite.

    >>> embeddings = np.array([[1, 0], [3, 4]], np.float32)
    >>> cosine(embeddings, np.array([0, 0]), np.array([0, 1])).round(3).tolist()
    [1.0, 0.6000000238418579]
    """
    scores = cosine_rows(embeddings).pairs(enrol, test)
    return np.clip(scores, -1, 1, out=scores)
