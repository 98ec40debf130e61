"""Picture: the EER on dev while systems are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from acanet.evaluation.report.plots.canvas import new_figure, plain
from acanet.evaluation.report.plots.svg import look, save_svg


def learning_svg(path: Path, curves: Mapping[str, Sequence[tuple[int, float]]], title: str) -> None:
    """Draw the dev EER over the steps.

    Args:
        path: the SVG file to write.
        curves: for each system, by its name, steps and the EER after them, as a share from 0 to 1.
        title: what the picture shows.

    Raises:
        MissingExtra: without matplotlib.
    """
    figure = new_figure(7.2, 3.8)
    axes = figure.add_subplot()
    for number, (name, curve) in enumerate(curves.items()):
        steps, rates = zip(*curve, strict=True)
        axes.plot(steps, [100 * rate for rate in rates], label=plain(name), linewidth=1.2, markersize=3, **look(number))
    axes.set(xlabel="steps", ylabel="EER on dev (%)")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.grid(color="0.9")
    figure.legend(loc="outside right center", frameon=False, fontsize="small")
    save_svg(figure, path, title)
