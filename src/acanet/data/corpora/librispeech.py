"""LibriSpeech: English audiobooks, read by volunteers (openslr.org/12).

Panayotov et al., "Librispeech: an ASR corpus based on public domain audio books", ICASSP 2015. Lhotse reads it too
(`lhotse.recipes.librispeech`), but opens every file for its length, and knows neither gender nor chapter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from acanet.data.corpora.layout import Layout, LeftOut, Part
from acanet.data.corpora.text import lines, visible
from acanet.data.lists.manifest import Utterance
from acanet.errors import BadManifest

PARTS = {
    "train-clean-100": Part("train", 251, 28_539),
    "train-clean-360": Part("train", 921, 104_014),
    "train-other-500": Part("train", 1_166, 148_688),
    "dev-clean": Part("dev", 40, 2_703),
    "dev-other": Part("dev", 33, 2_864),
    "test-clean": Part("test", 40, 2_620),
    "test-other": Part("test", 33, 2_939),
}
"""Speakers: Table 1 of the paper. Utterances: the lines of the transcripts."""
GENDERS = {"F": "f", "M": "m"}

_UTTERANCE = re.compile(r"(\d+-\d+)-\d{4}")


def read_librispeech(folder: Path) -> Iterator[Utterance | LeftOut]:
    """The utterances of PART/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac, of all parts; the chapter is the session.

    The id of an utterance is the stem of its file. What a transcript names but is not there is left out as missing.

    Args:
        folder: `LibriSpeech`, or the folder that it is in.

    Raises:
        BadManifest: none of the parts is there, or a line of SPEAKERS.TXT or a transcript cannot be understood.
    """
    root = _root(folder)
    genders = _genders(root / "SPEAKERS.TXT")
    for part in PARTS:
        for speaker in visible(root / part):
            for chapter in visible(speaker):
                yield from _read_chapter(chapter, part, genders)


def _root(folder: Path) -> Path:
    for root in (folder, folder / "LibriSpeech"):
        if any((root / part).is_dir() for part in PARTS):
            return root
    reason = f"holds no part of LibriSpeech, nor does its folder LibriSpeech; looked for {', '.join(PARTS)}"
    raise BadManifest(folder, None, reason)


def _genders(path: Path) -> dict[str, str]:
    """The gender of each speaker, from lines such as `14 | F | train-clean-360 | 25.03 | Name`; `;` begins remarks."""
    genders = {}
    for number, line in lines(path) if path.is_file() else ():
        if line.startswith(";"):
            continue
        speaker, sex, *_ = (field.strip() for field in [*line.split("|"), ""])
        if sex not in GENDERS:
            raise BadManifest(path, number, f"the second field is {sex!r}; F or M is expected")
        genders[speaker] = GENDERS[sex]
    return genders


def _read_chapter(folder: Path, part: str, genders: dict[str, str]) -> Iterator[Utterance | LeftOut]:
    speaker, chapter = folder.parent.name, folder.name
    texts = _texts(folder / f"{speaker}-{chapter}.trans.txt")
    known = {"part": part, "session": chapter, "language": "en"}
    if speaker in genders:
        known["gender"] = genders[speaker]
    found = [path for path in visible(folder) if path.suffix == ".flac"]
    for path in found:
        match = _UTTERANCE.fullmatch(path.stem)
        if match is None or match[1] != f"{speaker}-{chapter}":
            yield LeftOut(str(path), speaker, "outside the layout", f"{speaker}-{chapter}-NNNN.flac is expected there")
        else:
            text = {"text": texts[path.stem]} if path.stem in texts else {}
            yield Utterance(path.stem, path, speaker, path.stem, fields={**known, **text})
    there = {path.stem for path in found}
    for name in texts:
        if name not in there:
            yield LeftOut(str(folder / f"{name}.flac"), speaker, "missing", "its transcript is there")


def _texts(path: Path) -> dict[str, str]:
    """The text of each utterance; nothing where there is no transcript."""
    texts = {}
    for number, line in lines(path) if path.is_file() else ():
        name, _, text = line.partition(" ")
        if _UTTERANCE.fullmatch(name) is None:
            raise BadManifest(path, number, f"{name!r} begins the line; SPEAKER-CHAPTER-NNNN and a text are expected")
        texts[name] = text
    return texts


LAYOUT = Layout(read_librispeech, PARTS)
