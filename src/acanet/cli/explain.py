"""The command that shows what a model listens to: explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acanet.cli.common import ModelOption, out
from acanet.errors import AcanetError


def explain(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture, a .png file.")],
    model: ModelOption = "default",
) -> None:
    """Draw what the latents of a model attend to in a recording, and say how much of that is speech."""
    from acanet.evaluation.explain import Explainer
    from acanet.evaluation.report.plots.attention import attention_png

    if output.suffix != ".png":
        raise typer.BadParameter(f"{output} does not end in .png", param_hint="--output")
    if not output.absolute().parent.is_dir():
        raise AcanetError(f"{output}: there is no folder {output.parent}; make it first")
    explanation = Explainer.load(model).recording(file)
    attention_png(output, explanation)
    shares = explanation.shares
    heard = f"{shares.speech:.1%} of {shares.seconds:.2f} s, {shares.attended:.1%} of the attention"
    out.print(f"speech: {heard}")
    out.print(f"picture in {output}")
