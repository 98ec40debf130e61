"""Pictures of an evaluation, as PNG files: the DET curve and the histogram of the scores.

Matplotlib and SciPy are imported inside, and no window system is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acanet.errors import MissingExtra
from acanet.evaluation.metrics import Floats, equal_error_rate

TICKS = np.array([0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 60, 80, 90, 95, 98, 99])  # per cent
EDGE = 1e-4  # per cent; 0 and 100 have no normal deviate
DPI = 150


def det_curve_png(path: Path, curves: Mapping[str, tuple[Floats, Floats]], title: str = "") -> None:
    """Draw DET curves on normal-deviate axes, each with its EER point.

    Martin et al., *The DET curve in assessment of detection task performance*, Eurospeech 1997: normally
    distributed scores give a straight line.

    Args:
        path: the PNG file to write.
        curves: label -> (FMR, FNMR), (points,) each, as `error_rates` gives them.
        title: above the picture.

    Raises:
        MissingExtra: without matplotlib or SciPy.
    """
    figure, axes = _figure(5.4, 5.4)
    rates = [equal_error_rate(fmr, fnmr) for fmr, fnmr in curves.values()]
    low, high = _limits(100 * min(rates), 100 * max(rates))
    for (label, (fmr, fnmr)), rate in zip(curves.items(), rates, strict=True):
        x, y = (_deviate(np.clip(100 * side, EDGE, 100 - EDGE)) for side in (fmr, fnmr))
        (line,) = axes.plot(x, y, linewidth=1.6, label=f"{label}: EER {100 * rate:.2f} %")
        point = _deviate(np.clip(100 * rate, low, high))
        axes.plot(point, point, "o", color=line.get_color(), markersize=6, clip_on=False, zorder=3)
    ends = _deviate(np.array([low, high]))
    axes.plot(ends, ends, color="0.6", linewidth=0.8, linestyle="--", label="FMR = FNMR")
    ticks = TICKS[(low <= TICKS) & (high >= TICKS)]
    labels = [f"{tick:g}" for tick in ticks]
    axes.set_xticks(_deviate(ticks), labels)
    axes.set_yticks(_deviate(ticks), labels)
    axes.set(xlim=ends, ylim=ends, aspect="equal", title=title)
    axes.set(xlabel="false match rate, FMR (%)", ylabel="false non-match rate, FNMR (%)")
    axes.grid(color="0.9")
    axes.legend(loc="upper right", fontsize="small")
    figure.savefig(path, format="png", dpi=DPI)


def histogram_png(
    path: Path,
    scores: NDArray[np.float32],
    target: NDArray[np.bool_],
    threshold: float,
    title: str = "",
) -> None:
    """Draw how the scores of target and of nontarget trials are distributed, each with area 1.

    Args:
        path: the PNG file to write.
        scores: (trials,), cosines.
        target: (trials,).
        threshold: where to draw a line: the one of the EER.
        title: above the picture.

    Raises:
        MissingExtra: without matplotlib or SciPy.
    """
    figure, axes = _figure(6.4, 4.0)
    bins = np.histogram_bin_edges(scores.astype(np.float64), 80)
    for label, colour, chosen in (("nontarget", "tab:orange", ~target), ("target", "tab:blue", target)):
        name = f"{label}, {np.count_nonzero(chosen):,} trials"
        axes.hist(scores[chosen], bins, density=True, histtype="stepfilled", color=colour, alpha=0.5, label=name)
    axes.axvline(threshold, color="0.2", linewidth=1.2, linestyle="--", label=f"EER threshold {threshold:.3f}")
    axes.set(xlabel="score (cosine)", ylabel="density", title=title)
    axes.legend(fontsize="small")
    figure.savefig(path, format="png", dpi=DPI)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure of this many inches that never needs a window, and its axes."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "train") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _deviate(per_cent: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Normal deviates of shares in per cent."""
    try:
        from scipy.special import ndtri
    except ImportError:
        raise MissingExtra("scipy", "train") from None
    deviate: NDArray[np.float64] = ndtri(np.asarray(per_cent) / 100)
    return deviate


def _limits(lowest: float, highest: float) -> tuple[float, float]:
    """First and last tick, in per cent, of a frame that shows these EERs with room around them."""
    low = int(np.searchsorted(TICKS, lowest / 10 if lowest else 0.1, side="right")) - 1
    high = int(np.searchsorted(TICKS, max(40, 1.5 * highest)))
    return float(TICKS[max(low, 0)]), float(TICKS[min(high, len(TICKS) - 1)])
