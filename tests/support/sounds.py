"""Sounds, and files of them."""

from __future__ import annotations

import io
import struct

import numpy as np
import soundfile


def noise(samples: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def tone(hertz: float, rate: int, seconds: float = 1.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def encode(samples: np.ndarray, rate: int = 16000, format: str = "WAV", subtype: str | None = None) -> bytes:
    """A file as libsndfile writes it."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=format, subtype=subtype)
    return buffer.getvalue()


def changed(data: bytes, at: int, layout: str, *values: int) -> bytes:
    """A file with numbers replaced, which are laid out as `struct` says."""
    copy = bytearray(data)
    struct.pack_into(layout, copy, at, *values)
    return bytes(copy)


ID3 = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
"""A tag as it stands in front of mp3 files and others."""
