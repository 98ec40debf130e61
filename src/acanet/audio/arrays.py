"""Arrays of samples as recordings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import BLOCK, Recording, Span, Waveform, check_channels, checked_rate
from acanet.errors import BadAudio


def read_array(array: NDArray[Any], rate: int | None, span: Span, name: str) -> Recording:
    """A recording that is in memory.

    Args:
        array: (samples,), (channels, samples) or (samples, channels): the shorter axis is the channels. Integers are
            scaled by the range of their type.
        rate: samples a second.
        span: what is wanted of it.
        name: of the recording, for errors.

    Raises:
        BadAudio: for an array that cannot be samples, or whose scale is not known.
    """
    if rate is None:
        raise BadAudio(name, "an array needs its rate in samples a second")
    rate = checked_rate(rate, name)
    channels = _channels_first(array, name)
    _check_integers(array, name)
    first, count = span.first(rate), span.count(channels.shape[1], rate, name)
    blocks = (
        _block(channels[:, start : min(start + BLOCK, first + count)], name)
        for start in range(first, first + count, BLOCK)
    )
    return Recording(rate, count, blocks)


def _channels_first(array: NDArray[Any], name: str) -> NDArray[Any]:
    """(channels, samples)."""
    if array.ndim not in (1, 2):
        raise BadAudio(name, "an array has to be (samples,), (channels, samples) or (samples, channels)")
    if not array.size:
        raise BadAudio(name, "the array is empty")
    channels = np.atleast_2d(array)
    if channels.shape[0] > channels.shape[1]:
        channels = channels.T
    check_channels(len(channels), name)
    return channels


def _check_integers(array: NDArray[Any], name: str) -> None:
    """Refuse values of 16 bits in a larger type, which would be all but silent."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize <= 2:
        return
    half = 2 ** (8 * array.dtype.itemsize - 1)
    centre = half if array.dtype.kind == "u" else 0
    peak = max(abs(int(array.max()) - centre), abs(int(array.min()) - centre))
    if 0 < peak <= 2**15:
        raise BadAudio(
            name,
            f"samples are {array.dtype} but none is beyond {peak}: "
            "if they are 16-bit values, pass array.astype('int16')",
        )


def _block(channels: NDArray[Any], name: str) -> Waveform:
    """Samples of any integer or floating type, (channels, samples), on the scale of [-1, 1], as mono."""
    if channels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            floats: Waveform = channels.astype(np.float32).mean(axis=0, dtype=np.float32)
        return floats
    if channels.dtype.kind not in "iu":
        raise BadAudio(name, f"samples are {channels.dtype}, not integers or floating-point numbers")
    half = 2.0 ** (8 * channels.dtype.itemsize - 1)
    centred = channels.astype(np.float64) - (half if channels.dtype.kind == "u" else 0.0)
    mono: Waveform = (centred / half).mean(axis=0, dtype=np.float32)
    return mono
