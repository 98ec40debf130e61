"""Picture: the error rates of systems against what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acanet.evaluation.report.plots.canvas import QUIET, new_figure, plain
from acanet.evaluation.report.plots.svg import log_costs, look, save_svg
from acanet.scoring.measure import Measure


@dataclass(frozen=True)
class Point:
    """A system: what it is called, what it costs, how often it errs."""

    system: str
    cost: float
    eer: Measure


def tradeoff_svg(path: Path, panels: Mapping[str, Sequence[Point]], cost: str, title: str) -> None:
    """Draw the EER with its interval against a cost, and the front: systems that no other beats in both.

    Args:
        path: the SVG file to write.
        panels: for each trial list, by its name, the systems that were measured on it, one or more.
        cost: what the cost is, in which unit.
        title: what the picture shows.

    Raises:
        MissingExtra: without matplotlib.
    """
    figure = new_figure(3.6 * len(panels) + 2.0, 3.8)
    systems = list(dict.fromkeys(point.system for points in panels.values() for point in points))
    shown: dict[str, Any] = {}
    for axes, (name, points) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        shown |= {point.system: _mark(axes, point, systems.index(point.system)) for point in points}
        _draw_front(axes, points)
        axes.set_title(plain(name), fontsize="medium")
        axes.set(xlabel=cost, ylabel="EER (%)")
    figure.legend(
        [shown[name] for name in systems],
        list(map(plain, systems)),
        loc="outside right center",
        frameon=False,
        fontsize="small",
    )
    save_svg(figure, path, title)


def front(points: Sequence[Point]) -> list[Point]:
    """The points that none other beats: as cheap or cheaper, and with a lower or the same EER; by cost."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, point.eer.value)):
        if not best or point.eer.value < best[-1].eer.value:
            best.append(point)
    return best


def _mark(axes: Any, point: Point, number: int) -> Any:
    """A point with its interval; what the legend shows of it."""
    value, low, high = (100 * part for part in (point.eer.value, point.eer.low, point.eer.high))
    style = {"linestyle": "", "markersize": 6, "elinewidth": 0.9, "capsize": 2}
    return axes.errorbar([point.cost], [value], yerr=[[value - low], [high - value]], **look(number), **style)


def _draw_front(axes: Any, points: Sequence[Point]) -> None:
    best = front(points)
    rates = [100 * point.eer.value for point in best]
    axes.plot([point.cost for point in best], rates, color=QUIET, linewidth=0.8, linestyle="--", zorder=1)
    log_costs(axes)
    axes.set_ylim(bottom=0)
    axes.grid(color="0.9")
