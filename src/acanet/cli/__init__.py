"""The command line: one function a command, which parses, calls one public function, and prints.

What a command needs is imported inside it, and everything inside `main`, which watches over imports too.
"""

from __future__ import annotations

import warnings
from typing import NoReturn

from acanet.cli.exits import only_ending, run, show_warning


def program() -> NoReturn:
    """Run the command line as a process of its own, which nothing but the command line ends with an answer."""
    with only_ending():
        main()


def main() -> NoReturn:
    """Run the command line; every outcome has an exit code, and errors are for people."""
    warnings.showwarning = show_warning
    run(_command_line)


def _command_line() -> None:
    from acanet.cli.application import start

    start()
