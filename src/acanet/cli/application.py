"""The application: all commands under one name."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from acanet.cli import bundles, corpora, demonstration, evaluation, recordings, results, training
from acanet.cli.exits import StrayExit


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run a command, from which no `SystemExit` of anybody's is an answer."""
        try:
            return super().invoke(ctx)
        except SystemExit as stop:
            raise StrayExit(f"something called sys.exit({stop.code!r})") from stop


app = typer.Typer(
    cls=_Commands,
    help="Speaker verification with asymmetric cross attention: from a recording to a decision.",
    epilog="Exit codes: 0 done, or the same speaker; 1 not the same; 2 wrong use or input; 3 no or too little speech; "
    "4 no decision; 70 an internal error; 130 interrupted; 141 output closed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

for _command in (
    recordings.verify,
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
    app.command()(_command)
app.command("import")(bundles.import_weights)  # a word of Python, which no function can be called
