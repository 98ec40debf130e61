"""The lists and tables that come with a corpus."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from acanet.errors import BadManifest


class UnreadableWarning(UserWarning):
    """A folder of a corpus that cannot be read."""


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
    """The contents of a folder, sorted, without what is hidden; nothing where there is no folder.

    Warns:
        UnreadableWarning: of a folder that cannot be read, and is passed over.
    """
    if not os.path.isdir(folder):
        return []
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        warnings.warn(f"{folder} is passed over: {error.strerror}", UnreadableWarning, stacklevel=2)
        return []
