"""Commands that take recordings: verify, embed, explain, segments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acanet.cli.common import (
    ChannelOption,
    DeviceOption,
    ForceOption,
    MaxSecondsOption,
    ModelOption,
    ThreadsOption,
    TrimOption,
    progress_bar,
    tell,
)
from acanet.cli.exits import Answer, complain, say
from acanet.cli.listening import LIVE, watching
from acanet.errors import NotCalibrated, check_output, require

if TYPE_CHECKING:
    from acanet.listening.watch import Moment
    from acanet.scoring.decide import Verification


def verify(
    enrolment: Annotated[Path, typer.Argument(help="A recording of the person claimed.")],
    test: Annotated[Path, typer.Argument(help="The recording in question; with --watch `-` or `mic`.")],
    threshold: Annotated[
        float | None,
        typer.Option(min=-1.0, max=1.0, help="Score from which on the voices count as the same, calibrated or not."),
    ] = None,
    prior: Annotated[
        float | None,
        typer.Option(help="How often it is one voice: decide by Bayes' rule on the calibrated score."),
    ] = None,
    model: ModelOption = "default",
    threads: ThreadsOption = 1,
    device: DeviceOption = "cpu",
    trim: TrimOption = False,
    channel: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER[,NUMBER]",
            help="The channel to hear, 0 is the left one; two with a comma: of ENROLMENT and of TEST, `all` for the "
            "mean of all. Without it, the mean of all, or the strongest where they cancel.",
        ),
    ] = None,
    max_seconds: MaxSecondsOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output; with --watch one a line.")
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Decide again and again while speech comes: TEST is `-`, 16-bit little-endian samples of one channel "
            "on standard input, or `mic`, the microphone (extra `microphone`).",
        ),
    ] = False,
    rate: Annotated[int | None, typer.Option(help="With --watch: samples a second; without it, the model's.")] = None,
    every: Annotated[
        float | None,
        typer.Option(min=0.1, help="With --watch: seconds from one decision to the next, at first; without it, 1."),
    ] = None,
) -> None:
    """Is this the same voice? Exit 0: yes, 1: no, 4: neither calibration nor threshold, so no decision.

    With --watch the decision that counts is the last one, at the end of the pipe or at Ctrl-C.
    """
    from acanet.config.reading import json_text
    from acanet.encoder import Encoder
    from acanet.scoring import verification_text as text

    _check_sources(enrolment, test, watch)
    if rate is not None and not watch:
        raise typer.BadParameter("files know their own; it is for --watch", param_hint="--rate")
    if every is not None and not watch:
        raise typer.BadParameter("two files have one decision; it is for --watch", param_hint="--every")
    if trim and watch:
        raise typer.BadParameter("pauses are cut out of files, not of speech as it comes", param_hint="--trim")
    first, second = _channels(channel)
    if watch and "," in (channel or ""):
        raise typer.BadParameter("what is heard as it comes has one channel", param_hint="--channel")
    encoder = Encoder.load(model, threads=threads, device=device, trim=trim, max_seconds=max_seconds)
    if watch:
        moments = watching(
            encoder, enrolment, str(test), rate, every or 1.0, channel=first, threshold=threshold, prior=prior
        )
        result = _last(moments, as_json)
    else:
        result = encoder.verify(enrolment, test, threshold=threshold, prior=prior, channel=(first, second))
    if as_json:
        about = {
            "meaning": result.meaning,
            "enrolment": str(enrolment),
            "test": str(test),
            "model": encoder.name,
            "fingerprint": encoder.fingerprint,
        }
        typer.echo(json_text(text.as_json(result) | about))
    else:
        for line in text.lines(result, encoder.calibration):
            tell(line)
    same = text.decided(result)
    if same is None:
        raise NotCalibrated(result.undecided)
    raise Answer(0 if same else 1)


def _check_sources(enrolment: Path, test: Path, watch: bool) -> None:
    """Refuse `-` and `mic` where a file has to be."""
    if str(enrolment) in LIVE and not enrolment.exists():
        raise typer.BadParameter(
            f"it has to be a file, not {enrolment}; TEST may be, with --watch", param_hint="ENROLMENT"
        )
    if str(test) in LIVE and not test.exists() and not watch:
        raise typer.BadParameter(f"{test} is heard as it comes; add --watch", param_hint="TEST")


def _channels(told: str | None) -> tuple[int | None, int | None]:
    """The channels of enrolment and test, as `--channel` has them."""
    if told is None:
        return None, None
    words = told.split(",")
    numbers = [
        None if word == "all" else int(word) for word in words if word == "all" or re.fullmatch("[0-9]{1,4}", word)
    ]
    if len(numbers) != len(words) or len(words) > 2:
        raise typer.BadParameter(
            f"it is a number, 0 for the left channel, or two with a comma, not {told}", param_hint="--channel"
        )
    return numbers[0], numbers[-1]


def _last(moments: Iterator[Moment], as_json: bool) -> Verification:
    """Tell of every moment but the last, and give what it says."""
    from acanet.config.reading import json_text
    from acanet.scoring import verification_text as text

    for moment in moments:
        result = moment.verification
        if moment.last and result is not None:
            return result
        if as_json:
            times = {"seconds": round(moment.seconds, 3), "speech": round(moment.speech, 3)}
            typer.echo(json_text(times | ({"same": None} if result is None else text.as_json(result))))
        else:
            told = "too little speech" if result is None else text.sentence(result)
            tell(f"{moment.seconds:.1f} s, {moment.speech:.1f} s of speech: {told}")
    raise AssertionError("no last moment")


def embed(
    files: Annotated[list[Path], typer.Argument(help="Recordings.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="An .npz file: embeddings, files, fingerprint.")],
    windows: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Embed windows of this length in place of whole files; adds their starts, ends and seconds of speech.",
        ),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="From one window to the next; without it, half a window."),
    ] = None,
    model: ModelOption = "default",
    threads: ThreadsOption = 1,
    device: DeviceOption = "cpu",
    trim: TrimOption = False,
    channel: ChannelOption = None,
    max_seconds: MaxSecondsOption = None,
    force: ForceOption = False,
) -> None:
    """Embed recordings; those that cannot be are named, the first decides the exit code, the others are written."""
    from acanet.encoder import Encoder
    from acanet.runtime.embedding_file import write_embeddings

    if hop is not None and windows is None:
        raise typer.BadParameter("it is from one window to the next; give --windows", param_hint="--hop")
    if trim and windows is not None:
        raise typer.BadParameter("windows are of a recording with its pauses, without trimming", param_hint="--trim")
    check_output(output, ".npz", force=force)
    encoder = Encoder.load(model, threads=threads, device=device, trim=trim, max_seconds=max_seconds)
    with progress_bar() as bar:
        task = bar.add_task("Embedding", total=len(files))
        written = write_embeddings(
            encoder,
            files,
            output,
            window=windows,
            hop=hop,
            channel=channel,
            tell=complain,
            progress=lambda done: bar.update(task, completed=done),
        )
    for line in written.summary():
        tell(line)
    if written.failures:
        say(f"{len(written.failures)} of {written.asked} files could not be embedded")
        raise Answer(written.failures[0].exit_code)


def explain(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture, a .png file.")],
    model: ModelOption = "default",
    channel: ChannelOption = None,
    max_seconds: MaxSecondsOption = None,
    force: ForceOption = False,
) -> None:
    """Draw what the latents of a model attend to in a recording, and say how much of that is speech."""
    from acanet.evaluation.explain import Explainer
    from acanet.evaluation.report.plots.attention import attention_png

    check_output(output, ".png", force=force)
    explanation = Explainer.load(model, max_seconds=max_seconds).recording(file, channel=channel)
    attention_png(output, explanation)
    tell(explanation.shares.sentence())
    tell(f"picture in {output}")


def segments(
    file: Annotated[Path, typer.Argument(help="A recording, in which one speaks at a time.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The turns, an .rttm file.")],
    plot: Annotated[
        Path | None, typer.Option(metavar="PICTURE", help="A .png file: level, turns, and window against window.")
    ] = None,
    speakers: Annotated[int | None, typer.Option(min=1, help="How many there are, if you know.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Mean log-likelihood ratio (of a model without calibration: cosine) from which on windows are of one "
            "voice: higher, and there are more speakers. Without it, 0.5."
        ),
    ] = None,
    model: ModelOption = "default",
    threads: ThreadsOption = 1,
    device: DeviceOption = "cpu",
    channel: ChannelOption = None,
    max_seconds: MaxSecondsOption = None,
    force: ForceOption = False,
) -> None:
    """Tell who speaks when, by clustering windows of speech: a demonstration of the embedding, one voice at a time."""
    from acanet.encoder import Encoder
    from acanet.evaluation.report.plots.turns import turns_png
    from acanet.segments.diarization import diarize

    check_output(output, ".rttm", force=force)
    if plot is not None:
        check_output(plot, ".png", force=force)
        require("matplotlib")
    encoder = Encoder.load(model, threads=threads, device=device, max_seconds=max_seconds)
    with progress_bar() as bar:
        task = bar.add_task("Listening", total=1.0)
        found = diarize(
            encoder,
            file,
            channel=channel,
            speakers=speakers,
            threshold=threshold,
            progress=lambda share: bar.update(task, completed=share),
        )
    found.write(output)
    for line in found.summary():
        tell(line)
    tell(f"{len(found.turns)} stretches of speech in {output}")
    if plot is not None:
        turns_png(plot, found.conversation, found.turns)
        tell(f"picture in {plot}")
