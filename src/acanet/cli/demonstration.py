"""The command that shows all of it: demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acanet.cli.common import out


def demo(
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything that the demo makes.")] = Path(
        "demo"
    ),
) -> None:
    """Make voices, train a small ACA-Net on them, evaluate it on other voices, verify two pairs: a few minutes."""
    from acanet.experiment.demo import run_demo

    run_demo(output, out)
