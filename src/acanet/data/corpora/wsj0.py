"""WSJ0, the CSR-I corpus (LDC93S6A): as on its discs, or as wav or flac files in the same folders.

An utterance is named by four things: speaker (3 letters or digits), kind of text (1), session (2), number (2), so
011a0102 is the second utterance of session 01 of speaker 011.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from acanet.data.corpora.folder import EXTENSIONS
from acanet.data.corpora.layout import Layout, LeftOut, Part
from acanet.data.lists.manifest import Utterance
from acanet.errors import BadManifest

PARTS = {
    "si_tr_s": Part("train", speakers=101, utterances=12_776),
    "si_dt_05": Part("test", speakers=10, utterances=1_206),
    "si_et_05": Part("test", speakers=8, utterances=651),
}
NAME = re.compile(r"[0-9a-z]{3}[a-z][0-9a-z]{4}")
SPEAKERS = re.compile(r"spkrinfo\.txt$", re.IGNORECASE)


def read_wsj0(folder: Path) -> Iterator[Utterance | LeftOut]:
    """The utterances below folders called as the parts are, of the primary microphone, sorted by path.

    Upper and lower case are the same, and `folder` may hold several discs; one that holds WSJ1 is passed over, whose
    parts have the same names. Of an utterance that is there twice, a wav or flac file is taken before one of the discs
    (.wv1), then the one that is found first. Files for the second microphone (.wv2) and other data (.ptx, .dot) are
    passed over. The gender comes from any `*spkrinfo.txt`.

    Raises:
        BadManifest: no such folder.
    """
    if not folder.is_dir():
        raise BadManifest(folder, None, "is not a folder; the one that holds WSJ0's discs is expected")
    taken: set[str] = set()
    files = sorted(_files(folder), key=lambda path: (path.suffix.lower() == ".wv1", path))
    genders = _genders(path for path in files if SPEAKERS.search(path.name))
    for path in files:
        part = _part(path.relative_to(folder.parent if folder.name.lower() in PARTS else folder))
        name, *suffixes = path.name.lower().split(".")
        if part is None or f".{suffixes[-1]}" not in EXTENSIONS or "wv2" in suffixes or name in taken:
            continue
        if not NAME.fullmatch(name):
            yield LeftOut(str(path), "", "without a speaker", "not named as the utterances of WSJ0 are (011a0101)")
            continue
        speaker = name[:3]
        if path.parent.name.lower() != speaker:
            yield LeftOut(str(path), speaker, "outside the layout", f"{speaker}/{path.name} is expected")
            continue
        taken.add(name)
        fields: dict[str, object] = {"part": part, "session": name[4:6]}
        if speaker in genders:
            fields["gender"] = genders[speaker]
        yield Utterance(name, path, speaker, name, fields=fields)


def _files(folder: Path) -> Iterator[Path]:
    """All files with a suffix, but the hidden ones and those of WSJ1."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".") and name.lower() != "wsj1"]
        yield from (Path(parent, name) for name in names if "." in name and not name.startswith("."))


def _part(path: Path) -> str | None:
    """The part that one of a file's folders is called after."""
    return next((name.lower() for name in path.parts[:-1] if name.lower() in PARTS), None)


def _genders(tables: Iterator[Path]) -> dict[str, str]:
    """The gender of each speaker, f or m: the second and first word of every line that is no remark (;)."""
    genders: dict[str, str] = {}
    for path in tables:
        for line in path.read_text(encoding="latin-1").lower().splitlines():
            speaker, gender, *_ = [*line.split(), "", ""]
            if not line.startswith(";") and gender in ("f", "m"):
                genders.setdefault(speaker, gender)
    return genders


LAYOUT = Layout(read_wsj0, PARTS)
