"""Ctrl-C as a wish to stop after the step in progress, in place of an exception in the middle of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from acanet.data.parallel import depend_on_the_parent

_STOPPING = b"\nstopping after this step (Ctrl-C again: at once, losing what is not saved)\n"


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """A list that gets an entry on the first Ctrl-C; the second one raises KeyboardInterrupt."""
    caught: list[int] = []

    def note(number: int, _: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        os.write(2, _STOPPING)  # a signal may come in the middle of a print, which cannot be entered again

    before = signal.signal(signal.SIGINT, note)
    try:
        yield caught
    finally:
        signal.signal(signal.SIGINT, before)


def start_worker(_: Any) -> None:
    """The start of a process that makes batches: in one thread, deaf to Ctrl-C, and ending when its parent does.

    Ctrl-C reaches the whole group of processes; only the main one decides what it means.
    """
    depend_on_the_parent()
    torch.set_num_threads(1)
