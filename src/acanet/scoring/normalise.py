"""S-norm: what a cosine is worth, compared with the cosines of both sides to other voices.

The symmetric normalisation of Kenny, "Bayesian speaker verification with heavy-tailed priors", Odyssey 2010. With a
choice of the nearest voices for each side it is the adaptive S-norm (number 1) of Matějka et al., "Analysis of score
normalization in multilingual speaker recognition", Interspeech 2017, doi 10.21437/Interspeech.2017-803:

    score(a, b) = ((a · b - mean_a) / spread_a + (a · b - mean_b) / spread_b) / 2

where mean and spread (standard deviation) are those of an embedding's cosines to the cohort.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acanet.errors import AcanetError
from acanet.scoring.cosine import unit
from acanet.scoring.pairs import Floats, Index, Rows

BLOCK_COSINES = 2**22
"""Cosines to the cohort at a time: 16 MiB."""
LEAST_SPREAD = 1e-6
"""Of cosines to a cohort; below it they differ by rounding."""


@dataclass(frozen=True, eq=False)
class SNorm:
    """Symmetric score normalisation of cosines.

    Attributes:
        cohort: (entries, dim) embeddings of other people than those who are compared, of any length but zero.
        top: adaptive: the mean and spread of an embedding are over so many entries, those nearest to it; None: over
            all.

    Raises:
        AcanetError: for a cohort of fewer than two entries, or a `top` that it cannot give.
    """

    cohort: Floats
    top: int | None = None

    def __post_init__(self) -> None:
        entries = len(self.cohort)
        if entries < 2:
            raise AcanetError(f"a cohort of {entries} entries has no spread; give two or more")
        if self.top is not None and not 2 <= self.top <= entries:
            raise AcanetError(f"top is {self.top}, of a cohort of {entries} entries; from 2 to {entries} are possible")

    def __call__(self, embeddings: Floats, enrol: Index, test: Index) -> Floats:
        """Scores (trials,) of embeddings (rows, dim), whose rows are compared as `enrol` and `test` say.

        Raises:
            AcanetError: for an embedding to which the cohort is equally near throughout.
            BadArgument: for an embedding of length zero, or of numbers that are not finite.
        """
        return self.rows(embeddings).pairs(enrol, test)

    def rows(self, embeddings: Floats) -> Rows:
        """Embeddings (rows, dim) as `Rows.pairs` and `all_pairs` take them; errors as in a call."""
        vectors = unit(embeddings)
        means, spreads = self._statistics(vectors)
        return Rows(vectors, (0.5 / spreads).astype(np.float32), (-0.5 * means / spreads).astype(np.float32))

    def _statistics(self, vectors: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of the cosines to the cohort, or to the nearest in it, (rows,) each."""
        cohort = unit(self.cohort)
        means, spreads = np.empty(len(vectors)), np.empty(len(vectors))
        rows = max(1, BLOCK_COSINES // len(cohort))
        for start in range(0, len(vectors), rows):
            block = slice(start, start + rows)
            cosines = vectors[block] @ cohort.T
            if self.top is not None:
                cosines = np.partition(cosines, -self.top, axis=1)[:, -self.top :]
            means[block] = cosines.mean(axis=1, dtype=np.float64)
            spreads[block] = cosines.std(axis=1, dtype=np.float64)
        flat = np.flatnonzero(spreads < LEAST_SPREAD)
        if flat.size:
            raise AcanetError(
                f"the cohort is equally near to {flat.size} embeddings throughout (first row {flat[0]}), so their "
                "scores have no scale; give a cohort of more voices, without copies"
            )
        return means, spreads
