"""Figures with 95 % intervals over the draw of speakers (`acanet.evaluation.figures.bootstrap`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field
from rich.console import Console
from rich.progress import track

from acanet.config.strict import Strict
from acanet.evaluation.figures import metrics
from acanet.evaluation.figures.bootstrap import Speakers, ends, unseen
from acanet.evaluation.figures.curve import Curve
from acanet.evaluation.figures.metrics import Floats
from acanet.scoring.measure import Measure
from acanet.scoring.operating_point import OperatingPoint

POINTS = (OperatingPoint(prior=0.01), OperatingPoint(prior=0.05))
FALSE_MATCH_RATES = (1e-2, 1e-3, 1e-4)


class Paired(Strict):
    """A figure of one system beside that of another, both by the same draws of the speakers."""

    difference: Measure = Field(description="by how much the one is above the other")
    ratio: Measure | None = Field(
        description="how many times the other it is; None: the other is 0, of everybody or in a draw"
    )


def measure(
    scores: ArrayLike,
    target: ArrayLike,
    enrol_speaker: ArrayLike,
    test_speaker: ArrayLike,
    *,
    llrs: ArrayLike | None = None,
    decision: float | None = None,
    points: Sequence[OperatingPoint] = POINTS,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Measure]:
    """Every figure of a system on a trial list, each with its interval.

    A replicate without trials of both classes is drawn again. An interval holds its figure. Where no draw changes a
    figure (no speaker erred, or there are only two), it is as wide as the number of speakers allows (`unseen`).

    Memory beyond the arguments: about 150 bytes a trial, and 8 bytes for each speaker and replicate.

    Args:
        scores, target: see `error_rates`.
        enrol_speaker: (trials,) speaker of the enrolment side, any label.
        test_speaker: (trials,) speaker of the test side.
        llrs: (trials,) the scores as log-likelihood ratios, natural logarithm; None where nobody calibrated.
        decision: the log-likelihood ratio from which on trials are accepted; None where nobody decides.
        points: of minDCF and actDCF.
        replicates: how many draws, 1 or more.
        seed: of the draws; the same seed, the same intervals.

    Returns:
        By name, as the functions of `acanet.evaluation.figures.metrics` compute them: `eer`, `eer_hull`, `auc`,
        `min_dcf(POINT)`, with llrs `act_dcf(POINT)` and `cllr`, with a decision `false_accepts` and `false_rejects`,
        then `min_cllr` (of the llrs, without them of the scores) and `fnmr(FMR)` at three false match rates.

    Raises:
        BadArgument: for a label that the speakers contradict, wrong shapes or `replicates`, and as `error_rates`.
        MissingExtra: without SciPy.
    """
    speakers = Speakers(target, enrol_speaker, test_speaker)
    system = _System(scores, llrs, speakers, points, decision)
    return _measures([system], speakers, replicates, seed)


def differences(
    scores: ArrayLike,
    other_scores: ArrayLike,
    target: ArrayLike,
    enrol_speaker: ArrayLike,
    test_speaker: ArrayLike,
    *,
    llrs: ArrayLike | None = None,
    other_llrs: ArrayLike | None = None,
    decision: float | None = None,
    other_decision: float | None = None,
    points: Sequence[OperatingPoint] = POINTS,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Measure]:
    """The differences of the figures of two systems on the same trials: by how much the one is above the other.

    Paired: every replicate takes both figures from the same draw of speakers, so what the speakers do to both systems
    alike does not widen the interval. One that does not hold 0 says that the systems differ.

    Args:
        scores: (trials,) of the one.
        other_scores: (trials,) of the other.
        llrs, other_llrs: (trials,) of each; actDCF and Cllr need both, and minCllr is of the scores unless both are
            there.
        decision, other_decision: of each; their error rates need both.
        target, enrol_speaker, test_speaker, points, replicates, seed: see `measure`.

    Raises:
        BadArgument, MissingExtra: as `measure`.
    """
    if llrs is None or other_llrs is None:
        llrs = other_llrs = None
    if decision is None or other_decision is None:
        decision = other_decision = None
    speakers = Speakers(target, enrol_speaker, test_speaker)
    one = _System(scores, llrs, speakers, points, decision)
    other = _System(other_scores, other_llrs, speakers, points, other_decision)
    return _measures([one, other], speakers, replicates, seed)


def pairwise(
    scores: Mapping[str, ArrayLike],
    target: ArrayLike,
    enrol_speaker: ArrayLike,
    test_speaker: ArrayLike,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    points: Sequence[OperatingPoint] = POINTS,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[tuple[str, str], dict[str, Paired]]:
    """Every figure of each of many systems beside that of each other one, on the same trials.

    The differences are those of `differences`, and a ratio comes from the same draws: one whose interval is below 0.8
    says that the figure is less than 0.8 times the other's. Each system is resampled once, however many others there
    are.

    Args:
        scores: (trials,) of each system, by its name.
        groups: names of systems, such as the seeds of one recipe, by the name of their group, which no system has; the
            figures of a group are the means of its systems' own.
        target, enrol_speaker, test_speaker, points, replicates, seed: see `measure`.

    Returns:
        For every ordered pair (one, other) of systems and of groups, by figure.

    Raises:
        BadArgument, MissingExtra: as `measure`.
    """
    speakers = Speakers(target, enrol_speaker, test_speaker)
    drawn = speakers.draws(replicates, seed)
    systems = [_System(values, None, speakers, points) for values in scores.values()]
    resampled = dict(zip(scores, _resample(systems, drawn), strict=True))
    means = {name: _mean([resampled[each] for each in members]) for name, members in (groups or {}).items()}
    return {
        (one, other): _paired(compared[one], compared[other], drawn)
        for compared in (resampled, means)
        for one, other in permutations(compared, 2)
    }


def figure_names(points: Sequence[OperatingPoint] = POINTS, *, calibrated: bool) -> list[str]:
    """The names that `measure` gives, in its order; calibrated: with log-likelihood ratios and a decision."""
    names = ["eer", "eer_hull", "auc", *(f"min_dcf({point.name})" for point in points)]
    if calibrated:
        names += [*(f"act_dcf({point.name})" for point in points), "cllr", "false_accepts", "false_rejects"]
    return [*names, "min_cllr", *(f"fnmr({rate:g})" for rate in FALSE_MATCH_RATES)]


class _System:
    """Scores whose figures are wanted under many draws of the speakers."""

    def __init__(
        self,
        scores: ArrayLike,
        llrs: ArrayLike | None,
        speakers: Speakers,
        points: Sequence[OperatingPoint],
        decision: float | None = None,
    ) -> None:
        values, _ = metrics.checked_trials(scores, speakers.target)
        self._points, self._decides = points, decision is not None
        self.curve = Curve(values, speakers)
        self._llrs = None
        if llrs is not None:
            values, labels = metrics.checked_trials(llrs, speakers.target)
            bits = metrics.llr_bits(values, labels)[:, np.newaxis]
            decisions = [] if decision is None else [decision]
            self._llrs = Curve(values, speakers, bits, [point.threshold for point in points] + decisions)

    def figures(self, drawn: Floats) -> dict[str, float]:
        """Every figure, by name, when each speaker counts as often as `drawn`, (speakers,), says."""
        fmr, fnmr, _ = self.curve.under(drawn)
        hull = metrics.convex_hull(fmr[self.curve.hull], fnmr[self.curve.hull])
        found = {
            "eer": metrics.equal_error_rate(fmr, fnmr),
            "eer_hull": metrics.equal_error_rate(*hull),
            "auc": metrics.area_under(fmr, fnmr),
        }
        found |= {f"min_dcf({point.name})": metrics.least_cost(*hull, point) for point in self._points}
        if self._llrs is not None:
            llr_fmr, llr_fnmr, bits = self._llrs.under(drawn)
            for point, corner in zip(self._points, self._llrs.at, strict=False):
                cost = metrics.detection_cost(llr_fmr[corner], llr_fnmr[corner], point)
                found[f"act_dcf({point.name})"] = float(cost)
            found["cllr"] = float(bits[0] / 2)
            if self._decides:
                corner = self._llrs.at[-1]
                found |= {"false_accepts": float(llr_fmr[corner]), "false_rejects": float(llr_fnmr[corner])}
            hull = metrics.convex_hull(llr_fmr[self._llrs.hull], llr_fnmr[self._llrs.hull])
        found["min_cllr"] = metrics.hull_cllr(*hull)
        return found | {f"fnmr({most:g})": metrics.miss_rate_at(fmr, fnmr, most) for most in FALSE_MATCH_RATES}


@dataclass(frozen=True, eq=False)
class _Resampled:
    """Figures of a system, of everybody and in each draw.

    Attributes:
        names: of the figures.
        values: (figures,).
        found: (replicates, figures).
    """

    names: list[str]
    values: Floats
    found: Floats

    def __sub__(self, other: _Resampled) -> _Resampled:
        """The differences of the figures to those of another system in the same draws."""
        return _Resampled(self.names, self.values - other.values, self.found - other.found)

    def __truediv__(self, other: _Resampled) -> _Resampled:
        """The ratios to the figures of another system in the same draws, of those that it never has at 0."""
        kept = (other.values != 0) & other.found.all(axis=0)
        names = [name for name, keep in zip(self.names, kept, strict=True) if keep]
        return _Resampled(names, self.values[kept] / other.values[kept], self.found[:, kept] / other.found[:, kept])

    def measures(self, low: Floats, high: Floats) -> dict[str, Measure]:
        """The figures by name, with the ends of their intervals, (figures,) each."""
        rows = zip(self.names, self.values.tolist(), low.tolist(), high.tolist(), strict=True)
        return {name: Measure(value=value, low=first, high=last) for name, value, first, last in rows}


def _measures(systems: Sequence[_System], speakers: Speakers, replicates: int, seed: int) -> dict[str, Measure]:
    """The figures of the first system, less those of the second where there is one."""
    drawn = speakers.draws(replicates, seed)
    one, *others = _resample(systems, drawn)
    if others:
        return _between(one - others[0], drawn)
    low, high = ends(one.values, one.found, drawn)
    return one.measures(*unseen(one.values, low, high, len(speakers.themselves)))


def _resample(systems: Sequence[_System], drawn: Floats) -> list[_Resampled]:
    """The figures of each system, of everybody and for each of `drawn`, (replicates, speakers)."""
    everybody = [system.figures(np.ones(drawn.shape[1])) for system in systems]
    console = Console(stderr=True)
    shown = track(drawn, "intervals", console=console, transient=True, disable=not console.is_terminal)
    found = np.array([[[*system.figures(counts).values()] for system in systems] for counts in shown])
    return [
        _Resampled(list(figures), np.array([*figures.values()]), found[:, number])
        for number, figures in enumerate(everybody)
    ]


def _mean(systems: Sequence[_Resampled]) -> _Resampled:
    """The means of the systems' figures."""
    return _Resampled(
        systems[0].names,
        np.mean([system.values for system in systems], axis=0),
        np.mean([system.found for system in systems], axis=0),
    )


def _paired(one: _Resampled, other: _Resampled, drawn: Floats) -> dict[str, Paired]:
    ratios = _between(one / other, drawn)
    return {
        name: Paired(difference=difference, ratio=ratios.get(name))
        for name, difference in _between(one - other, drawn).items()
    }


def _between(compared: _Resampled, drawn: Floats) -> dict[str, Measure]:
    """Differences or ratios of two systems with their intervals."""
    return compared.measures(*ends(compared.values, compared.found, drawn, paired=True))
