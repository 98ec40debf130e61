"""A trial list -> the calibration of a model: audio -> crops -> scores -> log-likelihood ratios and a threshold.

Every utterance is heard as several crops, from one second to the whole, so that the ratios know short speech too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from acanet.audio.blocks import Waveform
from acanet.data.lists.sides import Sides, check_apart, find_sides
from acanet.data.lists.trials import Trials, read_trials
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadTrials, require
from acanet.evaluation.embedding import embed_utterances, refuse_known_speakers, refuse_trimming
from acanet.evaluation.figures.bootstrap import Speakers, ends
from acanet.evaluation.figures.intervals import measure
from acanet.evaluation.one_model import warn_of_strangers
from acanet.evaluation.scorer import Scorer
from acanet.scoring.calibrate import Calibration, CalibrationData, FalseAccepts, Ratio, fit, quality
from acanet.scoring.measure import Measure
from acanet.scoring.operating_point import OperatingPoint

Floats = NDArray[np.float64]

CROPS = 4
"""Of each utterance; a trial compares every crop of one side with one of the other."""
SHORTEST = 1.0
"""Seconds of audio of the shortest crop."""
FOLDS = 5
"""Groups of speakers; a pair of groups is judged by what was fitted to the others."""
LEAST_SPEAKERS = 10
BANDS = 4
"""Most ranges of speech, with as many nontarget trials each, that all keep to a false accept rate."""
LEAST_ERRORS = 30
"""False accepts that a rate must stand on, in each range: fewer tell it no better than by a third (Doddington's rule of
30)."""
MOST_TRIALS = 125_000
"""Of each class that are fitted, a million pairs of crops in all; more make a calibration slower, and no better."""
FIGURES = (
    "false_accepts",
    "false_rejects",
    "cllr",
    "min_cllr",
    "act_dcf(0.01)",
    "min_dcf(0.01)",
    "act_dcf(0.05)",
    "min_dcf(0.05)",
)


@dataclass(frozen=True, eq=False)
class CropPairs:
    """Pairs of crops that were compared, (pairs,) each.

    Attributes:
        scores: cosines.
        enrol_speech, test_speech: seconds of speech.
        target: whether both are one speaker.
        enrol_speaker, test_speaker: who speaks, as numbers from 0.
    """

    scores: Floats
    enrol_speech: Floats
    test_speech: Floats
    target: NDArray[np.bool_]
    enrol_speaker: NDArray[np.intp]
    test_speaker: NDArray[np.intp]

    def of(self, chosen: NDArray[np.bool_]) -> Self:
        """Some of the pairs; chosen: (pairs,)."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def fit(self, weights: Floats | None = None) -> Ratio:
        """The ratios that are fitted to the pairs (see `acanet.scoring.calibrate.fit`)."""
        return fit(self.scores, self.target, (self.enrol_speech, self.test_speech), weights=weights)

    def llr(self, ratio: Ratio) -> Floats:
        """The log-likelihood ratios of the pairs, (pairs,)."""
        return ratio.llr(self.scores, self.enrol_speech, self.test_speech)


def fit_calibration(
    encoder: Encoder,
    trials_path: str | Path,
    *,
    manifest: Path | None = None,
    audio_root: Path | None = None,
    goal: FalseAccepts | OperatingPoint = FalseAccepts(far=0.01),
    seed: int = 0,
    replicates: int = 200,
) -> Calibration:
    """Fit log-likelihood ratios to a trial list, and choose a threshold.

    Of a class with more than `MOST_TRIALS` trials, so many are drawn; of nontarget trials, as many as keep the false
    accept rate on `LEAST_ERRORS` errors in each of `BANDS` ranges, if that is more.

    Args:
        encoder: the model.
        trials_path: see `read_trials`.
        manifest, audio_root: see `find_sides`.
        goal: what the threshold is for: a false accept rate that no range of speech is above (see `length_bands`), or
            a prior and costs (Bayes' rule, which needs no trials).
        seed: of trials, crops, folds and bootstrap.
        replicates: of the bootstrap over speakers.

    Raises:
        BadTrials, BadManifest: for a list or manifest that cannot be used, or too few speakers or trials.
        AcanetError: for an encoder that trims, or when no ratios can be fitted (see `fit`).
        BadAudio, TooShort, SeenInTraining: as `evaluate_model`.
        MissingExtra: without SciPy, before anything is decoded.
    """
    refuse_trimming(encoder)
    require("scipy")
    trials = read_trials(trials_path)
    sides = find_sides(trials, manifest=manifest, audio_root=audio_root)
    warn_of_strangers(trials, sides)
    refuse_known_speakers(encoder, sides.utterances)
    _check_size(trials, sides, goal)
    pairs, whole, hashes = score_crops(encoder, sample_trials(trials, goal, seed), sides, seed)
    check_apart(trials, sides, hashes)
    judged = cross_validated(pairs, seed, trials)
    ratio = pairs.fit()
    draws, refitted, redrawn = refit_draws(pairs, replicates, seed, trials)
    threshold, cosine = _thresholds(pairs, judged, ratio, goal, whole, draws, refitted)
    figures = measure(
        judged,
        pairs.target,
        pairs.enrol_speaker,
        pairs.test_speaker,
        llrs=judged,
        decision=threshold.value,
        replicates=replicates,
        seed=seed,
    )
    return Calibration(
        fingerprint=encoder.fingerprint,
        ratio=ratio,
        goal=goal,
        threshold=threshold,
        whole_speech=whole,
        whole_threshold=cosine,
        figures={name: figures[name] for name in FIGURES},
        data=CalibrationData(
            trial_list=trials.path.name,
            trial_list_sha256=trials.sha256,
            speakers=len(np.unique(sides.speakers)),
            utterances=len(sides.utterances),
            targets=int(trials.target.sum()),
            nontargets=int((~trials.target).sum()),
            crops=CROPS,
            shortest_crop=SHORTEST,
            pairs=len(pairs.scores),
            seed=seed,
            replicates=replicates,
            redrawn=redrawn,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )


def sample_trials(trials: Trials, goal: FalseAccepts | OperatingPoint, seed: int) -> Trials:
    """The trials of a list that are fitted, in its order: all of them, unless a class has very many."""
    most = MOST_TRIALS
    if isinstance(goal, FalseAccepts):
        most = max(most, math.ceil(BANDS * LEAST_ERRORS / goal.far))
    generator = np.random.default_rng((seed, 4))
    kept = []
    for side, least in ((trials.target, MOST_TRIALS), (~trials.target, most)):
        rows = np.flatnonzero(side)
        kept.append(rows if len(rows) <= least else generator.choice(rows, least, replace=False))
    rows = np.sort(np.concatenate(kept))
    return _some(trials, rows)


def score_crops(encoder: Encoder, trials: Trials, sides: Sides, seed: int) -> tuple[CropPairs, float, Sequence[str]]:
    """Score the trials of a list on crops.

    Of each utterance, the last crop is the whole. The others are drawn: the logarithm of the length evenly from a
    third of its own between one second and the whole, so that all lengths come as often; the place evenly. Each crop
    of the enrolment side meets one of the test side, drawn for each trial. Crops with less speech than the model needs
    are left out, because a verification refuses them.

    Returns:
        The pairs, the median seconds of speech of whole utterances, and the content hash of each.
    """
    utterances, rate = len(sides.utterances), encoder.rate

    def crop(waveform: Waveform, index: int) -> Waveform:
        number, utterance = divmod(index, utterances)
        whole = len(waveform) / rate / SHORTEST
        if number == CROPS - 1 or whole <= 1:
            return waveform
        generator = np.random.default_rng((seed, 0, utterance, number))
        samples = round(SHORTEST * rate * whole ** ((number + generator.uniform()) / (CROPS - 1)))
        start = int(generator.integers(len(waveform) - samples + 1))
        return waveform[start : start + samples]

    embedded = embed_utterances(
        encoder,
        sides.utterances * CROPS,
        forbidden=encoder.training_audio,
        change=crop,
        measure_speech=True,
        label="embedding crops",
    )
    assert embedded.speech is not None
    embeddings = embedded.embeddings.reshape(CROPS, utterances, -1)
    speech = embedded.speech.reshape(CROPS, utterances)
    turns = np.random.default_rng((seed, 1)).integers(CROPS, size=len(trials))
    scorers = [Scorer(_some(trials, turns == turn), sides) for turn in range(CROPS)]
    parts = []
    for one in range(CROPS):
        for other in range(CROPS):
            scorer = scorers[(other - one) % CROPS]
            met = CropPairs(
                scorer(embeddings[one], embeddings[other]).astype(np.float64),
                scorer.speech(speech[one])[0],
                scorer.speech(speech[other])[1],
                scorer.trials.target,
                sides.speakers[scorer.trials.enrol],
                sides.speakers[scorer.trials.test],
            )
            parts.append(met.of(np.minimum(met.enrol_speech, met.test_speech) >= encoder.needed_seconds))
    columns = (np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(CropPairs))
    return CropPairs(*columns), float(np.median(speech[-1])), embedded.hashes[:utterances]


def cross_validated(pairs: CropPairs, seed: int, trials: Trials) -> Floats:
    """Log-likelihood ratios, (pairs,), each by weights that were fitted without the speakers of its pair.

    Raises:
        BadTrials: when what is left without them has one class.
    """
    _, speakers = np.unique(np.concatenate([pairs.enrol_speaker, pairs.test_speaker]), return_inverse=True)
    groups = np.random.default_rng((seed, 2)).permutation(speakers.max() + 1) % FOLDS
    enrol, test = groups[speakers].reshape(2, -1)
    llrs = np.empty(len(pairs.scores))
    for one, other in combinations_with_replacement(range(FOLDS), 2):
        judged = ((enrol == one) & (test == other)) | ((enrol == other) & (test == one))
        rest = pairs.of(~np.isin(enrol, (one, other)) & ~np.isin(test, (one, other)))
        if rest.target.all() or not rest.target.any():
            reason = "without two fifths of its speakers it has one class; give a larger list"
            raise BadTrials(trials.path, None, reason)
        llrs[judged] = pairs.of(judged).llr(rest.fit())
    return llrs


def false_accept_threshold(llrs: Floats, bands: NDArray[np.intp], far: float, weights: Floats) -> float:
    """The lowest log-likelihood ratio from which on no band of nontarget trials has more than `far` of its weight.

    Args:
        llrs: (trials,) of nontarget trials.
        bands: (trials,) which band each is in.
        far: false accept rate.
        weights: (trials,).
    """
    thresholds = []
    for band in np.unique(bands):
        order = np.flatnonzero(bands == band)
        order = order[np.argsort(-llrs[order], kind="stable")]
        accepted = np.cumsum(weights[order])
        if accepted[-1] > 0:
            refused = int(np.argmax(accepted > far * accepted[-1]))  # the first that is too many
            thresholds.append(np.nextafter(llrs[order[refused]], np.inf))
    return float(max(thresholds))


def length_bands(pairs: CropPairs, ratio: Ratio, far: float) -> NDArray[np.intp]:
    """The range of speech that each nontarget pair is in, (nontarget pairs,), with as many in each.

    So many ranges, at most `BANDS`, that each holds `LEAST_ERRORS` false accepts. The crops of a trial are the same two
    voices, so they count as one trial.
    """
    nontarget = ~pairs.target
    q = quality(pairs.enrol_speech, pairs.test_speech, ratio.shortest, ratio.longest)[nontarget]
    bands = min(BANDS, max(1, int(far * len(q) / CROPS / LEAST_ERRORS)))
    return np.searchsorted(np.quantile(q, np.arange(1, bands) / bands), q)


def refit_draws(pairs: CropPairs, replicates: int, seed: int, trials: Trials) -> tuple[Floats, list[Ratio], int]:
    """The ratios that are fitted to draws of the speakers.

    Returns:
        How often each speaker was drawn, (replicates, speakers); the ratios; and how many draws were made again,
        because no ratio rose with the score: few speakers, drawn with replacement, can be the wrong ones.

    Raises:
        BadTrials: when more than half of the draws are like that.
    """
    speakers = Speakers(pairs.target, pairs.enrol_speaker, pairs.test_speaker)
    console = Console(stderr=True)
    good, ratios, redrawn = [], [], 0
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("intervals of the threshold", total=replicates)
        for counts in speakers.draws(2 * replicates, (seed, 3)):
            weights = speakers.weights(counts)
            there = weights > 0
            try:
                ratios.append(pairs.of(there).fit(weights[there]))
            except AcanetError:
                redrawn += 1
                continue
            good.append(counts)
            progress.advance(task)
            if len(good) == replicates:
                return np.array(good), ratios, redrawn
    reason = f"in {redrawn} of {2 * replicates} draws of its speakers no ratio rises with the score; give more speakers"
    raise BadTrials(trials.path, None, reason)


def _thresholds(
    pairs: CropPairs,
    judged: Floats,
    ratio: Ratio,
    goal: FalseAccepts | OperatingPoint,
    whole: float,
    drawn: Floats,
    refitted: list[Ratio],
) -> tuple[Measure, Measure]:
    """The threshold as a log-likelihood ratio, and the cosine that it equals on whole utterances.

    That of a false accept rate is from cross-validated ratios. Each draw takes it from the ratios fitted to that draw,
    and those come out a little too good, as the ratios of all speakers do on themselves; so the intervals are those of
    the threshold on the latter, moved by what cross-validation changes.
    """
    speakers = Speakers(pairs.target, pairs.enrol_speaker, pairs.test_speaker)
    choose = _chooser(pairs, ratio, goal)

    def both(llrs: Floats, weights: Floats, inverse: Ratio) -> tuple[float, float]:
        llr = choose(llrs, weights)
        return llr, float(inverse.score(llr, whole, whole))

    draws = zip(drawn, refitted, strict=True)
    found = np.array([both(pairs.llr(each), speakers.weights(counts), each) for counts, each in draws])
    values, fitted = (np.array(both(llrs, np.ones(len(llrs)), ratio)) for llrs in (judged, pairs.llr(ratio)))
    low, high = np.array(ends(fitted, found, drawn)) + (values - fitted)
    first, second = (
        Measure(value=value, low=least, high=most)
        for value, least, most in zip(values.tolist(), low.tolist(), high.tolist(), strict=True)
    )
    return first, second


def _chooser(pairs: CropPairs, ratio: Ratio, goal: FalseAccepts | OperatingPoint) -> Callable[[Floats, Floats], float]:
    """A function from the ratios of the pairs and their weights, (pairs,) each, to the threshold."""
    if isinstance(goal, OperatingPoint):
        return lambda llrs, weights: goal.threshold
    nontarget, bands = ~pairs.target, length_bands(pairs, ratio, goal.far)
    return lambda llrs, weights: false_accept_threshold(llrs[nontarget], bands, goal.far, weights[nontarget])


def _some(trials: Trials, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Trials:
    """Some of the trials of a list."""
    return replace(trials, enrol=trials.enrol[chosen], test=trials.test[chosen], target=trials.target[chosen])


def _check_size(trials: Trials, sides: Sides, goal: FalseAccepts | OperatingPoint) -> None:
    speakers = len(np.unique(sides.speakers))
    if speakers < LEAST_SPEAKERS:
        reason = f"{speakers} speakers; a calibration needs at least {LEAST_SPEAKERS}, and is the better for more"
        raise BadTrials(trials.path, None, reason)
    nontargets = int((~trials.target).sum())
    if isinstance(goal, FalseAccepts) and goal.far * nontargets < LEAST_ERRORS:
        reason = (
            f"{nontargets} nontarget trials; a false accept rate of {goal.far:g} stands on {LEAST_ERRORS} errors, for "
            f"which {LEAST_ERRORS / goal.far:,.0f} are needed; give a longer list or a higher rate"
        )
        raise BadTrials(trials.path, None, reason)
