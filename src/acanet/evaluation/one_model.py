"""One model on a trial list: audio -> embeddings -> scores -> figures."""

from __future__ import annotations

import platform
import sys
import time
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from acanet import __version__
from acanet.data.lists.enrolments import read_enrolments
from acanet.data.lists.sides import Sides, check_apart, find_sides
from acanet.data.lists.trials import Trials, read_trials
from acanet.encoder import Encoder
from acanet.evaluation.backend_choices import EnrolBy
from acanet.evaluation.backends import COSINE, Backend, prepare_scoring
from acanet.evaluation.embedding import embed_utterances, refuse_known_speakers, refuse_trimming
from acanet.evaluation.figures.intervals import POINTS, measure
from acanet.evaluation.figures.metrics import eer_threshold
from acanet.evaluation.result import Counts, Result, ResultsCard
from acanet.evaluation.scorer import Scorer
from acanet.scoring.calibrate import Calibration
from acanet.scoring.operating_point import OperatingPoint


class EvaluationWarning(UserWarning):
    """A figure that should be read with care."""


def evaluate_model(
    encoder: Encoder,
    trials_path: str | Path,
    *,
    manifest: Path | None = None,
    audio_root: Path | None = None,
    enrolments: Path | None = None,
    enrol_by: EnrolBy = "embeddings",
    backend: Backend = COSINE,
    points: Sequence[OperatingPoint] = POINTS,
    seen: bool = False,
    seed: int = 0,
    replicates: int = 1000,
) -> Result:
    """Score every trial of a list and measure the errors.

    Each utterance is embedded once, whole: there is no speech detection, so that every trial has a score, as
    published figures have it.

    Args:
        encoder: the model.
        trials_path: see `read_trials`.
        manifest: names the speakers, and resolves the names in the list.
        audio_root: where paths in the list start; with a manifest, None is the manifest's own folder.
        enrolments: list of the models that the names on the enrolment side stand for (see `read_enrolments`); None:
            each stands for an utterance.
        enrol_by: how a model of several utterances is compared (see `Scorer`).
        backend: what turns embeddings into scores.
        points: operating points of minDCF and actDCF.
        seen: report figures on speakers or recordings of the training, too; the card will say so.
        seed: of the bootstrap.
        replicates: of the bootstrap.

    Raises:
        BadTrials, BadManifest: for a list or manifest that cannot be used, or that contradict each other.
        BadAudio: for a recording that cannot be read, with its path.
        TooShort: for a recording shorter than the model needs.
        SeenInTraining: for training data, unless `seen`; speakers are looked at before anything is decoded.
        AcanetError: for an encoder that trims.
        ValueError: with neither a manifest nor an audio root, or for embeddings that are not finite.
    """
    refuse_trimming(encoder)
    began = time.perf_counter()
    trials = read_trials(trials_path)
    models = None if enrolments is None else read_enrolments(enrolments)
    sides = find_sides(trials, manifest=manifest, audio_root=audio_root, enrolments=models)
    warn_of_strangers(trials, sides)
    if not seen:
        refuse_known_speakers(encoder, sides.utterances)
    scoring, description = prepare_scoring(backend, encoder, sides.utterances, seen=seen)
    calibration = calibration_for(encoder, backend, enrolments)
    embedded = embed_utterances(
        encoder,
        sides.utterances,
        forbidden=frozenset() if seen else encoder.training_audio,
        measure_speech=calibration is not None,
    )
    check_apart(trials, sides, embedded.hashes)
    scorer = Scorer(trials, sides, scoring, enrol_by)
    scores = scorer(embedded.embeddings, embedded.embeddings)
    llrs = decision = None
    if calibration is not None and embedded.speech is not None:
        llrs = calibration.llr(scores, *scorer.speech(embedded.speech))
        decision = calibration.threshold.value
    target, speakers = trials.target, sides.speakers
    card = ResultsCard(
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        trial_list=trials.path.name,
        trial_list_sha256=trials.sha256,
        counts=_counts(trials, sides),
        speakers_from=sides.source,
        scoring=description,
        enrolments=None if models is None else f"mean of {enrol_by} of the models in {models.path.name}",
        figures=measure(
            scores,
            target,
            speakers[trials.enrol],
            speakers[trials.test],
            llrs=llrs,
            decision=decision,
            points=points,
            replicates=replicates,
            seed=seed,
        ),
        eer_threshold=eer_threshold(scores, target),
        replicates=replicates,
        seed=seed,
        seen=seen,
        audio_hours=embedded.seconds.sum() / 3600,
        wall_seconds=time.perf_counter() - began,
        versions=_versions(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return Result(card, scorer, embedded, scores, llrs, decision)


def calibration_for(encoder: Encoder, backend: Backend, enrolments: Path | None) -> Calibration | None:
    """The model's calibration where it holds: it knows the cosines of one recording with another, and nothing else."""
    return encoder.calibration if backend.kind == "cosine" and enrolments is None else None


def warn_of_strangers(trials: Trials, sides: Sides) -> None:
    """Warn where one speaker may be taken for several: without a manifest, of names that no target trial links."""
    if sides.source == "manifest":
        return
    named = np.unique(np.concatenate([trials.enrol[trials.target], trials.test[trials.target]]))
    alone = len(trials.names) - len(named)
    if alone:
        warnings.warn(
            f"{alone:,} of {len(trials.names):,} names are in no target trial, so each counts as a speaker and "
            "intervals come out too narrow; give the manifest, which knows the speakers",
            EvaluationWarning,
            stacklevel=3,
        )


def _counts(trials: Trials, sides: Sides) -> Counts:
    targets = int(trials.target.sum())
    return Counts(
        trials=len(trials),
        targets=targets,
        nontargets=len(trials) - targets,
        utterances=len(sides.utterances),
        speakers=len(np.unique(sides.speakers)),
    )


def _versions() -> dict[str, str]:
    """The versions of acanet, Python and what the figures were computed with, as far as it was loaded."""
    packages = [name for name in ("numpy", "soundfile", "soxr", "torch", "onnxruntime") if name in sys.modules]
    return {
        "acanet": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
