"""What commands share: consoles, options, and what they see to before long work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from acanet.errors import one_line
from acanet.runtime.choices import Device


class _Console(Console):
    def __init__(self, **how: Any) -> None:
        """A terminal that says it has no columns (COLUMNS=0) gets its lines all the same."""
        super().__init__(**how)
        if self._width == 0:
            self._width = None

    def render_str(self, text: str, **how: Any) -> Text:
        """A text, or the cell of a table, without what commands a terminal: names may hold it."""
        return super().render_str("\n".join(map(one_line, text.split("\n"))), **how)

    def on_broken_pipe(self) -> None:
        """Let the error through, which ends the command: whoever reads, such as `head`, has had enough."""
        raise


# Paths may hold brackets and colons, and are there to be copied: no markup, no emoji, no line breaks.
out = _Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
err = _Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="`default`, `small`, the folder of a bundle, or of a training run.")
]
ThreadsOption = Annotated[
    int, typer.Option(min=1, help="Threads that work on one recording, up to the number of processors.")
]
DeviceOption = Annotated[Device, typer.Option(help="cuda needs onnxruntime-gpu.")]
TrimOption = Annotated[bool, typer.Option("--trim", help="Embed speech only, without the pauses.")]
MaxSecondsOption = Annotated[
    float | None,
    typer.Option("--max-seconds", metavar="SECONDS", help="Refuse longer recordings; without it, any length is heard."),
]
ChannelOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="The channel to hear, 0 is the left one; without it, the mean of all, or the strongest where they cancel.",
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace files that are there.")]

AudioRootOption = Annotated[Path | None, typer.Option(help="Where the paths in the list start.")]
ManifestOption = Annotated[
    Path | None, typer.Option("--manifest", help="Resolves the names in the list and knows the speakers.")
]


def require_names(audio_root: Path | None, manifest: Path | None) -> None:
    """See that the names in a list can be found."""
    if audio_root is None and manifest is None:
        raise typer.BadParameter("give --audio-root or --manifest, so that the names in the list can be found")


def tell(line: object) -> None:
    """Print a line on standard output: one, whatever the names in it hold."""
    out.print(one_line(line))


def progress_bar() -> Progress:
    """A bar on standard error, where that is a terminal."""
    return Progress(console=err, disable=not err.is_terminal)
