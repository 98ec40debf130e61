"""Error rates of speaker verification, and how sure one can be of them.

A trial is accepted when its score is at or above the threshold. FMR, the false match rate, is the share of
nontarget trials that are accepted; FNMR, the false non-match rate, the share of target trials that are not.
Trials of equal score are accepted or refused together, so nothing here depends on the order of the trials.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

PRIORS = (0.01, 0.05)


class ErrorRates(NamedTuple):
    """The points of a DET curve, (points,) each by ascending threshold; the last, +inf, accepts nothing."""

    thresholds: Floats
    fmr: Floats
    fnmr: Floats


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Intervals:
    """Confidence intervals of the equal error rate and of minDCF, the latter by prior."""

    eer: Interval
    min_dcf: dict[float, Interval]


def error_rates(scores: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> ErrorRates:
    """FMR and FNMR at every score that occurs, and above all of them.

    Args:
        scores: (trials,), the higher the more alike.
        target: (trials,) true where both sides are one speaker.
        weights: (trials,), 0 or more; a trial of weight 2 counts as two trials. None: all 1.

    Raises:
        ValueError: for scores that are not finite, wrong shapes or weights, or a class without trials.

    >>> error_rates([0.9, 0.4, 0.4, 0.1], [True, True, False, False])
    ErrorRates(thresholds=array([0.1, 0.4, 0.9, inf]), fmr=array([1. , 0.5, 0. , 0. ]), \
fnmr=array([0. , 0. , 0.5, 1. ]))
    """
    sorted_trials = _sort(scores, target)
    checked = _checked_weights(weights, sorted_trials.target)
    return ErrorRates(np.append(sorted_trials.thresholds, np.inf), *sorted_trials.rates(checked))


def eer(scores: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Equal error rate, from 0 to 1: where FMR equals FNMR.

    Interpolated on the straight line between the two points of the ROC where FNMR - FMR changes its sign; so
    scores that are all the same give 0.5. Arguments and errors: `error_rates`.

    >>> eer([0.9, 0.8, 0.3, 0.5, 0.2, 0.1], [True, True, True, False, False, False])
    0.3333333333333333
    """
    _, fmr, fnmr = error_rates(scores, target, weights)
    return equal_error_rate(fmr, fnmr)


def equal_error_rate(fmr: Floats, fnmr: Floats) -> float:
    """`eer` of a curve that `error_rates` gave."""
    difference = fnmr - fmr  # ascends from -1, all accepted, to 1, none
    above = int(np.searchsorted(difference, 0.0))
    below = above - 1
    step = difference[below] / (difference[below] - difference[above])
    return float(fmr[below] + step * (fmr[above] - fmr[below]))


def eer_threshold(scores: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The score at which FMR and FNMR are closest; the lower one of two. Arguments and errors: `error_rates`.

    >>> eer_threshold([0.9, 0.8, 0.3, 0.5, 0.2, 0.1], [True, True, True, False, False, False])
    0.5
    """
    thresholds, fmr, fnmr = error_rates(scores, target, weights)
    return float(thresholds[np.argmin(np.abs(fnmr - fmr))])


def min_dcf(
    scores: ArrayLike,
    target: ArrayLike,
    prior: float,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
    weights: ArrayLike | None = None,
) -> float:
    """Normalised minimum of the detection cost, from 0 to 1 (NIST SRE evaluation plans).

    The least of c_miss * prior * FNMR + c_fa * (1 - prior) * FMR over all thresholds, divided by the cost of
    the better one of two systems that do not listen: accept all, refuse all.

    Args:
        scores, target, weights: see `error_rates`.
        prior: share of target trials where the system will work, between 0 and 1.
        c_miss: cost of refusing a target trial.
        c_fa: cost of accepting a nontarget trial.

    Raises:
        ValueError: for a prior or cost out of range, and as `error_rates`.

    >>> min_dcf([0.9, 0.4, 0.4, 0.1], [True, True, False, False], prior=0.01)
    0.5
    """
    _, fmr, fnmr = error_rates(scores, target, weights)
    return _min_dcf(fmr, fnmr, prior, c_miss, c_fa)


def bootstrap(
    scores: ArrayLike,
    target: ArrayLike,
    enrol_speaker: ArrayLike,
    test_speaker: ArrayLike,
    replicates: int = 1000,
    seed: int = 0,
    priors: Sequence[float] = PRIORS,
) -> Intervals:
    """95 % intervals of EER and minDCF over the draw of speakers.

    Trials share speakers, so they are not independent: resampling them one by one gives intervals that are
    far too narrow. Each replicate draws as many speakers as there are, with replacement. When speaker i is
    drawn c_i times, a target trial of i weighs c_i and a nontarget trial of i and j weighs c_i c_j (after the
    vertex bootstrap of Snijders and Borgatti, *Non-parametric standard errors and tests for network
    statistics*, Connections 22(2), 1999). A replicate without trials of both classes is drawn again. The ends
    are the 2.5th and the 97.5th percentile.

    Args:
        scores, target: see `error_rates`.
        enrol_speaker: (trials,) speaker of the enrolment side, any label.
        test_speaker: (trials,) speaker of the test side.
        replicates: how many draws, 1 or more.
        seed: of the draws; the same seed, the same intervals.
        priors: of minDCF.

    Raises:
        ValueError: for a target trial of two speakers, wrong shapes or `replicates`, and as `error_rates`.
    """
    trials = _sort(scores, target)
    figures = []
    for weights in _weightings(trials.target, enrol_speaker, test_speaker, replicates, seed):
        fmr, fnmr = trials.rates(weights)
        figures.append([equal_error_rate(fmr, fnmr), *(_min_dcf(fmr, fnmr, prior) for prior in priors)])
    first, *others = _intervals(figures)
    return Intervals(first, dict(zip(priors, others, strict=True)))


def eer_difference(
    scores: ArrayLike,
    other_scores: ArrayLike,
    target: ArrayLike,
    enrol_speaker: ArrayLike,
    test_speaker: ArrayLike,
    replicates: int = 1000,
    seed: int = 0,
) -> tuple[float, Interval]:
    """By how much the EER of one system is above that of another on the same trials, and the 95 % interval.

    Paired: every replicate of `bootstrap` takes both figures from the same draw of speakers, so what the speakers
    do to both systems alike does not widen the interval. One that does not hold 0 says that the systems differ.

    Args:
        scores: (trials,) of the one.
        other_scores: (trials,) of the other.
        target, enrol_speaker, test_speaker, replicates, seed: see `bootstrap`.

    Raises:
        ValueError: as `bootstrap`.
    """
    systems = [_sort(values, target) for values in (scores, other_scores)]
    figures = []
    for weights in _weightings(systems[0].target, enrol_speaker, test_speaker, replicates, seed):
        one, other = (equal_error_rate(*system.rates(weights)) for system in systems)
        figures.append([one - other])
    (interval,) = _intervals(figures)
    return eer(scores, target) - eer(other_scores, target), interval


def _weightings(
    target: NDArray[np.bool_], enrol_speaker: ArrayLike, test_speaker: ArrayLike, replicates: int, seed: int
) -> Iterator[Floats]:
    """What each trial weighs in each replicate, (trials,)."""
    if replicates < 1:
        raise ValueError(f"replicates is {replicates}; at least 1 is needed")
    speakers = np.stack([_vector(enrol_speaker, "enrol_speaker"), _vector(test_speaker, "test_speaker")])
    if speakers.shape[1] != len(target):
        raise ValueError(f"{speakers.shape[1]} pairs of speakers for {len(target)} scores")
    if np.any((speakers[0] != speakers[1]) & target):
        raise ValueError("a target trial has two speakers; its sides must be one")
    labels, indices = np.unique(speakers, return_inverse=True)
    enrol, test = indices.reshape(speakers.shape)
    generator = np.random.default_rng(seed)
    done = 0
    while done < replicates:
        drawn = np.bincount(generator.integers(len(labels), size=len(labels)), minlength=len(labels)).astype(np.float64)
        weights = drawn[enrol] * np.where(target, 1.0, drawn[test])
        if np.any(weights[target]) and np.any(weights[~target]):
            yield weights
            done += 1


def _intervals(figures: Sequence[Sequence[float]]) -> list[Interval]:
    """Of figures by replicate, (replicates, figures)."""
    low, high = np.percentile(np.array(figures), [2.5, 97.5], axis=0).tolist()
    return [Interval(*ends) for ends in zip(low, high, strict=True)]


@dataclass(frozen=True, eq=False)
class _Sorted:
    """Trials by ascending score, sorted once for any number of weightings.

    Attributes:
        thresholds: (points - 1,) the different scores, ascending.
        starts: (points - 1,) where in `order` the trials of each score begin.
        order: (trials,) the trials by ascending score.
        target: (trials,) in the order given.
    """

    thresholds: Floats
    starts: NDArray[np.intp]
    order: NDArray[np.intp]
    target: NDArray[np.bool_]

    def rates(self, weights: Floats) -> tuple[Floats, Floats]:
        """FMR and FNMR, (points,) each, under weights (trials,), of which each class has some above 0."""
        below_target = self._below(weights * self.target)
        below_nontarget = self._below(weights * ~self.target)
        fmr = (below_nontarget[-1] - below_nontarget) / below_nontarget[-1]
        return fmr, below_target / below_target[-1]

    def _below(self, weights: Floats) -> Floats:
        """(points,) what the trials below each threshold weigh."""
        total: Floats = np.concatenate(([0.0], np.cumsum(weights[self.order])))
        below: Floats = total[np.append(self.starts, len(weights))]
        return below


def _sort(scores: ArrayLike, target: ArrayLike) -> _Sorted:
    values = np.asarray(_vector(scores, "scores"), np.float64)
    labels = np.asarray(_vector(target, "target"), np.bool_)
    if len(values) != len(labels):
        raise ValueError(f"{len(values)} scores for {len(labels)} labels")
    if not np.isfinite(values).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(values))} of {len(values)} scores are NaN or infinite")
    targets = int(labels.sum())
    if targets in (0, len(labels)):
        raise ValueError(f"{targets} target and {len(labels) - targets} nontarget trials; error rates need both")
    order = np.argsort(values, kind="stable")
    thresholds, starts = np.unique(values[order], return_index=True)
    return _Sorted(thresholds, starts, order, labels)


def _min_dcf(fmr: Floats, fnmr: Floats, prior: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    if not 0 < prior < 1:
        raise ValueError(f"prior is {prior}; a share between 0 and 1 is expected")
    if not (c_miss > 0 and c_fa > 0):
        raise ValueError(f"costs are {c_miss} and {c_fa}; both must be above 0")
    miss, false_alarm = c_miss * prior, c_fa * (1 - prior)
    return float(np.min(miss * fnmr + false_alarm * fmr) / min(miss, false_alarm))


def _vector(values: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} has the shape {array.shape}; one number a trial is expected")
    return array


def _checked_weights(weights: ArrayLike | None, target: NDArray[np.bool_]) -> Floats:
    if weights is None:
        return np.ones(len(target))
    array = np.asarray(_vector(weights, "weights"), np.float64)
    if len(array) != len(target):
        raise ValueError(f"{len(array)} weights for {len(target)} scores")
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError("weights must be finite and 0 or more")
    if not (np.any(array[target]) and np.any(array[~target])):
        raise ValueError("all weights of a class are zero; error rates need trials of both classes")
    return array
