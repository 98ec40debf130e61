"""Commands that publish: results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acanet.cli.common import out
from acanet.errors import require


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
    from acanet.experiment.card import read_cards, read_strict
    from acanet.experiment.page import write_page
    from acanet.experiment.speed import Speed

    require("matplotlib", "scipy")
    found = read_cards(cards)
    timed = None if speed is None else read_strict(Speed, speed)
    write_page(page, found, speed=timed, references=reference or ())
    out.print(f"{page}, from {len(found)} run cards")
