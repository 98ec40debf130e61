"""Training runs that are interrupted at a step, and what is compared of two of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acanet.training.checkpoint import load_state
from acanet.training.log import Log


@contextmanager
def interrupted_after(last: int) -> Iterator[None]:
    """Whoever trains in this block gets Ctrl-C as that step is done."""
    undisturbed = Log.step

    def disturbed(self, step, *arguments):
        undisturbed(self, step, *arguments)
        if step == last:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Log, "step", disturbed)
        yield


def state_bytes(out: Path) -> dict[str, bytes]:
    """The weights and statistics of a run's network and loss at its last checkpoint, bit by bit."""
    state = load_state(out / "last.pt")
    return {name: value.numpy().tobytes() for name, value in (state.model | state.loss).items()}
