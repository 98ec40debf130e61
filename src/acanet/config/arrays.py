"""Arrays in files that others made (`.npz`), read: no more than a file holds, whatever it claims, and no objects."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acanet.config.reading import read_regular
from acanet.errors import AcanetError, BadArgument

_DAMAGES = (
    *(
        BadArgument,
        EOFError,
        NotImplementedError,
        OSError,
        OverflowError,
        RuntimeError,
        SyntaxError,
        TypeError,
        ValueError,
    ),
    *(zipfile.BadZipFile, zlib.error),
)
"""What damaged archives and headers of arrays are answered with."""
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(path: Path, most: int, *, links: bool = False) -> dict[str, NDArray[Any]]:
    """The arrays of an `.npz` file, by name.

    Args:
        path: the file.
        most: bytes that it may have, and that all its arrays together may have.
        links: whether it may be a symbolic link.

    Raises:
        AcanetError: when it is not there, is no regular file of that size, or is no such file, or a damaged one.
    """
    content = read_regular(path, most, links=links)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > most:
                raise AcanetError(f"{path}: its arrays have more than {most:,} bytes, which those of no such file have")
            return {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members}
    except _DAMAGES as error:
        raise AcanetError(f"{path}: no .npz file, or a damaged one ({error})") from None


def _array(content: bytes) -> NDArray[Any]:
    """The array of a member.

    Raises:
        BadArgument: when it is none, or claims to be of another size than it is.
    """
    stream = io.BytesIO(content)
    header = _HEADERS.get(np.lib.format.read_magic(stream))
    if header is None:
        raise BadArgument("content", "a form of arrays that is not known")
    shape, _, dtype = header(stream)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise BadArgument("content", f"an array {shape} of {dtype} in {len(content):,} bytes")
    stream.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array
