"""Commands that make and check bundles: export, import, check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acanet.cli.common import DeviceOption, ThreadsOption, require_names, tell
from acanet.runtime.choices import Precision, WeightLayout

if TYPE_CHECKING:
    from acanet.export.export import Exported


def export(
    model: Annotated[str, typer.Argument(help="`default`, `small`, the folder of a bundle, or of a training run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder, or an exported bundle to replace.")],
    audio: Annotated[
        list[Path] | None,
        typer.Option(help="A recording to compare on, besides synthetic voices; may be given often."),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="int8 and fp16 are smaller, and have embeddings of their own.")
    ] = "float32",
    trials: Annotated[
        Path | None, typer.Option(help="A trial list to measure the change of EER on, for int8 and fp16.")
    ] = None,
    audio_root: Annotated[Path | None, typer.Option(help="Where the paths in the list start.")] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Resolves the names in the list and knows the speakers.")
    ] = None,
) -> None:
    """Make a bundle that runs without torch; written only if it gives the same embeddings."""
    if trials is not None and precision == "float32":
        raise typer.BadParameter("float32 changes no EER; give it with --precision int8 or fp16", param_hint="--trials")
    if trials is None and (audio_root or manifest):
        raise typer.BadParameter("--audio-root and --manifest say where the names in --trials are; give a list")
    if trials is not None:
        require_names(audio_root, manifest)
    from acanet.export.export import export_model
    from acanet.export.twins import TrialList

    chosen = None if trials is None else TrialList(trials, manifest=manifest, audio_root=audio_root)
    done = export_model(model, output, recordings=audio or (), precision=precision, trials=chosen)
    _tell_of(done)


def import_weights(
    layout: Annotated[WeightLayout, typer.Argument(help="Whose code the weights are of.")],
    checkpoint: Annotated[Path, typer.Argument(help="Their state dict: a file by torch.save, or safetensors.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder, or an exported bundle to replace.")],
    licence: Annotated[str, typer.Option(help="Of the weights, as their source says.")] = "unknown",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key.below=value, laid over the config that the weights fit; may be given often."),
    ] = None,
) -> None:
    """Make a bundle that runs without torch of public weights; written only if it gives the same embeddings."""
    from acanet.export.public import import_weights as import_public

    _tell_of(import_public(layout, checkpoint, output, licence=licence, settings=settings or ()))


def check(
    bundle: Annotated[str, typer.Argument(help="`default`, `small`, or the folder of an exported bundle.")] = "default",
    threads: ThreadsOption = 1,
    device: DeviceOption = "cpu",
) -> None:
    """Replay the golden recordings of an exported bundle, and check its files."""
    from acanet.runtime.bundle import Bundle
    from acanet.runtime.check import check as check_bundle

    difference = check_bundle(Bundle.load(bundle), threads=threads, device=device)
    tell(f"largest difference from the export: {difference:.1e}")


def _tell_of(done: Exported) -> None:
    """What was written, and how far it is from torch."""
    folder = done.bundle.folder
    megabytes = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    in_pieces = "" if done.in_pieces is None else f", {done.in_pieces:.1e} in pieces"
    tell(
        f"{done.recordings} recordings of 0.5 to 60 s: largest difference from torch {done.alone:.1e} alone, "
        f"{done.padded:.1e} in batches{in_pieces}"
    )
    if done.twin is not None:
        tell(f"lowest cosine to float32 {done.twin.cosine:.6f}; {done.twin.verdict}")
        tell(done.twin.error_rate)
    tell(f"{done.bundle.name}, {megabytes:.1f} MB, fingerprint {done.bundle.fingerprint}, in {folder}")
