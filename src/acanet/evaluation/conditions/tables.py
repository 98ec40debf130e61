"""Error rates by condition: what `--by` gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from acanet.config.strict import Strict
from acanet.scoring.measure import Measure


class Row(Strict):
    """One group of one condition."""

    name: str = Field(description="of the condition, such as `gender` or `noise`")
    group: str = Field(description="such as `f` or `10 dB`")
    side: Literal["both", "test"] = Field(description="which side of the trials is so; `test`: enrolment is as it was")
    trials: int
    targets: int
    nontargets: int
    speakers: int
    eer: Measure | None = Field(description="None: `note` says why there is no figure")
    ratio: Measure | None = Field(
        None, description="EER to that of the whole list as it is, paired; None also where that is 0 in a draw"
    )
    false_accepts: Measure | None = Field(
        None, description="of the nontarget trials, that `verify` accepts or refuses; None: it does not decide here"
    )
    false_rejects: Measure | None = Field(None, description="of the target trials, that it rejects or refuses")
    refused: float | None = Field(None, description="share of the trials with too little speech for a decision")
    note: str = ""


class Condition(Strict):
    """The meaning of a name in `--by`."""

    name: str
    kind: Literal["field", "change", "length"] = Field(
        description="groups of the list; the list with its utterances changed; other trials, of utterances joined"
    )
    about: str = Field(description="what was grouped, changed or joined, and how")
    mixed: int = Field(0, description="trials left out because their sides are of different groups")
    unknown: int = Field(0, description="trials left out because the manifest does not tell the group of a side")


class Conditions(Strict):
    """The contents of `conditions.json`."""

    clean: Measure = Field(description="EER of the whole list as it is")
    replicates: int = Field(description="of the bootstrap over speakers that gave the intervals")
    seed: int = Field(description="of the bootstrap, and of everything that was drawn for the changes")
    conditions: tuple[Condition, ...]
    rows: tuple[Row, ...]

    def rows_of(self, name: str) -> list[Row]:
        """The groups of one condition."""
        return [row for row in self.rows if row.name == name]

    def worst_to_best(self, name: str) -> float | None:
        """The highest EER of a condition's groups over the lowest: 1 is what a fair system has.

        By chance alone it is above 1, the more so the smaller the groups are: read it with their intervals. None
        with fewer than two figures, or without errors in the best group.
        """
        rates = [row.eer.value for row in self.rows_of(name) if row.eer is not None]
        return max(rates) / min(rates) if len(rates) > 1 and min(rates) > 0 else None

    def table(self) -> str:
        """The rows as a table in Markdown; rates in per cent, with their 95 % intervals."""
        lines = [
            "| condition | group | side | targets | nontargets | speakers | EER, % | to clean | false accepts, % | "
            "false rejects, % | refused, % | |",
            "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
            f"| (clean) | | both | | | | {_shown(self.clean, 100)} | | | | | |",
            *map(_line, self.rows),
            "",
            *(f"{condition.name}: {text}" for condition in self.conditions for text in self._remarks(condition)),
        ]
        return "\n".join(lines) + "\n"

    def _remarks(self, condition: Condition) -> Iterator[str]:
        yield condition.about
        if condition.mixed or condition.unknown:
            yield f"left out: {condition.mixed:,} trials of two groups, {condition.unknown:,} of an unknown one"
        ratio = self.worst_to_best(condition.name) if condition.kind == "field" else None
        if ratio is not None:
            yield f"worst to best {ratio:.2f}; small groups differ by chance, see their intervals"


def _line(row: Row) -> str:
    figures = ((row.eer, 100), (row.ratio, 1), (row.false_accepts, 100), (row.false_rejects, 100))
    shown = " | ".join("" if figure is None else _shown(figure, scale) for figure, scale in figures)
    counts = f"{row.targets:,} | {row.nontargets:,} | {row.speakers:,}"
    refused = "" if row.refused is None else f"{100 * row.refused:.2f}"
    return f"| {row.name} | {row.group} | {row.side} | {counts} | {shown} | {refused} | {row.note} |"


def _shown(measure: Measure, scale: float) -> str:
    return f"{scale * measure.value:.2f} [{scale * measure.low:.2f}, {scale * measure.high:.2f}]"
