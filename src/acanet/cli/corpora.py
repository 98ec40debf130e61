"""Commands that take corpora: prepare, trials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from acanet.cli.common import out, tell
from acanet.data.corpora.corpus_kinds import Kind


def prepare(
    kind: Annotated[Kind, typer.Argument(help="How the source is laid out.")],
    source: Annotated[
        Path, typer.Argument(help="A folder of speakers' folders, a .jsonl or .csv manifest, or a corpus.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A new folder: train.jsonl, dev.jsonl, test.jsonl, a report.")
    ],
    split: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LIST",
            help="What train, dev or test holds: utterances, one in the first column of a line, or a trial list; "
            "may be given often.",
        ),
    ] = None,
    dev: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.5, help="Share of the speakers kept for choosing checkpoints, where no dev set is."
        ),
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Decides which speakers those are.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode, up to the number of processors.")] = 2,
) -> None:
    """Check recordings and write manifests to train on, with speakers apart in train and dev."""
    from acanet.data.prepare.manifests import prepare as prepare_corpus

    lists: dict[Any, list[Path]] = {}
    for name, equals, path in (item.partition("=") for item in split or ()):
        if not equals:
            raise typer.BadParameter(f"{name!r} is not NAME=LIST, such as test=trials.txt", param_hint="--split")
        lists.setdefault(name, []).append(Path(path))
    report = prepare_corpus(kind, source, output, lists=lists, dev=dev, seed=seed, workers=workers, progress=True)
    out.print(report.summary())


def trials(
    manifest: Annotated[Path, typer.Argument(help="A manifest; the names in the list are its ids, or paths.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new trial list; .gz too.")],
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    targets: Annotated[int | None, typer.Option(min=1, help="Target trials, at most; 10,000 unless given.")] = None,
    ratio: Annotated[
        float | None, typer.Option(min=0.0, help="Nontarget trials for each target trial, at most; 10 unless given.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All trials that there are.")] = False,
    targets_per_speaker: Annotated[int | None, typer.Option(min=1, help="Target trials of a speaker, at most.")] = None,
    utterances_per_speaker: Annotated[int | None, typer.Option(min=1, help="At most; drawn.")] = None,
    enrol: Annotated[
        int,
        typer.Option(min=1, help="Utterances that a speaker is enrolled with; 2 or more: models, in LIST.enrol."),
    ] = 1,
    same: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="Nontargets agree on it, such as gender; may be given often."),
    ] = None,
    within_years: Annotated[
        float | None, typer.Option(min=0.0, help="How far the ages of a nontarget's speakers are apart, at most.")
    ] = None,
    across: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="The sides of a target differ in it, such as session; or recording."),
    ] = None,
    min_seconds: Annotated[float, typer.Option(min=0.0, help="Of an utterance.")] = 0.0,
    max_seconds: Annotated[float | None, typer.Option(min=0.0, help="Of an utterance.")] = None,
    apart_from: Annotated[
        list[Path] | None,
        typer.Option(metavar="MANIFEST", help="Training data: none of its speakers may be here; may be given often."),
    ] = None,
) -> None:
    """Draw a trial list from a manifest, evenly over speakers and pairs of speakers."""
    from acanet.data.draw.list_files import draw_list
    from acanet.data.draw.plan import Plan

    if every and (targets, ratio, targets_per_speaker) != (None, None, None):
        raise typer.BadParameter("takes no --targets, --ratio or --targets-per-speaker", param_hint="--all")
    given = {"targets": targets, "ratio": ratio}
    wanted = {
        **{name: value for name, value in given.items() if every or value is not None},
        "targets_per_speaker": targets_per_speaker,
        "utterances_per_speaker": utterances_per_speaker,
        "enrol": enrol,
        "same": same or (),
        "within_years": within_years,
        "across": across,
        "min_seconds": min_seconds,
        "max_seconds": max_seconds,
    }
    plan = Plan.parse(wanted, "acanet trials")
    drawn, written = draw_list(manifest, output, plan, seed=seed, apart_from=apart_from or ())
    for line in drawn.summary():
        tell(line)
    tell(f"seed {seed}; in {' and '.join(map(str, written))}")
