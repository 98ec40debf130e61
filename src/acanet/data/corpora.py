"""Where the utterances of a source are: one reader for each layout.

A corpus with a layout of its own needs one more reader in `READERS`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from acanet.data.manifest import Utterance, collect, plain_utterance, read_manifest
from acanet.errors import BadManifest, nearest

EXTENSIONS = {f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW"} | {
    *(".aif", ".aifc", ".oga", ".opus", ".snd", ".sph", ".wv1"),
    *(".m4a", ".mp4", ".aac", ".webm", ".wma", ".amr", ".3gp"),
}
"""Recordings: what soundfile reads, and what is left out with the advice to convert it."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An utterance that is not in the manifests, and why."""

    path: str
    speaker: str
    reason: str
    detail: str


def read_folder(folder: Path) -> Iterator[Utterance | LeftOut]:
    """`folder`/speaker/.../file, sorted; the speaker is the first folder, and hidden files are passed over.

    Raises:
        BadManifest: no folder, or no recordings in it.
    """
    if not folder.is_dir():
        raise BadManifest(folder, None, "is not a folder; folders are read as SPEAKER/.../recording.wav")
    paths = sorted(path for path in _files(folder) if path.suffix.lower() in EXTENSIONS)
    if not paths:
        raise BadManifest(folder, None, "holds no recordings; SPEAKER/.../recording.wav is expected")
    for path in paths:
        relative = path.relative_to(folder)
        speaker = relative.parts[0] if len(relative.parts) > 1 else ""
        if not speaker:
            yield LeftOut(str(path), "", "without a speaker", "lies in no speaker's folder")
        elif not _is_unicode(relative):
            yield LeftOut(str(path), speaker, "unreadable", "its name is not UTF-8; rename it")
        else:
            yield Utterance(relative.as_posix(), path, speaker, relative.as_posix())


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _is_unicode(path: Path) -> bool:
    """Whether a name has no bytes that Python had to smuggle in as surrogates (PEP 383)."""
    return not any("\ud800" <= letter <= "\udfff" for letter in str(path))


def read_csv(path: Path) -> list[Utterance]:
    """A table with a header that has `path` (relative to the table's folder, or absolute) and `speaker`.

    The delimiter is the comma, semicolon or tab that the header has most of. `id`, `start` and `duration`
    mean what they mean in a manifest, other columns are kept, empty cells are not.

    Raises:
        BadManifest: with the line of what is wrong.
    """
    return collect(path, _rows(path), lambda row: plain_utterance(row, path.parent))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            delimiter = max(",;\t", key=header.count)
            file.seek(0)
            reader = csv.DictReader(file, delimiter=delimiter, restkey="", strict=True)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            _check_columns(path, columns)
            for row in reader:
                yield reader.line_num, _typed(path, reader.line_num, row)
    except FileNotFoundError:
        raise BadManifest(path, None, "there is no such file") from None
    except UnicodeDecodeError:
        raise BadManifest(path, None, "is not UTF-8; save it as UTF-8") from None
    except (OSError, csv.Error) as error:
        raise BadManifest(path, None, f"cannot be read: {error}") from None


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    for name in ("path", "speaker"):
        if name not in columns:
            near = nearest(name, columns)
            hint = f"did you mean {near!r}?" if near else f"found are {', '.join(columns) or 'none'}"
            raise BadManifest(path, 1, f"no column {name!r}; {hint}")


def _typed(path: Path, line: int, row: dict[str, Any]) -> dict[str, object]:
    """A row without its empty cells, start and duration as numbers."""
    if "" in row:
        raise BadManifest(path, line, f"{len(row[''])} more cells than the header has")
    typed: dict[str, object] = {name: cell.strip() for name, cell in row.items() if cell and cell.strip()}
    for name in ("start", "duration"):
        if name in typed:
            typed[name] = _number(typed[name])
    return typed


def _number(cell: object) -> object:
    try:
        return float(str(cell))
    except ValueError:
        return cell


READERS: Mapping[str, Callable[[Path], Iterable[Utterance | LeftOut]]] = {
    "folder": read_folder,
    "jsonl": read_manifest,
    "csv": read_csv,
}
"""How the utterances of each kind of source are found. Of two duplicates, the one found first is kept."""
