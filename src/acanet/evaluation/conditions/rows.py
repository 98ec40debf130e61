"""The rows of a breakdown: EER of some trials, its interval, and its ratio to that of the list as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acanet.evaluation.conditions.tables import Row
from acanet.evaluation.figures.bootstrap import Speakers, ends, unseen
from acanet.evaluation.figures.curve import Curve
from acanet.evaluation.figures.metrics import Floats, checked_trials, equal_error_rate
from acanet.scoring.measure import Measure

FEWEST_SPEAKERS = 5
"""Target trials of fewer speakers have no figure: it would be one of these people, not of their kind."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Trials as figures need them.

    Attributes:
        target: (trials,) whether both sides are one speaker.
        enrol: (trials,) speaker of the enrolment side, as a number.
        test: (trials,) speaker of the test side.
    """

    target: NDArray[np.bool_]
    enrol: NDArray[np.intp]
    test: NDArray[np.intp]

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Pairs:
        """The trials of which `chosen`, (trials,), is true."""
        return Pairs(self.target[chosen], self.enrol[chosen], self.test[chosen])

    @property
    def speakers(self) -> int:
        """The number of speakers."""
        return len(np.union1d(self.enrol, self.test))

    @property
    def lack(self) -> str:
        """The reason why these trials have no figure; empty: they have one."""
        targets = np.count_nonzero(self.target)
        if not targets:
            return "no target trials"
        if targets == len(self.target):
            return "no nontarget trials"
        themselves = len(np.unique(self.enrol[self.target]))
        if themselves < FEWEST_SPEAKERS:
            return f"target trials of {themselves} speakers, a figure needs {FEWEST_SPEAKERS}"
        return ""


@dataclass(frozen=True)
class Bootstrap:
    """The draws that give intervals: so many replicates, from a seed."""

    replicates: int
    seed: int

    def eer(self, scores: ArrayLike, pairs: Pairs) -> Resampled:
        """The EER of trials, and that of every replicate.

        The draws are those of `acanet.evaluation.figures.intervals.measure`: the same for any scores of the same pairs.

        Args:
            scores: (trials,).
            pairs: the trials, of both classes.
        """
        values, _ = checked_trials(scores, pairs.target)
        speakers = Speakers(pairs.target, pairs.enrol, pairs.test)
        curve = Curve(values, speakers)

        def rate(drawn: Floats) -> float:
            fmr, fnmr, _ = curve.under(drawn)
            return equal_error_rate(fmr, fnmr)

        drawn = speakers.draws(self.replicates, self.seed)
        found = np.array(list(map(rate, drawn)))
        return Resampled(rate(np.ones(speakers.count)), found, drawn, len(speakers.themselves))

    def decisions(
        self, accepted: NDArray[np.bool_], refused: NDArray[np.bool_], pairs: Pairs
    ) -> dict[str, Measure | float]:
        """The errors of decisions on trials of both classes, by their names in a `Row`.

        A trial that is refused, because a side has too little speech, is an error whichever class it is of.

        Args:
            accepted: (trials,) which are decided to be one speaker.
            refused: (trials,) which get no decision.
            pairs: the trials.
        """
        counted = np.where(pairs.target, accepted & ~refused, accepted | refused).astype(np.float64)
        speakers = Speakers(pairs.target, pairs.enrol, pairs.test)
        curve = Curve(counted, speakers, thresholds=[1.0])
        drawn = speakers.draws(self.replicates, self.seed)
        place = curve.at[0]
        rates = np.array(
            [[rate[place] for rate in curve.under(each)[:2]] for each in (np.ones(speakers.count), *drawn)]
        )
        accepts, rejects = (
            Resampled(float(values[0]), values[1:], drawn, len(speakers.themselves)).measure() for values in rates.T
        )
        return {"false_accepts": accepts, "false_rejects": rejects, "refused": float(np.mean(refused))}


@dataclass(frozen=True, eq=False)
class Resampled:
    """A figure, and what it was in each replicate of a bootstrap.

    Attributes:
        value: of everybody.
        found: (replicates,).
        drawn: (replicates, speakers) how often each speaker counted.
        themselves: speakers with target trials.
    """

    value: float
    found: NDArray[np.float64]
    drawn: NDArray[np.float64]
    themselves: int

    def measure(self) -> Measure:
        """The rate with its 95 % interval."""
        values, low, high = self._ends()
        (low,), (high,) = unseen(values, low, high, self.themselves)
        return Measure(value=self.value, low=low, high=high)

    def ratio(self, other: Resampled) -> Measure | None:
        """The ratio to another figure of the same draws; None where that is 0, of everybody or in a replicate."""
        if not other.value or not other.found.all():
            return None
        quotient = Resampled(self.value / other.value, self.found / other.found, self.drawn, self.themselves)
        _, (low,), (high,) = quotient._ends()
        return Measure(value=quotient.value, low=low, high=high)

    def _ends(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        values = np.array([self.value])
        return values, *ends(values, self.found[:, np.newaxis], self.drawn)


def measured_row(
    name: str,
    group: str,
    side: Literal["both", "test"],
    pairs: Pairs,
    scores: ArrayLike,
    bootstrap: Bootstrap,
    *,
    clean: Resampled | None = None,
    note: str = "",
) -> Row:
    """One row of a breakdown.

    Args:
        name, group, side, note: see `Row`.
        pairs: its trials.
        scores: (trials,).
        bootstrap: gives the interval, unless there are too few trials or speakers for a figure.
        clean: of the same trials as they were, for the ratio.
    """
    figure = None if pairs.lack else bootstrap.eer(scores, pairs)
    return bare_row(name, group, side, pairs, note="; ".join(filter(None, (pairs.lack, note)))).model_copy(
        update={
            "eer": None if figure is None else figure.measure(),
            "ratio": None if figure is None or clean is None else figure.ratio(clean),
        }
    )


def bare_row(name: str, group: str, side: Literal["both", "test"], pairs: Pairs, note: str) -> Row:
    """A row without a figure."""
    targets = int(np.count_nonzero(pairs.target))
    return Row(
        name=name,
        group=group,
        side=side,
        trials=len(pairs.target),
        targets=targets,
        nontargets=len(pairs.target) - targets,
        speakers=pairs.speakers,
        eer=None,
        note=note,
    )
