"""Picture: what the latents of ACA attend to in a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from acanet.evaluation.explain import DYNAMICS, Explanation, log_mel, mel
from acanet.evaluation.report.plots.canvas import QUIET, new_figure, plain, save

HERTZ = np.array([100, 250, 500, 1000, 2000, 4000, 8000, 16000])
SPEECH = "tab:green"


def attention_png(path: Path, explanation: Explanation) -> None:
    """Draw the log-mel spectrogram, the mean attention over time, and the attention of each latent.

    Attention is shown in times of what a frame would get if all got the same. Latents are sorted by the time that
    they attend to in the mean. Speech is marked.

    Args:
        path: the PNG file to write.
        explanation: of the recording.

    Raises:
        MissingExtra: without matplotlib.
    """
    figure = new_figure(9.5, 6.6)
    grid = figure.add_gridspec(3, 2, width_ratios=[1, 0.02], height_ratios=[3, 1.3, 3])
    axes = [figure.add_subplot(grid[row, 0]) for row in range(3)]
    bars = [figure.add_subplot(grid[row, 1]) for row in (0, 2)]
    shares = explanation.shares
    heard = f"speech is {100 * shares.speech:.0f} % of the time and gets {100 * shares.attended:.0f} % of the attention"
    figure.suptitle(plain(f"{explanation.name}: {heard}"), fontsize="medium")
    _spectrogram(axes[0], bars[0], explanation)
    _over_time(axes[1], explanation)
    _latents(axes[2], bars[1], explanation)
    for part in axes:
        part.set_xlim(0, explanation.seconds)
    for part in axes[:-1]:
        part.tick_params(labelbottom=False)
    axes[-1].set_xlabel("time (s)")
    save(figure, path)


def _spectrogram(axes: Any, bar: Any, explanation: Explanation) -> None:
    config = explanation.front_end
    top = config.high_hz or config.rate / 2
    extent = (0, explanation.seconds, float(mel(config.low_hz)), float(mel(top)))
    energies = log_mel(explanation.waveform, config).T
    image = axes.imshow(energies, aspect="auto", origin="lower", extent=extent, cmap="magma", vmin=-DYNAMICS, vmax=0)
    ticks = HERTZ[(config.low_hz <= HERTZ) & (top >= HERTZ)]
    axes.set_yticks(mel(ticks), [f"{tick:,}" for tick in ticks])
    axes.set_ylabel("frequency (Hz), mel scale")
    axes.figure.colorbar(image, cax=bar, label="dB under the loudest")


def _over_time(axes: Any, explanation: Explanation) -> None:
    for number, (start, end) in enumerate(explanation.segments):
        axes.axvspan(start, end, color=SPEECH, alpha=0.18, linewidth=0, label="" if number else "speech")
    relative = explanation.attention.mean(axis=0, dtype=np.float64) * len(explanation.times)
    axes.plot(explanation.times, relative, color="tab:blue", linewidth=1.2, label="mean of the latents")
    axes.axhline(1, color=QUIET, linewidth=0.8, linestyle="--", label="all frames alike")
    axes.set_ylim(0, 1.5 * max(1.0, relative.max()))
    axes.set_ylabel("attention\n(times the mean)")
    axes.legend(fontsize="x-small", ncols=3, loc="upper right")


def _latents(axes: Any, bar: Any, explanation: Explanation) -> None:
    attention = explanation.attention
    order = np.argsort(attention @ explanation.times, kind="stable")
    relative = attention[order] * attention.shape[1]
    most = max(1.0, float(np.quantile(relative, 0.995)))
    extent = (0, explanation.seconds, len(order) + 0.5, 0.5)
    image = axes.imshow(relative, aspect="auto", extent=extent, cmap="viridis", vmin=0, vmax=most)
    axes.set_ylabel("latent, by where it looks")
    axes.figure.colorbar(image, cax=bar, extend="max", label="attention (times the mean)")
