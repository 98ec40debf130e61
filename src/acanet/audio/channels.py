"""From the channels of a recording to one: their mean, the one that was chosen, or one of those that cancel out.

Channels cancel where one is the other turned over, as behind a balanced line or a broken cable: their mean is silence,
or what noise they do not share. The mean is not taken where it has less than half of the energy that it would have if
the channels had nothing in common, over the first ten minutes, without their constant parts; the strongest channel is
taken in its place. Equal channels have twice that energy or more, and those of two people once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Frames, Tracks, Waveform
from acanet.errors import BadAudio

_CANCELLED = 0.5
"""The energy of the sum of all channels, in shares of what it is where they have nothing in common."""
_LEAST, _LOOKED_AT = 0.1, 600.0
"""Seconds that tell whether channels cancel: what is shorter may by chance."""
_ROUNDING = 1e-6
"""Share of their energy in which equal channels may differ; the first of them is taken."""


def check_channel(channel: int | None, name: str) -> None:
    """Refuse what is no number of a channel.

    Raises:
        BadAudio: naming the recording.
    """
    if channel is not None and (not isinstance(channel, Integral) or isinstance(channel, bool) or channel < 0):
        raise BadAudio(name, f"channel is {channel!r}; a whole number is expected, 0 is the first (left)")


def one_channel(tracks: Tracks, channel: int | None, name: str) -> Iterator[Waveform]:
    """A recording in blocks of one channel, (samples,) each.

    Args:
        tracks: the recording.
        channel: which one, 0 is the first; None: the mean of all, or the strongest of those that cancel out.
        name: of the recording, for errors.

    Raises:
        BadAudio: when there is no such channel.
    """
    if channel is not None:
        for block in tracks.frames():
            yield _chosen(block, channel, name)
        return
    if tracks.channels == 1:
        yield from map(_mean, tracks.frames())
        return
    levels, looked_at, seen = _Levels(tracks.channels), 0, list[Frames]()
    with closing(tracks.frames()) as blocks:
        for block in blocks:
            seen = [block] if not looked_at else []
            levels.count(block)
            looked_at += len(block)
            if looked_at >= _LOOKED_AT * tracks.rate:
                break
    strongest = levels.strongest_of_cancelled if looked_at >= _LEAST * tracks.rate else None
    for block in seen if looked_at < _LOOKED_AT * tracks.rate and seen else tracks.frames():
        yield _mean(block) if strongest is None or strongest >= block.shape[1] else block[:, strongest]


class _Levels:
    """How much energy channels have, each and together."""

    def __init__(self, channels: int) -> None:
        self._samples, self._sums, self._products = 0, np.zeros(channels), np.zeros((channels, channels))

    def count(self, block: Frames) -> None:
        """Add a block, unless the number of channels has changed."""
        if block.shape[1] != len(self._sums):
            return
        samples = block.T.astype(np.float64, order="C")
        self._samples += len(block)
        with np.errstate(all="ignore"):  # samples that no microphone gives are refused later
            self._sums += samples.sum(axis=1)
            self._products += samples @ samples.T

    @property
    def strongest_of_cancelled(self) -> int | None:
        """The channel with the most energy, where their mean has lost it; None: it has not."""
        with np.errstate(all="ignore"):
            products = self._products - np.outer(self._sums, self._sums) / max(1, self._samples)
            energies: NDArray[np.float64] = products.diagonal()
            if not products.sum() < _CANCELLED * energies.sum():
                return None
            return int(np.argmax(energies > (1 - _ROUNDING) * energies.max()))


def _mean(block: Frames) -> Waveform:
    """(samples, channels) -> (samples,)."""
    if block.shape[1] == 1:
        return block[:, 0]
    mean: Waveform = block.mean(axis=1)
    return mean


def _chosen(block: Frames, channel: int, name: str) -> Waveform:
    """One channel of a block, (samples,)."""
    count = block.shape[1]
    if channel >= count:
        has = "one channel, 0" if count == 1 else f"{count} channels, 0 to {count - 1}"
        raise BadAudio(name, f"there is no channel {channel}; it has {has}")
    return block[:, channel]
