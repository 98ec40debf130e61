"""Commands that measure: evaluate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from acanet.cli.common import AudioRootOption, ManifestOption, out
from acanet.errors import require


class Scoring(StrEnum):
    """What turns embeddings into scores."""

    cosine = "cosine"
    snorm = "snorm"
    asnorm = "asnorm"
    plda = "plda"


class CohortBy(StrEnum):
    """What an entry of a cohort is."""

    utterances = "utterances"
    speakers = "speakers"


class EnrolBy(StrEnum):
    """Of what a model of several utterances is the mean."""

    embeddings = "embeddings"
    scores = "scores"


def evaluate(
    model: Annotated[str, typer.Argument(help="`default`, `small`, the folder of a bundle, or of a training run.")],
    trials: Annotated[
        Path, typer.Argument(help="`label enrol test` or `enrol test target|nontarget` a line; .gz too.")
    ],
    audio_root: AudioRootOption = None,
    manifest: ManifestOption = None,
    enrolments: Annotated[
        Path | None, typer.Option(help="`model utterance utterance ...` a line: what the enrolment side stands for.")
    ] = None,
    enrol_by: Annotated[
        EnrolBy, typer.Option(help="Compare the mean of a model's embeddings, or take the mean of its scores.")
    ] = EnrolBy.embeddings,
    scoring: Annotated[Scoring, typer.Option(help="What turns embeddings into scores.")] = Scoring.cosine,
    cohort: Annotated[
        list[Path] | None, typer.Option(help="Manifest of other people, for snorm and asnorm; may be given often.")
    ] = None,
    cohort_by: Annotated[CohortBy, typer.Option(help="What an entry of the cohort is.")] = CohortBy.utterances,
    top: Annotated[int | None, typer.Option(min=1, help="Nearest entries of the cohort that asnorm takes.")] = None,
    plda: Annotated[Path | None, typer.Option(help="What `acanet plda` wrote, for plda.")] = None,
    point: Annotated[
        list[str] | None,
        typer.Option(metavar="PRIOR[,C_MISS,C_FA]", help="Operating point of minDCF and actDCF; may be given often."),
    ] = None,
    against: Annotated[
        list[str] | None, typer.Option(help="Another model on the same list, and the difference; may be given often.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME,...",
            help="EER by condition: fields of the manifest (gender,age,...), duration, noise, babble, telephone, opus, "
            "crop, room, length.",
        ),
    ] = None,
    babble: Annotated[Path | None, typer.Option(help="Manifest of the people that babble is made of.")] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(metavar="FIGURE<=BOUND", help="Exit 1 unless it is so, such as 'eer<=0.06'; may be given often."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Folder for report.html and what it is made of.")] = None,
    players: Annotated[
        bool, typer.Option("--players", help="Link the recordings in the report: one that stays on this machine.")
    ] = False,
    seen: Annotated[bool, typer.Option("--seen", help="Report on training data too; the card says so.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap, and of what --by draws.")] = 0,
) -> None:
    """Score a trial list: EER, minDCF, Cllr and more, with 95 % intervals by bootstrap over speakers."""
    import sys

    from acanet.data.lists.manifest import read_manifest
    from acanet.encoder import Encoder
    from acanet.evaluation.backends import Backend
    from acanet.evaluation.compare import compare
    from acanet.evaluation.conditions.breakdown import check_conditions, measure_conditions
    from acanet.evaluation.evaluate import calibration_for
    from acanet.evaluation.evaluate import evaluate as evaluate_model
    from acanet.evaluation.explain import explain_list
    from acanet.evaluation.figures.expect import parse_expectation
    from acanet.evaluation.figures.intervals import POINTS, figure_names
    from acanet.evaluation.report.folder import summary, write_report
    from acanet.scoring.operating_point import parse_point

    require("scipy", *(("matplotlib", "jinja2") if report else ()), extra="train")
    if audio_root is None and manifest is None:
        raise typer.BadParameter("give --audio-root or --manifest, so that the names in the list can be found")
    if players and report is None:
        raise typer.BadParameter("it is about the report; give --report", param_hint="--players")
    if babble is not None and by is None:
        raise typer.BadParameter("it is for a condition; give --by babble", param_hint="--babble")
    if report is not None and report.exists() and not report.is_dir():
        raise typer.BadParameter(f"{report} is a file; name a folder", param_hint="--report")
    names = by.split(",") if by else []
    check_conditions(names, read_manifest(manifest) if names and manifest else (), babble)
    expectations = [parse_expectation(text) for text in expect or ()]
    backend = Backend(scoring.value, tuple(cohort or ()), cohort_by.value, top, plda)
    points = tuple(map(parse_point, point)) if point else POINTS
    encoders = [Encoder.load(name) for name in (model, *(against or ()))]
    calibrated = calibration_for(encoders[0], backend, enrolments) is not None
    for expectation in expectations:
        expectation.check(figure_names(points, calibrated=calibrated))
    results = [
        evaluate_model(
            encoder,
            trials,
            manifest=manifest,
            audio_root=audio_root,
            enrolments=enrolments,
            enrol_by=enrol_by.value,
            backend=backend,
            points=points,
            seen=seen,
            seed=seed,
        )
        for encoder in encoders
    ]
    result, *rest = results
    others = [compare(result, other, points=points) for other in rest]
    for line in summary(result.card):
        out.print(line)
    for other in others:
        for line in other.summary():
            out.print(line)
    conditions = None
    if names:
        conditions = measure_conditions(encoders[0], result, names, babble=babble, seed=seed)
        out.print(conditions.table(), end="")
    if report is not None:
        write_report(
            report,
            result,
            others=others,
            conditions=conditions,
            explanations=explain_list(model, result.sides.utterances),
            command=("acanet", *sys.argv[1:]),
            players=players,
        )
        out.print(f"report in {report}")
    kept = True
    for expectation in expectations:
        out.print(expectation.told(result.card.figures))
        kept = kept and expectation.holds(result.card.figures)
    raise typer.Exit(0 if kept else 1)
