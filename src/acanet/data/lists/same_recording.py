"""One recording under several names: other paths to a file, links, parts that overlap, copies told by a manifest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

from acanet.data.lists.manifest import Utterance
from acanet.errors import few

_SHARED = 0.1
"""Seconds that parts of one file may have in common: cuts are rounded."""


class CopyWarning(UserWarning):
    """Utterances of a manifest that are the recording of an earlier one."""


def files(utterances: Sequence[Utterance]) -> list[Hashable]:
    """The file of each utterance, whatever leads to it, and the part of it that the utterance is."""
    return [(_file(utterance.path), utterance.start, utterance.duration) for utterance in utterances]


def contents(utterances: Sequence[Utterance]) -> list[Hashable]:
    """The content of each utterance, as far as the manifest tells it (`audio_hash`, by `prepare`), else its id."""
    told = [utterance.fields.get("audio_hash") for utterance in utterances]
    return [str(content) if content else (utterance.id,) for content, utterance in zip(told, utterances, strict=True)]


def overlapping(utterances: Sequence[Utterance]) -> Iterator[tuple[int, int]]:
    """The pairs of utterances, by number, of one speaker that share more than a moment of one file."""
    parts: dict[Hashable, list[int]] = {}
    for number, utterance in enumerate(utterances):
        parts.setdefault((_file(utterance.path), utterance.speaker), []).append(number)
    for numbers in parts.values():
        going: list[int] = []
        for number in sorted(numbers, key=lambda each: utterances[each].start):
            begin = utterances[number].start
            going = [other for other in going if _end(utterances[other]) - begin > _SHARED]
            if _end(utterances[number]) - begin > _SHARED:
                yield from ((other, number) for other in going)
            going.append(number)


def _end(utterance: Utterance) -> float:
    return math.inf if utterance.duration is None else utterance.start + utterance.duration


def without_copies(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The utterances without those that are the recording of an earlier one, or overlap with one that is kept.

    Warns:
        CopyWarning: counting them.
    """
    shared: dict[int, set[int]] = {}
    for one, other in overlapping(utterances):
        shared.setdefault(max(one, other), set()).add(min(one, other))
    seen: set[Hashable] = set()
    places: set[int] = set()
    kept: list[Utterance] = []
    copies: list[Utterance] = []
    for place, (utterance, file, content) in enumerate(
        zip(utterances, files(utterances), contents(utterances), strict=True)
    ):
        if file in seen or content in seen or not places.isdisjoint(shared.get(place, ())):
            copies.append(utterance)
        else:
            kept.append(utterance)
            places.add(place)
        seen |= {file, content}
    if copies:
        some = few([repr(utterance.id) for utterance in copies])
        text = f"{len(copies):,} utterances are the recording of an earlier one, or share speech with one"
        text = f"{text}, and are passed over: {some}"
        warnings.warn(text, CopyWarning, stacklevel=3)
    return kept


def _file(path: Path) -> Hashable:
    try:
        found = path.stat()
    except (OSError, ValueError):  # which reading it will tell
        return str(path)
    return found.st_dev, found.st_ino
