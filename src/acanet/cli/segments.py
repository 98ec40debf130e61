"""The command that tells who speaks when: segments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acanet.cli.common import Device, DeviceOption, ModelOption, ThreadsOption, err, out
from acanet.errors import AcanetError, require


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
    device: DeviceOption = Device.cpu,
) -> None:
    """Tell who speaks when, by clustering windows of speech: a demonstration of the embedding, one voice at a time."""
    from rich.progress import Progress

    from acanet.encoder import Encoder
    from acanet.evaluation.report.plots.turns import turns_png
    from acanet.segments.find import check_choice, file_name, hear
    from acanet.segments.rttm import write_rttm

    for path, suffix, option in ((output, ".rttm", "--output"), (plot, ".png", "--plot")):
        if path is not None and path.suffix != suffix:
            raise typer.BadParameter(f"{path} does not end in {suffix}", param_hint=option)
        if path is not None and not path.absolute().parent.is_dir():
            raise AcanetError(f"{path}: there is no folder {path.parent}; make it first")
    require("scipy", *(("matplotlib",) if plot else ()), extra="train")
    encoder = Encoder.load(model, threads=threads, device=device.value)
    check_choice(speakers, threshold, calibrated=encoder.calibration is not None)
    with Progress(console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("Listening", total=1.0)
        heard = hear(encoder, file, progress=lambda share: bar.update(task, completed=share))
    turns = heard.turns(speakers=speakers, threshold=threshold)
    write_rttm(output, turns, file_name(file))
    for name in dict.fromkeys(turn.speaker for turn in turns):
        own = [turn for turn in turns if turn.speaker == name]
        spoken = sum(turn.end - turn.start for turn in own)
        out.print(f"{name}: {spoken:.1f} s of speech, the first at {own[0].start:.1f} s")
    out.print(f"{len(turns)} stretches of speech in {output}")
    if plot is not None:
        turns_png(plot, heard, turns)
        out.print(f"picture in {plot}")
