"""What commands share: the application, its consoles, options."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

from acanet.errors import AcanetError

INTERNAL_ERROR, INTERRUPTED, OUTPUT_CLOSED = 70, 130, 141


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run a command; typer would answer with 1 when the output closes, which is a decision."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _output_closed()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """What rich does when the output closes."""
        _output_closed()


def _output_closed() -> NoReturn:
    """End without a word: whoever reads the output, such as `head`, has had enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to be written has to go somewhere
    raise typer.Exit(OUTPUT_CLOSED)


app = typer.Typer(
    cls=_Commands,
    help="Speaker verification with asymmetric cross attention: from a recording to a decision.",
    epilog="Exit codes: 0 done, or the same speaker; 1 not the same; 2 wrong use or input; 3 no or too little speech; "
    "4 no decision; 70 an internal error; 130 interrupted; 141 output closed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
# Paths may hold brackets, and are there to be copied: no markup, no line breaks.
out = _Console(highlight=False, markup=False, soft_wrap=True)
err = _Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="`default`, `small`, the folder of a bundle, or of a training run.")
]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Threads that work on one recording.")]


class Device(StrEnum):
    """What a network runs on."""

    cpu = "cpu"
    cuda = "cuda"


DeviceOption = Annotated[Device, typer.Option(help="cuda needs onnxruntime-gpu.")]
TrimOption = Annotated[bool, typer.Option("--trim", help="Embed speech only, without the pauses.")]

AudioRootOption = Annotated[Path | None, typer.Option(help="Where the paths in the list start.")]
ManifestOption = Annotated[
    Path | None, typer.Option("--manifest", help="Resolves the names in the list and knows the speakers.")
]


def complain(error: AcanetError) -> None:
    """Tell a person what went wrong."""
    err.print(f"error: {error}")
