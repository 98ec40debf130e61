"""Arrays of samples as recordings."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import BLOCK, Frames, Span, Tracks, check_channels, checked_rate
from acanet.errors import BadAudio


def read_array(array: NDArray[Any], rate: int | None, span: Span, name: str) -> Tracks:
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
    channels = _channels_first(np.asarray(array), name)
    _check_kind(channels, name)
    first, count = span.first(rate), span.count(channels.shape[1], rate, name)

    def frames() -> Generator[Frames]:
        for start in range(first, first + count, BLOCK):
            yield _block(channels[:, start : min(start + BLOCK, first + count)])

    return Tracks(rate, count, len(channels), frames)


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


def _check_kind(array: NDArray[Any], name: str) -> None:
    """Refuse what are no numbers, and values of 16 bits in a larger type, which would be all but silent."""
    if array.dtype.kind not in "iuf":
        raise BadAudio(name, f"samples are {array.dtype}, not integers or floating-point numbers")
    if array.dtype.kind == "f" or array.dtype.itemsize <= 2:
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


def _block(channels: NDArray[Any]) -> Frames:
    """Samples of any integer or floating type, (channels, samples), on the scale of [-1, 1], (samples, channels)."""
    if channels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return channels.T.astype(np.float32)
    half = 2.0 ** (8 * channels.dtype.itemsize - 1)
    centred = channels.T.astype(np.float64) - (half if channels.dtype.kind == "u" else 0.0)
    return (centred / half).astype(np.float32)
