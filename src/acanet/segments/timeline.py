"""Windows that know their speaker -> turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from acanet.segments.rttm import Turn

STEP = 0.01
"""Seconds from one frame of the timeline to the next."""


def turns_of(
    segments: Sequence[tuple[float, float]],
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    labels: NDArray[np.intp],
) -> list[Turn]:
    """Who speaks in each stretch of speech.

    Every 10 ms, the windows that hold a moment vote, each with how near its middle the moment lies: 1 in the middle, 0
    at its ends. Where no window votes, as in a stretch too short for one, the nearest window decides.

    Args:
        segments: start and end of each stretch of speech, in seconds, in order.
        starts, ends: (windows,) in seconds.
        labels: (windows,) number of the speaker, from 0.

    Returns:
        Turns in order, all of them speech; the speakers are `speaker1`, `speaker2`, ..., as they come.
    """
    found: list[tuple[float, float, int]] = []
    for start, end in segments:
        edges = np.linspace(start, end, max(1, round((end - start) / STEP)) + 1)
        chosen = _speakers((edges[:-1] + edges[1:]) / 2, starts, ends, labels)
        changes = np.flatnonzero(np.diff(chosen)) + 1
        for first, last in zip([0, *changes], [*changes, len(chosen)], strict=True):
            found.append((float(edges[first]), float(edges[last]), int(chosen[first])))
    order = list(dict.fromkeys(speaker for _, _, speaker in found))
    return [Turn(start, end, f"speaker{order.index(speaker) + 1}") for start, end, speaker in found]


def _speakers(
    times: NDArray[np.float64], starts: NDArray[np.float64], ends: NDArray[np.float64], labels: NDArray[np.intp]
) -> NDArray[np.intp]:
    """The speaker at each of the times, which rise; (times,)."""
    middles, halves = (starts + ends) / 2, (ends - starts) / 2
    near = np.flatnonzero((starts < times[-1]) & (ends > times[0]))
    if not len(near):
        middle = (times[0] + times[-1]) / 2
        near = np.array([np.argmin(np.maximum(starts - middle, middle - ends))])
    votes = np.zeros((int(labels.max()) + 1, len(times)))
    distances = np.abs(times - middles[near, None])
    np.add.at(votes, labels[near], np.maximum(0, 1 - distances / halves[near, None]))
    chosen: NDArray[np.intp] = votes.argmax(axis=0)
    alone = votes.max(axis=0) == 0
    chosen[alone] = labels[near[distances[:, alone].argmin(axis=0)]]
    return chosen
