"""The diarization error rate: how much of what people said is given to nobody, to the wrong one, or made up.

Of every moment with r speakers in the reference, h in the hypothesis and c of them right, max(r - h, 0) is missed,
max(h - r, 0) is false alarm and min(r, h) - c is confusion; the rate is the sum of the three over all moments, divided
by that of r. Speakers of the two sides are mapped one to one so that c is largest (NIST, *The 2009 RT-09 Rich
Transcription Meeting Recognition Evaluation Plan*). Times are exact: there are no frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acanet.errors import BadArgument, MissingExtra
from acanet.segments.rttm import Turn

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DiarizationError:
    """Seconds of speaker time; those of several recordings can be added up.

    Attributes:
        speech: of the reference; two who talk at once count twice.
        miss: given to nobody.
        false_alarm: made up.
        confusion: given to the wrong speaker.
    """

    speech: float = 0.0
    miss: float = 0.0
    false_alarm: float = 0.0
    confusion: float = 0.0

    @property
    def rate(self) -> float:
        """The diarization error rate, 0 or more; it may exceed 1. NaN without speech."""
        wrong = self.miss + self.false_alarm + self.confusion
        return wrong / self.speech if self.speech else float("nan")

    def __add__(self, other: DiarizationError) -> DiarizationError:
        return DiarizationError(
            self.speech + other.speech,
            self.miss + other.miss,
            self.false_alarm + other.false_alarm,
            self.confusion + other.confusion,
        )


def diarization_error(
    reference: Sequence[Turn], hypothesis: Sequence[Turn], *, collar: float = 0.25, overlap: bool = True
) -> DiarizationError:
    """Compare who speaks when with who spoke when.

    Args:
        reference: turns in any order; those of one speaker that touch should be one, or a collar parts them.
        hypothesis: turns in any order, with any names.
        collar: seconds on each side of every start and end in the reference that are not scored.
        overlap: score what two or more say at once in the reference.

    Raises:
        BadArgument: for a negative collar.
        MissingExtra: without SciPy.

    >>> said = [Turn(0, 6, "anna"), Turn(6, 10, "bo")]
    >>> found = [Turn(0, 5, "1"), Turn(5, 11, "2")]
    >>> diarization_error(said, found, collar=0)
    DiarizationError(speech=10.0, miss=0.0, false_alarm=1.0, confusion=1.0)
    >>> diarization_error(said, found, collar=0).rate
    0.2
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        raise MissingExtra("scipy", "train") from None
    if not collar >= 0:
        raise BadArgument("collar", f"collar is {collar}; 0 s or more is expected")
    borders = _times(reference)
    edges = np.unique(np.concatenate([borders, borders - collar, borders + collar, _times(hypothesis)]))
    if len(edges) < 2:
        return DiarizationError()
    lengths, middles = np.diff(edges), (edges[:-1] + edges[1:]) / 2
    said, found = _active(reference, middles), _active(hypothesis, middles)
    scored = lengths * ~_near(middles, borders, collar)
    if not overlap:
        scored *= said.sum(axis=0) < 2
    together = (said * scored) @ found.T
    rows, columns = linear_sum_assignment(together, maximize=True)
    correct = (said[rows] * found[columns]).sum(axis=0)
    r, h = said.sum(axis=0), found.sum(axis=0)
    return DiarizationError(
        speech=float(scored @ r),
        miss=float(scored @ np.maximum(r - h, 0)),
        false_alarm=float(scored @ np.maximum(h - r, 0)),
        confusion=float(scored @ (np.minimum(r, h) - correct)),
    )


def _times(turns: Sequence[Turn]) -> Floats:
    """Every start and end, (2 turns,)."""
    return np.array([(turn.start, turn.end) for turn in turns], np.float64).reshape(-1)


def _active(turns: Sequence[Turn], times: Floats) -> Floats:
    """A table, (speakers, times), of ones where a speaker talks."""
    names = sorted({turn.speaker for turn in turns})
    active = np.zeros((len(names), len(times)))
    for turn in turns:
        first, end = np.searchsorted(times, (turn.start, turn.end))
        active[names.index(turn.speaker), first:end] = 1
    return active


def _near(times: Floats, borders: Floats, collar: float) -> NDArray[np.bool_]:
    """A mask of the times, (times,), from which a border is less than a collar away."""
    if not len(borders):
        return np.zeros(len(times), np.bool_)
    borders = np.sort(borders)
    after = np.searchsorted(borders, times).clip(0, len(borders) - 1)
    before = (after - 1).clip(0)
    near: NDArray[np.bool_] = np.minimum(np.abs(times - borders[before]), np.abs(times - borders[after])) < collar
    return near
