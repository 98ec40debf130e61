"""The application: all commands under one name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from acanet import __version__
from acanet.cli import bundles, corpora, demonstration, evaluation, recordings, results, training
from acanet.cli.common import out
from acanet.cli.exits import Answer
from acanet.errors import AcanetError, NotCalibrated


@contextmanager
def _in_place_of_work(words: int, alone: int = 0) -> Iterator[None]:
    """Keep what is asked for in place of work, such as help, from ending as work that was done.

    Args:
        words: on the command line: among others it may be the name of a file that somebody chose.
        alone: the code where it is the only word.
    """
    try:
        yield
    except typer.Exit:
        if words > 1:
            told = "help or version was asked for among other words, so nothing was done; put -- before names of files"
            raise AcanetError(told) from None
        raise Answer(alone) from None


class _Command(TyperCommand):
    """A command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read its words."""
        with _in_place_of_work(len(args)):
            return super().parse_args(ctx, args)


class _Decision(TyperCommand):
    """A command whose end with 0 opens doors, which its help is not to do, either."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read its words."""
        with _in_place_of_work(len(args), NotCalibrated.exit_code):
            return super().parse_args(ctx, args)


class _Commands(TyperGroup):
    """All commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words before the command."""
        with _in_place_of_work(len(args)):
            return super().parse_args(ctx, args)

    def _main_shell_completion(self, *_: Any, **__: Any) -> None:
        """Complete no words: a variable of the environment asks for it, and it would end with 0."""


app = typer.Typer(
    cls=_Commands,
    help="Speaker verification with asymmetric cross attention: from a recording to a decision.",
    epilog="Exit codes: 0 done, or the same speaker; 1 not the same; 2 wrong use or input; 3 no or too little speech; "
    "4 no decision; 70 an internal error; 130 interrupted; 141 output closed.",
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _tell_version(asked: bool) -> None:
    if asked:
        out.print(f"acanet {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _acanet(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Tell the version.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)
        raise Answer(AcanetError.exit_code)


app.command(cls=_Decision)(recordings.verify)
for _command in (
    recordings.embed,
    corpora.prepare,
    corpora.trials,
    training.train,
    training.experiment,
    training.teach,
    results.results,
    evaluation.evaluate,
    recordings.explain,
    recordings.segments,
    evaluation.plda,
    evaluation.calibrate,
    bundles.export,
    bundles.check,
    training.models,
    demonstration.demo,
):
    app.command(cls=_Command)(_command)
app.command("import", cls=_Command)(bundles.import_weights)  # a word of Python, which no function can be called


def start() -> NoReturn:
    """Run the command that the words of the process name.

    Raises:
        Answer: when it is done.
        AcanetError: for words that make no command.
    """
    try:
        raise Answer(app(standalone_mode=False) or 0)
    except TyperException as error:
        used = getattr(getattr(error, "ctx", None), "command_path", "acanet")
        raise AcanetError(f"{error.format_message()} ({used} --help tells how it is used)") from None
