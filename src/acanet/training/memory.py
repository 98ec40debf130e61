"""The C library's treatment of memory, for training on a processor."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_LARGE_BLOCK = 2**30  # bytes
_ALL_FREE = 2**31 - 1


def keep_freed_memory() -> None:
    """Have glibc keep large blocks that are freed, in place of giving them back to the system.

    Every step frees and allocates the same activations; memory that comes from the system anew is first filled with
    zeros by it, page by page. Nothing happens with another C library.

    Source: mallopt(3).
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)
        libc.mallopt(_TRIM_THRESHOLD, _ALL_FREE)
