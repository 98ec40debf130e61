"""Files and folders that appear whole, or stay as they were.

What is written goes to a temporary file or folder beside its place, on the same disk, is flushed to the disk, and takes
its place by one rename; a program that is killed at any moment leaves the old content or the new one. The temporary has
a random name of its own and is made new: two writers never mix, and neither a link nor a file that somebody put there
is followed or overwritten. It is removed when anything fails; what killed programs left is removed before the next one
is made (see `acanet.config.scratch`).
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from acanet.config.scratch import NEW, OLD, is_scratch, scratch_file, scratch_folder, sweep

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
"""Errors of writing alone, which the system reports without the name of a file."""


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A new file, open for bytes, that takes the place of `path` once the block has ended without an error.

    Args:
        path: the file, in a folder that exists. One that is there keeps its permissions; a new one gets those that the
            umask leaves. Where it is a link, the link is replaced, and what it points to stays.

    Raises:
        OSError: naming `path`, when it cannot be written.
    """
    with _taking_place(path, "wb") as file:
        yield file


@contextmanager
def written_text(path: Path, *, errors: str = "strict", newline: str | None = None) -> Iterator[IO[str]]:
    """A new file, open for UTF-8, that takes the place of `path`; otherwise as `written`.

    Args:
        path: the file.
        errors, newline: as in the `open` of Python.
    """
    with _taking_place(path, "w", encoding="utf-8", errors=errors, newline=newline) as file:
        yield file


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file of these bytes; errors as `written`."""
    with written(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write a file of this text in UTF-8, with escapes for bytes of names that are none; errors as `written`."""
    with written_text(path, errors="backslashreplace") as file:
        file.write(text)


def printable(name: str) -> str:
    """A name as text that can be written: bytes that are no UTF-8, which names of files may have, are question marks.

    >>> printable("caf\\udce9.wav")
    'caf?.wav'
    """
    return name.encode("utf-8", "replace").decode()


@contextmanager
def written_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A new empty folder to write into, which takes the place of `path` once the block has ended without an error.

    Args:
        path: the folder, in one that exists.
        replace: whether a folder with files in it may be there, which is then removed; it comes back when the new one
            cannot take its place, or the program is killed before it does (see `give_back` of `acanet.config.scratch`).
            Without, `path` is not there or is an empty folder.

    Raises:
        OSError: naming `path`, when it cannot be written, or holds files and is not to be replaced.
    """
    with errors_about(path), _scratch_folder(path.absolute().parent) as scratch:
        fresh, old = scratch / NEW, scratch / OLD / path.name
        fresh.mkdir()
        yield fresh
        _keep_mode(path, fresh)
        for file in fresh.rglob("*"):
            _flush(file)
        if replace and path.exists():
            old.parent.mkdir()
            os.replace(path, old)
        try:
            os.replace(fresh, path)
        except OSError:
            if old.exists():
                os.replace(old, path)
            raise


@contextmanager
def written_files(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """A new empty folder to write some files into, which take their places in `folder` once all are complete.

    Args:
        folder: one that exists; its other files stay.
        names: of all files that may be written, in the order in which they take their places. Those that the block did
            not write are removed from `folder`. The last one is the mark of all: it is removed first, so that a program
            that is killed in between leaves nothing that looks whole.

    Raises:
        OSError: when something cannot be written.
    """
    with errors_about(folder), _scratch_folder(folder) as draft:
        yield draft
        for file in draft.iterdir():
            _flush(file)
        for name in names[-1:]:
            (folder / name).unlink(missing_ok=True)
        for name in names:
            if (draft / name).exists():
                os.replace(draft / name, folder / name)
            else:
                (folder / name).unlink(missing_ok=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder for what is needed for a while, where the system keeps such; it is removed at the end of the block.

    Until then it is where the whole process keeps such: what libraries leave when the program is killed is swept too.

    Raises:
        OSError: when it cannot be made.
    """
    before = tempfile.tempdir
    with _scratch_folder(Path(tempfile.gettempdir())) as folder:
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = before


@contextmanager
def _scratch_folder(place: Path) -> Iterator[Path]:
    sweep(place)
    with scratch_folder(place) as scratch:
        yield scratch


@contextmanager
def _taking_place(path: Path, mode: str, **options: Any) -> Iterator[IO[Any]]:
    sweep(path.absolute().parent)
    with errors_about(path), scratch_file(path.parent) as (scratch, descriptor):
        _keep_mode(path, scratch)
        with open(os.dup(descriptor), mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)


@contextmanager
def errors_about(path: Path) -> Iterator[None]:
    """Errors of writing that name `path` in place of the temporary beside it, or of no file at all."""
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None and error.errno in _FULL
        if unnamed or is_scratch(error.filename):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _keep_mode(path: Path, scratch: Path) -> None:
    """Give the temporary the permissions of the file or folder that it will replace."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_IFMT(found.st_mode) == stat.S_IFMT(scratch.stat().st_mode):
        scratch.chmod(stat.S_IMODE(found.st_mode))


def _flush(path: Path) -> None:
    """See that a file has reached the disk."""
    if path.is_file() and not path.is_symlink():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
