"""Linear discriminant analysis: the directions in which speakers differ most, for how their own utterances differ.

With the scatter W of utterances around the mean of their speaker and the scatter B of the speakers' means, a direction
v is the better, the larger v' B v / v' W v is. The best ones solve B v = r W v (Fisher, "The use of multiple
measurements in taxonomic problems", Annals of Eugenics, 1936; Fukunaga, *Introduction to Statistical Pattern
Recognition*, 1990, chapter 10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acanet.errors import AcanetError

Matrix = NDArray[np.float64]
Labels = Sequence[str] | Sequence[int] | NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class BySpeaker:
    """Vectors by who speaks.

    Attributes:
        of: (utterances,) the number of the speaker of each, in the order of their sorted labels.
        counts: (speakers,) utterances of each.
        sums: (speakers, dim) of their vectors.
    """

    of: NDArray[np.intp]
    counts: NDArray[np.intp]
    sums: Matrix

    @property
    def means(self) -> Matrix:
        """The mean vector of each speaker, (speakers, dim)."""
        means: Matrix = self.sums / self.counts[:, None]
        return means


def by_speaker(vectors: Matrix, speakers: Labels) -> BySpeaker:
    """Vectors (utterances, dim) by speakers (utterances,)."""
    _, of, counts = np.unique(np.asarray(speakers), return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(sums, of, vectors)
    return BySpeaker(of, counts, sums)


def scatter(deviations: Matrix) -> Matrix:
    """The mean of the outer products of deviations (items, dim) with themselves, (dim, dim)."""
    mean: Matrix = deviations.T @ deviations / len(deviations)
    return mean


def ridged(within: Matrix, ridge: float) -> Matrix:
    """A scatter within speakers, (dim, dim), that is positive definite (Friedman, JASA, 1989).

    Args:
        within: the scatter.
        ridge: added to the variance in every direction, as a share of the mean one.

    Raises:
        AcanetError: when nothing varies within a speaker.
    """
    mean = np.trace(within) / len(within)
    if not mean > 0:
        raise AcanetError("all utterances of a speaker have the same embedding; give recordings that differ")
    definite: Matrix = within + ridge * mean * np.eye(len(within))
    return definite


def discriminants(within: Matrix, between: Matrix) -> tuple[Matrix, Matrix]:
    """The directions of linear discriminant analysis, the one in which speakers differ most first.

    Args:
        within: (dim, dim), positive definite.
        between: (dim, dim), symmetric; it may be singular.

    Returns:
        (dim, dim) A, a direction a row, with A within A' = 1 and A between A' = diag(ratios), of either sign; and the
        ratios, (dim,), falling, 0 or more.

    >>> axes, ratios = discriminants(np.diag([4.0, 1.0]), np.diag([2.0, 3.0]))
    >>> abs(axes).tolist(), ratios.tolist()
    ([[0.0, 1.0], [0.5, 0.0]], [3.0, 0.5])
    """
    whitening = np.linalg.inv(np.linalg.cholesky(within))
    ratios, rotation = np.linalg.eigh(whitening @ between @ whitening.T)
    return rotation[:, ::-1].T @ whitening, np.maximum(ratios[::-1], 0)


def upright(axes: Matrix) -> Matrix:
    """Directions (directions, dim), each with the sign that makes its largest number positive.

    >>> upright(np.array([[1.0, -2.0], [3.0, 0.0]])).tolist()
    [[-1.0, 2.0], [3.0, 0.0]]
    """
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    signed: Matrix = axes * np.sign(largest)[:, None]
    return signed


def most_directions(speakers: Labels, dim: int) -> int:
    """The most directions that the means of these speakers, (utterances,), span in embeddings of `dim` numbers."""
    return min(dim, len(np.unique(np.asarray(speakers))) - 1)


def require_groups(speakers: Labels) -> None:
    """See that speakers (utterances,) tell how voices differ, and how the utterances of a voice do.

    Raises:
        AcanetError: when they cannot.
    """
    different = len(np.unique(np.asarray(speakers)))
    if different < 2:
        raise AcanetError(
            f"{different} speakers came in; how voices differ is learned from two at least, better from hundreds"
        )
    if different == len(speakers):
        raise AcanetError(
            f"each of the {different} speakers has one utterance; how the utterances of a voice differ is learned from "
            "speakers with several"
        )
