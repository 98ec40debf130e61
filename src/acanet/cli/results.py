"""Commands that publish: results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acanet.cli.common import tell


def results(
    cards: Annotated[
        list[Path], typer.Argument(help="Run cards, or folders to search for card.json, such as those of experiments.")
    ],
    page: Annotated[Path, typer.Option("--out", "-o", help="The Markdown file; pictures go to figures/ beside it.")],
    speed: Annotated[Path | None, typer.Option(help="What benchmarks/inference.py --json wrote.")] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="System to compare with; may be given often: an experiment takes those that it has, the first of them "
            "with differences and the others with ratios alone, or its first system.",
        ),
    ] = None,
) -> None:
    """Make one page of the run cards of experiments: tables with intervals, costs, commands, and pictures."""
    from acanet.experiment.page import make_page

    count = make_page(page, cards, speed=speed, references=reference or ())
    tell(f"{page}, from {count} run cards")
