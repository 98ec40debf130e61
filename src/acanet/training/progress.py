"""The progress of a run: how many steps are done, and what the dev set said on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from acanet.config.strict import Strict


class DevResult(Strict):
    """The result of one dev evaluation."""

    step: int
    eer: float


@dataclass
class Progress:
    """The progress of a run.

    Attributes:
        step: steps done.
        history: the dev evaluations, in their order.
    """

    step: int = 0
    history: list[DevResult] = field(default_factory=list)


def best_of(history: Iterable[DevResult]) -> DevResult | None:
    """The dev evaluation with the lowest EER, the first of equal ones; None without any."""
    return min(history, key=lambda result: result.eer, default=None)
