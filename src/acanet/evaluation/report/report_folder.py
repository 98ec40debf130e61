"""What an evaluation leaves behind: a folder of files, and lines for the terminal."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from acanet.config.files import printable, written_files
from acanet.data.lists.manifest import Utterance
from acanet.errors import AcanetError, require
from acanet.evaluation.conditions.tables import Conditions
from acanet.evaluation.explain import Attended, Explanation
from acanet.evaluation.figures.bands import det_band
from acanet.evaluation.figures.metrics import error_rates
from acanet.evaluation.figures.reliability_diagram import bayes_errors, reliability
from acanet.evaluation.figures.words import shown
from acanet.evaluation.paired_comparison import PairedComparison
from acanet.evaluation.report.errors_by_speaker import Mistakes, rank_speakers, worst_trials
from acanet.evaluation.report.html import Compared, Contents, Players, render, told
from acanet.evaluation.report.plots.attention import attention_png
from acanet.evaluation.report.plots.conditions import conditions_png
from acanet.evaluation.report.plots.det import Curve, det_png
from acanet.evaluation.report.plots.histogram import histogram_png
from acanet.evaluation.report.plots.reliability import reliability_png
from acanet.evaluation.report.plots.zoo import zoo_png
from acanet.evaluation.result import Result, ResultsCard

CARD, PAGE, SCORES = "card.json", "report.html", "scores.txt.gz"
JSON = ("zoo.json", "errors.json", "conditions.json", "attention.json")
PICTURES = ("det", "histogram", "reliability", "conditions", "zoo", "attention")
FILES = (*(f"{name}.png" for name in PICTURES), *JSON, SCORES, PAGE, CARD)
"""All that a report may consist of, in the order in which files take their place."""
BLOCK = 100_000  # lines made at a time
PLAYERS = 3
"""Recordings of a speaker enrolled with several that the page links."""


def write_report(
    folder: Path,
    result: Result,
    *,
    others: Sequence[PairedComparison] = (),
    conditions: Conditions | None = None,
    explanations: Sequence[Explanation] = (),
    command: Sequence[str] = (),
    players: bool = False,
) -> None:
    """Write the page, `report.html`, and what it is made of: PNG and JSON files, `scores.txt.gz`, `card.json`.

    All are complete before the first takes its place in the folder, the card last; files of an earlier report are
    replaced, or removed where this one has no such part. But for `scores.txt.gz`, whose lines name utterances as the
    list does, no file tells an absolute path, unless `players`.

    Args:
        folder: made where it does not exist.
        result: what to report.
        others: systems to show beside it, on the same list.
        conditions: error rates by condition.
        explanations: what the model attends to; the first is drawn, all count for the shares.
        command: that made the report, as words.
        players: link the recordings of the worst trials where they lie, and tell the command with its folders: for
            a report that stays on this machine.

    Raises:
        MissingExtra: without matplotlib, SciPy or Jinja.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with written_files(folder, FILES) as draft:
        label, *labels = _labels([result.card, *(other.result.card for other in others)])
        contents = Contents(
            label=label,
            card=result.card,
            others=[
                Compared(called, other.result.card, other.differences)
                for called, other in zip(labels, others, strict=True)
            ],
            zoo=rank_speakers(result),
            mistakes=worst_trials(result),
            conditions=conditions,
            attended=Attended(utterances=tuple(each.shares for each in explanations)) if explanations else None,
            command=told(command, local=players),
        )
        _write_json(draft, contents)
        _write_scores(draft / SCORES, result)
        curves = [
            _curve(label, result),
            *(_curve(called, other.result) for called, other in zip(labels, others, strict=True)),
        ]
        pictures = _draw(draft, result, contents, curves, explanations)
        links = _players(folder, result, contents.mistakes) if players else {}
        (draft / PAGE).write_text(printable(render(contents, pictures, links)), encoding="utf-8")


def check_report_folder(folder: Path) -> None:
    """See that a report can be written before long work that it will be about.

    Raises:
        AcanetError: for a folder that is a file.
        MissingExtra: without matplotlib, SciPy or Jinja.
    """
    require("matplotlib", "scipy", "jinja2")
    if folder.exists() and not folder.is_dir():
        raise AcanetError(f"{folder} is a file; name a folder for the report")


def summary(card: ResultsCard) -> list[str]:
    """The results card as lines for the terminal; rates in per cent."""
    counts = card.counts
    lines = [
        f"{card.model} ({card.fingerprint[:12]}) on {card.trial_list}",
        f"  trials        {counts.trials:,} ({counts.targets:,} target, {counts.nontargets:,} nontarget) of "
        f"{counts.utterances:,} utterances, {counts.speakers:,} speakers (from the {card.speakers_from})",
        f"  scoring       {card.scoring}" + (f"; {card.enrolments}" if card.enrolments else ""),
        f"  EER           {shown('eer', card.eer)} at the threshold {card.eer_threshold:.4f}",
        *(f"  {name:13} {shown(name, figure)}" for name, figure in card.figures.items() if name != "eer"),
        f"  [...] is the 95 % interval over the draw of speakers, from {card.replicates:,} draws, seed {card.seed}",
        f"  {card.audio_hours:.2f} h of audio in {card.wall_seconds:.1f} s",
    ]
    if card.seen:
        lines.append("  seen: the model may have been trained on these voices; this says nothing about new ones")
    return lines


def _labels(cards: Sequence[ResultsCard]) -> list[str]:
    """Labels that tell the systems apart: the model, with as much more as that takes."""
    for parts in (("model",), ("model", "scoring"), ("model", "scoring", "fingerprint")):
        labels = [", ".join(str(getattr(card, part)) for part in parts) for card in cards]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{label} ({number})" for number, label in enumerate(labels, start=1)]


def _curve(label: str, result: Result) -> Curve:
    target, card = result.trials.target, result.card
    _, fmr, fnmr = error_rates(result.scores, target)
    band = det_band(result.scores, target, *_speakers(result), replicates=card.replicates, seed=card.seed)
    return Curve(f"{label}: EER {shown('eer', card.eer)}", fmr, fnmr, band)


def _speakers(result: Result) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The speakers on the enrolment and on the test side of each trial."""
    speakers, trials = result.sides.speakers, result.trials
    return speakers[trials.enrol], speakers[trials.test]


def _write_json(draft: Path, contents: Contents) -> None:
    for name, part in zip(JSON, (contents.zoo, contents.mistakes, contents.conditions, contents.attended), strict=True):
        if part is not None:
            (draft / name).write_text(part.as_json(), encoding="utf-8")
    (draft / CARD).write_text(contents.card.as_json(), encoding="utf-8")


def _write_scores(path: Path, result: Result) -> None:
    """Write `label enrol test score`, and the log-likelihood ratio if there is one, a line a trial; in blocks.

    Nine digits give back the very float32.
    """
    trials, names = result.trials, result.trials.names
    columns = [trials.target, trials.enrol, trials.test, result.scores]
    columns += [] if result.llrs is None else [result.llrs]
    with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        for start in range(0, len(trials), BLOCK):
            rows = zip(*(column[start : start + BLOCK].tolist() for column in columns), strict=True)
            lines = (
                f"{target:d} {names[enrol]} {names[test]} " + " ".join(f"{value:.9g}" for value in values) + "\n"
                for target, enrol, test, *values in rows
            )
            packed.write("".join(lines).encode())


def _draw(
    draft: Path, result: Result, contents: Contents, curves: Sequence[Curve], explanations: Sequence[Explanation]
) -> dict[str, bytes]:
    """The pictures that there are for the page, by name."""
    trials, card = result.trials, result.card
    title = f"{contents.label} on {card.trial_list}"
    det_png(draft / "det.png", curves, f"Trials: {card.trial_list}" if len(curves) > 1 else title)
    histogram_png(draft / "histogram.png", result.scores, trials.target, card.eer_threshold, title, card.scoring)
    zoo_png(draft / "zoo.png", contents.zoo, title)
    if result.llrs is not None:
        draws = {"replicates": card.replicates, "seed": card.seed}
        stated = reliability(result.llrs, trials.target, *_speakers(result), **draws)
        reliability_png(draft / "reliability.png", stated, bayes_errors(result.llrs, trials.target), title)
    if contents.conditions is not None:
        conditions_png(draft / "conditions.png", contents.conditions, title)
    if explanations:
        attention_png(draft / "attention.png", explanations[0])
    return {name: (draft / f"{name}.png").read_bytes() for name in PICTURES if (draft / f"{name}.png").exists()}


def _players(folder: Path, result: Result, mistakes: Mistakes) -> dict[int, Players]:
    """Addresses of the recordings of the worst trials, as the page in `folder` finds them, by their lines."""
    trials, sides = result.trials, result.sides

    def addresses(name: int) -> list[str]:
        utterances = [sides.utterances[row] for row in sides.members[name][:PLAYERS]]
        return [_address(folder, utterance) for utterance in utterances if utterance.path.is_file()]

    return {
        mistake.line: (addresses(trials.enrol[mistake.line - 1]), addresses(trials.test[mistake.line - 1]))
        for mistake in (*mistakes.false_accepts, *mistakes.false_rejects)
    }


def _address(folder: Path, utterance: Utterance) -> str:
    """A link from a page in `folder`, to the stretch of the recording (W3C, Media Fragments URI 1.0)."""
    try:
        address = quote(Path(os.path.relpath(utterance.path, folder)).as_posix())
    except ValueError:  # another drive
        address = utterance.path.absolute().as_uri()
    if utterance.duration is None:
        return address
    return f"{address}#t={utterance.start:g},{utterance.start + utterance.duration:g}"
