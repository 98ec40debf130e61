"""Two systems on one trial list: whether one is better is a test, not a look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from acanet.errors import BadTrials
from acanet.evaluation.figures.intervals import POINTS, differences
from acanet.evaluation.figures.words import shown
from acanet.evaluation.result import Result
from acanet.scoring.measure import Measure
from acanet.scoring.operating_point import OperatingPoint


@dataclass(frozen=True, eq=False)
class PairedComparison:
    """A system beside the one that is reported.

    Attributes:
        result: its evaluation.
        differences: by figure, the reported system minus this one.
    """

    result: Result
    differences: Mapping[str, Measure]

    def summary(self) -> list[str]:
        """Lines for the terminal that tell the differences; rates in per cent."""
        card = self.result.card
        return [
            f"against {card.model} ({card.fingerprint[:12]}): its figures, and the figures above minus those",
            *(
                f"  {name:13} {shown(name, card.figures[name])}; {shown(name, difference)}"
                for name, difference in self.differences.items()
                if name in card.figures
            ),
            "  [...] of a difference that does not hold 0: the systems differ on speakers like these",
        ]


def compare_paired(result: Result, other: Result, *, points: Sequence[OperatingPoint] = POINTS) -> PairedComparison:
    """Compare a system with another, paired: by the same draws of the speakers.

    Args:
        result: the system that is reported; its card says how often and from which seed speakers are drawn.
        other: the other.
        points: of minDCF and actDCF.

    Raises:
        BadTrials: when they were evaluated on different lists.
    """
    trials, speakers, card = result.trials, result.sides.speakers, result.card
    if other.trials.sha256 != trials.sha256:
        reason = f"another list than {trials.path}; systems are compared on one and the same"
        raise BadTrials(other.trials.path, None, reason)
    found = differences(
        result.scores,
        other.scores,
        trials.target,
        speakers[trials.enrol],
        speakers[trials.test],
        llrs=result.llrs,
        other_llrs=other.llrs,
        decision=result.decision,
        other_decision=other.decision,
        points=points,
        replicates=card.replicates,
        seed=card.seed,
    )
    if (result.llrs is None) != (other.llrs is None):
        del found["min_cllr"]  # one card has that of the ratios, the other that of the scores
    return PairedComparison(other, found)
