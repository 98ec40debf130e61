"""The reliability diagram: how far log-likelihood ratios mean what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acanet.evaluation.figures.bands import weigh
from acanet.evaluation.figures.bootstrap import ends
from acanet.evaluation.figures.metrics import Floats, convex_hull, detection_cost, error_rates, least_cost
from acanet.scoring.operating_point import OperatingPoint

FEWEST = 5
"""Targets in the lowest bin and nontargets in the highest, at least."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Log-likelihood ratios as stated and as they turned out, in bins; natural logarithms.

    Attributes:
        stated: (bins,) ascending: the log odds of the mean probability stated, at even odds. It is what calibrated
            ratios would show, however wide the bin.
        observed: (bins,) logarithm of the share of all targets over the share of all nontargets that is in the bin.
        low: (bins,) lower end of its 95 % interval over the draw of speakers; -inf where draws hold no targets.
        high: (bins,) upper end; inf where they hold no nontargets.
        unpaired: trials in bins that hold one class only, and have no ratio to observe.
    """

    stated: Floats
    observed: Floats
    low: Floats
    high: Floats
    unpaired: int


@dataclass(frozen=True, eq=False)
class BayesErrors:
    """Normalised error rates of decisions by Bayes' rule (Brümmer's thesis, Stellenbosch 2010, section 8.2).

    Attributes:
        log_odds: (points,) logarithm of the odds that a trial is a target, where the system works.
        actual: (points,) of the ratios as stated, over the error of who does not listen.
        least: (points,) of the best threshold for each point.
    """

    log_odds: Floats
    actual: Floats
    least: Floats


def reliability(
    llrs: Floats,
    target: NDArray[np.bool_],
    enrol_speaker: ArrayLike,
    test_speaker: ArrayLike,
    *,
    bins: int = 24,
    replicates: int = 1000,
    seed: int = 0,
) -> Reliability:
    """Compare stated with observed log-likelihood ratios.

    The bins hold equal weight when both classes weigh the same, as at even odds; those at the ends are wider where
    one class is rare.

    Args:
        llrs: (trials,) natural logarithm.
        target, enrol_speaker, test_speaker, replicates, seed: see `acanet.evaluation.figures.bands.det_band`.
        bins: at most so many.

    Raises:
        MissingExtra: without SciPy.
    """
    targets = np.count_nonzero(target)
    weights = np.where(target, 0.5 / targets, 0.5 / (len(target) - targets))
    order = np.argsort(llrs, kind="stable")
    below, above = np.cumsum(target[order]), np.cumsum(~target[order][::-1])[::-1]
    fit = (below >= FEWEST) & (above >= FEWEST)
    places = np.searchsorted(np.cumsum(weights[order]), np.arange(1, bins) / bins)
    edges = np.unique(llrs[order][places[fit[places]]])
    number = np.searchsorted(edges, llrs, side="right")
    count = len(edges) + 1
    weighed = weigh(number, count, target, enrol_speaker, test_speaker, replicates=replicates, seed=seed)
    cells = weighed.sums[0]
    both = cells.all(axis=0)
    chances = _chances(weighed.sums[..., both])
    low, high = ends(chances[0], chances[1:], weighed.drawn[1:])
    stated = _stated(llrs, weights, number, count)[both]
    return Reliability(stated, _log_odds(chances[0]), _log_odds(low), _log_odds(high), int(cells[:, ~both].sum()))


def bayes_errors(llrs: Floats, target: NDArray[np.bool_], *, reach: float = 7.0, points: int = 57) -> BayesErrors:
    """Error rates over the prior log odds, from `-reach` to `reach`.

    Raises:
        BadArgument: as `error_rates`.
        MissingExtra: without SciPy.
    """
    log_odds = np.linspace(-reach, reach, points)
    thresholds, fmr, fnmr = error_rates(llrs, target)
    hull = convex_hull(fmr, fnmr)
    works = [OperatingPoint(prior=float(1 / (1 + np.exp(-odds)))) for odds in log_odds]
    taken = np.searchsorted(thresholds, [point.threshold for point in works])
    actual = [detection_cost(fmr[[at]], fnmr[[at]], point)[0] for at, point in zip(taken, works, strict=True)]
    return BayesErrors(log_odds, np.array(actual), np.array([least_cost(*hull, point) for point in works]))


def _stated(llrs: Floats, weights: Floats, number: NDArray[np.intp], count: int) -> Floats:
    """The stated ratio of each bin, (bins,); NaN where a bin holds nothing."""
    chances = (1 / (1 + np.exp(np.clip(side, -500, 500))) for side in (-llrs, llrs))
    same, other = (np.bincount(number, weights * chance, minlength=count) for chance in chances)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(same) - np.log(other), np.float64)


def _chances(weights: Floats) -> Floats:
    """Share of targets at even odds, (draws, 2, bins) -> (draws, bins); of the first draw where a bin holds nothing."""
    shares = weights / weights.sum(axis=-1, keepdims=True)
    total = shares.sum(axis=1)
    whole = shares[0, 0] / total[0]
    return np.asarray(np.where(total > 0, shares[:, 0] / np.where(total > 0, total, 1), whole), np.float64)


def _log_odds(chances: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(chances) - np.log1p(-chances), np.float64)
