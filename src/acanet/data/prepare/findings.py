"""The report of what preparing recordings came to: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from acanet.config.reading import json_text
from acanet.errors import one_line

OTHER_SPEAKER = "duplicate under another speaker"
"""The reason that tells of wrong labels."""
MISSING = "missing"
"""The reason of what a corpus or a list names but was not found."""
SHOWN = 10
"""How many of those the summary names."""


@dataclass(frozen=True, slots=True)
class Durations:
    """The durations of the utterances that were kept, in seconds; `deciles` are the nine from 10 % to 90 %."""

    min: float
    median: float
    mean: float
    max: float
    deciles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """The contents of one split."""

    utterances: int
    speakers: int
    hours: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """The coverage of a part of a corpus: what was found, beside what was published; before anything was left out."""

    utterances: int
    speakers: int
    published_utterances: int
    published_speakers: int

    @property
    def complete(self) -> bool:
        """True where nothing is missing."""
        return self.utterances >= self.published_utterances and self.speakers >= self.published_speakers

    def describe(self) -> str:
        """The coverage for people: `12 of 34 utterances, 5 of 6 speakers`."""
        if not self.utterances:
            return f"absent ({self.published_utterances:,} utterances, {self.published_speakers:,} speakers)"
        return (
            f"{self.utterances:,} of {self.published_utterances:,} utterances, "
            f"{self.speakers:,} of {self.published_speakers:,} speakers"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """The report of what `prepare` kept and left out.

    Attributes:
        utterances: how many were kept.
        speakers: how many people speak them.
        hours: how long they are together.
        durations: how long each is.
        splits: what `train`, `dev` and `test` hold, those that there are.
        parts: how complete each part of a published corpus is.
        missing: ids of what the corpus or the lists name but was not found: utterances, and speakers without any.
        missing_because: how many of them for each reason, such as the list that names them.
        left_out: how many utterances were left out, by reason.
        dev_wanted: how many speakers the share `dev` asks for; dev has fewer where too few have several utterances.
        train_with_several: how many speakers of train have two utterances or more.
        names_alike: sentences about speakers whose names are alike, and how they differ.
        single_utterance_speakers: who has only one utterance, and so no target trial.
        ids_with_space: how many ids hold white space, and so cannot stand in a trial list.
        dev: the share of the speakers that was asked for.
        seed: that of the split.
    """

    utterances: int
    speakers: int
    hours: float
    durations: Durations
    splits: Mapping[str, Share]
    parts: Mapping[str, Coverage]
    missing: tuple[str, ...]
    missing_because: Mapping[str, int]
    left_out: Mapping[str, int]
    dev_wanted: int
    train_with_several: int
    names_alike: tuple[str, ...]
    single_utterance_speakers: tuple[str, ...]
    ids_with_space: int
    dev: float
    seed: int

    def as_json(self) -> str:
        """The report as JSON."""
        return json_text(asdict(self), indent=2) + "\n"

    def summary(self) -> Group:
        """The report for people, to print with rich."""
        table = Table("", "utterances", "speakers", "hours", box=None)
        total = Share(self.utterances, self.speakers, self.hours)
        for name, share in {**self.splits, "all": total}.items():
            table.add_row(name, f"{share.utterances:,}", f"{share.speakers:,}", f"{share.hours:.2f}")
        lengths = self.durations
        lines = [
            Text(
                f"utterances last {lengths.min:.1f} to {lengths.max:.1f} s, "
                f"median {lengths.median:.1f} s, mean {lengths.mean:.1f} s"
            )
        ]
        for name, coverage in self.parts.items():
            if not coverage.complete:
                lines.append(_noted(f"{name}: {coverage.describe()}"))
        if self.missing:
            first = ", ".join(self.missing[:SHOWN]) + (", ..." if len(self.missing) > SHOWN else "")
            lines.append(_noted(f"missing: {len(self.missing):,}: {first}"))
            lines += [_noted(f"  {count:,} {why}") for why, count in self.missing_because.items()]
        if self.left_out:
            counts = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items())
            lines.append(_noted(f"left out: {counts} (left_out.csv names them)"))
        lines += map(_noted, self._about_speakers())
        if self.single_utterance_speakers:
            count = len(self.single_utterance_speakers)
            lines.append(_noted(f"speakers with a single utterance: {count:,}"))
        if self.ids_with_space:
            count = self.ids_with_space
            lines.append(_noted(f"ids with white space, which no trial list can name: {count:,}"))
        if wrong := self.left_out.get(OTHER_SPEAKER, 0):
            warning = f"WRONG LABELS: {wrong:,} recordings are there under two speakers; see left_out.csv"
            lines.append(Text(warning, style="bold red"))
        return Group(table, *lines)

    def _about_speakers(self) -> list[str]:
        """What is to be told of the speakers of train and dev, and of their names."""
        lines = []
        if "dev" in self.splits and (given := self.splits["dev"].speakers) < self.dev_wanted:
            lines.append(
                f"dev has {given:,} speakers, not {self.dev_wanted:,} ({self.dev:g} of all): speakers with several "
                "utterances are few, and training needs some of them too"
            )
        if "train" in self.splits and self.train_with_several < 2:
            lines.append(
                f"of the speakers of train, {self.train_with_several} have several utterances: how one voice varies "
                "cannot be learned; add recordings, or ask for no dev split (0)"
            )
        if self.names_alike:
            some = "; ".join(self.names_alike[:SHOWN]) + ("; ..." if len(self.names_alike) > SHOWN else "")
            lines.append(f"names of speakers that are alike, one person perhaps: {some}")
        return lines


def _noted(text: str) -> Text:
    """A line of the summary that asks for attention, whatever the names in it hold."""
    return Text(one_line(text), style="yellow")
