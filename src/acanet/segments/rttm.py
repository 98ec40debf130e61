"""Who speaks when, as NIST's files have it: a line for each turn."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from acanet.config.files import printable, write_text
from acanet.errors import one_line


class Turn(NamedTuple):
    """A stretch in which one person speaks, in seconds."""

    start: float
    end: float
    speaker: str


def rttm(turns: Iterable[Turn], name: str) -> str:
    """Turns as Rich Transcription Time Marked (NIST, *RT-09 Evaluation Plan*, appendix A).

    Args:
        turns: of one recording.
        name: of the recording; white space, which parts the fields, becomes an underscore, what is not printable is
            escaped, and bytes that are no UTF-8, which a name of a file may have, are question marks.

    >>> print(rttm([Turn(0.5, 2.25, "speaker1")], "a talk"), end="")
    SPEAKER a_talk 1 0.500 1.750 <NA> <NA> speaker1 <NA> <NA>
    """
    label = one_line(re.sub(r"\s+", "_", printable(name))) or "_"
    return "".join(
        f"SPEAKER {label} 1 {start:.3f} {end - start:.3f} <NA> <NA> {speaker} <NA> <NA>\n"
        for start, end, speaker in turns
    )


def write_rttm(path: Path, turns: Iterable[Turn], name: str) -> None:
    """Write `rttm` to a file, complete before it takes its place; bytes of a name that are no UTF-8 become `?`."""
    write_text(path, rttm(turns, name.encode(errors="replace").decode()))
