"""Score -> decision, and what it means in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from acanet.errors import AcanetError, BadArgument, NotCalibrated

MOST = 1000.0
"""The largest ratio that is told as a number: beyond it no calibration has data."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Two recordings compared; as a truth value it is the decision, `same`, and raises where there is none.

    Attributes:
        score: cosine of their embeddings, -1 to 1; higher is more alike. It has no meaning of its own.
        threshold: the score from which on the voices count as the same, for as much speech as there is; above 1 where
            there is too little for any score to reach it. None when nobody chose one.
        llr: log-likelihood ratio (natural logarithm): how much likelier the score is if it is one voice than if it is
            two. None without a calibration.
        llr_threshold: the log-likelihood ratio that the threshold equals; None without a calibration or threshold.
        enrolment_speech: seconds of speech; None without a calibration.
        test_speech: the same of the test side.
        undecided: why there is no decision, where there is none.
        enrolment_warnings: what the recording has lost (`acanet.scoring.heard.Heard`), for which errors are likelier.
        test_warnings: the same of the test side.
        outside: what of the two recordings the calibration has not seen, such as `test: telephone`, so that its ratio
            and its threshold may be wrong for them; empty: nothing, or there is no calibration.

    Raises:
        BadArgument: for numbers that are not finite, of which nothing can be decided.
    """

    score: float
    threshold: float | None = None
    llr: float | None = None
    llr_threshold: float | None = None
    enrolment_speech: float | None = None
    test_speech: float | None = None
    undecided: str | None = None
    enrolment_warnings: tuple[str, ...] = ()
    test_warnings: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("score", "threshold", "llr", "llr_threshold", "enrolment_speech", "test_speech"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise BadArgument(name, f"{name} is {value}; a finite number is expected")

    def __bool__(self) -> bool:
        return self.same

    @property
    def same(self) -> bool:
        """Whether it is the same speaker.

        Raises:
            NotCalibrated: without a threshold there is no decision.
        """
        if self.threshold is None:
            raise NotCalibrated(self.undecided)
        return self.score >= self.threshold

    @property
    def meaning(self) -> str | None:
        """What the log-likelihood ratio says, in words; None without one."""
        return None if self.llr is None else in_words(self.llr)


def in_words(llr: float) -> str:
    """What a log-likelihood ratio (natural logarithm) says.

    >>> for llr in (3.15, 9.0, 0.01, -0.5):
    ...     print(in_words(llr))
    23 times likelier if it is one voice than if it is two
    over 1,000 times likelier if it is one voice than if it is two
    as likely if it is one voice as if it is two
    1.6 times likelier if it is two voices than if it is one
    """
    size = abs(llr)
    told = f"over {MOST:,.0f}" if size > math.log(MOST) else f"{float(f'{math.exp(size):.2g}'):,g}"
    if told == "1":
        return "as likely if it is one voice as if it is two"
    one, other = ("one voice", "two") if llr > 0 else ("two voices", "one")
    return f"{told} times likelier if it is {one} than if it is {other}"


def check_decision(threshold: float | None, prior: float | None) -> None:
    """Make sure that there is at most one way to decide, and that it can be.

    Args:
        threshold: cosine from which on two recordings count as the same voice.
        prior: how often they are one voice.

    Raises:
        AcanetError: for a threshold or prior out of range, or both.
    """
    if threshold is not None and not -1.0 <= threshold <= 1.0:
        raise AcanetError(f"threshold is {threshold}; a cosine, from -1 to 1, is expected")
    if prior is not None and not 0.0 < prior < 1.0:
        raise AcanetError(f"prior is {prior}; a share between 0 and 1 is expected")
    if threshold is not None and prior is not None:
        raise AcanetError("threshold and prior are two ways to decide; give one of them")
