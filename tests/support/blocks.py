"""Recordings in blocks."""

from __future__ import annotations


def cut(samples, sizes):
    """Blocks of these sizes, over and over."""
    start = number = 0
    while start < len(samples):
        size = sizes[number % len(sizes)]
        yield samples[start : start + size]
        start, number = start + size, number + 1
