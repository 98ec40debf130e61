"""Picture: error rates by condition."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from acanet.evaluation.conditions.tables import Conditions, Row
from acanet.evaluation.report.plots.canvas import new_figure, plain, save

Side = Literal["both", "test"]
SIDES: tuple[Side, ...] = ("test", "both")
SHOWN: dict[Side, str] = {"test": "test side only", "both": "both sides"}


def conditions_png(path: Path, conditions: Conditions, title: str = "") -> None:
    """Draw a heat map of EERs: a row a group, a column for each side that has the condition.

    Args:
        path: the PNG file to write.
        conditions: what was measured.
        title: above the picture.

    Raises:
        MissingExtra: without matplotlib.
    """
    rows = {((row.name, row.group), row.side): row for row in conditions.rows}
    groups = list(dict.fromkeys(group for group, _ in rows))
    sides = [side for side in SIDES if any(row.side == side for row in conditions.rows)]
    table = [[rows.get((group, side)) for side in sides] for group in groups]
    rates = np.array([[_rate(row) for row in line] for line in table])
    most = max(100 * conditions.clean.value, np.nanmax(rates, initial=0.0), 1e-3)

    figure = new_figure(9.5, 1.4 + 0.27 * len(groups))
    axes = figure.add_subplot()
    image = axes.imshow(np.ma.masked_invalid(rates), aspect="auto", cmap="YlOrRd", vmin=0, vmax=most)
    for place, line in enumerate(table):
        for column, row in enumerate(line):
            dark = row is not None and row.eer is not None and 100 * row.eer.value > 0.6 * most
            axes.text(column, place, _cell(row), ha="center", va="center", fontsize="small", color="w" if dark else "k")
    axes.set_xticks(range(len(sides)), [SHOWN[side] for side in sides])
    axes.set_yticks(range(len(groups)), [plain(f"{name}: {group}") for name, group in groups])
    for place, (one, other) in enumerate(pairwise(groups)):
        if one[0] != other[0]:
            axes.axhline(place + 0.5, color="w", linewidth=3)
    axes.set_facecolor("0.93")
    clean = conditions.clean
    axes.set_xlabel(f"whole list as it is: {100 * clean.value:.2f} % [{100 * clean.low:.2f}, {100 * clean.high:.2f}]")
    axes.set_title(plain(title), fontsize="medium")
    figure.colorbar(image, ax=axes, label="EER (%)")
    save(figure, path)


def _rate(row: Row | None) -> float:
    return np.nan if row is None or row.eer is None else 100 * row.eer.value


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    if row.eer is None:
        return "no figure"
    return f"{100 * row.eer.value:.1f} [{100 * row.eer.low:.1f}, {100 * row.eer.high:.1f}]"
