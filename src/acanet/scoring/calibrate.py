"""Scores -> log-likelihood ratios: how much likelier a score is of one voice than of two.

A line in the score whose height and slope depend on how much speech the two sides hold: the same cosine says less about
a second of speech than about ten. Fitted by logistic regression.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from acanet.config.reading import json_text
from acanet.config.strict import Strict
from acanet.errors import AcanetError, BadArgument, BadConfig
from acanet.scoring.decide import Verification
from acanet.scoring.measure import Measure
from acanet.scoring.operating_point import OperatingPoint

Floats = NDArray[np.float64]

_SEAL = "sha256"
"""The key of a calibration's seal."""
PENALTY = 1e-6
"""Of the squared standardised weights: without effect, unless the classes are apart and no weights are too large."""
ITERATIONS = 100
TOLERANCE = 1e-12
"""Newton's method ends when a step promises to lower the objective by less than this."""
MOST = 1000.0
"""The highest ratio that a threshold may have: a prior as low as numbers go asks for less."""
_LENGTHS = 33
"""At which it is looked what ratios there are."""
OUTLYING = (1.0, 99.0)
"""Percentiles of the seconds of speech between which they count as they are."""


Weight = Annotated[float, Field(ge=-1e6, le=1e6)]
"""Of a ratio: scores of cosines give tens, and classes that are far apart thousands."""
Seconds = Annotated[float, Field(gt=0, le=1e6)]


class Ratio(Strict):
    """The log-likelihood ratio as a function of score and speech: offset(q) + slope(q) * score.

    q is the mean logarithm of the seconds of speech on the two sides, each moved into [shortest, longest] first; so
    sides can be swapped, and lengths that were never seen get the ratios of the nearest that were.
    """

    offset: Weight
    offset_q: Weight = 0.0
    offset_qq: Weight = 0.0
    slope: Weight
    slope_q: Weight = 0.0
    shortest: Seconds = Field(1.0, description="seconds of speech")
    longest: Seconds = Field(1.0, description="seconds of speech")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError(f"shortest is {self.shortest} s, longest {self.longest} s; they are the other way round")
        slopes = [self.slope + self.slope_q * float(np.log(end)) for end in (self.shortest, self.longest)]
        if min(slopes) <= 0:
            raise ValueError(f"the slopes at shortest and longest are {slopes}; a ratio must rise with the score")
        return self

    def llr(self, scores: ArrayLike, enrol_speech: ArrayLike, test_speech: ArrayLike) -> Floats:
        """Log-likelihood ratios, natural logarithm: rising with the score at any lengths.

        Args:
            scores: (trials,).
            enrol_speech: (trials,) seconds of speech on the enrolment side.
            test_speech: (trials,) seconds of speech on the test side.

        Returns:
            (trials,).

        >>> ratio = Ratio(offset=-3, slope=10, slope_q=2, shortest=1, longest=10)
        >>> ratio.llr([0.5, 0.5], [1, 10], [1, 10]).round(2).tolist()
        [2.0, 4.3]
        """
        offset, slope = self._line(enrol_speech, test_speech)
        return offset + slope * np.asarray(scores, np.float64)

    def score(self, llr: ArrayLike, enrol_speech: ArrayLike, test_speech: ArrayLike) -> Floats:
        """The score that has this log-likelihood ratio: the inverse of `llr`, possibly beyond -1 or 1."""
        offset, slope = self._line(enrol_speech, test_speech)
        return (np.asarray(llr, np.float64) - offset) / slope

    @property
    def of_opposites(self) -> float:
        """The ratio of the lowest score, -1, at the length where that is highest."""
        speech = np.geomspace(self.shortest, self.longest, _LENGTHS)
        return float(self.llr(-1.0, speech, speech).max())

    def _line(self, enrol_speech: ArrayLike, test_speech: ArrayLike) -> tuple[Floats, Floats]:
        q = quality(enrol_speech, test_speech, self.shortest, self.longest)
        return self.offset + q * (self.offset_q + q * self.offset_qq), self.slope + q * self.slope_q


class FalseAccepts(Strict):
    """A decision that accepts at most this share of nontarget trials, in every range of speech that can tell."""

    far: Annotated[float, Field(gt=0, lt=1, description="false accept rate")]


class CalibrationData(Strict):
    """What a calibration was fitted to."""

    trial_list: str = Field(description="name of the file")
    trial_list_sha256: str = Field(description="of its bytes, after gunzipping")
    speakers: PositiveInt
    utterances: PositiveInt
    targets: PositiveInt = Field(description="target trials of the list")
    nontargets: PositiveInt = Field(description="nontarget trials of the list")
    crops: PositiveInt = Field(description="of each utterance; the last is the whole")
    shortest_crop: PositiveFloat = Field(description="seconds of audio")
    pairs: PositiveInt = Field(description="of crops with enough speech, which the trials were compared by")
    seed: int = Field(description="of trials, crops, folds and bootstrap")
    replicates: PositiveInt = Field(description="of the bootstrap over speakers that gave the intervals")
    redrawn: NonNegativeInt = Field(0, description="draws of them made again, because no ratio rose with the score")
    warnings: tuple[str, ...] = Field(
        (), description="what a tenth of the utterances or more had lost, as `acanet.audio.quality.Losses` says it"
    )
    date: str = Field(description="when it was fitted, ISO 8601, UTC")


class Calibration(Strict):
    """What `calibration.json` holds: of one model's cosines, made by `acanet calibrate`."""

    format: int = Field(1, ge=1, le=1, description="version of the file's layout")
    fingerprint: str = Field(description="of the model whose embeddings it is for")
    ratio: Ratio
    goal: FalseAccepts | OperatingPoint = Field(description="what the threshold was chosen for")
    threshold: Measure = Field(description="log-likelihood ratio from which on it is one voice")
    whole_speech: Seconds = Field(description="median seconds of speech of whole utterances")
    whole_threshold: Measure = Field(description="the cosine that the threshold equals at that length")
    figures: dict[str, Measure] = Field(description="of crops, each by weights fitted without its speakers")
    data: CalibrationData

    @model_validator(mode="after")
    def _decides(self) -> Self:
        lowest = self.ratio.of_opposites
        if not lowest < self.threshold.value <= MOST:
            raise ValueError(
                f"the threshold is a ratio of {self.threshold.value:g}; it has to be above {lowest:.3g}, or any two "
                f"recordings would be one voice, and at most {MOST:g}"
            )
        return self

    def as_json(self) -> str:
        """The file's content: with a seal, by which `of_file` knows that no number was changed since."""
        data = self.model_dump(mode="json")
        return json_text(data | {_SEAL: _seal(data)}, indent=2) + "\n"

    @classmethod
    def of_file(cls, data: Any, source: str | Path) -> Self:
        """Read what `as_json` wrote.

        Args:
            data: what the file holds.
            source: the file.

        Raises:
            BadConfig: with one line for each wrong key or value, or when it was changed.
        """
        said = {key: value for key, value in data.items() if key != _SEAL} if isinstance(data, dict) else data
        found = cls.parse(said, source)
        if data.get(_SEAL) != _seal(said):
            raise BadConfig(source, ["it was changed, and is not as `acanet calibrate` wrote it"])
        return found

    def llr(self, scores: ArrayLike, enrol_speech: ArrayLike, test_speech: ArrayLike) -> Floats:
        """Log-likelihood ratios (natural logarithm), (trials,); arguments as in `Ratio.llr`."""
        return self.ratio.llr(scores, enrol_speech, test_speech)

    def verification(
        self,
        score: float,
        enrolment_speech: float,
        test_speech: float,
        *,
        threshold: float | None = None,
        llr_threshold: float | None = None,
    ) -> Verification:
        """The decision about two recordings.

        Args:
            score: cosine of their embeddings.
            enrolment_speech, test_speech: seconds of speech in them.
            threshold: a cosine to decide by; None: the one that `llr_threshold` equals at these lengths.
            llr_threshold: None: that of the calibration.
        """
        speech = enrolment_speech, test_speech
        if threshold is None:
            llr_threshold = self.threshold.value if llr_threshold is None else llr_threshold
            threshold = float(self.ratio.score(llr_threshold, *speech))
        else:
            llr_threshold = float(self.llr(threshold, *speech))
        return Verification(score, threshold, float(self.llr(score, *speech)), llr_threshold, *speech)


def _seal(data: Mapping[str, Any]) -> str:
    """The SHA-256 of what a calibration says."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def quality(enrol_speech: ArrayLike, test_speech: ArrayLike, shortest: float, longest: float) -> Floats:
    """Mean logarithm of the seconds of speech on both sides, each moved into [shortest, longest]; (trials,)."""
    sides = [np.log(np.clip(np.asarray(side, np.float64), shortest, longest)) for side in (enrol_speech, test_speech)]
    mean: Floats = (sides[0] + sides[1]) / 2
    return mean


def fit(
    scores: ArrayLike,
    target: ArrayLike,
    speech: tuple[ArrayLike, ArrayLike] | None = None,
    *,
    weights: ArrayLike | None = None,
) -> Ratio:
    """Fit log-likelihood ratios to trials by logistic regression.

    Minimises the Cllr of the ratios: both classes weigh the same, however many trials they have (Brümmer and du Preez,
    *Application-independent evaluation of speaker detection*, Computer Speech and Language 20, 2006). Speech as a
    quality measure after Mandasari et al., *Quality measure functions for calibration of speaker recognition systems in
    various duration conditions*, IEEE TASLP 21(11), 2013.

    Args:
        scores: (trials,).
        target: (trials,) true where both sides are one speaker.
        speech: seconds of speech on the enrolment and on the test side, (trials,) each; None: an affine function of
            the score alone.
        weights: (trials,), 0 or more; a trial of weight 2 counts as two trials. None: all 1.

    Raises:
        AcanetError: when the scores of target trials are not the higher ones, so that no ratio rises with the score.
        BadArgument: for numbers that are not finite, wrong shapes, or a class without trials.

    >>> ratio = fit([0.9, 0.5, 0.4, 0.6, 0.2, 0.1], [True, True, True, False, False, False])
    >>> ratio.llr([0.2, 0.9], 1, 1).round(2).tolist()
    [-1.43, 2.75]
    """
    labels = np.asarray(target, np.bool_)
    s = _vector(scores, len(labels), "scores")
    shares = _shares(labels, np.ones(len(s)) if weights is None else _vector(weights, len(s), "weights"))
    if speech is None:
        return _rising([{"offset": np.ones_like(s), "slope": s}], labels, shares)
    sides = _vector(speech[0], len(s), "speech"), _vector(speech[1], len(s), "speech")
    shortest, longest = np.percentile(np.concatenate(sides), OUTLYING).tolist()
    if not shortest > 0:
        raise BadArgument("speech", f"the shortest sides have {shortest} s of speech; leave out those without")
    q = quality(*sides, shortest, longest)
    terms = {"offset": np.ones_like(s), "offset_q": q, "offset_qq": q * q, "slope": s}
    ends = {"shortest": shortest, "longest": longest}
    return _rising([terms | {"slope_q": s * q}, terms], labels, shares, **ends)


def _rising(models: list[dict[str, Floats]], target: NDArray[np.bool_], shares: Floats, **ends: float) -> Ratio:
    """The first of the models, each a column by name, whose ratio rises with the score."""
    found: dict[str, Any] = {}
    for columns in models:
        found = dict(zip(columns, _regress(np.stack(list(columns.values()), axis=1), target, shares), strict=True))
        at_ends = [found["slope"] + found.get("slope_q", 0.0) * np.log(end) for end in ends.values() or (1.0,)]
        if min(at_ends) > 0:
            return Ratio(**found, **ends)
    raise AcanetError(
        f"cannot calibrate: the scores of target trials are not the higher ones (slope {found['slope']:.3g}); is this "
        "the model's trial list, and are there enough speakers?"
    )


def _regress(columns: Floats, target: NDArray[np.bool_], shares: Floats) -> list[float]:
    """Weights (columns,) of least cross-entropy, by Newton's method with step halving; the first column is all ones.

    Standardised inside, so that the penalty means the same for every column.
    """
    mean, spread = shares @ columns, np.sqrt(shares @ (columns - shares @ columns) ** 2)
    mean[0], spread[0] = 0.0, 1.0
    spread[spread < 1e-9] = 1.0  # a column that is constant: the penalty keeps its weight at 0
    x = np.where(target, 1.0, -1.0)[:, None] * (columns - mean) / spread
    penalty = np.full(x.shape[1], PENALTY)
    penalty[0] = 0.0

    def objective(weights: Floats) -> float:
        return float(shares @ np.logaddexp(0.0, -(x @ weights)) + penalty @ weights**2 / 2)

    weights, value = np.zeros(x.shape[1]), np.log(2.0)
    for _ in range(ITERATIONS):
        wrong = 0.5 - 0.5 * np.tanh(x @ weights / 2)  # probability of the class that it is not
        gradient = penalty * weights - x.T @ (shares * wrong)
        curvature = (x * (shares * wrong * (1 - wrong))[:, None]).T @ x + np.diag(penalty + 1e-12)
        step = np.linalg.solve(curvature, gradient)
        if gradient @ step < TOLERANCE:
            plain = weights / spread
            plain[0] -= plain[1:] @ mean[1:]
            return [float(weight) for weight in plain]
        size = 1.0
        while (lower := objective(weights - size * step)) > value and size > 1e-6:
            size /= 2
        weights, value = weights - size * step, lower
    raise AcanetError(f"cannot calibrate: no weights were found in {ITERATIONS} steps; look at the scores")


def _shares(target: NDArray[np.bool_], weights: Floats) -> Floats:
    """What each trial counts, (trials,): one half for each class in all."""
    if np.any(weights < 0):
        raise BadArgument("weights", f"a weight is {weights.min()}; 0 or more is expected")
    totals = [weights[side].sum() for side in (target, ~target)]
    if min(totals) <= 0:
        raise BadArgument("weights", f"target and nontarget trials weigh {totals}; calibration needs both")
    shares: Floats = weights / np.where(target, *totals) / 2
    return shares


def _vector(values: ArrayLike, trials: int, name: str) -> Floats:
    array = np.asarray(values, np.float64)
    if array.shape != (trials,):
        told = f"an array of shape {array.shape} for {trials} labels; one number a trial is expected"
        raise BadArgument(name, told)
    if not np.isfinite(array).all():
        raise BadArgument(name, f"{np.count_nonzero(~np.isfinite(array))} of {trials} numbers are NaN or infinite")
    return array
