"""The trials of a list, scored from the embeddings of its utterances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acanet.data.lists.sides import Sides
from acanet.data.lists.trials import Trials
from acanet.evaluation.backend_choices import EnrolBy
from acanet.scoring.cosine import cosine
from acanet.scoring.enrolment import mean_embeddings, mean_scores
from acanet.scoring.pairs import Floats, Index

Scoring = Callable[[Floats, Index, Index], Floats]
"""(embeddings (rows, dim), enrolment row (trials,), test row (trials,)) -> scores (trials,), as `cosine`."""


@dataclass(frozen=True, eq=False)
class Scorer:
    """A trial list and the way it is scored.

    Attributes:
        trials: the list.
        sides: what its names stand for.
        scoring: compares two embeddings.
        enrol_by: of a name that stands for several utterances, compare the mean of their embeddings, or compare each
            and take the mean of the scores.
    """

    trials: Trials
    sides: Sides
    scoring: Scoring = cosine
    enrol_by: EnrolBy = "embeddings"

    def __call__(self, enrol: Floats, test: Floats) -> Floats:
        """The scores, (trials,), of utterances enrolled under one condition and tested under another.

        Args:
            enrol: (utterances, dim) embeddings of `sides.utterances` as they are enrolled.
            test: (utterances, dim) embeddings of the same as they are tested; the same array where nothing differs,
                so that a back-end works on each once.
        """
        members = self.sides.members
        if self.enrol_by == "embeddings":
            enrolled = mean_embeddings(enrol, members)
            tested = enrolled if test is enrol else mean_embeddings(test, members)
            both, first = _joined(enrolled, tested)
            return self.scoring(both, self.trials.enrol, first + self.trials.test)
        both, first = _joined(enrol, test)

        def score(one: Index, other: Index) -> Floats:
            return self.scoring(both, one, first + other)

        return mean_scores(score, members, self.trials.enrol, self.trials.test)

    def speech(self, seconds: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The seconds of speech on the enrolment and on the test side of each trial, (trials,) each.

        Args:
            seconds: (utterances,) of each of `sides.utterances`.
        """
        total = np.array([seconds[rows].sum() for rows in self.sides.members])
        return total[self.trials.enrol], total[self.trials.test]


def _joined(enrol: Floats, test: Floats) -> tuple[Floats, int]:
    """The rows of both, each once, and the first of `test` among them."""
    return (enrol, 0) if test is enrol else (np.concatenate([enrol, test]), len(enrol))
