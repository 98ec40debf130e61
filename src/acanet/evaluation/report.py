"""The results card: the figures of one evaluation, and all that is needed to repeat it."""

from __future__ import annotations

import gzip
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from acanet.config import Strict
from acanet.data.trials import Trials
from acanet.evaluation.metrics import error_rates
from acanet.evaluation.plots import det_curve_png, histogram_png

SCORES = "scores.txt.gz"

Rate = Annotated[float, Field(ge=0, le=1)]


class Measure(Strict):
    """A figure and its 95 % confidence interval, as shares from 0 to 1 (not per cent)."""

    value: Rate
    low: Rate
    high: Rate


class Counts(Strict):
    """How much was compared."""

    trials: int
    targets: int
    nontargets: int
    utterances: int
    speakers: int


class Card(Strict):
    """What `card.json` holds."""

    model: str
    fingerprint: str
    trial_list: str = Field(description="name of the file")
    trial_list_sha256: str = Field(description="of its bytes, after gunzipping")
    counts: Counts
    speakers_from: Literal["manifest", "target trials"]
    scoring: Literal["cosine"] = "cosine"
    eer: Measure
    min_dcf_001: Measure = Field(description="minDCF at a target prior of 0.01, both costs 1")
    min_dcf_005: Measure = Field(description="minDCF at a target prior of 0.05, both costs 1")
    eer_threshold: float = Field(description="a cosine")
    replicates: int = Field(description="of the bootstrap over speakers that gave the intervals")
    seed: int = Field(description="of the bootstrap")
    seen: bool = Field(description="run with --seen: the model may have been trained on these voices")
    audio_hours: float
    wall_seconds: float
    versions: dict[str, str]
    date: str = Field(description="when it ended, ISO 8601, UTC")


@dataclass(frozen=True, eq=False)
class Result:
    """An evaluation.

    Attributes:
        card: its figures.
        trials: the list.
        speakers: (names,) speaker of each of the list's names, as a number.
        scores: (trials,).
    """

    card: Card
    trials: Trials
    speakers: NDArray[np.intp]
    scores: NDArray[np.float32]


def write_report(folder: Path, result: Result) -> None:
    """Write `card.json`, `scores.txt.gz` (`label enrol test score`), `det.png` and `histogram.png`.

    All are complete before the first takes its place in the folder, the card last; files of an earlier
    evaluation are replaced.

    Raises:
        MissingExtra: without matplotlib or SciPy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    card, trials, scores = result.card, result.trials, result.scores
    title = f"{card.model} on {card.trial_list}"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as name:
        draft = Path(name)
        _, fmr, fnmr = error_rates(scores, trials.target)
        det_curve_png(draft / "det.png", {card.model: (fmr, fnmr)}, title)
        histogram_png(draft / "histogram.png", scores, trials.target, card.eer_threshold, title)
        (draft / SCORES).write_bytes(gzip.compress(_score_lines(trials, scores).encode(), mtime=0))
        (draft / "card.json").write_text(card.as_json(), encoding="utf-8")
        for file in ("det.png", "histogram.png", SCORES, "card.json"):
            os.replace(draft / file, folder / file)


def summary(card: Card) -> list[str]:
    """The card as lines for the terminal; rates in per cent."""
    counts = card.counts
    lines = [
        f"{card.model} ({card.fingerprint[:12]}) on {card.trial_list}",
        f"  trials       {counts.trials:,} ({counts.targets:,} target, {counts.nontargets:,} nontarget) of "
        f"{counts.utterances:,} utterances, {counts.speakers:,} speakers (from the {card.speakers_from})",
        f"  EER          {_shown(card.eer, 100, 2, ' %')} at the threshold {card.eer_threshold:.4f}",
        f"  minDCF(0.01) {_shown(card.min_dcf_001, 1, 3)}",
        f"  minDCF(0.05) {_shown(card.min_dcf_005, 1, 3)}",
        f"  [...] is 95 % of {card.replicates:,} draws of the speakers, seed {card.seed}",
        f"  {card.audio_hours:.2f} h of audio in {card.wall_seconds:.1f} s",
    ]
    if card.seen:
        lines.append("  seen: the model may have been trained on these voices; this says nothing about new ones")
    return lines


def _shown(measure: Measure, scale: float, digits: int, unit: str = "") -> str:
    value, low, high = (f"{scale * part:.{digits}f}" for part in (measure.value, measure.low, measure.high))
    return f"{value}{unit} [{low}, {high}]"


def _score_lines(trials: Trials, scores: NDArray[np.float32]) -> str:
    """One line a trial; nine digits give back the very float32."""
    rows = zip(trials.target.tolist(), trials.enrol.tolist(), trials.test.tolist(), scores.tolist(), strict=True)
    names = trials.names
    return "".join(f"{target:d} {names[enrol]} {names[test]} {score:.9g}\n" for target, enrol, test, score in rows)
