"""What a figure is expected to be: any evaluation as a regression check."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from acanet.errors import AcanetError, nearest
from acanet.evaluation.figures.words import RATES
from acanet.scoring.measure import Measure

OPERATORS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}
EXAMPLE = "a figure, one of <= < >= > and a number are expected, such as 'eer<=0.06'"

_FORM = re.compile(r"\s*(?P<figure>[^<>=\s]+)\s*(?P<operator>[<>]=?)\s*(?P<bound>[^<>=\s]+)\s*")


@dataclass(frozen=True)
class Expectation:
    """A bound for a figure.

    Attributes:
        figure: its name, as `measure` has it.
        operator: one of `OPERATORS`.
        bound: in the figure's unit: rates are shares, not per cent.
    """

    figure: str
    operator: str
    bound: float

    def __str__(self) -> str:
        """The expectation as `parse_expectation` reads it."""
        return f"{self.figure}{self.operator}{self.bound!r}"

    def holds(self, figures: Mapping[str, Measure]) -> bool:
        """True where the figure keeps to the bound; its interval does not count.

        Raises:
            AcanetError: for a figure that is not among them, with the nearest one that is.
        """
        return bool(OPERATORS[self.operator](self._measure(figures).value, self.bound))

    def told(self, figures: Mapping[str, Measure]) -> str:
        """One sentence: what was expected, and what came; errors as `holds`."""
        came = self._measure(figures)
        verdict = "as expected" if self.holds(figures) else "not as expected"
        found = f"{self.figure} is {came.value:.4g} [{came.low:.4g}, {came.high:.4g}]"
        return f"{found}, {verdict}: {self.operator} {self.bound:g}"

    def check(self, figures: Collection[str]) -> None:
        """See that the figure is among those, by name, that an evaluation will have; errors as `holds`."""
        if self.figure not in figures:
            near = nearest(self.figure, figures)
            hint = f" (did you mean {near!r}?)" if near else ""
            raise AcanetError(f"{self}: there is no figure {self.figure!r}{hint}; known are {', '.join(figures)}")

    def _measure(self, figures: Mapping[str, Measure]) -> Measure:
        self.check(figures)
        return figures[self.figure]


def parse_expectation(text: str) -> Expectation:
    """Read an expectation such as `eer<=0.06`, `min_dcf(0.01) <= 0.7` or `auc>=0.99`.

    Whether there is such a figure shows when it is asked for: some need a calibration, or a point that was chosen.

    Raises:
        AcanetError: for another form, a bound that is not a finite number, or one of a rate that is no share.

    >>> parse_expectation("min_dcf(0.01)<=0.7")
    Expectation(figure='min_dcf(0.01)', operator='<=', bound=0.7)
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise AcanetError(f"cannot read the expectation {text!r}; {EXAMPLE}")
    try:
        bound = float(found["bound"])
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        share = "; rates are shares: 6 % is 0.06" if found["bound"].endswith("%") else ""
        raise AcanetError(f"{found['bound']!r} in the expectation {text!r} is not a finite number{share}; {EXAMPLE}")
    if found["figure"].partition("(")[0] in RATES and not 0 <= bound <= 1:
        raise AcanetError(f"the bound in {text!r} is no rate: rates are shares from 0 to 1, so 6 % is 0.06")
    return Expectation(found["figure"], found["operator"], bound)
