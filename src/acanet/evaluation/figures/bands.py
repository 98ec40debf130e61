"""Curves of a system, with 95 % bands over the draw of speakers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acanet.evaluation.figures.bootstrap import Speakers, ends
from acanet.evaluation.figures.metrics import Floats, error_rates

GRID = 1 / (1 + np.exp(-np.linspace(-11.5, 11.5, 1000)))
"""Rates to look at, from 1e-5 to 1 - 1e-5, the closer to each other the nearer to an end."""


@dataclass(frozen=True, eq=False)
class Band:
    """The band in which a curve would be with other speakers: a 95 % interval at each point of the horizontal axis.

    Attributes:
        across: (points,) place on the horizontal axis, ascending.
        low: (points,) lower end on the vertical axis.
        high: (points,) upper end.
    """

    across: Floats
    low: Floats
    high: Floats


def det_band(
    scores: ArrayLike,
    target: NDArray[np.bool_],
    enrol_speaker: ArrayLike,
    test_speaker: ArrayLike,
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> Band:
    """The band of a DET curve: FNMR over FMR, at the rates that the list can show (one nontarget trial, or more).

    With the replicates and the seed of `acanet.evaluation.figures.intervals.measure` it is made of the same draws in
    the same way, and crosses FMR = FNMR near the ends of the interval of the EER.

    Args:
        scores, target: (trials,), see `error_rates`.
        enrol_speaker: (trials,) speaker of the enrolment side, any label.
        test_speaker: (trials,) speaker of the test side.
        replicates: draws of the speakers.
        seed: of the draws.

    Raises:
        BadArgument: as `error_rates`.
        MissingExtra: without SciPy.
    """
    thresholds, fmr, fnmr = error_rates(scores, target)
    # Of all thresholds those that matter: the curve's corners, as closely as a picture shows them.
    places = np.concatenate([len(fmr) - np.searchsorted(fmr[::-1], GRID, side="right"), np.searchsorted(fnmr, GRID)])
    chosen = thresholds[np.unique(np.minimum(places, len(thresholds) - 2))]
    bins = np.searchsorted(chosen, np.asarray(scores, np.float64), side="right")
    weighed = weigh(bins, len(chosen) + 1, target, enrol_speaker, test_speaker, replicates=replicates, seed=seed)
    least = 1 / np.count_nonzero(~target)
    across = GRID[(least <= GRID) & (1 - least >= GRID)]
    below = np.cumsum(weighed.sums, axis=2) / weighed.sums.sum(axis=2, keepdims=True)
    curves = np.array([np.interp(1 - across, nontarget, misses) for misses, nontarget in below])
    return Band(across, *ends(curves[0], curves[1:], weighed.drawn[1:]))


@dataclass(frozen=True, eq=False)
class Weighed:
    """The weights of trials: the first row as the list is, the others under draws of the speakers.

    Attributes:
        drawn: (1 + replicates, speakers) how often each was drawn.
        sums: (1 + replicates, 2, bins) weight of the target, then of the nontarget trials in each bin.
    """

    drawn: Floats
    sums: Floats


def weigh(
    bins: NDArray[np.intp],
    count: int,
    target: NDArray[np.bool_],
    enrol_speaker: ArrayLike,
    test_speaker: ArrayLike,
    *,
    replicates: int,
    seed: int,
) -> Weighed:
    """Weigh the trials in each bin under the draws of `Speakers.draws`.

    Args:
        bins: (trials,) number of the bin that a trial is in, below `count`.
        count: of bins.
        target, enrol_speaker, test_speaker, replicates, seed: see `det_band`.
    """
    speakers = Speakers(target, enrol_speaker, test_speaker)
    drawn = np.concatenate([np.ones((1, speakers.count)), speakers.draws(replicates, seed)])
    cells = bins + count * ~target
    sums = [np.bincount(cells, speakers.weights(counts), minlength=2 * count) for counts in drawn]
    return Weighed(drawn, np.array(sums, np.float64).reshape(-1, 2, count))
