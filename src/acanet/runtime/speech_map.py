"""Rows of features as they come -> the probability of speech in each step, each computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from acanet.runtime.spill import Floats
from acanet.speech.steps import AFTER, BEFORE, STEP

_PIECE = 750
"""Steps (half a minute) that are looked at together while nobody asks."""


class SpeechMap:
    """A recording whose features are fed in rows of any number."""

    def __init__(self, listen: Callable[[Floats], Floats]) -> None:
        """Nothing is heard yet.

        Args:
            listen: (frames, mels) -> (2, steps), the probability of speech in each step and how much it counts.
        """
        self._listen = listen
        self._known = _NONE  # what nothing that comes can change
        self._rows: list[Floats] = []  # those that later steps depend on
        self._first, self._count = 0, 0  # the step that they begin with, and how many they are

    def feed(self, rows: Floats) -> None:
        """Hear the next rows, (frames, mels)."""
        self._rows.append(rows)
        self._count += len(rows)
        if self._certain - self._known.shape[1] >= _PIECE:
            self.so_far()

    def so_far(self, rest: Iterable[Floats] = ()) -> Floats:
        """What `listen` gives of all steps, (2, steps), if the recording ends here, or with these further rows."""
        parts = [*self._rows, *rest]
        if not parts:
            return self._known
        rows, before = np.concatenate(parts), self._known.shape[1]
        new = self._listen(rows)[:, before - self._first :]
        found = np.concatenate([self._known, new], axis=1)
        if self._certain > before:
            self._known = found[:, : self._certain].copy()
            first = max(0, self._certain - BEFORE)
            rows = rows[(first - self._first) * STEP : self._count].copy()
            self._rows, self._first, self._count = [rows], first, len(rows)
        return found

    @property
    def _certain(self) -> int:
        """Steps that nothing that comes can change."""
        return max(0, self._first + self._count // STEP - AFTER)


_NONE = np.empty((2, 0), np.float32)
