"""What a recording may come as, what it is called, and the bytes of those that come as a file."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from acanet.audio.window import Window
from acanet.errors import AcanetError, BadArgument, BadAudio

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | NDArray[Any]
"""A path, also of a pipe; the bytes of a whole file; a file that is open for bytes; or an array of samples.

Files are wav, flac, ogg, opus, mp3, NIST and others that libsndfile reads; with the extra `media` also m4a, mp4, mov,
3gp, aac, webm, mkv, wma, amr: their first audio stream. NIST files compressed with shorten (.wv1) need `sph2pipe`.
An open file that can seek is heard from its beginning, whatever was read of it, and is left where it was; of another,
what is still to come. Several threads do not share one, unless it is a BytesIO."""

_TAKEN = "a recording is a path, the bytes of a file, an open file, or a NumPy array of samples"
MASKED = "a masked array; say what the masked samples are: array.filled(0)"
_MOST_PIPED = 2**32
"""Bytes that are taken from a pipe: they go to a temporary file, as nothing can be heard twice from a pipe."""
_MEMORY = 2**24
"""Bytes of a pipe that stay in memory."""
_CHUNK = 2**20


def describe(source: object) -> str:
    """The name of a source in errors and warnings: its path, `<bytes, 1234>`, `<array (16000,)>`, `<BytesIO>`."""
    match source:
        case np.ndarray():
            return f"<array {source.shape}>"
        case bytes() | bytearray() | memoryview():
            with suppress(ValueError):  # a view that was released
                return f"<{type(source).__name__}, {memoryview(source).nbytes}>"
        case str() | os.PathLike():
            with suppress(Exception):  # a path whose own method gives none; using it will tell
                return os.fsdecode(source) or "<empty path>"
    named = getattr(source, "name", None)
    return named if _is_file(source) and isinstance(named, str) else f"<{type(source).__name__}>"


def check_source(source: object, name: str) -> None:
    """Refuse what is no recording, saying what is one.

    Raises:
        BadAudio: naming the source.
    """
    if isinstance(source, np.ma.MaskedArray):
        raise BadAudio(name, MASKED)
    if isinstance(source, np.ndarray | bytes | bytearray | memoryview) or _is_file(source):
        return
    if isinstance(source, str | os.PathLike):
        try:
            path = os.fspath(source)
        except Exception as error:
            raise BadAudio(name, f"{_TAKEN}; the path of this {type(source).__name__} fails: {error}") from None
        if not path:
            raise BadAudio(name, _TAKEN)
        return
    if type(source).__module__.partition(".")[0] == "torch":
        raise BadAudio(name, f"{_TAKEN}; of a tensor give tensor.detach().cpu().numpy()")
    if isinstance(source, list | tuple):
        raise BadAudio(name, f"{_TAKEN}; of numbers give numpy.asarray(samples, dtype='float32')")
    raise BadAudio(name, f"{_TAKEN}, not {type(source).__name__}")


def check_many(sources: object) -> None:
    """Refuse one recording where many are expected.

    Raises:
        BadArgument: saying what is expected.
    """
    one = isinstance(sources, str | bytes | bytearray | memoryview | os.PathLike) or _is_file(sources)
    if one or (isinstance(sources, np.ndarray) and sources.ndim < 2) or not isinstance(sources, Iterable):
        raise BadArgument("sources", f"{describe(sources)} is no list of recordings; `embed` takes one")


@contextmanager
def opened(source: Source, name: str) -> Iterator[Window]:
    """The bytes of a file, wherever they come from.

    Args:
        source: any but an array.
        name: of the recording, for errors.

    Raises:
        BadAudio: where there are none.
    """
    match source:
        case bytes() | bytearray() | memoryview():
            yield Window(io.BytesIO(source))
        case io.BytesIO():
            yield Window(io.BytesIO(source.getvalue()))  # shares its bytes, has a place of its own
        case str() | os.PathLike():
            with _open(os.fsdecode(source), name) as file:
                yield Window(file)
        case _:
            with _given(cast(BinaryIO, source), name) as file:
                yield Window(file)


@contextmanager
def told(name: str, window: Window | None = None) -> Iterator[None]:
    """Whatever a recording makes a decoder or the system raise, as an error of that recording.

    Args:
        name: of the recording.
        window: its bytes, which know whether they could be read.

    Raises:
        BadAudio: in place of any other exception but errors of acanet, and warnings that are to be raised.
    """
    failed: Exception | None = None
    try:
        yield
    except Warning:
        raise
    except Exception as error:
        failed = error
    unread = None if window is None else window.failure
    if isinstance(failed, OSError):
        unread = unread or failed
    if unread is not None:
        raise BadAudio(name, f"cannot be read: {unread}") from unread
    if isinstance(failed, AcanetError):
        raise failed
    if failed is not None:
        kind = type(failed).__name__
        raise BadAudio(name, f"not a recording that can be read, or a broken one ({kind}: {failed})") from failed


def _is_file(source: object) -> bool:
    return callable(getattr(source, "read", None))


@contextmanager
def _open(path: str, name: str) -> Iterator[BinaryIO]:
    """A file of the system, or what comes through a pipe."""
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
        if kind == stat.S_IFDIR:
            raise BadAudio(name, "this is a folder; give the path of a recording")
        if kind not in (stat.S_IFREG, stat.S_IFIFO):
            raise BadAudio(name, "this is a device; give a file or a pipe")
        # By descriptor: soundfile would take the name's suffix for the format.
        file = open(os.open(path, os.O_RDONLY), "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise BadAudio(name, "there is no such file") from None
    except (OSError, ValueError) as error:
        raise BadAudio(name, f"cannot be opened: {error}") from None
    with file:
        if kind == stat.S_IFREG:
            yield file
        else:
            with _spooled(file.read, name) as whole:
                yield whole


@contextmanager
def _given(file: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """A file that somebody opened, which stays open."""
    start = file.read(0)
    if not isinstance(start, bytes):
        raise BadAudio(name, f"reading it gives {type(start).__name__}, not bytes; open it with mode 'rb'")
    try:
        file.seek(0, os.SEEK_CUR)
        here = file.tell()
    except (OSError, AttributeError):  # a pipe, an answer from the net
        with _spooled(file.read, name) as whole:
            yield whole
        return
    try:
        yield file
    finally:
        file.seek(here)


@contextmanager
def _spooled(read: Callable[[int], bytes], name: str) -> Iterator[BinaryIO]:
    """What can be read once, in memory or a temporary file."""
    with tempfile.SpooledTemporaryFile(_MEMORY) as file:
        while chunk := read(_CHUNK):
            if file.tell() + len(chunk) > _MOST_PIPED:
                raise BadAudio(
                    name, f"more than {_MOST_PIPED // 2**30} GiB came through a pipe; save it to a file first"
                )
            file.write(chunk)
        yield cast(BinaryIO, file)
