"""What recorders, gates and networks leave between words: digital silence, lost packets, faint noise."""

from __future__ import annotations

from typing import Literal

import numpy as np

from acanet.audio.blocks import Waveform

_BLOCK = 0.02  # seconds over which a gate measures the level
_HOLD = 5  # blocks that a gate stays open


Place = Literal["before", "inside", "after"]
"""Where silence is put: before the speech, in the middle of it, or after it."""


def put_in(waveform: Waveform, quiet: Waveform, place: Place) -> Waveform:
    """A waveform with something quiet before it, in its middle, or after it; as much longer."""
    at = {"before": 0, "inside": len(waveform) // 2, "after": len(waveform)}[place]
    return np.concatenate([waveform[:at], quiet, waveform[at:]])


def mute_end(waveform: Waveform, samples: int, *, first: bool) -> Waveform:
    """A waveform, (samples,), whose first or last samples are zeros, as of a microphone that is switched late."""
    muted = waveform.copy()
    muted[slice(0, samples) if first else slice(max(0, len(waveform) - samples), None)] = 0
    return muted


def lose_packets(waveform: Waveform, rng: np.random.Generator, share: float, packet: int) -> Waveform:
    """A waveform of which packets of so many samples, this share of all, are zeros."""
    lost = np.repeat(rng.random(-(-len(waveform) // packet)) < share, packet)[: len(waveform)]
    return np.where(lost, np.float32(0), waveform)


def gate(waveform: Waveform, rate: int, threshold_db: float) -> Waveform:
    """A waveform through a noise gate: zeros where 20 ms, and those just before, lie below a level.

    Args:
        waveform: (samples,).
        rate: samples a second.
        threshold_db: the level, relative to the root mean square of the loudest tenth of all blocks.
    """
    block = round(_BLOCK * rate)
    blocks = np.pad(waveform, (0, -len(waveform) % block)).reshape(-1, block)
    power = np.square(blocks).mean(axis=1)
    loud = np.sort(power)[-max(1, len(power) // 10) :].mean()
    above = power > loud * 10 ** (threshold_db / 10)
    held = np.convolve(above, np.ones(_HOLD))[: len(above)] > 0
    return np.where(held[:, None], blocks, np.float32(0)).reshape(-1)[: len(waveform)]


def add_faint_noise(waveform: Waveform, rng: np.random.Generator, dbfs: float) -> Waveform:
    """A waveform with white noise of this level, in decibels below 1."""
    noise = rng.standard_normal(len(waveform), dtype=np.float32)
    noisy: Waveform = waveform + noise * np.float32(10 ** (dbfs / 20))
    return noisy
