"""Temporary files and folders that are known as such: whoever writes holds a lock, and what the killed left is swept.

A temporary has a random name of its own, is made new, and is locked by the process that made it, as long as it lives:
the system gives a lock back when its holder ends in any way, so neither the number of a process that is used again nor
a clock can mislead. What has such a name, belongs to this user, is a plain file or folder, and is locked by nobody, was
left by a program that was killed. A folder that was about to be replaced is given back before it goes.

Where the system has no such locks (`flock`), nothing is swept.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

NEW, OLD = "new", "old"
"""In a temporary folder beside the one that it will replace: what takes its place, and what had it before."""
_BEFORE, _AFTER = ".acanet-", ".part"
_NAME = re.compile(rf"{re.escape(_BEFORE)}[0-9a-f]{{32}}{re.escape(_AFTER)}")


@contextmanager
def scratch_file(folder: Path) -> Iterator[tuple[Path, int]]:
    """A new, empty file in a folder and its descriptor; it is removed at the end of the block, unless it was renamed.

    Raises:
        OSError: when it cannot be made.
    """
    while True:
        path = _new(folder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if _hold(path, descriptor):
            break
        os.close(descriptor)
    try:
        yield path, descriptor
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """A new folder in another one, for this user alone, which is removed at the end of the block with all in it.

    Raises:
        OSError: when it cannot be made.
    """
    while True:
        path = _new(folder)
        path.mkdir(0o700)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW) if fcntl is not None else None
        except FileNotFoundError:
            continue
        if descriptor is None or _hold(path, descriptor):
            break
        os.close(descriptor)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def is_scratch(path: object) -> bool:
    """Whether a path leads to a temporary, or into one."""
    return any(part.startswith(_BEFORE) and part.endswith(_AFTER) for part in Path(str(path)).parts)


def sweep(folder: Path) -> None:
    """Remove the temporaries that killed programs left in a folder, and give back the folders that they held."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if _NAME.fullmatch(name):
                _sweep(folder / name, wait=False)


def give_back(path: Path) -> None:
    """See that a folder is in its place that was being replaced when the program that did so was killed.

    Where that program is at it right now, its end is waited for.
    """
    folder = path.absolute().parent
    with suppress(OSError):
        for name in os.listdir(folder):
            old = folder / name / OLD
            if _NAME.fullmatch(name) and _is_folder(folder / name) and _is_folder(old) and (old / path.name).is_dir():
                _sweep(folder / name, wait=True)


def _new(folder: Path) -> Path:
    return folder / f"{_BEFORE}{secrets.token_hex(16)}{_AFTER}"


def _hold(path: Path, descriptor: int) -> bool:
    """Lock a new temporary, as long as the descriptor is open; false where it was swept before that."""
    if fcntl is not None:
        with suppress(OSError):  # where there are no locks, nobody sweeps
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    return _is(path, descriptor)


def _is(path: Path, descriptor: int) -> bool:
    """Whether a path still leads to what was opened."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _sweep(scratch: Path, *, wait: bool) -> None:
    """Remove a temporary of this user that nobody holds, once what it held is back in its place."""
    with suppress(OSError):
        found = scratch.lstat()
        kind = stat.S_IFMT(found.st_mode)
        if fcntl is None or found.st_uid != os.geteuid() or kind not in (stat.S_IFREG, stat.S_IFDIR):
            return
        descriptor = os.open(scratch, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if not _is(scratch, descriptor):
                return
            if kind == stat.S_IFREG:
                scratch.unlink()
            else:
                _put_back(scratch / OLD, scratch.parent)
                shutil.rmtree(scratch)
        finally:
            os.close(descriptor)


def _is_folder(path: Path) -> bool:
    """Whether there is a folder, and no link to one: a link in a temporary may lead to what is somebody else's."""
    with suppress(OSError):
        return stat.S_ISDIR(path.lstat().st_mode)
    return False


def _put_back(old: Path, folder: Path) -> None:
    """Move what is in `old` into a folder, where its name is free there."""
    for moved in old.iterdir() if _is_folder(old) else ():
        if not os.path.lexists(folder / moved.name):
            os.replace(moved, folder / moved.name)
