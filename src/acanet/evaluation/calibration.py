"""A trial list -> the calibration of a model: audio -> crops -> scores -> log-likelihood ratios and a threshold.

Every utterance is heard as several crops, from one second to the whole, so that the ratios know short speech too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from acanet.data.lists.sides import Sides, check_apart, find_sides
from acanet.data.lists.trials import Trials, read_trials
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadTrials, require
from acanet.evaluation.crop_pairs import CROPS, SHORTEST, CropPairs, score_crops, some_of
from acanet.evaluation.embedding import refuse_known_speakers, refuse_trimming
from acanet.evaluation.figures.bootstrap import Speakers, ends
from acanet.evaluation.figures.intervals import measure
from acanet.evaluation.one_model import warn_of_strangers
from acanet.scoring.calibrate import Calibration, CalibrationData, FalseAccepts, Ratio, quality
from acanet.scoring.measure import Measure
from acanet.scoring.operating_point import OperatingPoint

Floats = NDArray[np.float64]

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
    crops = score_crops(encoder, sample_trials(trials, goal, seed), sides, seed)
    check_apart(trials, sides, crops.hashes)
    pairs = crops.pairs
    judged = cross_validated(pairs, seed, trials)
    ratio = pairs.fit()
    draws, refitted, redrawn = refit_draws(pairs, replicates, seed, trials)
    threshold, cosine = _thresholds(pairs, judged, ratio, goal, crops.whole, draws, refitted)
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
    made = {
        "fingerprint": encoder.fingerprint,
        "ratio": ratio,
        "goal": goal,
        "threshold": threshold,
        "whole_speech": crops.whole,
        "whole_threshold": cosine,
        "figures": {name: figures[name] for name in FIGURES},
        "data": CalibrationData(
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
            warnings=crops.lost,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    }
    return Calibration.parse(made, trials.path.name)


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
    return some_of(trials, rows)


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
