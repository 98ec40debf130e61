"""Run cards as one page of Markdown, a section for each experiment, with pictures beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from acanet.config.files import printable, write_text
from acanet.errors import AcanetError, BadConfig, nearest, require
from acanet.evaluation.figures.intervals import Paired
from acanet.evaluation.report.plots.learning import learning_svg
from acanet.evaluation.report.plots.tradeoff import Point, tradeoff_svg
from acanet.experiment.run_card import Listed, RunCard, by_seeds, read_json, read_run_cards
from acanet.experiment.speed import Speed
from acanet.scoring.measure import Measure

TITLE = "# Results"
PICTURES = "figures"
"""Folder of the pictures, beside the page."""
NOTHING = "–"
COST = "min_dcf(0.05)"


@dataclass(frozen=True, eq=False)
class Section:
    """The section of the page on one experiment.

    Attributes:
        name: of its recipe.
        cards: of its systems, in the order of the recipe.
        references: the systems that the others are compared with: one or more.
    """

    name: str
    cards: Sequence[RunCard]
    references: Sequence[str]

    @property
    def lists(self) -> list[str]:
        """The names of the trial lists."""
        return list(dict.fromkeys(name for card in self.cards for name in card.lists))

    @property
    def title(self) -> str:
        """The title of the experiment, or the name of its recipe."""
        return self.cards[0].title or self.name


def write_page(
    path: Path, cards: Sequence[RunCard], *, speed: Speed | None = None, references: Sequence[str] = ()
) -> None:
    """Write the page, and its pictures into `figures` beside it.

    Args:
        path: the Markdown file.
        cards: of one experiment or of several, which keep the order of their first cards.
        speed: how long models take; None: no times.
        references: names of systems to compare with; an experiment takes those that it has, the first of them with
            differences and the others with ratios alone, or its first system.

    Raises:
        BadConfig: for a reference that no experiment has.
        MissingExtra: without matplotlib.
    """
    sections = _sections(cards, references)
    (path.parent / PICTURES).mkdir(parents=True, exist_ok=True)
    parts = [TITLE, _introduction(speed)]
    for section in sections:
        parts += [f"## {section.title}", *([section.cards[0].about.strip()] if section.cards[0].about else [])]
        parts += [_measured_table(section, speed), _paired_table(section)]
        parts += [_ratios_table(section), _seeds_table(section)]
        parts += [*_pictures(section, speed, path), _budget_table(section), _origin_table(section)]
    write_text(path, printable("\n\n".join(part for part in parts if part)) + "\n")


def make_page(path: Path, cards: Sequence[Path], *, speed: Path | None = None, references: Sequence[str] = ()) -> int:
    """Write the page of the run cards in files and folders; gives the number of cards.

    Args:
        path: the Markdown file.
        cards: files, or folders to search for `card.json`, as `read_run_cards` takes them.
        speed: what `benchmarks/inference.py --json` wrote; None: no times.
        references: as `write_page` takes them.

    Raises:
        AcanetError: when another file than such a page is there.
        BadConfig: as `read_run_cards` and `write_page`, and for a file of times that is none.
        MissingExtra: without what draws the pictures.
    """
    if path.exists() and not (path.is_file() and path.read_bytes().startswith(TITLE.encode())):
        raise AcanetError(f"{path}: it is there already, and is no page of results; name another file")
    require("matplotlib", "scipy")
    found = read_run_cards(cards)
    write_page(path, found, speed=None if speed is None else read_json(Speed, speed), references=references)
    return len(found)


def experiment_tables(cards: Sequence[RunCard]) -> list[str]:
    """The figures of one experiment in Markdown, and those beside its first system, where there are several systems."""
    (section,) = _sections(cards, ())
    return [table for table in (_measured_table(section), _paired_table(section)) if table]


def _measured_table(section: Section, speed: Speed | None = None) -> str:
    """A table of size, time, EER and minDCF(0.05) of each system, in Markdown."""
    head = ["system", "model", "parameters", "multiply-adds, 3 s", "ms, 3 s", "ms, 60 s"]
    head += [f"{name}: {figure}" for name in section.lists for figure in ("EER, %", "minDCF(0.05)")]
    rows = []
    for card in section.cards:
        size = [f"{card.size.parameters:,}", f"{card.size.macs_3s / 1e9:.2f} G"]
        times = [_milliseconds(card, speed, seconds) for seconds in (3, 60)]
        figures = [cell for name in section.lists for cell in _figures(card.lists.get(name))]
        shown = [NOTHING if time is None else f"{time:.1f}" for time in times]
        rows.append([card.system, _model(card), *size, *shown, *figures])
    return _table(head, "ll", rows)


def _paired_table(section: Section) -> str:
    """A table of each system beside the first reference, paired; empty where there is no other system."""
    reference = section.references[0]
    head = ["system"]
    for name in section.lists:
        head += [f"{name}: EER minus that of {reference}, %", "times that", "minDCF(0.05) minus"]
    rows = [
        [card.system, *(cell for name in section.lists for cell in _against(card.lists.get(name), reference))]
        for card in section.cards
        if card.system != reference
    ]
    return _table(head, "l", rows) if rows else ""


def _ratios_table(section: Section) -> str:
    """The EER of each system as a multiple of that of each further reference; empty where there is none."""
    further = section.references[1:]
    head = ["system", *(f"{name}: EER, times that of {other}" for name in section.lists for other in further)]
    rows = []
    for card in section.cards:
        beside = [(card.lists.get(name), other) for name in section.lists for other in further]
        rows.append([card.system, *(_against(listed, other)[1] for listed, other in beside)])
    return _table(head, "l", rows) if further else ""


def _seeds_table(section: Section) -> str:
    """The EER of systems that differ by their seed only: mean, least and most; empty where there are none.

    Each mean is compared with that of the seeds of each reference; where one has several, so are single systems.
    """
    groups = by_seeds(section.cards)
    names = [[card.system for card in group] for group in groups]
    compared = [next(group for group in names if reference in group) for reference in section.references]
    firsts = [group[0] for group in compared]
    head = ["seeds of one system"]
    for name in section.lists:
        head += [f"{name}: mean EER, %"]
        head += [f"times the mean of {each[0]}'s" if len(each) > 1 else f"times that of {each[0]}" for each in compared]
    singles = any(len(group) > 1 for group in compared)
    rows = []
    for cards in (group for group in groups if singles or len(group) > 1):
        row = [", ".join(card.system for card in cards)]
        for name in section.lists:
            rates = [100 * card.lists[name].figures["eer"].value for card in cards if name in card.lists]
            spread = f" ({min(rates):.2f} to {max(rates):.2f})" if len(rates) > 1 else ""
            row.append(f"{fmean(rates):.2f}{spread}" if rates else NOTHING)
            beside = cards[0].lists[name].seeds_against if name in cards[0].lists else {}
            row += [_times(beside[first]["eer"]) if first in beside else NOTHING for first in firsts]
        rows.append(row)
    return _table(head, "l", rows) if rows else ""


def _sections(cards: Sequence[RunCard], references: Sequence[str]) -> list[Section]:
    by_name: dict[str, list[RunCard]] = {}
    for card in cards:
        by_name.setdefault(card.experiment, []).append(card)
    systems = {card.system for card in cards}
    for name in references:
        if name not in systems:
            near = nearest(name, systems)
            raise BadConfig(
                "--reference", [f"no card of a system {name!r}" + (f"; did you mean {near!r}?" if near else "")]
            )
    sections = []
    for name, unordered in by_name.items():
        ordered = sorted(unordered, key=lambda card: (card.place, card.system))
        own = [card.system for card in ordered]
        sections.append(Section(name, ordered, [each for each in references if each in own] or own[:1]))
    return sections


def _introduction(speed: Speed | None) -> str:
    lines = [
        "Made by `acanet results` from run cards, one for each row; the command in a row makes its card again. In",
        "brackets: the 95 % interval over the draw of the speakers. Differences and ratios are paired, by the same",
        "draws for both systems: one whose interval does not hold 0, or 1, says that they differ. Where systems differ",
        "by their seed alone, a further table compares the means over seeds.",
    ]
    if speed is not None:
        lines += [
            f"Milliseconds are of one core ({speed.processor}), from a waveform to its embedding, the model exported:",
            "medians of one run of `benchmarks/inference.py`, in which all models took turns.",
        ]
    return "\n".join(lines)


def _milliseconds(card: RunCard, speed: Speed | None, seconds: int) -> float | None:
    """The time of the model as it is registered; None for one with changed keys, which nobody timed."""
    return None if speed is None or card.recipe.model.change else speed.milliseconds(card.recipe.model.name, seconds)


def _model(card: RunCard) -> str:
    model = card.recipe.model
    return f"{model.name}, changed: {', '.join(_dotted(model.change))}" if model.change else model.name


def _dotted(change: object, key: str = "") -> Iterator[str]:
    """The keys and values of nested changes, such as `aggregator.latents=32`."""
    if isinstance(change, dict):
        for name, value in change.items():
            yield from _dotted(value, f"{key}.{name}" if key else str(name))
    else:
        yield f"{key}={change}"


def _figures(listed: Listed | None) -> list[str]:
    if listed is None:
        return [NOTHING, NOTHING]
    return [_per_cent(listed.figures["eer"]), _plain(listed.figures[COST])]


def _against(listed: Listed | None, reference: str) -> list[str]:
    if listed is None or reference not in listed.against:
        return [NOTHING] * 3
    eer, cost = (listed.against[reference][figure] for figure in ("eer", COST))
    return [_per_cent(eer.difference, "+.2f"), _times(eer), _interval(cost.difference, "+.3f")]


def _times(paired: Paired) -> str:
    return NOTHING if paired.ratio is None else _interval(paired.ratio, ".2f")


def _pictures(section: Section, speed: Speed | None, page: Path) -> Iterator[str]:
    """Draw the pictures of a section beside a page; what the page says to show them."""
    times = {card.system: _milliseconds(card, speed, 3) for card in section.cards}
    timed = {system: time for system, time in times.items() if time is not None}
    sizes = {card.system: card.size.parameters / 1e6 for card in section.cards}
    for kind, costs, unit, told in (
        ("milliseconds", timed, "ms for 3 s of speech, one core", "milliseconds for 3 s of speech"),
        ("parameters", sizes, "parameters, millions", "parameters"),
    ):
        panels = {name: _points(section, name, costs) for name in section.lists}
        if any(panels.values()):
            path, title = _picture(section, page, kind), f"{section.title}: EER against {told}"
            tradeoff_svg(path, {name: points for name, points in panels.items() if points}, unit, title)
            yield f"![{title}]({PICTURES}/{path.name})"
    curves = {card.system: [(result.step, result.eer) for result in card.dev] for card in section.cards if card.dev}
    if curves:
        path, title = _picture(section, page, "learning"), f"{section.title}: EER on dev over the steps"
        learning_svg(path, curves, title)
        yield f"![{title}]({PICTURES}/{path.name})"


def _picture(section: Section, page: Path, kind: str) -> Path:
    return page.parent / PICTURES / f"{page.stem}-{section.name}-{kind}.svg"


def _points(section: Section, test: str, costs: Mapping[str, float]) -> list[Point]:
    """The systems that have a cost, on one list."""
    return [
        Point(card.system, costs[card.system], card.lists[test].figures["eer"])
        for card in section.cards
        if card.system in costs and test in card.lists
    ]


def _budget_table(section: Section) -> str:
    head = ["system", "machine", "steps", "crops", "hours of speech", "hours of training", "threads", "chosen at step"]
    rows = [
        [
            card.system,
            card.machine.accelerator or f"{card.machine.processor}, {card.machine.cores} cores",
            f"{card.budget.steps:,}",
            f"{card.budget.crops:,}",
            f"{card.budget.audio_hours:,.1f}",
            f"{card.budget.hours:,.2f}",
            str(card.machine.threads),
            f"{card.chosen:,}",
        ]
        for card in section.cards
    ]
    return _table(head, "ll", rows)


def _origin_table(section: Section) -> str:
    head = ["system", "command", "commit", "training data, SHA-256", "seed"]
    rows = []
    for card in section.cards:
        commit = NOTHING if card.code is None else f"`{card.code.commit[:12]}`" + (", changed" * card.code.changed)
        data = f"{card.data.speakers:,} speakers, {card.data.utterances:,} utterances, `{card.data.sha256[:16]}`"
        rows.append([card.system, f"`{card.command}`", commit, data, str(card.recipe.seed)])
    return _table(head, "llll", rows)


def _per_cent(measure: Measure, form: str = ".2f") -> str:
    scaled = Measure(value=100 * measure.value, low=100 * measure.low, high=100 * measure.high)
    return _interval(scaled, form)


def _plain(measure: Measure) -> str:
    return _interval(measure, ".3f")


def _interval(measure: Measure, form: str) -> str:
    return f"{measure.value:{form}} [{measure.low:{form}}, {measure.high:{form}}]"


def _table(head: Sequence[str], left: str, rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, with as many left columns as letters in `left`, the others right."""
    rule = ["---" if column < len(left) else "---:" for column in range(len(head))]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (head, rule, *rows)
    )
