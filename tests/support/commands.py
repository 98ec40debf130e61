"""The command line as tests run it."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from acanet.cli import main


@dataclass(frozen=True)
class Answer:
    """Exit code, standard output, and standard error with its line breaks made spaces, and how many lines it had."""

    code: int
    out: str
    err: str
    lines: int


def acanet(*arguments):
    """Run the command line in this process."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["acanet", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings(), pytest.raises(SystemExit) as exit_:
            main()
    finally:
        sys.argv = before
    return _answer(int(exit_.value.code or 0), out.getvalue(), err.getvalue())


def process(*arguments, **how):
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "acanet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **how)
    return _answer(done.returncode, done.stdout, done.stderr)


def _answer(code, out, err):
    return Answer(code, out, " ".join(err.split()), len(err.splitlines()))
