"""Commands that train: train, experiment, models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from acanet.cli.common import err, out, tell
from acanet.cli.exits import INTERRUPTED


def train(
    recipe: Annotated[Path, typer.Argument(help="YAML; see recipes/.")],
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key.below=value, laid over the recipe; may be given often.")
    ] = None,
    init: Annotated[
        str | None, typer.Option(help="Start from this model (`default`, `small` or a folder): new head, lower rate.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
) -> None:
    """Train a model. Ctrl-C saves; --resume goes on as if nothing had happened."""
    from acanet.runtime.bundle import Bundle
    from acanet.training.read_recipe import read_recipe
    from acanet.training.run import train as train_model

    chosen = read_recipe(recipe, tuple(settings or ()))
    start = None if init is None else Bundle.load(init)
    outcome = train_model(chosen, output, resume=resume, init=start, console=err)
    if not outcome.finished:
        err.print(f"stopped and saved after step {outcome.step}; the same command with --resume goes on")
        raise typer.Exit(INTERRUPTED)
    if outcome.main:
        chosen_at = f"dev EER {outcome.best.eer:.2%} at step {outcome.best.step}; " if outcome.best else ""
        tell(f"{chosen_at}the model is in {output / 'best'}")
    if outcome.before is not None:
        tell(f"dev EER was {outcome.before:.2%} before")


def experiment(
    recipe: Annotated[Path, typer.Argument(help="A recipe with `test` and, to compare several, `systems`.")],
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder of the experiment.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key.below=value, laid over the recipe; may be given often.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Of the systems, this one; may be given often.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the experiment in --out.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
) -> None:
    """Train the systems of a recipe, evaluate them on its trial lists, and compare them: a card each, and one page."""
    from acanet.experiment.page import experiment_tables
    from acanet.experiment.run_experiment import run_experiment
    from acanet.training.read_recipe import read_experiment

    systems = read_experiment(recipe, tuple(settings or ()))
    cards = run_experiment(systems, output, only=only or (), resume=resume, seed=seed, console=err)
    if cards is None:
        err.print("stopped and saved; the same command with --resume goes on")
        raise typer.Exit(INTERRUPTED)
    for table in experiment_tables(cards):
        out.print(table + "\n")
    tell(f"the page is {output / 'results.md'}, all figures are in the card.json of each system")


def teach(
    recipe: Annotated[Path, typer.Argument(help="YAML; see recipes/speech.yaml.")],
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder of the network.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key.below=value, laid over the recipe; may be given often.")
    ] = None,
) -> None:
    """Teach the network that finds speech, by Silero: its weights and its graphs."""
    from acanet.export.speech import write_speech_network
    from acanet.training.recipe_file import RecipeFile
    from acanet.training.speech.recipe import SpeechRecipe
    from acanet.training.speech.teach import teach_speech

    chosen = RecipeFile.read(recipe, tuple(settings or ())).parse(SpeechRecipe)
    write_speech_network(teach_speech(chosen, err), output)
    out.print(f"the network is in {output}")


def models(as_json: Annotated[bool, typer.Option("--json", help="A JSON list on standard output.")] = False) -> None:
    """List the architectures that can be trained, with their sizes."""
    from dataclasses import asdict

    from acanet.config.reading import json_text
    from acanet.models.registry import model_names, model_size

    sizes = [model_size(name) for name in model_names()]
    if as_json:
        typer.echo(json_text([asdict(size) for size in sizes], indent=2))
        return
    table = Table("model", "parameters", "multiply-adds, 3 s", "multiply-adds, 60 s", box=None)
    for size in sizes:
        table.add_row(size.name, f"{size.parameters:,}", f"{size.macs_3s / 1e9:.2f} G", f"{size.macs_60s / 1e9:.2f} G")
    out.print(table)
