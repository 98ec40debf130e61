"""What commands share: the application, its consoles, options."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from acanet.errors import AcanetError

app = typer.Typer(
    help="Speaker verification with asymmetric cross attention: from a recording to a decision.",
    epilog="Exit codes: 0 done, or the same speaker; 1 not the same; 2 wrong use or input; 3 no or too little speech; "
    "4 no decision; 70 an internal error; 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
# Paths may hold brackets, and are there to be copied: no markup, no line breaks.
out = Console(highlight=False, markup=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

INTERNAL_ERROR, INTERRUPTED = 70, 130

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
