"""The command line: one function a command; what a command needs is imported inside it."""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from acanet.errors import AcanetError, MissingExtra, NotCalibrated

app = typer.Typer(
    help="Speaker verification with asymmetric cross attention: from a recording to a decision.",
    epilog="Exit codes: 0 done, or the same speaker; 1 not the same; 2 wrong use or input; 3 no or too little speech; "
    "4 no decision; 70 an internal error; 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
# Paths may hold brackets, and are there to be copied: no markup, no line breaks.
out = Console(highlight=False, markup=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

INTERNAL_ERROR, INTERRUPTED = 70, 130

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="`default`, the folder of a bundle, or of a training run.")
]


ThreadsOption = Annotated[int, typer.Option(min=1, help="Threads that work on one recording.")]


class Device(StrEnum):
    """What a network runs on."""

    cpu = "cpu"
    cuda = "cuda"


DeviceOption = Annotated[Device, typer.Option(help="cuda needs onnxruntime-gpu.")]
TrimOption = Annotated[bool, typer.Option("--trim", help="Embed speech only, without the pauses.")]


class Precision(StrEnum):
    """Of an exported model's products with weights."""

    float32 = "float32"
    int8 = "int8"
    fp16 = "fp16"


class Kind(StrEnum):
    """Layouts that `prepare` reads."""

    folder = "folder"
    jsonl = "jsonl"
    csv = "csv"
    kaldi = "kaldi"
    cnceleb = "cnceleb"
    librispeech = "librispeech"
    speechocean762 = "speechocean762"
    voxceleb = "voxceleb"
    wsj0 = "wsj0"


@app.command()
def verify(
    enrolment: Annotated[Path, typer.Argument(help="A recording of the person claimed.")],
    test: Annotated[Path, typer.Argument(help="The recording in question.")],
    threshold: Annotated[
        float | None, typer.Option(min=-1.0, max=1.0, help="Score from which on the voices count as the same.")
    ] = None,
    model: ModelOption = "default",
    threads: ThreadsOption = 1,
    device: DeviceOption = Device.cpu,
    trim: TrimOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Is this the same voice? Exit 0: yes, 1: no, 4: no threshold, so no decision."""
    from acanet.encoder import Encoder

    encoder = Encoder.load(model, threads=threads, device=device.value, trim=trim)
    result = encoder.verify(enrolment, test, threshold=threshold)
    same = None if threshold is None else result.same
    if as_json:
        fields = {"score": round(result.score, 6), "threshold": threshold, "same": same}
        about = {
            "enrolment": str(enrolment),
            "test": str(test),
            "model": encoder.name,
            "fingerprint": encoder.fingerprint,
        }
        typer.echo(json.dumps(fields | about))
    else:
        verdict = {None: "no decision", True: "same speaker", False: "not the same speaker"}[same]
        out.print(f"score {result.score:.4f}: {verdict}")
    if same is None:
        raise NotCalibrated
    raise typer.Exit(0 if same else 1)


@app.command()
def embed(
    files: Annotated[list[Path], typer.Argument(help="Recordings.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="An .npz file: embeddings, files, fingerprint.")],
    model: ModelOption = "default",
    threads: ThreadsOption = 1,
    device: DeviceOption = Device.cpu,
    trim: TrimOption = False,
) -> None:
    """Embed recordings; those that cannot be are named, the first decides the exit code, the others are written."""
    import numpy as np
    from rich.progress import track

    from acanet.encoder import Encoder

    if output.suffix != ".npz":
        raise typer.BadParameter(f"{output} does not end in .npz", param_hint="--output")
    if not output.absolute().parent.is_dir():
        raise AcanetError(f"{output}: there is no folder {output.parent}; make it first")
    encoder = Encoder.load(model, threads=threads, device=device.value, trim=trim)
    embedded, embeddings, failures = [], [], []
    results = zip(files, encoder.embed_many(files), strict=True)
    for file, result in track(results, "Embedding", len(files), console=err, disable=not err.is_terminal):
        if isinstance(result, AcanetError):
            failures.append(result)
            _complain(result)
        else:
            embeddings.append(result)
            embedded.append(str(file))
    if embeddings:
        scratch = output.with_name(output.name + ".part")
        with scratch.open("wb") as stream:
            np.savez(
                stream,
                embeddings=np.stack(embeddings),
                files=np.array(embedded),
                fingerprint=np.array(encoder.fingerprint),
            )
        os.replace(scratch, output)
        out.print(f"{len(embeddings)} embeddings of {encoder.dim} numbers in {output}")
    if failures:
        err.print(f"{len(failures)} of {len(files)} files could not be embedded")
        raise typer.Exit(failures[0].exit_code)


@app.command()
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
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode.")] = 2,
) -> None:
    """Check recordings and write manifests to train on, with speakers apart in train and dev."""
    from acanet.data.prepare import prepare as prepare_corpus

    lists: dict[Any, list[Path]] = {}
    for name, equals, path in (item.partition("=") for item in split or ()):
        if not equals:
            raise typer.BadParameter(f"{name!r} is not NAME=LIST, such as test=trials.txt", param_hint="--split")
        lists.setdefault(name, []).append(Path(path))
    report = prepare_corpus(kind.value, source, output, lists=lists, dev=dev, seed=seed, workers=workers, progress=True)
    out.print(report.summary())


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="YAML; see recipes/.")],
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key.below=value, laid over the recipe; may be given often.")
    ] = None,
    init: Annotated[
        str | None, typer.Option(help="Start from this model (`default` or a folder): new head, lower rate.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
) -> None:
    """Train a model. Ctrl-C saves; --resume goes on as if nothing had happened."""
    from acanet.bundle import Bundle
    from acanet.training.loop import train as train_model
    from acanet.training.recipe import read_recipe

    chosen = read_recipe(recipe, tuple(settings or ()))
    start = None if init is None else Bundle.load(init)
    outcome = train_model(chosen, output, resume=resume, init=start, console=err)
    if not outcome.finished:
        err.print(f"stopped and saved after step {outcome.step}; the same command with --resume goes on")
        raise typer.Exit(INTERRUPTED)
    if outcome.main:
        chosen_at = f"dev EER {outcome.best.eer:.2%} at step {outcome.best.step}; " if outcome.best else ""
        out.print(f"{chosen_at}the model is in {output / 'best'}")
    if outcome.before is not None:
        out.print(f"dev EER was {outcome.before:.2%} before")


@app.command()
def experiment(
    recipe: Annotated[Path, typer.Argument(help="A recipe with `test` and, to compare several, `systems`.")],
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder of the experiment.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key.below=value, laid over the recipe; may be given often.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the experiment in --out.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
) -> None:
    """Train the systems of a recipe, evaluate them on its trial lists, and compare them: one table."""
    from acanet.experiment import run_experiment
    from acanet.training.recipe import read_experiment

    systems = read_experiment(recipe, tuple(settings or ()))
    results = run_experiment(systems, output, resume=resume, seed=seed, console=err)
    if results is None:
        err.print("stopped and saved; the same command with --resume goes on")
        raise typer.Exit(INTERRUPTED)
    out.print(results.table(), end="")
    out.print(f"the table is in {output / 'results.md'}, all figures in {output / 'results.json'}")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="`default`, the folder of a bundle, or of a training run.")],
    trials: Annotated[
        Path, typer.Argument(help="`label enrol test` or `enrol test target|nontarget` a line; .gz too.")
    ],
    audio_root: Annotated[Path | None, typer.Option(help="Where the paths in the list start.")] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Resolves the names in the list and knows the speakers.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Folder for card.json, scores, det.png, histogram.png.")] = None,
    seen: Annotated[bool, typer.Option("--seen", help="Report on training data too; the card says so.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
) -> None:
    """Score a trial list: EER and minDCF with 95 % intervals, by bootstrap over speakers."""
    from acanet.encoder import Encoder
    from acanet.evaluation.evaluate import evaluate as evaluate_model
    from acanet.evaluation.report import summary, write_report

    if audio_root is None and manifest is None:
        raise typer.BadParameter("give --audio-root or --manifest, so that the names in the list can be found")
    result = evaluate_model(Encoder.load(model), trials, manifest=manifest, audio_root=audio_root, seen=seen, seed=seed)
    for line in summary(result.card):
        out.print(line)
    if report is not None:
        write_report(report, result)
        out.print(f"report in {report}")


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="`default`, the folder of a bundle, or of a training run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder, or an exported bundle to replace.")],
    audio: Annotated[
        list[Path] | None,
        typer.Option(help="A recording to compare on, besides synthetic voices; may be given often."),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="int8 and fp16 are smaller, and have embeddings of their own.")
    ] = Precision.float32,
    trials: Annotated[
        Path | None, typer.Option(help="A trial list to measure the change of EER on, for int8 and fp16.")
    ] = None,
    audio_root: Annotated[Path | None, typer.Option(help="Where the paths in the list start.")] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Resolves the names in the list and knows the speakers.")
    ] = None,
) -> None:
    """Make a bundle that runs without torch; written only if it gives the same embeddings."""
    if trials is not None and precision is Precision.float32:
        raise typer.BadParameter("float32 changes no EER; give it with --precision int8 or fp16", param_hint="--trials")
    if trials is None and (audio_root or manifest):
        raise typer.BadParameter("--audio-root and --manifest say where the names in --trials are; give a list")
    if trials is not None and audio_root is None and manifest is None:
        raise typer.BadParameter("give --audio-root or --manifest, so that the names in the list can be found")
    try:
        from acanet.export import export as export_model
        from acanet.precision import TrialList
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "onnx", "train") from None

    chosen = None if trials is None else TrialList(trials, manifest=manifest, audio_root=audio_root)
    done = export_model(model, output, recordings=audio or (), precision=precision.value, trials=chosen)
    megabytes = sum(file.stat().st_size for file in output.iterdir()) / 1e6
    out.print(
        f"{done.recordings} recordings of 0.5 to 60 s: largest difference from torch {done.alone:.1e} alone, "
        f"{done.padded:.1e} in batches"
    )
    if done.twin is not None:
        out.print(f"lowest cosine to float32 {done.twin.cosine:.6f}; {done.twin.verdict}")
        out.print(done.twin.error_rate)
    out.print(f"{done.bundle.name}, {megabytes:.1f} MB, fingerprint {done.bundle.fingerprint}, in {output}")


@app.command()
def check(
    bundle: Annotated[str, typer.Argument(help="`default`, or the folder of an exported bundle.")] = "default",
    threads: ThreadsOption = 1,
    device: DeviceOption = Device.cpu,
) -> None:
    """Replay the golden recordings of an exported bundle, and check its files."""
    from acanet.bundle import Bundle
    from acanet.runtime import check as check_bundle

    difference = check_bundle(Bundle.load(bundle), threads=threads, device=device.value)
    out.print(f"largest difference from the export: {difference:.1e}")


@app.command()
def models(as_json: Annotated[bool, typer.Option("--json", help="A JSON list on standard output.")] = False) -> None:
    """List the architectures that can be trained, with their sizes."""
    from dataclasses import asdict

    from acanet.models.registry import model_names, model_size

    sizes = [model_size(name) for name in model_names()]
    if as_json:
        typer.echo(json.dumps([asdict(size) for size in sizes], indent=2))
        return
    table = Table("model", "parameters", "multiply-adds, 3 s", "multiply-adds, 60 s", box=None)
    for size in sizes:
        table.add_row(size.name, f"{size.parameters:,}", f"{size.macs_3s / 1e9:.2f} G", f"{size.macs_60s / 1e9:.2f} G")
    out.print(table)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything that the demo makes.")] = Path(
        "demo"
    ),
) -> None:
    """Make voices, train a small ACA-Net on them, evaluate it on other voices, verify two pairs: a few minutes."""
    from acanet.demo import run_demo

    run_demo(output, out)


_TRAIN = {"accelerate", "matplotlib", "onnx", "onnxscript", "safetensors", "scipy", "tensorboard", "torch", "yaml"}
"""Packages of the `train` extra that commands import first."""


def main() -> None:
    """Run the command line; every outcome has an exit code, and errors are for people."""
    warnings.showwarning = _show_warning
    try:
        app()
    except AcanetError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _TRAIN:
            raise
        _complain(MissingExtra(error.name, "train"))
        sys.exit(MissingExtra.exit_code)
    except OSError as error:  # of files and folders that were named: no such folder, not allowed, disk full
        err.print(f"error: {error}")
        sys.exit(AcanetError.exit_code)
    except Exception:
        traceback.print_exc()
        err.print("internal error: please report it with the lines above")
        sys.exit(INTERNAL_ERROR)


def _complain(error: AcanetError) -> None:
    err.print(f"error: {error}")


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
) -> None:
    if category.__module__.startswith("acanet"):
        err.print(f"warning: {message}")
