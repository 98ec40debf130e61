"""Names of speakers that may be two spellings of one: `anna`, `Anna` and `anna `."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable

from acanet.errors import few


class AlikeWarning(UserWarning):
    """Speakers whose names are so much alike that they may be one person."""


_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Letters that no font shows, beside controls and formats: joiners, fillers, variation selectors, tags, the empty
Braille pattern (Unicode's Default_Ignorable_Code_Point and what looks like it)."""


def _visible(name: str) -> str:
    seen = _UNSEEN.sub("", name)
    return "".join(letter for letter in seen if unicodedata.category(letter) not in ("Cf", "Cc") or letter.isspace())


def _spaced(name: str) -> str:
    return " ".join(name.split())


def _composed(name: str) -> str:
    return unicodedata.normalize("NFKC", name)


SPELLINGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("Unicode form (composed and decomposed letters, or letters of another width)", _composed),
    ("invisible characters", _visible),
    ("white space", _spaced),
    ("case", str.casefold),
)
"""What two spellings may differ in, in words, and what a name is without it; applied in this order."""


def names_alike(names: Iterable[str]) -> list[str]:
    """Sentences about names that are alike, in what they differ, and about names with white space at their ends.

    >>> names_alike(["anna", "Anna", "bo", "cleo "])
    ["'Anna' and 'anna' differ in case alone", "'cleo ' has white space at its ends"]
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        groups.setdefault(_plain(name), []).append(name)
    told = []
    for group in groups.values():
        if len(group) > 1:
            *others, last = [ascii(name) if _needs_escapes(name) else repr(name) for name in group]
            told.append(f"{', '.join(others)} and {last} differ in {_difference(group)} alone")
        elif group[0] != group[0].strip():
            told.append(f"{group[0]!r} has white space at its ends")
    return told


def warn_of_names(names: Iterable[str]) -> None:
    """Tell of speakers whose names are alike.

    Warns:
        AlikeWarning: naming some, with what they differ in.
    """
    told = names_alike(names)
    if told:
        text = f"speakers whose names are alike, one person perhaps: {few(told)}; give one person one name"
        warnings.warn(text, AlikeWarning, stacklevel=3)


def _plain(name: str, but: str = "") -> str:
    """A name without all in which spellings differ, `but` one of them."""
    for what, without in SPELLINGS:
        if what != but:
            name = without(name)
    return name


def _difference(group: list[str]) -> str:
    """What the names of a group differ in: they are several where all else is the same."""
    found = [what for what, _ in SPELLINGS if len({_plain(name, what) for name in group}) > 1]
    if not found:  # a wide space is of another form, and white space: either alone would do
        found = [what for what, without in SPELLINGS if len({without(name) for name in group}) < len(group)][:1]
    return " and ".join(found)


def _needs_escapes(name: str) -> bool:
    """Whether a name looks like another one, unless its letters are spelt out."""
    return _composed(_visible(name)) != name
