"""A verification as a person reads it, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from acanet.scoring.calibrate import Calibration
from acanet.scoring.decide import Verification

_NUMBERS = ("score", "threshold", "llr", "llr_threshold", "enrolment_speech", "test_speech")
_WARNINGS = ("enrolment_warnings", "test_warnings", "outside")
_DIGITS = 6


def decided(result: Verification) -> bool | None:
    """Whether it is the same speaker; None without a decision."""
    return None if result.threshold is None else result.same


def as_json(result: Verification) -> dict[str, Any]:
    """The numbers and warnings of a verification, and `same`, the decision; None for what there is not."""
    values = {name: getattr(result, name) for name in _NUMBERS}
    rounded = {name: None if value is None else round(value, _DIGITS) for name, value in values.items()}
    warnings = {name: list(getattr(result, name)) for name in _WARNINGS}
    return rounded | {"same": decided(result)} | warnings


def sentence(result: Verification) -> str:
    """The score, the threshold where there is one, and the verdict, in one line."""
    verdict = {None: "no decision", True: "same speaker", False: "not the same speaker"}[decided(result)]
    return f"score {result.score:.4f}{_threshold(result.threshold)}: {verdict}"


def lines(result: Verification, calibration: Calibration | None) -> Iterator[str]:
    """The lines that tell of a verification.

    Args:
        result: what came out.
        calibration: of the model; None: nothing is said of ratios.
    """
    yield sentence(result)
    if calibration is not None:
        yield f"log-likelihood ratio {result.llr:.2f}, threshold {result.llr_threshold:.2f}: {result.meaning}"
        yield f"speech: {result.enrolment_speech or 0.0:.1f} s and {result.test_speech or 0.0:.1f} s"
    if result.outside:
        yield f"outside of what the calibration has seen, so take the ratio with care: {'; '.join(result.outside)}"


def _threshold(threshold: float | None) -> str:
    if threshold is None:
        return ""
    if threshold > 1:
        return ", threshold above 1, which recordings of this length cannot reach"
    return f", threshold {threshold:.4f}"
