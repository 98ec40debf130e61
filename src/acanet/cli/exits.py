"""How `acanet` ends: every outcome has an exit code, and nothing ends with 0 or 1 by accident, for those are answers.

Only the standard library is imported here, so that it holds also where a package is missing or broken.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

from acanet.errors import EXTRAS, AcanetError, MissingExtra, one_line

INTERNAL_ERROR, INTERRUPTED, OUTPUT_CLOSED = 70, 130, 141

CORE = frozenset({"numpy", "onnxruntime", "pydantic", "rich", "soundfile", "soxr", "typer"})
"""Packages that acanet does nothing without."""


class Answer(Exception):
    """The end that a command means.

    Attributes:
        code: 0, done or the same speaker; 1, not the same speaker or not as expected; another, what kept it from both.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def run(command_line: Callable[[], object]) -> NoReturn:
    """Run the command line and end the process, with errors told for people.

    Args:
        command_line: imports and runs it; it ends with an exception, such as `Answer`.
    """
    code = INTERNAL_ERROR
    try:
        _hold_descriptors()
        _never_fail_to_encode(sys.stdout)
        command_line()
    except BaseException as error:
        code = _ended(error)
    try:
        code = _settled(code)
    except BaseException:  # no memory, no stack
        code = code if code not in (0, 1) else INTERNAL_ERROR
    sys.exit(code)


@contextmanager
def only_ending() -> Iterator[None]:
    """Have the process end with the code of the `SystemExit` that leaves the block, or with 70, whatever happens.

    So does what would end it with 1 in other ways: an error after the last of our lines, or a library in C that calls
    `exit`, as OpenBLAS does where memory ends.
    """
    code = INTERNAL_ERROR

    def end() -> None:
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)
        os._exit(code)

    atexit.register(end)  # before what others register, so after it
    _leave_no_exit_to_libraries()
    try:
        yield
    except SystemExit as stop:
        code = int(stop.code or 0)
        raise


def _leave_no_exit_to_libraries() -> None:
    """See that `exit`, called in C, ends the process with 70; Python's own end comes before it, in `only_ending`."""
    try:
        import ctypes

        library = ctypes.CDLL(None)
        library.__cxa_atexit(library._exit, ctypes.c_void_p(INTERNAL_ERROR), None)
    except (ImportError, OSError, AttributeError, TypeError):  # Windows has neither
        pass


def say(*lines: object) -> None:
    """Tell a person a line, or some, on standard error; where that cannot be, nobody is told and nothing changes."""
    try:
        if sys.stderr is not None:
            sys.stderr.write("".join(f"{one_line(line)}\n" for line in lines))
            sys.stderr.flush()
    except (OSError, ValueError):  # a full disk, closed, not encodable
        pass


def complain(error: AcanetError) -> None:
    """Tell a person what went wrong."""
    say(f"error: {error}")


def show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
) -> None:
    """Tell a person of acanet's own warnings; takes what `warnings.showwarning` does."""
    if category.__module__.startswith("acanet"):
        say(f"warning: {message}")


def exit_code(error: BaseException) -> int:
    """The exit code of a command that ended with an error."""
    match error:
        case Answer():
            return error.code
        case AcanetError():
            return error.exit_code
        case KeyboardInterrupt():
            return INTERRUPTED
        case BrokenPipeError():
            return OUTPUT_CLOSED
        case SystemExit() if any(isinstance(each, BrokenPipeError) for each in _chain(error)):  # typer's end of it
            return OUTPUT_CLOSED
        case Warning() if type(error).__module__.startswith("acanet"):  # a filter makes errors of warnings
            return AcanetError.exit_code
        case OSError() if not _importing(error):  # files that were named: no such folder, not allowed, disk full
            return AcanetError.exit_code
    return INTERNAL_ERROR


def _meant(error: BaseException) -> BaseException:
    """What an error stands for: a package that is not there may be that of an extra."""
    if isinstance(error, ModuleNotFoundError) and _top(error.name) in EXTRAS:
        return MissingExtra(_top(error.name), EXTRAS[_top(error.name)])
    return error


def _ended(error: BaseException) -> int:
    """The exit code of an error that is told; whatever happens while it is, the code stays."""
    code = INTERNAL_ERROR
    try:
        error = _meant(error)
        code = exit_code(error)
        if told := _told(error, code):
            say(*told)
    except BaseException:  # no memory, no stack, another Ctrl-C
        pass
    return code


def _told(error: BaseException, code: int) -> list[str]:
    """The lines that a person is told of an end; none: what there is to say is said."""
    if isinstance(error, Answer) or code == OUTPUT_CLOSED:
        return []
    if code == INTERRUPTED:
        return ["interrupted"]
    if code != INTERNAL_ERROR:
        return [f"error: {error}"]
    broken = _broken_package(error)
    if broken:
        return [
            f"error: {broken}, which acanet needs, cannot be loaded ({type(error).__name__}: {error}); "
            "install acanet again: pip install --force-reinstall acanet"
        ]
    stray = [f"something called sys.exit({error.code!r})"] if isinstance(error, SystemExit) else []
    lines = [line for part in traceback.format_exception(error) for line in part.splitlines()]
    return [*lines, *stray, "internal error: please report it with the lines above"]


def _broken_package(error: BaseException) -> str | None:
    """The package of `CORE` that is missing, or that failed while it was imported."""
    named = [_top(error.name)] if isinstance(error, ImportError) else []
    return next((name for name in [*named, *map(_top, _importing(error))] if name in CORE), None)


def _importing(error: BaseException) -> list[str]:
    """The modules that were being imported when an error arose, each before the one that imported it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [str(frame.f_globals.get("__name__")) for frame in reversed(frames) if frame.f_code.co_name == "<module>"]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it was raised from or while, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _top(module: str | None) -> str:
    return (module or "").partition(".")[0]


def _hold_descriptors() -> None:
    """Lead standard streams that are closed to nowhere, for their numbers would be those of the next files."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one


def _never_fail_to_encode(stream: TextIO | None) -> None:
    """Let what the output's encoding does not have be written as escapes."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _settled(code: int) -> int:
    """The code to end with when all that was written has left, which Python would look to after the last of our lines.

    An answer that cannot be written is none: its code is that of the error.
    """
    for stream in (sys.stdout, sys.stderr):
        failed = _flush(stream)
        if failed is not None:
            _drop(stream)
            if stream is sys.stdout and code in (0, 1):
                code = _ended(failed)
    return code


def _flush(stream: TextIO | None) -> Exception | None:
    """Write what waits in a stream; the error if it cannot be."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError) as error:
        return error
    return None


def _drop(stream: TextIO | None) -> None:
    """Lead what waits in a stream to nowhere."""
    try:
        if stream is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):  # no file behind it
        pass
