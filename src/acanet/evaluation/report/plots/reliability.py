"""Picture: whether log-likelihood ratios mean what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from acanet.evaluation.figures.reliability_diagram import BayesErrors, Reliability
from acanet.evaluation.report.plots.canvas import QUIET, TARGET, new_figure, plain, save


def reliability_png(path: Path, observed: Reliability, errors: BayesErrors, title: str = "") -> None:
    """Draw observed over stated log-likelihood ratios, and normalised error rates over the prior log odds.

    Args:
        path: the PNG file to write.
        observed: the ratios.
        errors: of decisions by them.
        title: above the picture.

    Raises:
        MissingExtra: without matplotlib.
    """
    figure = new_figure(9.5, 4.6)
    figure.suptitle(plain(title), fontsize="medium")
    left, right = figure.subplots(1, 2)
    _ratios(left, observed)
    _errors(right, errors)
    save(figure, path)


def _ratios(axes: Any, observed: Reliability) -> None:
    shown = np.concatenate([observed.stated, observed.observed, [-1.0, 1.0]])
    ends = np.array([shown.min() - 1, shown.max() + 1])
    bars = np.clip([observed.observed - observed.low, observed.high - observed.observed], 0, 2 * np.ptp(ends))
    axes.plot(ends, ends, color=QUIET, linewidth=0.8, linestyle="--", label="as stated")
    axes.errorbar(
        observed.stated,
        observed.observed,
        bars,
        color=TARGET,
        fmt="o-",
        markersize=4,
        linewidth=1,
        capsize=2,
        label="observed, 95 % interval",
    )
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.set(xlabel="stated log-likelihood ratio (natural log)", ylabel="observed log-likelihood ratio")
    axes.grid(color="0.9")
    axes.legend(loc="upper left", fontsize="small")
    if observed.unpaired:
        note = f"{observed.unpaired:,} trials in bins\nof one class: not shown"
        axes.text(0.97, 0.03, note, ha="right", va="bottom", fontsize="x-small", transform=axes.transAxes)


def _errors(axes: Any, errors: BayesErrors) -> None:
    axes.plot(errors.log_odds, errors.actual, color=TARGET, linewidth=1.6, label="deciding by the stated ratios")
    axes.plot(errors.log_odds, errors.least, color="0.3", linewidth=1.2, linestyle=":", label="best threshold")
    axes.axhline(1, color=QUIET, linewidth=0.8, linestyle="--", label="not listening")
    axes.set(xlim=errors.log_odds[[0, -1]], ylim=(0, 1.25 * max(1.0, min(errors.actual.max(), 2.0))))
    axes.set(xlabel="log odds of a target trial (natural log)", ylabel="normalised error rate")
    axes.grid(color="0.9")
    axes.legend(loc="upper left", fontsize="small", ncols=1)
