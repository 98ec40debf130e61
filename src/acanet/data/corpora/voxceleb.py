"""VoxCeleb1 and VoxCeleb2: interviews of celebrities, from YouTube (robots.ox.ac.uk/~vgg/data/voxceleb).

Nagrani, Chung and Zisserman, "VoxCeleb: a large-scale speaker identification dataset", Interspeech 2017; Chung, Nagrani
and Zisserman, "VoxCeleb2: Deep Speaker Recognition", Interspeech 2018. Lhotse reads them too
(`lhotse.recipes.voxceleb`), but names the utterances otherwise than the trial lists do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from acanet.data.corpora.layout import Layout, LeftOut, Part, Split
from acanet.data.corpora.text import lines, visible
from acanet.data.lists.manifest import Utterance
from acanet.errors import BadManifest

PARTS = {
    "vox1-dev": Part("train", 1_211, 148_642),
    "vox1-test": Part("test", 40, 4_874),
    "vox2-dev": Part("train", 5_994, 1_092_009),
    "vox2-test": Part("dev", 118, 36_237),
}
BESIDE: Mapping[str, Mapping[str, Split]] = {"vox2-dev": {"vox1-dev": "test"}}
"""Vox1-E and Vox1-H are trials on all of VoxCeleb1, and VoxCeleb2 has none of its speakers."""
VOX1 = range(10_001, 11_252)
VOX1_TEST = range(10_270, 10_310)
"""The speakers whose names begin with E."""
SUFFIXES = (".wav", ".flac", ".m4a")
"""Of the same utterance the first of these is taken; .m4a is what VoxCeleb2 comes as."""

_SPEAKER = re.compile(r"id(\d{5})")
_VIDEO_CLIP = re.compile(r"\d{5}")
_SPLIT = re.compile(r"(?:.*_)?(dev|test)(?:_.*)?")


def read_voxceleb(folder: Path) -> Iterator[Utterance | LeftOut]:
    """The utterances of .../idNNNNN/VIDEO/NNNNN.wav (or .flac or .m4a), wherever in `folder` the speakers' folders are.

    The id of an utterance is `idNNNNN/VIDEO/NNNNN.wav`, as in the trial lists, whatever its file is called. VoxCeleb1
    has the speakers id10001 to id11251, of whom id10270 to id10309 are for test. Of VoxCeleb2's, vox2_meta.csv tells
    who is for test, or else a folder `dev` or `test` (`vox2_dev_wav` does as well) above the speaker's. Gender and
    nationality come from vox1_meta.csv and vox2_meta.csv, in `folder`, beside it or in a folder in it. Who is in the
    table without a folder is left out as missing, if others of the same part are there.

    Raises:
        BadManifest: no folders of speakers, a part that nothing tells, or a table that cannot be understood.
    """
    homes: dict[str, list[Path]] = {}
    strays = []
    for found in _speakers_and_strays(folder):
        if found.is_dir():
            homes.setdefault(found.name, []).append(found)
        else:
            strays.append(found)
    if not homes:
        expected = "files such as voxceleb1/dev/wav/id10001/1zcIwhmdeo4/00001.wav are read"
        raise BadManifest(folder, None, f"holds no folder called idNNNNN, at any depth; {expected}")
    table = _tables(folder)
    parts = {speaker: _part(speaker, homes[speaker][0], folder, table) for speaker in sorted(homes)}
    for speaker, part in parts.items():
        yield from _read_speaker(speaker, homes[speaker], {"part": part, **_known(table.get(speaker, {}))})
    for stray in strays:
        yield LeftOut(str(stray), "", "outside the layout", "lies in no speaker's folder, called idNNNNN")
    there = set(parts.values())
    for speaker, row in sorted(table.items()):
        if speaker not in homes and _listed_part(speaker, row) in there:
            yield LeftOut(speaker, speaker, "missing", "in the table of speakers, but has no folder")


def _speakers_and_strays(folder: Path) -> Iterator[Path]:
    """The speakers' folders, and the recordings that lie in none."""
    for path in visible(folder):
        if _SPEAKER.fullmatch(path.name) or path.suffix in SUFFIXES:
            yield path
        elif path.is_dir():
            yield from _speakers_and_strays(path)


def _read_speaker(speaker: str, homes: list[Path], known: dict[str, object]) -> Iterator[Utterance | LeftOut]:
    """The utterances of a speaker, who has two folders where VoxCeleb2 was converted beside the original."""
    best: dict[str, Path] = {}
    for path in (path for home in homes for path in _recordings(home)):
        video, stem = path.parent.name, path.stem
        if path.parent.parent not in homes or not _VIDEO_CLIP.fullmatch(stem):
            yield LeftOut(str(path), speaker, "outside the layout", f"{speaker}/VIDEO/NNNNN{path.suffix} is expected")
            continue
        name = f"{speaker}/{video}/{stem}.wav"
        if name not in best or _rank(path) < _rank(best[name]):
            best[name] = path
    for name, path in sorted(best.items()):
        video = path.parent.name
        yield Utterance(name, path, speaker, name, fields={**known, "session": video, "video": video})


def _recordings(folder: Path) -> Iterator[Path]:
    for path in visible(folder):
        if path.suffix in SUFFIXES:
            yield path
        elif path.is_dir():
            yield from _recordings(path)


def _rank(path: Path) -> int:
    return SUFFIXES.index(path.suffix)


# Who the speakers are


def _part(speaker: str, home: Path, folder: Path, table: dict[str, dict[str, str]]) -> str:
    if part := _listed_part(speaker, table.get(speaker, {})):
        return part
    above = [folder.absolute().name, *home.relative_to(folder).parts[:-1]]
    for name in reversed(above):
        if match := _SPLIT.fullmatch(name.lower()):
            return f"vox2-{match[1]}"
    reason = f"whether {speaker} is in VoxCeleb2's dev or test part is said neither by a folder above it"
    raise BadManifest(folder, None, f"{reason} nor by a vox2_meta.csv in this folder or beside it; put that there")


def _listed_part(speaker: str, row: dict[str, str]) -> str | None:
    """The part that number or table tell, if they do."""
    number = int(speaker.removeprefix("id"))
    if number in VOX1:
        return "vox1-test" if number in VOX1_TEST else "vox1-dev"
    return f"vox2-{row['set']}" if "set" in row else None


def _known(row: dict[str, str]) -> dict[str, str]:
    return {key: row[key] for key in ("gender", "nationality") if row.get(key)}


def _tables(folder: Path) -> dict[str, dict[str, str]]:
    """What vox1_meta.csv and vox2_meta.csv say about each speaker, the first of each that is found."""
    places = [folder, folder.absolute().parent, *(path for path in visible(folder) if path.is_dir())]
    rows: dict[str, dict[str, str]] = {}
    for name in ("vox1_meta.csv", "vox2_meta.csv"):
        if path := next((place / name for place in places if (place / name).is_file()), None):
            rows |= _table(path)
    return rows


def _table(path: Path) -> dict[str, dict[str, str]]:
    """Rows by speaker: the first column, whatever it is called; gender, nationality and set where there are such.

    VoxCeleb1's is published with tabs, by others with commas; VoxCeleb2's has commas and spaces before them.
    """
    rows: dict[str, dict[str, str]] = {}
    columns: list[str] = []
    delimiter = ","
    for number, line in lines(path):
        if not columns:
            delimiter = "\t" if "\t" in line else ","
            columns = [cell.strip().lower() for cell in line.split(delimiter)]
            if _SPEAKER.fullmatch(columns[0]):
                raise BadManifest(path, number, "names of columns are expected on the first line")
            continue
        cells = [cell.strip() for cell in line.split(delimiter)]
        if len(cells) != len(columns) or not _SPEAKER.fullmatch(cells[0]):
            raise BadManifest(path, number, f"{line!r}; idNNNNN and {len(columns) - 1} more columns are expected")
        rows[cells[0]] = _row(path, number, dict(zip(columns, cells, strict=True)))
    return rows


def _row(path: Path, number: int, row: dict[str, str]) -> dict[str, str]:
    for column, values in (("gender", ("f", "m")), ("set", ("dev", "test"))):
        if column in row and row[column] not in values:
            raise BadManifest(path, number, f"{column} is {row[column]!r}; {' or '.join(values)} is expected")
    return row


LAYOUT = Layout(read_voxceleb, PARTS, BESIDE)
