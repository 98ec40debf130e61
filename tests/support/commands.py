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
    """Exit code, standard output, and standard error with its line breaks made spaces."""

    code: int
    out: str
    err: str


def acanet(*arguments):
    """Run the command line in this process."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["acanet", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings(), pytest.raises(SystemExit) as exit_:
            main()
    finally:
        sys.argv = before
    return Answer(int(exit_.value.code or 0), out.getvalue(), " ".join(err.getvalue().split()))


def process(*arguments, **how):
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "acanet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **how)
    return Answer(done.returncode, done.stdout, " ".join(done.stderr.split()))
