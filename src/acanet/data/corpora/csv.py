"""A table with a row an utterance."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from acanet.data.corpora.layout import Layout
from acanet.data.lists.manifest import Utterance, collect, plain_utterance
from acanet.errors import BadManifest, nearest


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
    """A row without its empty cells; start, duration and age are numbers."""
    if "" in row:
        raise BadManifest(path, line, f"{len(row[''])} more cells than the header has")
    typed: dict[str, object] = {name: cell.strip() for name, cell in row.items() if cell and cell.strip()}
    for name in ("start", "duration", "age"):
        if name in typed:
            typed[name] = _number(typed[name])
    return typed


def _number(cell: object) -> object:
    try:
        return float(str(cell))
    except ValueError:
        return cell


LAYOUT = Layout(read_csv)
