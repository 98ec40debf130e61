"""What the manifests of a run say of themselves, for the card of its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from acanet.data.lists.manifest import NOBODY, Utterance


@dataclass(frozen=True, slots=True)
class Source:
    """A manifest that a model was trained on.

    Attributes:
        name: of its file.
        utterances: how many were heard.
        speakers: how many of them have names.
        guessed: how many utterances have a guess for a name (`pseudo` in their lines).
        licences: that the lines name (`licence`), sorted.
    """

    name: str
    utterances: int
    speakers: int
    guessed: int
    licences: tuple[str, ...]

    @classmethod
    def of(cls, name: str, utterances: Sequence[Utterance]) -> Self:
        """The source with these utterances."""
        return cls(
            name,
            len(utterances),
            len({utterance.speaker for utterance in utterances} - {NOBODY}),
            sum(utterance.fields.get("pseudo") is True for utterance in utterances),
            tuple(sorted({str(each.fields["licence"]) for each in utterances if "licence" in each.fields})),
        )

    def __str__(self) -> str:
        if not self.speakers:
            who = "nobody named"
        elif self.guessed == self.utterances:
            who = f"{self.speakers:,} speakers, whose names are guesses"
        else:
            guessed = f", {self.guessed:,} of the names guesses" if self.guessed else ""
            who = f"{self.speakers:,} speakers{guessed}"
        licences = f", {', '.join(self.licences)}" if self.licences else ""
        return f"{self.name}: {self.utterances:,} utterances, {who}{licences}"
