"""The census of a list: how much its trials can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from acanet.data.draw.possible_pairs import Numbers


@dataclass(frozen=True)
class Census:
    """The trials of one class.

    Attributes:
        trials: how many were drawn.
        possible: how many the manifest has under the conditions.
        groups: speakers that targets are of, or pairs of speakers that nontargets are of.
        least: trials of the group that has fewest.
        most: trials of the group that has most.
        effective: see `effective_size`.
    """

    trials: int
    possible: int
    groups: int
    least: int
    most: int
    effective: float

    @classmethod
    def take(cls, enrol_speaker: Numbers, test_speaker: Numbers, possible: int) -> Self:
        """Count trials of one class by the speakers of their sides, (trials,) each."""
        count = max(enrol_speaker.max(), test_speaker.max()) + 1
        low, high = np.minimum(enrol_speaker, test_speaker), np.maximum(enrol_speaker, test_speaker)
        _, each = np.unique(low * count + high, return_counts=True)
        effective = effective_size(enrol_speaker, test_speaker)
        return cls(len(low), possible, len(each), int(each.min()), int(each.max()), effective)

    def describe(self, groups: str) -> str:
        """One line for people; `groups` is what trials are spread over."""
        each = f"{self.least:,}" if self.least == self.most else f"{self.least:,} to {self.most:,}"
        return (
            f"{self.trials:,} of {self.possible:,} possible, of {self.groups:,} {groups}, {each} each; "
            f"effective sample size {self.effective:,.1f}"
        )


def effective_size(enrol_speaker: Numbers, test_speaker: Numbers) -> float:
    """The number of independent trials that some trials of one class are worth at least.

    Trials of the same speakers tell partly the same. The mean over n trials, whose correlation is r(t, u), varies as
    that of n^2 / sum r(t, u) independent ones, the sum being over all pairs of trials, each with itself too (Kish,
    *Survey Sampling*, 1965, section 5.4: n over the design effect). Here r is the most that speakers can make of it,
    the share of speakers that two trials have in common: 1 for targets of one speaker, and for nontargets 1 for one
    pair of speakers and 1/2 for one common speaker. With n(s) the trials that speaker s is in, that is n^2 / sum n(s)^2
    for targets, the number of speakers when all have the same number, and 2 n^2 / sum n(s)^2 for nontargets, half the
    number of speakers. The truth is between this and n, nearer to n the less the error depends on who speaks.

    Args:
        enrol_speaker: (trials,) number of the speaker on the enrolment side.
        test_speaker: (trials,) that on the test side; the same in all trials, or another in all.

    >>> effective_size(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]))
    2.0
    >>> effective_size(np.array([0, 0, 1]), np.array([1, 2, 2]))
    1.5
    """
    each = np.bincount(enrol_speaker)
    if not np.array_equal(enrol_speaker, test_speaker):
        each = np.bincount(np.concatenate([enrol_speaker, test_speaker]))
    sides = each.sum() / len(enrol_speaker)
    return float(sides * len(enrol_speaker) ** 2 / (each.astype(float) ** 2).sum())
