"""The report as one HTML page that needs nothing else: pictures inside, no scripts, and no audio but by links."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from acanet.errors import MissingExtra
from acanet.evaluation.conditions.tables import Conditions
from acanet.evaluation.explain import Attended
from acanet.evaluation.figures import words as figures
from acanet.evaluation.names import without_folder
from acanet.evaluation.report.errors_by_speaker import Mistakes, Zoo
from acanet.evaluation.result import ResultsCard
from acanet.scoring.measure import Measure

TEMPLATE = "report.html.j2"
HEADLINES = ("eer", "min_dcf(0.01)", "act_dcf(0.01)", "cllr")
RANKED = 20

Players = tuple[Sequence[str], Sequence[str]]
"""Addresses of the recordings on the enrolment and on the test side of a trial."""


@dataclass(frozen=True, eq=False)
class Compared:
    """Another system on the same list, as the page shows it.

    Attributes:
        label: what it is called.
        card: its figures.
        differences: by figure, the reported system minus this one; empty where nobody asked.
    """

    label: str
    card: ResultsCard
    differences: Mapping[str, Measure]


@dataclass(frozen=True, eq=False)
class Contents:
    """The contents of the page.

    Attributes:
        label: what the system is called.
        card: its figures.
        others: systems beside it.
        zoo: its speakers.
        mistakes: its worst trials.
        conditions: if they were measured.
        attended: shares of speech, if the model tells what it attends to.
        command: that made the report; empty: nobody told.
    """

    label: str
    card: ResultsCard
    others: Sequence[Compared]
    zoo: Zoo
    mistakes: Mistakes
    conditions: Conditions | None = None
    attended: Attended | None = None
    command: str = ""


def render(contents: Contents, pictures: Mapping[str, bytes], players: Mapping[int, Players]) -> str:
    """The page as HTML.

    Args:
        contents: what it shows.
        pictures: PNG files by name: `det`, `histogram`, `zoo`, and where there are such `reliability`, `conditions`,
            `attention`.
        players: for the lines of the worst trials, addresses of the recordings of both sides; empty: no players.

    Raises:
        MissingExtra: without Jinja.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise MissingExtra("jinja2", "train") from None
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "count": _count, "ratio": _ratio}
    return environment.get_template(TEMPLATE).render(
        it=contents,
        card=contents.card,
        pictures={name: "data:image/png;base64," + base64.b64encode(data).decode() for name, data in pictures.items()},
        players=players,
        headlines=[name for name in HEADLINES if name in contents.card.figures],
        title=figures.title,
        about=figures.about,
        shown=figures.shown,
        ranked=RANKED,
    )


def told(command: Sequence[str], *, local: bool) -> str:
    """A command as a report tells it: folders of the machine only in a report that stays there.

    >>> told(["acanet", "evaluate", "default", "/home/a b/x.trials", "--audio-root=/data"], local=False)
    'acanet evaluate default x.trials --audio-root=data'
    """
    return shlex.join(command if local else [_short(word) for word in command])


def _short(word: str) -> str:
    option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    return option + equals + without_folder(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _count(number: int) -> str:
    return f"{number:,}"


def _ratio(measure: Measure) -> str:
    return f"{measure.value:.2f} [{measure.low:.2f}, {measure.high:.2f}]"
