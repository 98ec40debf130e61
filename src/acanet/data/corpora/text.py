"""The lists and tables that come with a corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from acanet.errors import BadManifest


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, stripped and counted from 1; bytes that are not UTF-8 become U+FFFD.

    Raises:
        BadManifest: the file is not there or cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if text := line.strip():
                    yield number, text
    except FileNotFoundError:
        raise BadManifest(path, None, "is not there, but belongs to the corpus; unpack it again") from None
    except OSError as error:
        raise BadManifest(path, None, f"cannot be read: {error}") from None


def visible(folder: Path) -> list[Path]:
    """The contents of a folder, sorted, without what is hidden; nothing where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
