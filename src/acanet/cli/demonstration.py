"""The command that shows all of it: demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acanet.cli.common import err, out
from acanet.cli.exits import INTERRUPTED


def demo(
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything that the demo makes.")] = Path(
        "demo"
    ),
) -> None:
    """Make voices, train a small ACA-Net on them, evaluate it on other voices, verify two pairs: a few minutes.

    Ctrl-C stops it anywhere; the same command goes on.
    """
    from acanet.experiment.demo import run_demo

    if not run_demo(output, out):
        err.print("stopped and saved; the same command goes on")
        raise typer.Exit(INTERRUPTED)
