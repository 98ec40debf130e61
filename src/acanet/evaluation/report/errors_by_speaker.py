"""The speakers of a list by their errors, and its worst trials: who goes wrong, and where.

After Doddington et al., *Sheep, goats, lambs and wolves*, ICSLP 1998: goats are hard to recognise, lambs are those whom
others are taken for, wolves are taken for others. Who is which depends on the list and on the threshold.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from acanet.config.strict import Strict
from acanet.evaluation.names import speaker_names, without_folder
from acanet.evaluation.result import Result

Rows = NDArray[np.intp]
Kind = Literal["goat", "lamb", "wolf"]


class Errors(Strict):
    """The number of trials of one kind that went wrong."""

    errors: int
    trials: int

    @property
    def share(self) -> float:
        """The share of errors, from 0 to 1; 0 without trials."""
        return self.errors / self.trials if self.trials else 0.0


class Animal(Strict):
    """A speaker of the list."""

    speaker: str
    goat: Errors = Field(description="target trials that were refused")
    lamb: Errors = Field(description="nontarget trials against the speaker's enrolment that were accepted")
    wolf: Errors = Field(description="nontarget trials with the speaker on the test side that were accepted")


class Zoo(Strict):
    """The contents of `zoo.json`: every speaker, the hardest to recognise first."""

    threshold: float = Field(description="the score from which on a trial counts as accepted")
    speakers: tuple[Animal, ...]

    def overall(self, kind: Kind) -> Errors:
        """The errors of all speakers as goats, lambs or wolves."""
        parts = [getattr(animal, kind) for animal in self.speakers]
        return Errors(errors=sum(part.errors for part in parts), trials=sum(part.trials for part in parts))

    def worst(self, kind: Kind, most: int) -> list[Animal]:
        """Speakers with the highest share of errors as goats, lambs or wolves, of those with errors."""
        ranked = sorted(self.speakers, key=lambda animal: -getattr(animal, kind).share)
        return [animal for animal in ranked if getattr(animal, kind).errors][:most]


class Mistake(Strict):
    """A trial that went wrong."""

    line: int = Field(description="of the list, from 1")
    enrol: str = Field(description="as the list calls it; the file alone of an absolute path")
    test: str
    enrol_speaker: str
    test_speaker: str
    score: float
    llr: float | None = Field(description="natural logarithm; None without a calibration")


class Mistakes(Strict):
    """The contents of `errors.json`: the trials that went most wrong, the worst first."""

    threshold: float = Field(description="the score from which on a trial counts as accepted")
    false_accepts: tuple[Mistake, ...] = Field(description="nontarget trials of the highest scores")
    false_rejects: tuple[Mistake, ...] = Field(description="target trials of the lowest scores")


def rank_speakers(result: Result) -> Zoo:
    """Count the errors of each speaker at the threshold of the equal error rate."""
    trials, speakers, threshold = result.trials, result.sides.speakers, result.card.eer_threshold
    accepted = result.scores >= threshold
    names = speaker_names(result.sides, trials.names)
    enrol, test = speakers[trials.enrol], speakers[trials.test]

    def errors(who: Rows, of: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> list[Errors]:
        many, bad = (np.bincount(who[rows], minlength=len(names)).tolist() for rows in (of, of & wrong))
        return [Errors(errors=count, trials=total) for count, total in zip(bad, many, strict=True)]

    goats = errors(enrol, trials.target, ~accepted)
    lambs = errors(enrol, ~trials.target, accepted)
    wolves = errors(test, ~trials.target, accepted)
    animals = [
        Animal(speaker=name, goat=goat, lamb=lamb, wolf=wolf)
        for name, goat, lamb, wolf in zip(names, goats, lambs, wolves, strict=True)
    ]
    animals.sort(key=lambda animal: (-animal.goat.share, -animal.lamb.share - animal.wolf.share, animal.speaker))
    return Zoo(threshold=threshold, speakers=tuple(animals))


def worst_trials(result: Result, *, most: int = 10) -> Mistakes:
    """Find the false accepts of the highest and the false rejects of the lowest scores, `most` of each.

    The threshold is that of the equal error rate.
    """
    target, scores, threshold = result.trials.target, result.scores, result.card.eer_threshold
    accepts = np.flatnonzero(~target & (scores >= threshold))
    rejects = np.flatnonzero(target & (scores < threshold))
    return Mistakes(
        threshold=threshold,
        false_accepts=_mistakes(result, accepts[np.argsort(-scores[accepts], kind="stable")[:most]]),
        false_rejects=_mistakes(result, rejects[np.argsort(scores[rejects], kind="stable")[:most]]),
    )


def _mistakes(result: Result, rows: Rows) -> tuple[Mistake, ...]:
    trials, speakers = result.trials, result.sides.speakers
    called = speaker_names(result.sides, trials.names)

    def mistake(row: int) -> Mistake:
        enrol, test = trials.enrol[row], trials.test[row]
        return Mistake(
            line=row + 1,
            enrol=without_folder(trials.names[enrol]),
            test=without_folder(trials.names[test]),
            enrol_speaker=called[speakers[enrol]],
            test_speaker=called[speakers[test]],
            score=float(result.scores[row]),
            llr=None if result.llrs is None else float(result.llrs[row]),
        )

    return tuple(mistake(row) for row in rows.tolist())
