"""Commands that make what scores embeddings: plda."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acanet.cli.common import out
from acanet.errors import AcanetError


def plda(
    model: Annotated[str, typer.Argument(help="`default`, `small`, the folder of a bundle, or of a training run.")],
    manifests: Annotated[
        list[Path],
        typer.Argument(metavar="MANIFEST...", help="Recordings to train on, several of most speakers; one or more."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="An .npz file.")],
    lda: Annotated[int | None, typer.Option(min=1, help="Directions that LDA keeps; without it, all.")] = None,
) -> None:
    """Train a PLDA on a model's embeddings, to score trial lists with (`acanet evaluate --scoring plda`)."""
    from acanet.encoder import Encoder
    from acanet.evaluation.backends import train_plda

    if output.suffix != ".npz":
        raise typer.BadParameter(f"{output} does not end in .npz", param_hint="--output")
    if not output.absolute().parent.is_dir():
        raise AcanetError(f"{output}: there is no folder {output.parent}; make it first")
    trained = train_plda(Encoder.load(model), manifests, lda=lda)
    trained.save(output)
    out.print(f"PLDA of {trained.origin.utterances:,} utterances ({trained.origin}) in {output}")
