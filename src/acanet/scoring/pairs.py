"""Which embeddings are compared: the pairs of a list, or all against all, both in bounded memory.

Cosine, S-norm and PLDA have one form: a product of two vectors, and terms that each side has of its own,

    score(a, b) = (gain_a + gain_b) vector_a · vector_b + offset_a + offset_b.

So a back-end works once on each embedding, not on each trial, and is done when it has made `Rows` of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acanet.errors import BadArgument

Floats = NDArray[np.float32]
Index = NDArray[np.intp]

BLOCK = 256
"""Trials at a time: two blocks of 256 x 192 numbers stay in the cache of a core."""
SIDE = 1024
"""Rows and columns of a matrix of scores: 4 MiB."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Embeddings, prepared for comparison by one back-end; only rows of the same back-end may be compared.

    Attributes:
        vectors: (rows, dim).
        gains: (rows,), half of what multiplies a product where both sides have the same.
        offsets: (rows,).
    """

    vectors: Floats
    gains: Floats
    offsets: Floats

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, chosen: slice) -> Rows:
        """Some of the rows, without a copy."""
        return Rows(self.vectors[chosen], self.gains[chosen], self.offsets[chosen])

    def pairs(self, enrol: Index, test: Index) -> Floats:
        """Scores of a list, (trials,); memory beyond it is that of some hundred trials.

        Args:
            enrol: (trials,) row of the enrolment side.
            test: (trials,) row of the test side.
        """
        scores = np.empty(len(enrol), np.float32)
        for start in range(0, len(scores), BLOCK):
            block = slice(start, start + BLOCK)
            one, other = enrol[block], test[block]
            np.einsum("td,td->t", self.vectors[one], self.vectors[other], out=scores[block])
            scores[block] *= self.gains[one] + self.gains[other]
            scores[block] += self.offsets[one] + self.offsets[other]
        return scores


def all_pairs(enrol: Rows, test: Rows, side: int = SIDE) -> Iterator[tuple[slice, slice, Floats]]:
    """Score everything against everything.

    Args:
        enrol: what makes the rows of the matrix of scores.
        test: what makes its columns.
        side: most rows and columns that are held at a time.

    Yields:
        Row by row of blocks: which of `enrol`, which of `test`, and their scores (of enrol, of test).

    Raises:
        BadArgument: for rows of different sizes, which are of two models or back-ends.
    """
    sizes = enrol.vectors.shape[1], test.vectors.shape[1]
    if sizes[0] != sizes[1]:
        raise BadArgument("test", f"rows of {sizes[0]} and of {sizes[1]} numbers; they are of two models or back-ends")
    for top in range(0, len(enrol), side):
        for left in range(0, len(test), side):
            down, across = slice(top, top + side), slice(left, left + side)
            one, other = enrol[down], test[across]
            scores = one.vectors @ other.vectors.T
            scores *= one.gains[:, None] + other.gains
            scores += one.offsets[:, None] + other.offsets
            yield down, across, scores
