"""One recording under several names: other paths to a file, links, and copies that a manifest tells of."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from pathlib import Path

from acanet.data.lists.manifest import Utterance
from acanet.errors import few


class CopyWarning(UserWarning):
    """Utterances of a manifest that are the recording of an earlier one."""


def files(utterances: Sequence[Utterance]) -> list[Hashable]:
    """The file of each utterance, whatever leads to it, and the part of it that the utterance is."""
    return [(_file(utterance.path), utterance.start, utterance.duration) for utterance in utterances]


def contents(utterances: Sequence[Utterance]) -> list[Hashable]:
    """The content of each utterance, as far as the manifest tells it (`audio_hash`, by `prepare`), else its id."""
    told = [utterance.fields.get("audio_hash") for utterance in utterances]
    return [str(content) if content else (utterance.id,) for content, utterance in zip(told, utterances, strict=True)]


def without_copies(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The utterances without those that are the recording of an earlier one.

    Warns:
        CopyWarning: counting them.
    """
    seen: set[Hashable] = set()
    kept: list[Utterance] = []
    copies: list[Utterance] = []
    for utterance, file, content in zip(utterances, files(utterances), contents(utterances), strict=True):
        (copies if file in seen or content in seen else kept).append(utterance)
        seen |= {file, content}
    if copies:
        some = few([repr(utterance.id) for utterance in copies])
        text = f"{len(copies):,} utterances are the recording of an earlier one, and are passed over: {some}"
        warnings.warn(text, CopyWarning, stacklevel=3)
    return kept


def _file(path: Path) -> Hashable:
    try:
        found = path.stat()
    except (OSError, ValueError):  # which reading it will tell
        return str(path)
    return found.st_dev, found.st_ino
