"""A DET curve, sorted once for any number of draws of the speakers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acanet.evaluation.figures.bootstrap import Speakers
from acanet.evaluation.figures.metrics import Floats

Indices = NDArray[np.intp]

_BLOCK = 1 << 15  # trials weighed at a time: their weights stay in the cache


@dataclass(frozen=True, eq=False)
class _Class:
    """The target or the nontarget trials by ascending score.

    Attributes:
        speakers: (trials,) each: a trial weighs the product of how often these were drawn.
        below: (corners,) ascending, how many of the trials are below each corner of the curve.
        costs: (trials, costs), whose means are wanted.
    """

    speakers: tuple[Indices, ...]
    below: Indices
    costs: Floats

    def weights(self, drawn: Floats) -> Iterator[Floats]:
        """The weights of the trials, in blocks; drawn: (speakers,)."""
        for start in range(0, len(self.costs), _BLOCK):
            weights = np.take(drawn, self.speakers[0][start : start + _BLOCK])
            for speaker in self.speakers[1:]:
                weights *= np.take(drawn, speaker[start : start + _BLOCK])
            yield weights

    def under(self, drawn: Floats) -> tuple[Floats, Floats, Floats]:
        """The shares of weight at or above and below each corner, (corners,) each, and the mean costs, (costs,)."""
        below, costs = np.zeros(len(self.below)), np.zeros(self.costs.shape[1])
        start, total = 0, 0.0
        for weights in self.weights(drawn):
            end = start + len(weights)
            first, last = np.searchsorted(self.below, (start, end), side="right")
            running = total + np.cumsum(weights)
            below[first:last] = running[self.below[first:last] - start - 1]
            costs += weights @ self.costs[start:end]
            start, total = end, running[-1]
        return (total - below) / total, below / total, costs / total


class Curve:
    """A DET curve, sorted once for any number of draws.

    It has a corner wherever the score changes, but for places with trials of the same one class on both sides: whatever
    these weigh, the curve goes straight on there.

    Attributes:
        target, nontarget: the trials.
        hull: the corners that can be on the convex hull: a nontarget trial just below, a target trial just above.
        at: the corners of the thresholds that were asked for.
    """

    def __init__(
        self,
        scores: Floats,
        speakers: Speakers,
        costs: Floats | None = None,
        thresholds: Sequence[float] = (),
    ) -> None:
        """Sort the trials.

        Args:
            scores: (trials,), finite.
            speakers: of the trials.
            costs: (trials, costs) of which each class's mean is wanted.
            thresholds: scores where the curve is wanted.
        """
        costs = np.empty((len(scores), 0)) if costs is None else costs
        order = np.argsort(scores, kind="stable")
        ordered, labels = scores[order], speakers.target[order]
        ends = np.append(np.flatnonzero(np.diff(ordered)) + 1, len(order))  # of each score that occurs
        places = np.append(0, ends)
        below = np.append(0, np.cumsum(labels))[places]
        targets, nontargets = np.diff(below), np.diff(places - below)
        bent = (targets[:-1] + targets[1:] > 0) & (nontargets[:-1] + nontargets[1:] > 0)
        convex = (nontargets[:-1] > 0) & (targets[1:] > 0)
        both_ends = [0, len(ends)]
        asked = np.searchsorted(ordered[ends - 1], thresholds)
        corners = np.unique(np.concatenate([both_ends, 1 + np.flatnonzero(bent), asked]))
        self.hull = np.searchsorted(corners, np.unique(np.concatenate([both_ends, 1 + np.flatnonzero(convex)])))
        self.at = np.searchsorted(corners, asked)
        of_target, of_nontarget = order[labels], order[~labels]
        self.target = _Class((speakers.enrol[of_target],), below[corners], costs[of_target])
        self.nontarget = _Class(
            (speakers.enrol[of_nontarget], speakers.test[of_nontarget]), (places - below)[corners], costs[of_nontarget]
        )

    def under(self, drawn: Floats) -> tuple[Floats, Floats, Floats]:
        """FMR and FNMR at the corners, (corners,) each, and the sum of the mean costs of the classes, (costs,)."""
        _, fnmr, target_costs = self.target.under(drawn)
        fmr, _, nontarget_costs = self.nontarget.under(drawn)
        return fmr, fnmr, target_costs + nontarget_costs
