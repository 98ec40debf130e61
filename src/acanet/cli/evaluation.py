"""Commands that work on trial lists and what is fitted to recordings of many: evaluate, plda, calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acanet.cli.common import AudioRootOption, ForceOption, ManifestOption, require_names, tell
from acanet.cli.exits import Answer
from acanet.errors import check_output
from acanet.evaluation.backend_choices import BackendKind, CohortEntry, EnrolBy


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
    ] = "embeddings",
    scoring: Annotated[BackendKind, typer.Option(help="What turns embeddings into scores.")] = "cosine",
    cohort: Annotated[
        list[Path] | None, typer.Option(help="Manifest of other people, for snorm and asnorm; may be given often.")
    ] = None,
    cohort_by: Annotated[CohortEntry, typer.Option(help="What an entry of the cohort is.")] = "utterances",
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
            help="EER and errors of decisions by condition: fields of the manifest (gender,age,...), duration, noise, "
            "babble, telephone, opus, crop, zeros, hiss, gate, packets, level, overdrive, low-pass, one-room, room, "
            "length; snr, codec, silence and damage stand for several.",
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

    from acanet.evaluation.backends import Backend
    from acanet.evaluation.evaluate import evaluate as evaluate_models
    from acanet.evaluation.figures.intervals import POINTS
    from acanet.scoring.operating_point import parse_point

    require_names(audio_root, manifest)
    if players and report is None:
        raise typer.BadParameter("it is about the report; give --report", param_hint="--players")
    if babble is not None and by is None:
        raise typer.BadParameter("it is for a condition; give --by babble", param_hint="--babble")
    found = evaluate_models(
        model,
        trials,
        manifest=manifest,
        audio_root=audio_root,
        enrolments=enrolments,
        enrol_by=enrol_by,
        backend=Backend(scoring, tuple(cohort or ()), cohort_by, top, plda),
        points=tuple(map(parse_point, point)) if point else POINTS,
        against=against or (),
        conditions=by.split(",") if by else (),
        babble=babble,
        expectations=expect or (),
        report=report,
        seen=seen,
        seed=seed,
        tell=tell,
    )
    if report is not None:
        found.write_report(report, command=("acanet", *sys.argv[1:]), players=players)
        tell(f"report in {report}")
    for line in found.expectations_told():
        tell(line)
    raise Answer(0 if found.as_expected else 1)


def plda(
    model: Annotated[str, typer.Argument(help="`default`, `small`, the folder of a bundle, or of a training run.")],
    manifests: Annotated[
        list[Path],
        typer.Argument(metavar="MANIFEST...", help="Recordings to train on, several of most speakers; one or more."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="An .npz file.")],
    lda: Annotated[int | None, typer.Option(min=1, help="Directions that LDA keeps; without it, all.")] = None,
    force: ForceOption = False,
) -> None:
    """Train a PLDA on a model's embeddings, to score trial lists with (`acanet evaluate --scoring plda`)."""
    from acanet.encoder import Encoder
    from acanet.evaluation.backends import train_plda

    check_output(output, ".npz", force=force)
    trained = train_plda(Encoder.load(model), manifests, lda=lda)
    trained.save(output)
    tell(f"PLDA of {trained.origin.utterances:,} utterances ({trained.origin}) in {output}")


def calibrate(
    bundle: Annotated[
        str, typer.Argument(help="The folder of a bundle or of a training run; `default` or `small` with --output.")
    ],
    trials: Annotated[Path, typer.Argument(help="A trial list of speakers that are in no training.")],
    audio_root: AudioRootOption = None,
    manifest: ManifestOption = None,
    far: Annotated[
        float | None,
        typer.Option(help="Decide so that at most this share of nontarget trials is accepted; 0.01 unless given."),
    ] = None,
    prior: Annotated[float | None, typer.Option(help="Decide by Bayes' rule: how often it is one voice.")] = None,
    cost_miss: Annotated[float, typer.Option(help="Cost of refusing the right person, with --prior.")] = 1.0,
    cost_fa: Annotated[float, typer.Option(help="Cost of accepting another person, with --prior.")] = 1.0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new folder for a copy of the bundle that has it.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of crops, folds and bootstrap.")] = 0,
) -> None:
    """Turn scores into log-likelihood ratios and decisions: fit them to a trial list, keep them in the bundle."""
    from acanet.evaluation.calibrated_bundle import calibrate as calibrate_bundle
    from acanet.scoring.calibrate import FalseAccepts
    from acanet.scoring.operating_point import OperatingPoint

    require_names(audio_root, manifest)
    if prior is not None and far is not None:
        raise typer.BadParameter("--far and --prior are two ways to decide; give one of them")
    if prior is None and (cost_miss, cost_fa) != (1.0, 1.0):
        raise typer.BadParameter("costs say something with --prior only; give it")
    goal: FalseAccepts | OperatingPoint
    if prior is None:
        goal = FalseAccepts.parse({"far": 0.01 if far is None else far}, "--far")
    else:
        goal = OperatingPoint.parse({"prior": prior, "c_miss": cost_miss, "c_fa": cost_fa}, "--prior and costs")
    done = calibrate_bundle(
        bundle, trials, manifest=manifest, audio_root=audio_root, goal=goal, output=output, seed=seed
    )
    for line in done.summary():
        tell(line)
