"""Commands that take recordings: verify, embed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acanet.cli.common import Device, DeviceOption, ModelOption, ThreadsOption, TrimOption, complain, err, out
from acanet.cli.listening import LIVE, watching
from acanet.errors import AcanetError, NotCalibrated

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from acanet.encoder import Encoder
    from acanet.listening.watch import Moment
    from acanet.scoring.calibrate import Calibration
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
    device: DeviceOption = Device.cpu,
    trim: TrimOption = False,
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
    from acanet.encoder import Encoder

    _check_sources(enrolment, test, watch)
    if rate is not None and not watch:
        raise typer.BadParameter("files know their own; it is for --watch", param_hint="--rate")
    if every is not None and not watch:
        raise typer.BadParameter("two files have one decision; it is for --watch", param_hint="--every")
    if trim and watch:
        raise typer.BadParameter("pauses are cut out of files, not of speech as it comes", param_hint="--trim")
    encoder = Encoder.load(model, threads=threads, device=device.value, trim=trim)
    if watch:
        moments = watching(encoder, enrolment, str(test), rate, every or 1.0, threshold=threshold, prior=prior)
        result = _last(moments, as_json)
    else:
        result = encoder.verify(enrolment, test, threshold=threshold, prior=prior)
    same = None if result.threshold is None else result.same
    if as_json:
        about = {
            "same": same,
            "meaning": result.meaning,
            "enrolment": str(enrolment),
            "test": str(test),
            "model": encoder.name,
            "fingerprint": encoder.fingerprint,
        }
        typer.echo(json.dumps(_rounded(result) | about))
    else:
        for line in _told(result, same, encoder.calibration, counted=watch):
            out.print(line)
    if same is None:
        raise NotCalibrated(result.undecided)
    raise typer.Exit(0 if same else 1)


def _check_sources(enrolment: Path, test: Path, watch: bool) -> None:
    """Refuse `-` and `mic` where a file has to be."""
    if str(enrolment) in LIVE and not enrolment.exists():
        raise typer.BadParameter(
            f"it has to be a file, not {enrolment}; TEST may be, with --watch", param_hint="ENROLMENT"
        )
    if str(test) in LIVE and not test.exists() and not watch:
        raise typer.BadParameter(f"{test} is heard as it comes; add --watch", param_hint="TEST")


def _last(moments: Iterator[Moment], as_json: bool) -> Verification:
    """Tell of every moment but the last, and give what it says."""
    for moment in moments:
        result = moment.verification
        if moment.last and result is not None:
            return result
        same = None if result is None or result.threshold is None else result.same
        if as_json:
            about = {} if result is None else _rounded(result)
            times = {"seconds": round(moment.seconds, 3), "speech": round(moment.speech, 3)}
            typer.echo(json.dumps(times | about | {"same": same}))
        else:
            told = "too little speech" if result is None else _score(result, same)
            out.print(f"{moment.seconds:.1f} s, {moment.speech:.1f} s of speech: {told}")
    raise AssertionError("no last moment")


def _score(result: Verification, same: bool | None) -> str:
    verdict = {None: "no decision", True: "same speaker", False: "not the same speaker"}[same]
    return f"score {result.score:.4f}{_threshold(result.threshold)}: {verdict}"


def _rounded(result: Verification) -> dict[str, float | None]:
    names = ("score", "threshold", "llr", "llr_threshold", "enrolment_speech", "test_speech")
    values = {name: getattr(result, name) for name in names}
    return {name: None if value is None else round(value, 6) for name, value in values.items()}


def _told(result: Verification, same: bool | None, calibration: Calibration | None, *, counted: bool) -> Iterator[str]:
    """Lines about a decision; `counted`: all speech of the test was, beyond what the calibration asks for."""
    yield _score(result, same)
    if calibration is not None:
        yield f"log-likelihood ratio {result.llr:.2f}, threshold {result.llr_threshold:.2f}: {result.meaning}"
        enrolment, test = result.enrolment_speech or 0.0, result.test_speech or 0.0
        longest = calibration.ratio.longest
        sides = (f"{enrolment:.1f} s", enrolment >= longest), (f"{test:.1f} s", test >= longest and not counted)
        yield f"speech: {' and '.join(side + ' or more' * more for side, more in sides)}"


def _threshold(threshold: float | None) -> str:
    if threshold is None:
        return ""
    if threshold > 1:
        return ", threshold above 1, which recordings of this length cannot reach"
    return f", threshold {threshold:.4f}"


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
    device: DeviceOption = Device.cpu,
    trim: TrimOption = False,
) -> None:
    """Embed recordings; those that cannot be are named, the first decides the exit code, the others are written."""
    from acanet.encoder import Encoder

    if output.suffix != ".npz":
        raise typer.BadParameter(f"{output} does not end in .npz", param_hint="--output")
    if hop is not None and windows is None:
        raise typer.BadParameter("it is from one window to the next; give --windows", param_hint="--hop")
    if trim and windows is not None:
        raise typer.BadParameter("windows are of a recording with its pauses, without trimming", param_hint="--trim")
    if not output.absolute().parent.is_dir():
        raise AcanetError(f"{output}: there is no folder {output.parent}; make it first")
    encoder = Encoder.load(model, threads=threads, device=device.value, trim=trim)
    if windows is None:
        failures = _embed_whole(encoder, files, output)
    else:
        failures = _embed_windows(encoder, files, output, windows, windows / 2 if hop is None else hop)
    if failures:
        err.print(f"{len(failures)} of {len(files)} files could not be embedded")
        raise typer.Exit(failures[0].exit_code)


def _embed_whole(encoder: Encoder, files: list[Path], output: Path) -> list[AcanetError]:
    """Write an embedding of each file; the errors of those that have none."""
    import numpy as np
    from rich.progress import track

    embedded, embeddings, failures = [], [], []
    results = zip(files, encoder.embed_many(files), strict=True)
    for file, result in track(results, "Embedding", len(files), console=err, disable=not err.is_terminal):
        if isinstance(result, AcanetError):
            failures.append(result)
            complain(result)
        else:
            embeddings.append(result)
            embedded.append(str(file))
    if embeddings:
        _save(output, embeddings=np.stack(embeddings), files=np.array(embedded), fingerprint=encoder.fingerprint)
        out.print(f"{_count(len(embeddings), 'embedding')} of {encoder.dim} numbers in {output}")
    return failures


def _embed_windows(encoder: Encoder, files: list[Path], output: Path, window: float, hop: float) -> list[AcanetError]:
    """Write the windows of all files, one after the other; the errors of those that have none."""
    import numpy as np
    from rich.progress import Progress

    from acanet.runtime.windows import check_windows

    check_windows(window, hop, encoder.needed_seconds)
    embedded, found, failures = [], [], []
    with Progress(console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("Embedding", total=len(files))
        for number, file in enumerate(files):
            try:
                found.append(encoder.embed_windows(file, window, hop, progress=_teller(bar, task, number)))
                embedded.append(str(file))
            except AcanetError as error:
                failures.append(error)
                complain(error)
    if found:
        names = ("embeddings", "starts", "ends", "speech")
        arrays = {name: np.concatenate([getattr(each, name) for each in found]) for name in names}
        files_of = np.repeat(embedded, [len(each) for each in found])
        _save(output, **arrays, files=files_of, fingerprint=encoder.fingerprint)
        told = _count(len(files_of), "window")
        out.print(f"{told} of {len(found)} files in {output}" if len(found) > 1 else f"{told} in {output}")
        without = sum(int((~each.embedded).sum()) for each in found)
        if without:
            verb = "holds" if without == 1 else "hold"
            out.print(
                f"{without} of them {verb} less than {encoder.needed_seconds:g} s of speech: their numbers are NaN"
            )
    return failures


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _teller(bar: Progress, task: TaskID, before: int) -> Callable[[float], None]:
    """What moves a bar by the share of a file, after those before it."""
    return lambda share: bar.update(task, completed=before + share)


def _save(output: Path, **arrays: Any) -> None:
    """Write an .npz file, complete before it takes its place."""
    import numpy as np

    from acanet.config.files import written

    with written(output) as file:
        np.savez(file, **arrays)
