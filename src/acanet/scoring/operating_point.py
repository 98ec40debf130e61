"""Where a system works: how frequent target trials are there, and what errors cost."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, PositiveFloat

from acanet.config.strict import Strict
from acanet.errors import BadConfig


class OperatingPoint(Strict):
    """A prior and two costs, as the evaluation plans of NIST SRE state them.

    >>> OperatingPoint(prior=0.01).name
    '0.01'
    >>> round(OperatingPoint(prior=0.01).threshold, 3)
    4.595
    >>> OperatingPoint(prior=0.01, c_miss=10).name
    '0.01,10,1'
    """

    prior: Annotated[float, Field(gt=0, lt=1, description="share of target trials where the system works")]
    c_miss: PositiveFloat = Field(1.0, description="cost of refusing a target trial")
    c_fa: PositiveFloat = Field(1.0, description="cost of accepting a nontarget trial")

    @property
    def miss(self) -> float:
        """The expected cost of a trial for a system that refuses all: `c_miss * prior`."""
        return self.c_miss * self.prior

    @property
    def false_alarm(self) -> float:
        """The expected cost of a trial for a system that accepts all: `c_fa * (1 - prior)`."""
        return self.c_fa * (1 - self.prior)

    @property
    def threshold(self) -> float:
        """The log-likelihood ratio (natural logarithm) from which on accepting costs less (Bayes decision)."""
        return math.log(self.c_fa) + math.log1p(-self.prior) - math.log(self.c_miss) - math.log(self.prior)

    @property
    def name(self) -> str:
        """The point as names of figures have it: the prior, and the costs where one is not 1."""
        costs = (self.c_miss, self.c_fa)
        parts = (self.prior,) if costs == (1, 1) else (self.prior, *costs)
        return ",".join(f"{part:g}" for part in parts)


def operating_point(prior: float, c_miss: float = 1.0, c_fa: float = 1.0) -> OperatingPoint:
    """The operating point of these numbers.

    Raises:
        BadConfig: for a prior outside (0, 1), or a cost that is not above 0.
    """
    return OperatingPoint.parse({"prior": prior, "c_miss": c_miss, "c_fa": c_fa}, "operating point")


def parse_point(text: str) -> OperatingPoint:
    """Read an operating point as `name` writes it: a prior such as `0.01`, or with costs such as `0.01,10,1`.

    Raises:
        BadConfig: for anything else.
    """
    parts = text.split(",")
    if len(parts) not in (1, 3):
        raise BadConfig(
            f"operating point {text!r}", ["PRIOR or PRIOR,C_MISS,C_FA is expected, such as 0.01 or 0.01,10,1"]
        )
    fields = dict(zip(("prior", "c_miss", "c_fa"), parts, strict=False))
    return OperatingPoint.parse(fields, f"operating point {text!r}")
