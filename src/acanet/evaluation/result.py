"""What an evaluation found: its figures, and all that is needed to repeat it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from acanet.config.strict import Strict
from acanet.data.lists.sides import Sides
from acanet.data.lists.trials import Trials
from acanet.evaluation.embedding import Embedded
from acanet.evaluation.scorer import Scorer
from acanet.scoring.measure import Measure


class Counts(Strict):
    """The numbers of what was compared."""

    trials: int
    targets: int
    nontargets: int
    utterances: int
    speakers: int


class ResultsCard(Strict):
    """The results card: what `card.json` holds."""

    model: str
    fingerprint: str
    trial_list: str = Field(description="name of the file")
    trial_list_sha256: str = Field(description="of its bytes, after gunzipping")
    counts: Counts
    speakers_from: Literal["manifest", "target trials"]
    scoring: str = Field("cosine", description="the back-end, and what it was made from")
    enrolments: str | None = Field(None, description="what the names on the enrolment side stand for; none: utterances")
    figures: dict[str, Measure] = Field(description="by name: eer, min_dcf(0.01), cllr, ...")
    eer_threshold: float = Field(description="the score at which FMR and FNMR are closest")
    replicates: int = Field(description="of the bootstrap over speakers that gave the intervals")
    seed: int = Field(description="of the bootstrap")
    seen: bool = Field(description="run with --seen: the model may have been trained on these voices")
    audio_hours: float
    wall_seconds: float
    versions: dict[str, str]
    date: str = Field(description="when it ended, ISO 8601, UTC")

    @property
    def eer(self) -> Measure:
        """The equal error rate."""
        return self.figures["eer"]


@dataclass(frozen=True, eq=False)
class Result:
    """The result of a model on a trial list.

    Attributes:
        card: its figures.
        scorer: of the list.
        embedded: `sides.utterances` as the model sees them.
        scores: (trials,).
        llrs: (trials,) log-likelihood ratios, natural logarithm; None without a calibration.
        decision: the log-likelihood ratio from which on the model accepts; None without a calibration.
    """

    card: ResultsCard
    scorer: Scorer
    embedded: Embedded
    scores: NDArray[np.float32]
    llrs: NDArray[np.float64] | None
    decision: float | None = None

    @property
    def trials(self) -> Trials:
        """The trial list."""
        return self.scorer.trials

    @property
    def sides(self) -> Sides:
        """The utterances and speakers that the list's names stand for."""
        return self.scorer.sides
