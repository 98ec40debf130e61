"""The lines of a list, plain or gzipped, a thousand at a time: how trial lists and enrolment lists are read."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from acanet.errors import BadTrials

GZIP_MAGIC = b"\x1f\x8b"
BLOCK = 1 << 16
"""Bytes read at a time: what becomes of them stays in the processor's cache, which is three times faster than 4 MiB."""
LONGEST = 1 << 20
"""Bytes that a line may have."""


def read_lines(path: Path, seen: Callable[[bytes], object] = len) -> Iterator[tuple[int, list[bytes]]]:
    """The lines of a list in blocks, in bounded memory; blank lines at the end are passed over.

    Args:
        path: the list; whether it is gzipped is seen from its first bytes.
        seen: is given all bytes of the file in turn, after gunzipping, such as the `update` of a hash.

    Yields:
        The number of a block's first line, from 1, and the block's lines, at least one.

    Raises:
        BadTrials: for a file that cannot be read or bytes that are not UTF-8, with the line where there is one.
    """
    first, blank = 1, 0
    for text in _whole_lines(path, seen):
        _check_utf8(path, first + blank, text)
        lines = [b""] * blank + text.split(b"\n")
        filled = next((end for end in range(len(lines), 0, -1) if lines[end - 1].strip()), 0)
        blank = len(lines) - filled
        if filled:
            yield first, lines[:filled]
            first += filled


def quoted(fields: list[bytes]) -> str:
    """The fields of a line for an error, cut where they are long."""
    shown = b" ".join(fields).decode()
    return repr(shown if len(shown) <= 80 else shown[:80] + "...") if fields else "a blank line"


def _whole_lines(path: Path, seen: Callable[[bytes], object]) -> Iterator[bytes]:
    """Blocks of whole lines, each without its last line break; the first without a byte order mark."""
    rest, line = b"", 1
    for number, data in enumerate(_blocks(path)):
        seen(data)
        text, found, after = data.removeprefix(b"" if number else codecs.BOM_UTF8).rpartition(b"\n")
        if found:
            text = rest + text
            yield text
            line += text.count(b"\n") + 1
            rest = after
        else:
            rest += after
        if len(rest) > LONGEST:
            raise BadTrials(path, line, f"more than {LONGEST:,} bytes without a line break; a list is text in lines")
    if rest:
        yield rest


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            packed = file.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC)
            source = gzip.GzipFile(fileobj=file) if packed else file
            while data := source.read(BLOCK):
                yield data
    except FileNotFoundError:
        raise BadTrials(path, None, "there is no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise BadTrials(path, None, f"cannot be read: {error}") from None


def _check_utf8(path: Path, first: int, text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        line = first + text.count(b"\n", 0, error.start)
        raise BadTrials(path, line, f"not UTF-8: byte {text[error.start]:#04x}; save the list as UTF-8") from None
