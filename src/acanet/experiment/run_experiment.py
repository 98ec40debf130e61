"""An experiment: the systems of a recipe trained, measured on the same trial lists, and compared pair by pair."""

from __future__ import annotations

import gzip
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from acanet.data.lists.sides import Sides, find_sides
from acanet.data.lists.trials import Trials, read_trials
from acanet.encoder import Encoder
from acanet.errors import BadConfig, BadTrials, few, require
from acanet.evaluation.figures.intervals import pairwise
from acanet.evaluation.names import without_folder
from acanet.evaluation.one_model import evaluate_model
from acanet.evaluation.report.report_folder import SCORES, write_report
from acanet.evaluation.result import Result
from acanet.experiment.origin import these_versions, this_code, this_machine
from acanet.experiment.page import write_page
from acanet.experiment.run_card import FIGURES, RUN_CARD, Budget, Data, Listed, RunCard, Size, by_seeds, read_json
from acanet.models.registry import model_size, saved_config
from acanet.runtime.bundle import Bundle
from acanet.training.corpus import check_inputs
from acanet.training.log import dev_history, seconds_trained
from acanet.training.portable import portable, portable_setting
from acanet.training.progress import best_of
from acanet.training.read_recipe import Systems
from acanet.training.recipe import Evaluation, Recipe
from acanet.training.run import train

PAGE = "results.md"

Lists = Mapping[str, tuple[Trials, Sides]]


def run_experiment(
    systems: Systems,
    out: Path,
    *,
    only: Sequence[str] = (),
    resume: bool = False,
    seed: int = 0,
    replicates: int = 1000,
    console: Console,
) -> list[RunCard] | None:
    """Train systems, evaluate each on every list, and compare all that are finished, pair by pair.

    An experiment may be run in parts, system by system: every call compares what is in the folder by then.

    Args:
        systems: what `read_experiment` gives.
        out: gets a folder for each system, a training run with `reports/LIST` and `card.json`, and `results.md`.
        only: train and evaluate the systems of these names; none: all.
        resume: go on with an experiment that was stopped, and pass over what is finished.
        seed: of the bootstrap.
        replicates: of the bootstrap.
        console: where progress goes.

    Returns:
        The cards of the finished systems, in the order of the recipe; None when training was interrupted: it can be
        resumed.

    Raises:
        BadTrials, BadManifest, BadConfig: for names, lists, manifests and folders that cannot be used, lists with
            speakers that are trained on, or systems that were finished under another recipe or on other lists; before
            anything is trained.
        MissingExtra: without what draws reports and the page.
        AcanetError: as `train` and `evaluate`.
    """
    require("scipy", "matplotlib", "jinja2")
    chosen = systems.only(only)
    lists = {name: _read(test) for name, test in systems.test.items()}
    trained = frozenset().union(*map(check_inputs, chosen.values()))
    for trials, sides in lists.values():
        _check_unheard(trials, sides, trained)
    cards = _finished(systems, out)
    current = {name for name, card in cards.items() if _is_current(card, lists, seed, replicates)}
    if left := sorted(cards.keys() - current - chosen.keys()):
        again = " ".join(f"--only {name}" for name in left)
        raise BadConfig(out, [f"{few(left)} was evaluated on other lists or draws; add {again} --resume"])
    for name, recipe in chosen.items():
        if not (resume and name in cards):
            console.rule(f"train {name}")
            if not train(recipe, out / name, resume=resume, console=console).finished:
                return None
            cards[name] = _card(systems, name, out / name, seed)
            current.discard(name)
        if name not in current:
            console.rule(f"evaluate {name}")
            listed = _evaluate(systems.test, out / name, seed, replicates)
            cards[name] = cards[name].model_copy(update={"lists": listed})
            cards[name].write(out / name / RUN_CARD)
    console.rule("compare")
    by_now = _finished(systems, out)  # another call may have finished systems meanwhile
    compared = _compare(
        {name: card for name, card in by_now.items() if _is_current(card, lists, seed, replicates)}, lists, out
    )
    for card in compared:
        card.write(out / card.system / RUN_CARD)
    write_page(out / PAGE, compared)
    return compared


def _read(test: Evaluation) -> tuple[Trials, Sides]:
    trials = read_trials(test.trials)
    return trials, find_sides(trials, manifest=test.manifest, audio_root=test.audio_root)


def _check_unheard(trials: Trials, sides: Sides, trained: frozenset[str]) -> None:
    """See that nobody in a list is trained on, as far as names tell."""
    if shared := sorted(trained & {utterance.speaker for utterance in sides.utterances}):
        reason = f"{len(shared)} of its speakers ({', '.join(shared[:3])}) are trained on; make them disjoint"
        raise BadTrials(trials.path, None, reason)


def _finished(systems: Systems, out: Path) -> dict[str, RunCard]:
    """The cards in the folder, by system.

    Raises:
        BadConfig: for a system that was trained by another recipe.
    """
    paths = {name: out / name / RUN_CARD for name in systems.recipes}
    cards = {name: read_json(RunCard, path) for name, path in paths.items() if path.exists()}
    for name, card in cards.items():
        if different := _different(card.recipe, portable(systems.recipes[name])):
            problem = f"it was trained with another recipe: other {few(different)}; choose another --out"
            raise BadConfig(out / name, [problem])
    return cards


def _different(one: Recipe, other: Recipe) -> list[str]:
    """The keys at the top whose values differ, and decide weights."""
    one, other = one.decisive, other.decisive
    return [name for name in Recipe.model_fields if getattr(one, name) != getattr(other, name)]


def _is_current(card: RunCard, lists: Lists, seed: int, replicates: int) -> bool:
    """Whether a card tells of these lists, with these draws."""
    measured = {name: (listed.sha256, listed.seed, listed.replicates) for name, listed in card.lists.items()}
    return measured == {name: (trials.sha256, seed, replicates) for name, (trials, _) in lists.items()}


def _card(systems: Systems, name: str, folder: Path, seed: int) -> RunCard:
    """The card of a system that is trained and not evaluated yet."""
    recipe, bundle = systems.recipes[name], Bundle.load(folder)
    size = model_size(bundle.name, saved_config(bundle.name, bundle.config.model))
    history = dev_history(folder)
    chosen = best_of(history)
    return RunCard(
        experiment=systems.path.stem,
        title=systems.experiment.title,
        about=systems.experiment.about,
        system=name,
        place=list(systems.recipes).index(name),
        command=_command(systems, name, seed),
        recipe=portable(recipe),
        fingerprint=bundle.fingerprint,
        size=Size(parameters=size.parameters, macs_3s=size.macs_3s, macs_60s=size.macs_60s),
        budget=_budget(recipe, seconds_trained(folder)),
        machine=this_machine(),
        versions=these_versions(),
        code=this_code(),
        data=Data(
            manifests=bundle.provenance.data,
            speakers=len(bundle.provenance.speakers),
            utterances=len(bundle.provenance.audio),
            sha256=hashlib.sha256(
                "".join(f"{audio}\n" for audio in sorted(bundle.provenance.audio)).encode()
            ).hexdigest(),
        ),
        dev=tuple(history),
        chosen=recipe.all_steps if chosen is None else chosen.step,
        lists={},
    )


def _command(systems: Systems, name: str, seed: int) -> str:
    words = ["acanet", "experiment", without_folder(str(systems.path)), "--only", name]
    words += ["--out", f"runs/{systems.path.stem}"]
    for setting in systems.settings:
        words += ["--set", portable_setting(setting)]
    return shlex.join([*words, "--seed", str(seed)] if seed else words)


def _budget(recipe: Recipe, seconds: float) -> Budget:
    data, large_margin = recipe.data, recipe.large_margin
    phases = [(recipe.steps * data.batch, data.crop_seconds)]
    if large_margin is not None:
        phases.append((large_margin.steps * (large_margin.batch or data.batch), large_margin.crop_seconds))
    return Budget(
        steps=recipe.all_steps,
        crops=sum(crops for crops, _ in phases),
        audio_hours=sum(crops * (length.low + length.high) / 2 for crops, length in phases) / 3600,
        hours=seconds / 3600,
    )


def _evaluate(test: Mapping[str, Evaluation], folder: Path, seed: int, replicates: int) -> dict[str, Listed]:
    """Evaluate a system on every list, and leave the reports in its folder."""
    encoder, listed = Encoder.load(folder), {}
    for name, on in test.items():
        result = evaluate_model(
            encoder, on.trials, manifest=on.manifest, audio_root=on.audio_root, seed=seed, replicates=replicates
        )
        write_report(folder / "reports" / name, result)
        listed[name] = _listed(result)
    return listed


def _listed(result: Result) -> Listed:
    card = result.card
    return Listed(
        trial_list=card.trial_list,
        sha256=card.trial_list_sha256,
        counts=card.counts,
        figures={name: card.figures[name] for name in FIGURES},
        replicates=card.replicates,
        seed=card.seed,
    )


def _compare(cards: Mapping[str, RunCard], lists: Lists, out: Path) -> list[RunCard]:
    """The cards, each with its figures beside those of every other system; and the means over seeds likewise."""
    compared: dict[str, dict[str, Listed]] = {name: {} for name in cards}
    groups = {group[0].system: [card.system for card in group] for group in by_seeds(cards.values())}
    first = {name: leader for leader, group in groups.items() for name in group}
    for test, (trials, sides) in lists.items():
        on = {name: card.lists[test] for name, card in cards.items()}
        draws = next(iter(on.values()))
        found = pairwise(
            {name: _scores(out / name / "reports" / test / SCORES, trials) for name in cards},
            trials.target,
            sides.speakers[trials.enrol],
            sides.speakers[trials.test],
            groups={_seeds_of(leader): group for leader, group in groups.items()},
            replicates=draws.replicates,
            seed=draws.seed,
        )
        for name, listed in on.items():
            against = {
                other: {figure: found[name, other][figure] for figure in FIGURES} for other in cards if other != name
            }
            seeds_against = {
                other: {figure: found[_seeds_of(first[name]), _seeds_of(other)][figure] for figure in FIGURES}
                for other, group in groups.items()
                if other != first[name] and len(group) + len(groups[first[name]]) > 2
            }
            update = {"against": against, "seeds_against": seeds_against}
            compared[name][test] = listed.model_copy(update=update)
    return [card.model_copy(update={"lists": compared[name]}) for name, card in cards.items()]


def _seeds_of(system: str) -> str:
    return f"seeds of {system}"


def _scores(path: Path, trials: Trials) -> NDArray[np.float32]:
    """The scores of a report, (trials,), of these trials.

    Raises:
        BadTrials: when the report is not of as many.
    """
    with gzip.open(path, "rt", encoding="utf-8") as file:
        scores = np.array([float(line.split()[3]) for line in file], dtype=np.float32)
    if len(scores) != len(trials):
        raise BadTrials(
            path, None, f"{len(scores)} scores for the {len(trials)} trials of {trials.path}; remove its report"
        )
    return scores
