"""Picture: DET curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acanet.evaluation.figures.bands import Band
from acanet.evaluation.figures.metrics import Floats, equal_error_rate
from acanet.evaluation.report.plots.canvas import QUIET, deviates, new_figure, plain, save

TICKS = np.array([0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 60, 80, 90, 95, 98, 99])  # per cent
EDGE = 1e-4  # per cent; 0 and 100 have no normal deviate


@dataclass(frozen=True, eq=False)
class Curve:
    """A system on a list.

    Attributes:
        label: for the legend.
        fmr: (points,) as `error_rates` gives it.
        fnmr: (points,) likewise.
        band: FNMR over FMR; None: not drawn.
    """

    label: str
    fmr: Floats
    fnmr: Floats
    band: Band | None = None


def det_png(path: Path, curves: Sequence[Curve], title: str = "") -> None:
    """Draw DET curves on normal-deviate axes, each with its band and its EER point.

    Martin et al., *The DET curve in assessment of detection task performance*, Eurospeech 1997: normally
    distributed scores give a straight line.

    Args:
        path: the PNG file to write.
        curves: one or more.
        title: above the picture.

    Raises:
        MissingExtra: without matplotlib or SciPy.
    """
    figure = new_figure(5.8, 6.0)
    axes = figure.add_subplot()
    rates = [equal_error_rate(curve.fmr, curve.fnmr) for curve in curves]
    low, high = _limits(100 * min(rates), 100 * max(rates))
    for curve, rate in zip(curves, rates, strict=True):
        (line,) = axes.plot(_place(curve.fmr), _place(curve.fnmr), linewidth=1.6, label=plain(curve.label))
        if curve.band is not None:
            sides = _place(curve.band.low), _place(curve.band.high)
            axes.fill_between(_place(curve.band.across), *sides, color=line.get_color(), alpha=0.18, linewidth=0)
        point = deviates(np.clip(100 * rate, low, high))
        axes.plot(point, point, "o", color=line.get_color(), markersize=6, clip_on=False, zorder=3)
    ends = deviates([low, high])
    axes.plot(ends, ends, color=QUIET, linewidth=0.8, linestyle="--", label="FMR = FNMR")
    ticks = TICKS[(low <= TICKS) & (high >= TICKS)]
    labels = [f"{tick:g}" for tick in ticks]
    axes.set_xticks(deviates(ticks), labels)
    axes.set_yticks(deviates(ticks), labels)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.set_title(plain(title), fontsize="medium")
    axes.set(xlabel="false match rate, FMR (%)", ylabel="false non-match rate, FNMR (%)")
    axes.grid(color="0.9")
    axes.legend(loc="upper right", fontsize="small")
    save(figure, path)


def _place(rates: Floats) -> Floats:
    return deviates(np.clip(100 * rates, EDGE, 100 - EDGE))


def _limits(lowest: float, highest: float) -> tuple[float, float]:
    """First and last tick, in per cent, of a frame that shows these EERs with room around them."""
    low = int(np.searchsorted(TICKS, lowest / 50 if lowest else 0.1, side="right")) - 1
    high = int(np.searchsorted(TICKS, max(60, 1.5 * highest)))
    return float(TICKS[max(low, 0)]), float(TICKS[min(high, len(TICKS) - 1)])
