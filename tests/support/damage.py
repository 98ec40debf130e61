"""Recordings with flipped bytes and cut ends."""

from __future__ import annotations

import numpy as np

from acanet.audio.recording import read_audio
from acanet.errors import BadAudio


def refusals(data: bytes, tries: int = 40) -> int:
    """How many damaged versions of a recording are refused; what is decoded of the others has to be finite."""
    rng, refused = np.random.default_rng(0), 0
    for _ in range(tries):
        broken = bytearray(data)
        for position in rng.integers(0, len(data), 8):
            broken[position] ^= int(rng.integers(1, 256))
        try:
            assert np.isfinite(read_audio(bytes(broken[: rng.integers(1, len(data))]))[0]).all()
        except BadAudio:
            refused += 1
    return refused
