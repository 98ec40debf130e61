"""Several utterances behind one name of a trial list: the mean of their embeddings, or of their scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from acanet.errors import BadArgument
from acanet.scoring.cosine import unit
from acanet.scoring.pairs import Floats, Index

MOST_PAIRS = 2**21
"""Of utterances, scored at a time: some 150 MB of indices and scores."""


def mean_embeddings(embeddings: NDArray[np.floating], members: Sequence[Index]) -> Floats:
    """One embedding for each name: the mean of its utterances', each at length one, so that all count the same.

    Args:
        embeddings: (utterances, dim), of any length but zero.
        members: for each name the rows of its utterances.

    Returns:
        (names, dim), not at length one.

    Raises:
        BadArgument: for a name without utterances, and for embeddings that `unit` refuses.
    """
    rows, starts, counts = _flat(members)
    sums = np.add.reduceat(unit(embeddings)[rows], starts, axis=0)
    return (sums / counts[:, None]).astype(np.float32)


def mean_scores(
    score: Callable[[Index, Index], Floats],
    members: Sequence[Index],
    enrol: Index,
    test: Index,
) -> Floats:
    """The mean of the scores of every utterance of one side with every utterance of the other, (trials,).

    Memory beyond the arguments and the result is bounded: some million pairs of utterances are scored at a time.

    Args:
        score: rows (pairs,) of utterances, and rows (pairs,) of those they are compared with -> scores (pairs,).
        members: for each name the rows of its utterances.
        enrol: (trials,) name on the enrolment side.
        test: (trials,) name on the test side.

    Raises:
        BadArgument: for a name without utterances.
    """
    rows, starts, counts = _flat(members)
    means = np.empty(len(enrol), np.float32)
    for block in _blocks(counts[enrol] * counts[test]):
        one, other = enrol[block], test[block]
        pairs = counts[one] * counts[other]
        firsts = np.cumsum(pairs) - pairs
        number = np.arange(pairs.sum()) - np.repeat(firsts, pairs)  # of the pair in its trial
        nth_enrol, nth_test = np.divmod(number, np.repeat(counts[other], pairs))
        scores = score(
            rows[np.repeat(starts[one], pairs) + nth_enrol],
            rows[np.repeat(starts[other], pairs) + nth_test],
        )
        means[block] = np.add.reduceat(scores, firsts) / pairs
    return means


def _flat(members: Sequence[Index]) -> tuple[Index, Index, Index]:
    """All rows one after the other, and for each name where its own begin and how many they are."""
    counts = np.array([len(rows) for rows in members])
    if not counts.all():
        raise BadArgument("members", f"name {np.argmin(counts)} has no utterances")
    return np.concatenate(list(members)), np.cumsum(counts) - counts, counts


def _blocks(pairs: Index) -> Iterator[slice]:
    """Consecutive trials of up to `MOST_PAIRS` pairs together; a trial of more goes alone."""
    ends = np.cumsum(pairs)
    start = 0
    while start < len(pairs):
        before = ends[start] - pairs[start]
        stop = max(start + 1, int(np.searchsorted(ends, before + MOST_PAIRS, side="right")))
        yield slice(start, stop)
        start = stop
