"""What the pictures share: a figure without a window, its file, colours, axes of normal deviates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acanet.config.files import printable, written
from acanet.errors import MissingExtra

DPI = 150
TARGET, NONTARGET = "tab:blue", "tab:orange"
QUIET = "0.6"
"""Colour of what is there for comparison."""


def new_figure(width: float, height: float) -> Any:
    """A figure of this many inches that never needs a window.

    Raises:
        MissingExtra: without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "train") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: Path) -> None:
    """Write a figure as a PNG file, complete before it takes its place."""
    with written(path) as file:
        figure.savefig(file, format="png", dpi=DPI)


def plain(text: str) -> str:
    """Text that is shown as it is: a dollar sign starts no formula; bytes that are no letters are question marks."""
    return printable(text).replace("$", r"\$")


def deviates(per_cent: ArrayLike) -> NDArray[np.float64]:
    """Normal deviates of shares in per cent.

    Raises:
        MissingExtra: without SciPy.
    """
    try:
        from scipy.special import ndtri
    except ImportError:
        raise MissingExtra("scipy", "train") from None
    deviate: NDArray[np.float64] = ndtri(np.asarray(per_cent) / 100)
    return deviate
