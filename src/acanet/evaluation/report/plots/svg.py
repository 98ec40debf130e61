"""What the pictures of the results page share: SVG files, the look of the systems, axes of costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acanet.config.files import written

COLOURS = tuple(f"C{number}" for number in range(10))
MARKERS = "osD^v<>Ph"
"""As many as are of no common measure with the colours, so that 90 systems look different."""


def save_svg(figure: Any, path: Path, title: str) -> None:
    """Write a figure as an SVG file, complete before it takes its place.

    Text stays text, the ground is white in light and in dark pages, and equal figures give equal files.

    Args:
        figure: what `new_figure` made.
        path: the file.
        title: what the picture shows, for those who do not see it.
    """
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "acanet"}), written(path) as file:
        figure.savefig(file, format="svg", metadata={"Title": title, "Date": None, "Creator": None})


def look(number: int) -> dict[str, Any]:
    """Colour and marker of the system of a number, from 0."""
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


def log_costs(axes: Any) -> None:
    """Make the x axis logarithmic, with plain numbers at 1, 2 and 5 of each decade."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
