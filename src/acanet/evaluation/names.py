"""The names that a report gives utterances and speakers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath

from acanet.data.lists.sides import Sides


def without_folder(name: str) -> str:
    """A name as a report may tell it: of a path that starts at a root, a drive or above the folder, the file alone.

    >>> [without_folder(name) for name in ("a/1.wav", "/home/me/1.wav", "../me/1.wav", r"C:\\Users\\me\\1.wav")]
    ['a/1.wav', '1.wav', '1.wav', '1.wav']
    """
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        if path.is_absolute() or path.drive or ".." in path.parts:
            return path.name
    return name


def speaker_names(sides: Sides, names: Sequence[str]) -> list[str]:
    """The names of the speakers of `sides.speakers`, by number.

    Args:
        sides: whom the list's names stand for.
        names: of the list. Where no manifest tells speakers, the first name of a speaker stands for it.
    """
    called: dict[int, str] = {}
    for name, number in enumerate(sides.speakers.tolist()):
        if number not in called:
            known = sides.utterances[sides.members[name][0]].speaker
            called[number] = known or f"speaker of {without_folder(names[name])}"
    return [called[number] for number in sorted(called)]
