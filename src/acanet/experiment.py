"""Systems under one recipe: trained, measured on the same trial lists, and compared pair by pair."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field
from rich.console import Console

from acanet.config import Strict
from acanet.data.sides import find_sides
from acanet.data.trials import read_trials
from acanet.encoder import Encoder
from acanet.errors import BadTrials
from acanet.evaluation.evaluate import evaluate
from acanet.evaluation.intervals import differences
from acanet.evaluation.report import write_report
from acanet.evaluation.result import Result
from acanet.models.registry import model_config, model_size
from acanet.scoring.measure import Measure
from acanet.training.config import Evaluation
from acanet.training.corpus import check_inputs
from acanet.training.loop import train
from acanet.training.recipe import Systems


class Row(Strict):
    """One system on one trial list."""

    system: str
    model: str
    parameters: int
    fingerprint: str
    test: str
    trial_list_sha256: str
    trials: int
    speakers: int
    eer: Measure
    difference: Measure | None = Field(
        description="by how much the EER is above that of the first system, paired; None: this is the first"
    )


class Results(Strict):
    """What `results.json` holds."""

    seed: int = Field(description="of the bootstrap")
    rows: tuple[Row, ...]

    def table(self) -> str:
        """Markdown, in per cent."""
        first = self.rows[0].system
        lines = [
            f"| system | model | parameters | test | trials | EER, % | EER minus that of {first}, % |",
            "|---|---|---:|---|---:|---:|---:|",
        ]
        for row in self.rows:
            difference = "" if row.difference is None else _shown(row.difference, "+.2f")
            lines.append(
                f"| {row.system} | {row.model} | {row.parameters:,} | {row.test} | {row.trials:,} "
                f"| {_shown(row.eer, '.2f')} | {difference} |"
            )
        note = "[...] is 95 % over the draw of the speakers; differences are paired, trial by trial."
        return "\n".join([*lines, "", note, ""])


def run_experiment(
    systems: Systems, out: Path, *, resume: bool = False, seed: int = 0, replicates: int = 1000, console: Console
) -> Results | None:
    """Train every system, evaluate each on every list, and compare them with the first.

    Args:
        systems: what `read_experiment` gives.
        out: gets a folder for each system (a training run, with a report for each list), `results.json` and
            `results.md`.
        resume: go on with an experiment that was stopped.
        seed: of the bootstrap.
        replicates: of the bootstrap.
        console: where progress goes.

    Returns:
        The results, or None when training was interrupted; it can be resumed.

    Raises:
        BadTrials, BadManifest, BadConfig: for lists, manifests and folders that cannot be used, or lists with speakers
            that are trained on; before anything is trained.
        AcanetError: as `train` and `evaluate`.
    """
    trained = frozenset().union(*map(check_inputs, systems.recipes.values()))
    for test in systems.test.values():
        _check(test, trained)
    results: dict[tuple[str, str], Result] = {}
    for name, recipe in systems.recipes.items():
        console.rule(f"train {name}")
        if not train(recipe, out / name, resume=resume, console=console).finished:
            return None
        console.rule(f"evaluate {name}")
        encoder = Encoder.load(out / name)
        for test_name, test in systems.test.items():
            result = evaluate(
                encoder,
                test.trials,
                manifest=test.manifest,
                audio_root=test.audio_root,
                seed=seed,
                replicates=replicates,
            )
            write_report(out / name / "reports" / test_name, result)
            results[name, test_name] = result
    compared = Results(seed=seed, rows=tuple(_rows(systems, results, seed, replicates)))
    _write(out / "results.json", compared.as_json())
    _write(out / "results.md", compared.table())
    return compared


def _check(test: Evaluation, trained: frozenset[str]) -> None:
    """See that a list can be evaluated and that nobody in it is trained on, as far as names tell."""
    sides = find_sides(read_trials(test.trials), manifest=test.manifest, audio_root=test.audio_root)
    if shared := sorted(trained & {utterance.speaker for utterance in sides.utterances}):
        reason = f"{len(shared)} of its speakers ({', '.join(shared[:3])}) are trained on; make them disjoint"
        raise BadTrials(test.trials, None, reason)


def _rows(systems: Systems, results: Mapping[tuple[str, str], Result], seed: int, replicates: int) -> Iterator[Row]:
    first = next(iter(systems.recipes))
    for (name, test), result in results.items():
        card, model = result.card, systems.recipes[name].model
        yield Row(
            system=name,
            model=model.name,
            parameters=model_size(model.name, model_config(model.name, model.change)).parameters,
            fingerprint=card.fingerprint,
            test=test,
            trial_list_sha256=card.trial_list_sha256,
            trials=card.counts.trials,
            speakers=card.counts.speakers,
            eer=card.eer,
            difference=None if name == first else _difference(result, results[first, test], seed, replicates),
        )


def _difference(one: Result, other: Result, seed: int, replicates: int) -> Measure:
    trials, speakers = one.trials, one.sides.speakers
    sides = speakers[trials.enrol], speakers[trials.test]
    return differences(one.scores, other.scores, trials.target, *sides, replicates=replicates, seed=seed)["eer"]


def _shown(figure: Measure, form: str) -> str:
    value, low, high = (f"{100 * part:{form}}" for part in (figure.value, figure.low, figure.high))
    return f"{value} [{low}, {high}]"


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(path.name + ".part")
    scratch.write_text(text, encoding="utf-8")
    os.replace(scratch, path)
