"""A figure, and how sure it is."""

from __future__ import annotations

from acanet.config.strict import Strict


class Measure(Strict):
    """A figure and its 95 % confidence interval over the draw of speakers; rates are shares from 0 to 1."""

    value: float
    low: float
    high: float
