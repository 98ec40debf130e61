"""What a kind of source is: how its utterances are found, and what its publisher says is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from acanet.data.lists.manifest import Utterance

Split = Literal["train", "dev", "test"]
"""The manifest that an utterance goes into."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An utterance that is not in the manifests, and why."""

    path: str
    speaker: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a corpus as published: the manifest it goes into, how many people, how many utterances."""

    split: Split
    speakers: int
    utterances: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a kind of source on disk.

    Attributes:
        read: finds the utterances below a path. In a corpus with parts the `part` among the fields of each
            names its part. What the corpus's own lists name but is not on disk is `LeftOut` as "missing".
        parts: what was published, by name; none: a source that nobody published.
        beside: where a part is there, the splits that other parts go into, in place of their own.
    """

    read: Callable[[Path], Iterable[Utterance | LeftOut]]
    parts: Mapping[str, Part] = field(default_factory=dict)
    beside: Mapping[str, Mapping[str, Split]] = field(default_factory=dict)
