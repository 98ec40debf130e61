"""Rows of numbers that stay in memory while they are few, and go to a temporary file when there are more."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

import numpy as np
from numpy.typing import NDArray

from acanet.errors import AcanetError

Floats = NDArray[np.float32]

MEMORY = 2**24
"""Bytes that stay in memory. 16 MiB are four minutes of samples at 16 kHz, or nine of 80 features."""
_WRITTEN = 2**20
"""Bytes that are written at a time. The first hour took seven times as long in writes of 4 MiB."""


class Spill:
    """Rows of float32, (count, *shape); a context manager, which removes the temporary file.

    The file is read and written, not mapped: pages of a map would count as this process's memory.

    Attributes:
        count: rows that there are.
    """

    def __init__(self, *, memory: int = MEMORY) -> None:
        """There are no rows yet; with the first ones comes their shape.

        Args:
            memory: bytes that stay in memory.
        """
        self.count = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=memory)  # noqa: SIM115
        self._shape: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary file."""
        with suppress(OSError):  # what a full disk did not take is given up; `append` has told of it
            self._file.close()

    def append(self, rows: Floats) -> None:
        """Add rows, (rows, *shape), at the end.

        Raises:
            AcanetError: when there is no room for the temporary file.
        """
        self._shape = rows.shape[1:]
        try:
            self._file.seek(self.count * self._size)
            written = np.ascontiguousarray(rows, np.float32).reshape(-1).view(np.uint8).data
            for start in range(0, len(written), _WRITTEN):
                self._file.write(written[start : start + _WRITTEN])
            self._file.flush()  # a disk may be full by the last bytes
        except OSError as error:
            raise AcanetError(
                "a long recording needs temporary files, up to 620 MB an hour with the model that ships, and there is "
                f"no room: {error}; name a folder with room in TMPDIR"
            ) from None
        self.count += len(rows)

    def truncate(self, count: int) -> None:
        """Forget the rows from `count` on."""
        self.count = count

    def read(self, start: int, end: int) -> Floats:
        """Rows from `start` to `end`, (rows, *shape)."""
        rows = np.empty((end - start, *self._shape), np.float32)
        self._file.seek(start * self._size)
        self._file.readinto(rows.data)
        return rows

    def blocks(self, size: int) -> Iterator[Floats]:
        """All rows, up to `size` at a time."""
        return (self.read(start, min(start + size, self.count)) for start in range(0, self.count, size))

    @property
    def _size(self) -> int:
        """Bytes of a row."""
        return 4 * int(np.prod(self._shape, dtype=int))
