"""Picture: who speaks when in a recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acanet.evaluation.report.plots.canvas import QUIET, new_figure, plain, save
from acanet.segments.find import Conversation
from acanet.segments.rttm import Turn

COLUMNS = 2000
"""Of the level."""
LOWEST = -60.0
"""Decibels of full scale that are drawn."""
CELLS = 1000
"""Windows on a side that are drawn, at most about so many."""


def turns_png(path: Path, heard: Conversation, turns: Sequence[Turn]) -> None:
    """Draw the level over time, the turns of each speaker, and how close each window is to each.

    Args:
        path: the PNG file to write.
        heard: the recording.
        turns: what `Conversation.turns` found.

    Raises:
        MissingExtra: without matplotlib.
    """
    speakers = sorted({turn.speaker for turn in turns}, key=lambda name: (len(name), name))
    figure = new_figure(9.5, 6.5 + 0.25 * len(speakers))
    grid = figure.add_gridspec(3, 2, width_ratios=[1, 0.02], height_ratios=[1, 0.3 + 0.3 * len(speakers), 4])
    axes = [figure.add_subplot(grid[row, 0]) for row in range(3)]
    told = f"{len(speakers)} speakers" if len(speakers) > 1 else "one speaker"
    figure.suptitle(plain(f"{Path(heard.name).name}: {told}"), fontsize="medium")
    _level(axes[0], heard)
    _turns(axes[1], turns, speakers)
    _closeness(axes[2], figure.add_subplot(grid[2, 1]), heard)
    for part in axes:
        part.set_xlim(0, heard.seconds)
    for part in axes[:-1]:
        part.tick_params(labelbottom=False)
    axes[-1].set_xlabel("time (s)")
    save(figure, path)


def _level(axes: Any, heard: Conversation) -> None:
    size = max(1, len(heard.waveform) // COLUMNS)
    blocks = heard.waveform[: len(heard.waveform) // size * size].reshape(-1, size)
    power = np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64) / size
    decibels = np.maximum(10 * np.log10(np.maximum(power, 1e-12)), LOWEST)
    axes.fill_between((np.arange(len(blocks)) + 0.5) * size / heard.rate, decibels, LOWEST, color=QUIET, linewidth=0)
    axes.set_ylim(LOWEST, 0)
    axes.set_ylabel("level (dB)")


def _turns(axes: Any, turns: Sequence[Turn], speakers: Sequence[str]) -> None:
    for row, speaker in enumerate(speakers):
        bars = [(turn.start, turn.end - turn.start) for turn in turns if turn.speaker == speaker]
        axes.broken_barh(bars, (row - 0.4, 0.8), color=f"C{row % 10}")
    axes.set_yticks(range(len(speakers)), speakers)
    axes.set_ylim(len(speakers) - 0.5, -0.5)


def _closeness(axes: Any, bar: Any, heard: Conversation) -> None:
    """Every moment belongs to the window drawn whose middle is nearest."""
    step = -(-len(heard.starts) // CELLS)
    close, middles = heard.close[::step, ::step], ((heard.starts + heard.ends) / 2)[::step]
    edges = np.concatenate([heard.starts[:1], (middles[:-1] + middles[1:]) / 2, heard.ends[-1:]])
    most = float(np.quantile(np.abs(close), 0.98))
    span = {"vmin": -most, "vmax": most, "cmap": "RdBu_r"} if heard.calibrated else {"cmap": "viridis"}
    image = axes.pcolormesh(edges, edges, close, rasterized=True, **span)
    axes.set_ylim(heard.seconds, 0)
    axes.set_ylabel("time (s)")
    label = "log-likelihood ratio: one voice" if heard.calibrated else "cosine"
    axes.figure.colorbar(image, cax=bar, extend="both" if heard.calibrated else "neither", label=label)
