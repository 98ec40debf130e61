"""libmpg123, which libsndfile decodes mp3 with, kept from writing about broken frames on standard error."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_lock = threading.Lock()
_inside = 0
_before: int | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """While a thread is inside, what C libraries print on standard error by `stdio` goes nowhere.

    libmpg123 has a switch for it, which libsndfile does not pass on. So C's variable `stderr` leads elsewhere, which
    the GNU C library allows; with another one nothing happens. Python's own standard error is not touched.
    """
    global _inside, _before
    variable = _variable()
    if variable is None:
        yield
        return
    stderr, nowhere = variable
    with _lock:
        if not _inside:
            _before, stderr.value = stderr.value, nowhere
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                stderr.value = _before


@cache
def _variable() -> tuple[Any, int] | None:
    """C's `stderr`, and a stream that leads nowhere; None where it is no variable that may be set."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return None
    library.fopen.restype = ctypes.c_void_p
    nowhere = library.fopen(os.fsencode(os.devnull), b"w")
    return (ctypes.c_void_p.in_dll(library, "stderr"), nowhere) if nowhere else None
