"""Error rates and costs of speaker verification.

A trial is accepted when its score is at or above the threshold. FMR, the false match rate, is the share of
nontarget trials that are accepted; FNMR, the false non-match rate, the share of target trials that are not.
Trials of equal score are accepted or refused together, so nothing here depends on the order of the trials.
What takes `fmr` and `fnmr` takes the points of a curve, as `error_rates` gives them; it needs the corners only.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acanet.errors import BadArgument, MissingExtra
from acanet.scoring.operating_point import OperatingPoint, operating_point

Floats = NDArray[np.float64]
Rate = TypeVar("Rate", float, Floats)


class ErrorRates(NamedTuple):
    """The points of a DET curve, (points,) each by ascending threshold; the last, +inf, accepts nothing."""

    thresholds: Floats
    fmr: Floats
    fnmr: Floats


def error_rates(scores: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> ErrorRates:
    """FMR and FNMR at every score that occurs, and above all of them.

    Args:
        scores: (trials,), the higher the more alike.
        target: (trials,) true where both sides are one speaker.
        weights: (trials,), 0 or more; a trial of weight 2 counts as two trials. None: all 1.

    Raises:
        BadArgument: for scores that are not finite, wrong shapes or weights, or a class without trials.

    >>> error_rates([0.9, 0.4, 0.4, 0.1], [True, True, False, False])
    ErrorRates(thresholds=array([0.1, 0.4, 0.9, inf]), fmr=array([1. , 0.5, 0. , 0. ]), \
fnmr=array([0. , 0. , 0.5, 1. ]))
    """
    values, labels = checked_trials(scores, target)
    weighed = _checked_weights(weights, labels)
    order = np.argsort(values, kind="stable")
    thresholds, starts = np.unique(values[order], return_index=True)
    ends = np.append(starts, len(values))
    targets, nontargets = (_running(np.where(labels == side, weighed, 0.0)[order])[ends] for side in (True, False))
    return ErrorRates(
        np.append(thresholds, np.inf), (nontargets[-1] - nontargets) / nontargets[-1], targets / targets[-1]
    )


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
    """The `eer` of a curve that `error_rates` gave."""
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


def eer_hull(scores: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Equal error rate on the convex hull of the ROC: from 0 to 0.5, never above `eer`.

    It is the largest cost that any prior can force on who knows the best threshold for it (Brümmer, *Measuring,
    refining and calibrating speaker and language information extracted from speech*, thesis, Stellenbosch 2010).
    Arguments and errors: `error_rates`.

    >>> eer_hull([0.9, 0.8, 0.3, 0.5, 0.2, 0.1], [True, True, True, False, False, False])
    0.16666666666666666
    """
    _, fmr, fnmr = error_rates(scores, target, weights)
    return equal_error_rate(*convex_hull(fmr, fnmr))


def convex_hull(fmr: Floats, fnmr: Floats) -> tuple[Floats, Floats]:
    """FMR and FNMR at the corners of the convex hull of a curve, (corners,) each, in the order of the curve.

    Found by pooling adjacent violators: the slopes of the hull are the isotonic regression of the share of
    targets on the score (Fawcett and Niculescu-Mizil, *PAV and the ROC convex hull*, Machine Learning 68, 2007).

    Raises:
        MissingExtra: without SciPy.
    """
    try:
        from scipy.optimize import isotonic_regression
    except ImportError:
        raise MissingExtra("scipy", "train") from None
    misses, false_alarms = np.diff(fnmr), -np.diff(fmr)
    weights = misses + false_alarms
    steps = np.flatnonzero(weights > 0)
    weights = weights[steps]
    pooled = isotonic_regression(misses[steps] / weights, weights=weights).blocks
    corners = np.append(0, steps[pooled[1:] - 1] + 1)
    return fmr[corners], fnmr[corners]


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
        BadConfig: for a prior or cost out of range.
        BadArgument: as `error_rates`.

    >>> min_dcf([0.9, 0.4, 0.4, 0.1], [True, True, False, False], prior=0.01)
    0.5
    """
    point = operating_point(prior, c_miss, c_fa)
    _, fmr, fnmr = error_rates(scores, target, weights)
    return least_cost(fmr, fnmr, point)


def detection_cost(fmr: Rate, fnmr: Rate, point: OperatingPoint) -> Rate:
    """Normalised detection cost of one point of a curve, or of each, (points,)."""
    return (point.miss * fnmr + point.false_alarm * fmr) / min(point.miss, point.false_alarm)


def least_cost(fmr: Floats, fnmr: Floats, point: OperatingPoint) -> float:
    """The `min_dcf` of a curve, or of its convex hull, which has the same."""
    return float(np.min(detection_cost(fmr, fnmr, point)))


def act_dcf(
    llrs: ArrayLike,
    target: ArrayLike,
    prior: float,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
    weights: ArrayLike | None = None,
) -> float:
    """Normalised detection cost of deciding by the log-likelihood ratios: `min_dcf`, and what calibration costs.

    The threshold is the one that Bayes' rule gives, `OperatingPoint.threshold`. Above 1, not listening at all
    would cost less. Arguments and errors: `min_dcf`, with log-likelihood ratios (natural logarithm) as scores.

    >>> act_dcf([3.0, -1.0, -2.0, -4.0], [True, True, False, False], prior=0.5)
    0.5
    """
    point = operating_point(prior, c_miss, c_fa)
    values, labels = checked_trials(llrs, target)
    weighed = _checked_weights(weights, labels)
    accepted = values >= point.threshold
    fmr = float(np.average(accepted[~labels], weights=weighed[~labels]))
    fnmr = float(np.average(~accepted[labels], weights=weighed[labels]))
    return detection_cost(fmr, fnmr, point)


def cllr(llrs: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Cost of log-likelihood ratios, in bits a trial: 0 for perfect ones, 1 for those that say nothing (all 0).

    The mean over targets of log2(1 + exp(-llr)) and that over nontargets of log2(1 + exp(llr)), halved (Brümmer
    and du Preez, *Application-independent evaluation of speaker detection*, Computer Speech and Language 20, 2006).
    It grows without bound with ratios that are large and wrong. Arguments and errors: `error_rates`, with
    log-likelihood ratios (natural logarithm) as scores.

    >>> cllr([0.0, 0.0], [True, False])
    1.0
    """
    values, labels = checked_trials(llrs, target)
    weighed = _checked_weights(weights, labels)
    bits = llr_bits(values, labels)
    return float(sum(np.average(bits[side], weights=weighed[side]) for side in (labels, ~labels)) / 2)


def llr_bits(llrs: Floats, target: NDArray[np.bool_]) -> Floats:
    """The cost of each log-likelihood ratio, (trials,) bits: how surprising the truth is at even odds."""
    bits: Floats = np.logaddexp(0.0, np.where(target, -llrs, llrs)) / np.log(2)
    return bits


def min_cllr(scores: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The `cllr` of the best log-likelihood ratios that keep the order of the scores, from 0 to 1.

    These are the slopes of the ROC's convex hull. Chosen on the very trials, they are a bound, not a calibration.
    Arguments and errors: `error_rates`.

    >>> min_cllr([0.9, 0.8, 0.2, 0.1], [True, True, False, False])
    0.0
    """
    _, fmr, fnmr = error_rates(scores, target, weights)
    return hull_cllr(*convex_hull(fmr, fnmr))


def hull_cllr(fmr: Floats, fnmr: Floats) -> float:
    """The `min_cllr` of a convex hull.

    An edge of it holds the shares p of the targets and q of the nontargets, all with the ratio p / q.
    """
    p, q = np.diff(fnmr), -np.diff(fmr)
    return float(np.sum(_times_log2(p + q) - _times_log2(p) - _times_log2(q)) / 2)


def auc(scores: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Area under the ROC: how often a target trial scores above a nontarget trial; a tie counts half.

    Arguments and errors: `error_rates`.

    >>> auc([0.9, 0.4, 0.4, 0.1], [True, True, False, False])
    0.875
    """
    _, fmr, fnmr = error_rates(scores, target, weights)
    return area_under(fmr, fnmr)


def area_under(fmr: Floats, fnmr: Floats) -> float:
    """The `auc` of a curve."""
    return float(-np.diff(fmr) @ (2 - fnmr[1:] - fnmr[:-1]) / 2)


def fnmr_at(scores: ArrayLike, target: ArrayLike, fmr: float, weights: ArrayLike | None = None) -> float:
    """FNMR at the lowest threshold whose FMR is at most `fmr`, as reports after ISO/IEC 19795-1 have it.

    With fewer than 1 / `fmr` nontarget trials no false match at all is allowed: the figure is then the share of
    the target trials below the highest nontarget score, at an FMR that is only known to be low, and more
    nontarget trials would give a higher one. Arguments and errors: `error_rates`.

    >>> fnmr_at([0.9, 0.8, 0.3, 0.5, 0.2, 0.1], [True, True, True, False, False, False], 0.01)
    0.3333333333333333
    """
    _, rates, misses = error_rates(scores, target, weights)
    return miss_rate_at(rates, misses, fmr)


def miss_rate_at(fmr: Floats, fnmr: Floats, most: float) -> float:
    """The `fnmr_at` of a curve, where FMR is at most `most`."""
    return float(fnmr[np.argmax(fmr <= most)])


def checked_trials(scores: ArrayLike, target: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores and labels as arrays, (trials,); errors as `error_rates`."""
    values = np.asarray(vector(scores, "scores"), np.float64)
    labels = np.asarray(vector(target, "target"), np.bool_)
    if len(values) != len(labels):
        raise BadArgument("scores", f"{len(values)} scores for {len(labels)} labels")
    if not np.isfinite(values).all():
        told = f"{np.count_nonzero(~np.isfinite(values))} of {len(values)} scores are NaN or infinite"
        raise BadArgument("scores", told)
    targets = int(labels.sum())
    if targets in (0, len(labels)):
        told = f"{targets} target and {len(labels) - targets} nontarget trials; error rates need both"
        raise BadArgument("target", told)
    return values, labels


def vector(values: ArrayLike, name: str) -> NDArray[Any]:
    """An array of one number a trial.

    Raises:
        BadArgument: for another shape.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise BadArgument(name, f"{name} has the shape {array.shape}; one number a trial is expected")
    return array


def _checked_weights(weights: ArrayLike | None, target: NDArray[np.bool_]) -> Floats:
    if weights is None:
        return np.ones(len(target))
    array = np.asarray(vector(weights, "weights"), np.float64)
    if len(array) != len(target):
        raise BadArgument("weights", f"{len(array)} weights for {len(target)} scores")
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise BadArgument("weights", "weights must be finite and 0 or more")
    if not (np.any(array[target]) and np.any(array[~target])):
        raise BadArgument("weights", "all weights of a class are zero; error rates need trials of both classes")
    return array


def _running(values: Floats) -> Floats:
    """The sums of all that come before: (n,) -> (n + 1,)."""
    total: Floats = np.concatenate(([0.0], np.cumsum(values)))
    return total


def _times_log2(share: Floats) -> Floats:
    """The product of a share and its binary logarithm, 0 at 0."""
    product: Floats = share * np.log2(np.where(share > 0, share, 1.0))
    return product
