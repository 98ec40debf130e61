"""Picture: how scores are distributed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acanet.evaluation.report.plots.canvas import NONTARGET, TARGET, new_figure, plain, save

BINS = 80


def histogram_png(
    path: Path,
    scores: NDArray[np.floating],
    target: NDArray[np.bool_],
    threshold: float,
    title: str = "",
    scoring: str = "cosine",
) -> None:
    """Draw how the scores of target and of nontarget trials are distributed, each with area 1.

    Args:
        path: the PNG file to write.
        scores: (trials,).
        target: (trials,).
        threshold: where to draw a line: the one of the EER.
        title: above the picture.
        scoring: what the scores are.

    Raises:
        MissingExtra: without matplotlib.
    """
    figure = new_figure(6.4, 4.4)
    axes = figure.add_subplot()
    edges = np.histogram_bin_edges(scores.astype(np.float64), BINS)
    for label, colour, chosen in (("nontarget", NONTARGET, ~target), ("target", TARGET, target)):
        name = f"{label}, {np.count_nonzero(chosen):,} trials"
        axes.hist(scores[chosen], edges, density=True, histtype="stepfilled", color=colour, alpha=0.5, label=name)
    axes.axvline(threshold, color="0.2", linewidth=1.2, linestyle="--", label=f"EER threshold {threshold:.3f}")
    axes.set(xlabel=f"score ({plain(scoring)})", ylabel="density")
    axes.set_title(plain(title), fontsize="medium")
    axes.legend(fontsize="small")
    save(figure, path)
