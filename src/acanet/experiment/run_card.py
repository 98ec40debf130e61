"""The run card: what a system of an experiment is, what it cost, what it reached, and how to get it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from acanet.config import reading
from acanet.config.files import write_text
from acanet.config.strict import Strict
from acanet.errors import AcanetError, BadConfig, one_line
from acanet.evaluation.figures.intervals import Paired
from acanet.evaluation.result import Counts
from acanet.experiment.origin import Code, Machine
from acanet.scoring.measure import Measure
from acanet.training.progress import DevResult
from acanet.training.recipe import Recipe

RUN_CARD = "card.json"
FIGURES = ("eer", "min_dcf(0.05)", "min_dcf(0.01)")
"""What a card tells of a trial list, by the names of `acanet.evaluation.figures.intervals.measure`."""

MOST_BYTES = 64 * reading.MEGABYTE
"""Of a card, which may hold a learning curve and thousands of figures."""

S = TypeVar("S", bound=Strict)


class Size(Strict):
    """The size of the network, without the front end."""

    parameters: int
    macs_3s: int = Field(description="multiply-adds for 3 s of speech")
    macs_60s: int = Field(description="multiply-adds for 60 s of speech")


class Budget(Strict):
    """The cost of the training."""

    steps: int
    crops: int = Field(description="in all batches together")
    audio_hours: float = Field(description="of the crops: their number times their mean length, phase by phase")
    hours: float = Field(description="wall clock of the training, all its parts together, without the time between")


class Data(Strict):
    """The speech that a system was trained on."""

    manifests: tuple[str, ...] = Field(description="names of the files")
    speakers: int
    utterances: int
    sha256: str = Field(description="of the sorted content hashes of the utterances, a line each")


class Listed(Strict):
    """The figures of a system on one trial list."""

    trial_list: str = Field(description="name of the file")
    sha256: str = Field(description="of its bytes, after gunzipping")
    counts: Counts
    figures: dict[str, Measure] = Field(description="by name: eer, min_dcf(0.05), min_dcf(0.01)")
    replicates: int = Field(description="of the bootstrap over speakers that gave the intervals")
    seed: int = Field(description="of the bootstrap")
    against: dict[str, dict[str, Paired]] = Field(
        {}, description="by another system of the experiment, then by figure: this one beside that"
    )
    seeds_against: dict[str, dict[str, Paired]] = Field(
        {},
        description="by the first system of another recipe, then by figure: the mean over the systems that differ from "
        "this one by their seed only, and itself, beside such a mean of that recipe; where either has several seeds",
    )


class RunCard(Strict):
    """The run card of a system, as `card.json` holds it."""

    experiment: str = Field(description="name of the recipe's file, without `.yaml`")
    title: str | None = Field(description="of the experiment")
    about: str | None = Field(description="of the experiment")
    system: str
    place: int = Field(description="of the system in the recipe, from 0")
    command: str = Field(description="that makes this card again")
    recipe: Recipe = Field(description="of the system, every default spelt out; files without their folders")
    fingerprint: str = Field(description="of the model")
    size: Size
    budget: Budget
    machine: Machine = Field(description="that the training ended on")
    versions: dict[str, str] = Field(description="of acanet, Python and torch, as the training ended")
    code: Code | None = Field(description="as the training ended; None: acanet did not run from a checkout")
    data: Data
    dev: tuple[DevResult, ...] = Field(description="the learning curve; empty without a dev set")
    chosen: int = Field(description="the step after which the weights were taken")
    lists: dict[str, Listed] = Field(description="by the names that the recipe gives the trial lists")

    def write(self, path: Path) -> None:
        """Write the card, complete before it takes its place."""
        write_text(path, self.as_json())


def by_seeds(cards: Iterable[RunCard]) -> list[list[RunCard]]:
    """The cards of each recipe, whatever its seed, in their order."""
    groups: dict[str, list[RunCard]] = {}
    for card in cards:
        groups.setdefault(card.recipe.decisive.model_copy(update={"seed": 0}).as_json(), []).append(card)
    return list(groups.values())


def read_run_cards(paths: Sequence[Path]) -> list[RunCard]:
    """Read run cards, in the order of the paths.

    Args:
        paths: files, or folders to search for `card.json`. Nothing is looked for below a folder that has one: what
            lies there are the reports of the system.

    Raises:
        BadConfig: for a path that is not there, a folder without cards, a file that is no run card, or two cards of one
            system.
    """
    places: dict[tuple[str, str], Path] = {}
    cards = []
    for path in (card for given in paths for card in _cards_in(given)):
        card = read_json(RunCard, path)
        first = places.setdefault((card.experiment, card.system), path)
        if first is not path:
            problem = f"system {card.system!r} of {card.experiment!r} again, after {first}; give one card of each"
            raise BadConfig(path, [problem])
        cards.append(card)
    return cards


def read_json(kind: type[S], path: Path) -> S:
    """Read a config from a JSON file.

    Raises:
        BadConfig: for a file that is not there, is not JSON, or has a wrong key or value.
    """
    try:
        data = reading.read_json(path, MOST_BYTES, links=True)
    except AcanetError as error:
        raise BadConfig(path, [str(error).removeprefix(one_line(f"{path}: "))]) from None
    return kind.parse(data, path)


def _cards_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = list(_below(path)) if path.is_dir() else []
    if not found:
        what = f"no {RUN_CARD} in it" if path.is_dir() else "no such file or folder"
        raise BadConfig(path, [f"{what}; name run cards, or folders that `acanet experiment` made"])
    return found


def _below(folder: Path) -> Iterator[Path]:
    if (folder / RUN_CARD).is_file():
        yield folder / RUN_CARD
        return
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        yield from _below(inner)
