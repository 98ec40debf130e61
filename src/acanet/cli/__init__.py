"""The command line: one function a command, which parses, calls one public function, and prints.

What a command needs is imported inside it, and everything inside `main`, which watches over imports too.
"""

from __future__ import annotations

import warnings
from typing import NoReturn

from acanet.cli.exits import run, show_warning


def main() -> NoReturn:
    """Run the command line; every outcome has an exit code, and errors are for people."""
    warnings.showwarning = show_warning
    run(_command_line)


def _command_line() -> None:
    from acanet.cli.application import app

    app()
