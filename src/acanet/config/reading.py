"""Files that others made, read: regular ones of a bounded size. And JSON as RFC 8259 has it, read and written.

A file that a program is told to read may be a device that never ends, a pipe that nobody writes to, or a few bytes that
stand for gigabytes. None of it is waited for, or held.
"""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

from acanet.errors import AcanetError, BadArgument

MEGABYTE = 2**20
DEEPEST = 100
"""Lists and groups in one another, beyond what any file of acanet's has."""
TOO_DEEP = f"more than {DEEPEST} lists and groups lie in one another"


def read_regular(path: Path, most: int, *, links: bool = False) -> bytes:
    """The content of a file.

    Args:
        path: the file.
        most: bytes that it may have.
        links: whether it may be a symbolic link.

    Raises:
        AcanetError: when it is not there, cannot be read, is a link, a folder, a device or a pipe, or has more bytes.
    """
    if not links and path.is_symlink():
        raise AcanetError(f"{path}: it is a link; copy the file itself")
    try:
        # A pipe is opened without waiting for whoever writes to it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise AcanetError(f"{path}: it is no regular file")
            if found.st_size > most:
                raise AcanetError(f"{path}: it has more than {most:,} bytes, which no such file has")
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(found.st_size + 1)  # a buffer of that size is made at once
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise AcanetError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        raise AcanetError(f"{path}: it cannot be read ({error})") from None
    if len(content) != found.st_size:
        raise AcanetError(f"{path}: it changes while it is read")
    return content


def read_json(path: Path, most: int = MEGABYTE, *, links: bool = False) -> Any:
    """What a JSON file holds.

    Args:
        path: the file.
        most: bytes that it may have.
        links: whether it may be a symbolic link.

    Raises:
        AcanetError: as `read_regular`, and when it is not JSON.
    """
    try:
        return parse_json(read_regular(path, most, links=links).decode("utf-8"))
    except UnicodeDecodeError:
        raise AcanetError(f"{path}: not JSON (not UTF-8)") from None
    except BadArgument as error:
        raise AcanetError(f"{path}: not JSON ({error.reason})") from None


def parse_json(text: str, *, finite: bool = True) -> Any:
    """What a JSON text holds: no more than a hundred lists and groups in one another.

    Args:
        text: of a file, or of a line of one.
        finite: whether NaN and infinities are refused, which Python writes and JSON does not know.

    Raises:
        BadArgument: when it is not such a text.
    """
    strict: dict[str, Any] = {"parse_constant": _refuse, "parse_float": _finite} if finite else {}
    try:
        found = json.loads(text, **strict)
    except json.JSONDecodeError as error:
        line = "" if error.lineno == 1 else f"line {error.lineno}, "
        raise BadArgument("text", f"{error.msg} at {line}column {error.colno}") from None
    except ValueError as error:  # an integer of thousands of digits
        raise BadArgument("text", str(error)) from None
    except RecursionError:
        raise BadArgument("text", TOO_DEEP) from None
    if text.count("[") + text.count("{") > DEEPEST and _deeper(found, DEEPEST):
        raise BadArgument("text", TOO_DEEP)
    return found


def json_text(data: Any, *, indent: int | None = None, ascii_only: bool = True) -> str:
    """Data as JSON (RFC 8259), which knows no number that is not finite: null stands in its place."""
    return json.dumps(_nulled(data), indent=indent, ensure_ascii=ascii_only, allow_nan=False)


def _nulled(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {key: _nulled(value) for key, value in data.items()}
    return [_nulled(value) for value in data] if isinstance(data, list | tuple) else data


def _refuse(constant: str) -> NoReturn:
    raise BadArgument("text", f"{constant} is no number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits[:20])


def _deeper(data: Any, most: int) -> bool:
    """Whether more than `most` lists and groups lie in one another; data as json.loads gives it."""
    level = [data]
    for _ in range(most):
        level = [
            below
            for each in level
            if isinstance(each, list | dict)
            for below in (each.values() if isinstance(each, dict) else each)
        ]
    return any(isinstance(each, list | dict) for each in level)
