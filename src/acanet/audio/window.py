"""A file, or a part of it, as decoders are given it: with errors kept for later, and bytes of a header put right."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, BinaryIO

Patch = tuple[int, bytes]
"""Where in a window bytes are replaced, and by what."""


class Window:
    """A stretch of a file as a file of its own, to be read and sought in.

    Decoders call it from C, where no exception passes: when the file cannot be read, it ends, and `failure` says why.

    Attributes:
        size: in bytes.
    """

    def __init__(
        self,
        stream: BinaryIO,
        begin: int = 0,
        end: int | None = None,
        *,
        before: bytes = b"",
        patches: Sequence[Patch] = (),
    ) -> None:
        """The bytes of a file that can seek.

        Args:
            stream: the file.
            begin: the first byte.
            end: the byte behind the last; None: all that there are.
            before: bytes that come ahead of them.
            patches: what replaces bytes that are there.
        """
        self._stream, self._begin, self._before, self._patches = stream, begin, before, tuple(patches)
        stream.seek(0, os.SEEK_END)
        last = stream.tell()  # of a map, seeking tells nothing
        self._end = last if end is None else min(end, last)
        self.size = len(before) + max(0, self._end - begin)
        self._failures: list[Exception] = []
        self._at = 0

    @property
    def failure(self) -> Exception | None:
        """What first kept the file from being read, here or in a part; None: nothing."""
        return self._failures[0] if self._failures else None

    def part(self, begin: int, end: int | None = None, *, before: bytes = b"", patches: Sequence[Patch] = ()) -> Window:
        """The bytes from `begin` to `end`, without what this window changes; arguments as for the whole."""
        last = self._end if end is None else min(self._end, self._begin + end)
        found = Window(self._stream, self._begin + begin, last, before=before, patches=patches)
        found._failures = self._failures
        return found

    def peek(self, at: int, count: int) -> bytes:
        """So many bytes from a place on, fewer where it ends; where it is read goes on as before."""
        here = self._at
        self._at = at
        found = self.read(count)
        self._at = here
        return found

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer only at the end."""
        at = self._at
        count = max(0, self.size - at if size < 0 else min(size, self.size - at))
        found = self._before[at : at + count]
        if len(found) < count:
            found += self._held(max(0, at - len(self._before)), count - len(found))
        for place, changed in self._patches:
            if place < at + len(found) and at < place + len(changed):
                found = _replaced(found, place - at, changed)
        self._at += len(found)
        return found

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the next bytes; how many there were."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go on from another place, which is given back; a place before the beginning is none."""
        place = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence] + offset
        if place >= 0:
            self._at = place
        return self._at

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def _held(self, at: int, count: int) -> bytes:
        """Bytes of the file from a place in its window on."""
        parts, left = [], count
        try:
            self._stream.seek(self._begin + at)
            while left and (part := self._stream.read(left)):
                parts.append(part)
                left -= len(part)
        except Exception as error:
            self._failures.append(error)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _replaced(data: bytes, at: int, changed: bytes) -> bytes:
    """Bytes with those from `at` on, which may lie before the first, replaced as far as they reach."""
    begin, end = max(0, at), min(len(data), at + len(changed))
    return data[:begin] + changed[begin - at : end - at] + data[end:]
