"""The utterances of a manifest and who speaks in them, read from JSONL without touching the audio.

Two forms, recognised line by line, both also gzipped:

- plain: `{"path": "anna/1.wav", "speaker": "anna"}`, optionally `id`, `start`, `duration`, anything else;
- a Lhotse CutSet, as `acanet prepare` and `lhotse prepare` write it.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from acanet.config.reading import MEGABYTE, parse_json
from acanet.errors import BadArgument, BadManifest, nearest

PLAIN_KEYS = frozenset({"path", "speaker", "id", "start", "duration"})
CUT_TYPES = ("MonoCut", "MultiCut")
LONGEST = 16 * MEGABYTE
"""A line that is longer is not of a manifest, and is not read to its end."""

NOBODY = ""
"""The speaker of an utterance that names none, which no label is."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch of a recording in which one person speaks.

    Attributes:
        id: unique in its manifest.
        path: the audio file.
        speaker: who speaks; `NOBODY` where nobody is named.
        recording: id of the recording that it was cut from.
        start: where it begins, in seconds.
        duration: its length in seconds; None: to the end of the file.
        fields: everything else that the manifest says, such as gender or age.
    """

    id: str
    path: Path
    speaker: str
    recording: str
    start: float = 0.0
    duration: float | None = None
    fields: Mapping[str, object] = field(default_factory=dict, hash=False)


def read_manifest(path: str | Path) -> list[Utterance]:
    """Read a manifest, in its order; whether the audio files exist is not looked at.

    A relative path of the plain form counts from the manifest's folder; a relative source of a Lhotse cut
    from the working directory where it exists there (as Lhotse does), else from the manifest's folder. The id
    of a plain line is its path as written, unless it has one of its own.

    Args:
        path: a `.jsonl` or `.jsonl.gz` file.

    Raises:
        BadManifest: with the line (from 1; None for the file as a whole) and what is wrong there.
    """
    path = Path(path)
    return collect(path, _lines(path), lambda line: _utterance(line, path.parent))


def read_recordings(path: str | Path) -> list[Utterance]:
    """Read a manifest whose plain lines need not name a speaker; otherwise as `read_manifest`.

    Raises:
        BadManifest: as `read_manifest`.
    """
    path = Path(path)
    return collect(path, _lines(path), lambda line: _utterance(line, path.parent, nobody=True))


def collect(path: Path, entries: Iterable[tuple[int, T]], parse: Callable[[T], Utterance]) -> list[Utterance]:
    """The utterances of a manifest, one an entry.

    Args:
        path: the manifest, for errors.
        entries: each with its line, counted from 1.
        parse: reads an entry, or raises `BadEntry`.

    Raises:
        BadManifest: for an entry that `parse` refuses, an id that comes twice, or no entries at all.
    """
    utterances: list[Utterance] = []
    first_line: dict[str, int] = {}
    for number, entry in entries:
        try:
            utterance = parse(entry)
        except BadEntry as error:
            raise BadManifest(path, number, str(error)) from None
        if utterance.id in first_line:
            reason = f"id {utterance.id!r} is already that of line {first_line[utterance.id]}"
            raise BadManifest(path, number, f"{reason}; give each line an 'id' of its own")
        first_line[utterance.id] = number
        utterances.append(utterance)
    if not utterances:
        raise BadManifest(path, None, "no utterances; one a line is expected")
    return utterances


class BadEntry(Exception):
    """The mistake in an entry of a manifest; `collect` adds where it is."""


def plain_utterance(entry: Mapping[str, Any], folder: Path, *, nobody: bool = False) -> Utterance:
    """The utterance that an entry of the plain form describes.

    Args:
        entry: its keys and values.
        folder: where a relative path counts from.
        nobody: whether it may name no speaker.

    Raises:
        BadEntry: a missing key or a value of the wrong kind.
    """
    path = _text(entry, "path")
    start, duration = _span(entry)
    return Utterance(
        id=_text(entry, "id") if "id" in entry else path,
        path=folder / path,
        speaker=NOBODY if nobody and "speaker" not in entry else _text(entry, "speaker"),
        recording=path,
        start=start,
        duration=duration,
        fields={key: value for key, value in entry.items() if key not in PLAIN_KEYS},
    )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, counted from 1."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), 1):
                if len(line) > LONGEST:
                    raise BadManifest(path, number, f"more than {LONGEST:,} bytes, which no line of a manifest has")
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise BadManifest(path, None, "there is no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise BadManifest(path, None, f"cannot be read: {error}") from None


def _utterance(line: bytes, folder: Path, *, nobody: bool = False) -> Utterance:
    try:
        entry = parse_json(line.decode("utf-8-sig").rstrip(), finite=False)
    except UnicodeDecodeError as error:
        raise BadEntry(f"not UTF-8: byte {error.object[error.start]:#04x} at column {error.start + 1}") from None
    except BadArgument as error:
        raise BadEntry(f"not JSON: {error.reason}") from None
    entry = _object(entry, "the line")
    if _is_cut(entry):
        return _from_cut(entry, folder)
    return plain_utterance(entry, folder, nobody=nobody)


def _is_cut(entry: Mapping[str, Any]) -> bool:
    named = str(entry.get("type", "")).endswith("Cut")
    return "path" not in entry and (named or "supervisions" in entry or "recording" in entry)


def _from_cut(cut: Mapping[str, Any], folder: Path) -> Utterance:
    kind = cut.get("type", "MonoCut")
    if kind not in CUT_TYPES:
        raise BadEntry(f"a cut of type {kind!r}; {' and '.join(CUT_TYPES)} are read")
    recording = _object(_value(cut, "recording"), "'recording'")
    supervisions = [_object(item, "a supervision") for item in _list(cut, "supervisions")]
    start, duration = _span(cut)
    return Utterance(
        id=_text(cut, "id"),
        path=_source(recording, cut, folder),
        speaker=_only_speaker(supervisions),
        recording=_text(recording, "id"),
        start=start,
        duration=duration,
        fields=_cut_fields(cut, supervisions[0]),
    )


def _only_speaker(supervisions: list[Mapping[str, Any]]) -> str:
    speakers = sorted({_text(supervision, "speaker") for supervision in supervisions})
    if len(speakers) != 1:
        found = ", ".join(speakers) or "none"
        raise BadEntry(f"a cut needs exactly one speaker, this one has {len(speakers)} ({found})")
    return speakers[0]


def _source(recording: Mapping[str, Any], cut: Mapping[str, Any], folder: Path) -> Path:
    """The audio file of a cut that takes all of its channels, unprocessed."""
    sources = _list(recording, "sources")
    if len(sources) != 1:
        raise BadEntry(f"a recording of {len(sources)} sources; recordings in one file are read")
    source = _object(sources[0], "the recording's source")
    if source.get("type") != "file":
        raise BadEntry(f"a source of type {source.get('type')!r}; sources of type 'file' are read")
    transforms = _list(recording, "transforms") if recording.get("transforms") else []
    if changed := [step for step in transforms if _transform(step) != "Resample"]:
        raise BadEntry(f"a recording with the transform {_transform(changed[0])!r}; save it to a file first")
    channels, chosen = source.get("channels", [0]), cut.get("channel", 0)
    if channels != (chosen if isinstance(chosen, list) else [chosen]):
        raise BadEntry(f"channel {chosen} of a recording with channels {channels}; split it into mono files first")
    path = _text(source, "source")
    return Path(path) if os.path.exists(path) else folder / path


def _transform(step: object) -> object:
    return step.get("name") if isinstance(step, Mapping) else step


def _cut_fields(cut: Mapping[str, Any], supervision: Mapping[str, Any]) -> dict[str, object]:
    fields = {key: supervision[key] for key in ("gender", "language", "text") if supervision.get(key) is not None}
    for holder in (supervision, cut):
        fields |= _object(holder.get("custom") or {}, "'custom'")
    return fields


def _span(entry: Mapping[str, Any]) -> tuple[float, float | None]:
    """The start and duration in seconds."""
    start, duration = entry.get("start"), entry.get("duration")
    if start is not None and not (_is_number(start) and start >= 0):
        raise BadEntry(f"start is {start!r}; a number of seconds, 0 or more, is expected")
    if duration is not None and not (_is_number(duration) and duration > 0):
        raise BadEntry(f"duration is {duration!r}; a number of seconds above 0 is expected")
    return float(start or 0), None if duration is None else float(duration)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _value(entry: Mapping[str, Any], key: str) -> Any:
    if key not in entry:
        near = nearest(key, entry)
        hint = f"did you mean {near!r}?" if near else f"found are {', '.join(entry) or 'no keys'}"
        raise BadEntry(f"no {key!r}; {hint}")
    return entry[key]


def _text(entry: Mapping[str, Any], key: str) -> str:
    """A string that is not empty; numbers are taken as written (speaker 1034)."""
    value = _value(entry, key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise BadEntry(f"{key} is {value!r}; text is expected")
    return value


def _list(entry: Mapping[str, Any], key: str) -> list[Any]:
    value = _value(entry, key)
    if not isinstance(value, list):
        raise BadEntry(f"{key} is {value!r}; a list is expected")
    return value


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadEntry(f"{what} is {type(value).__name__} {value!r}; a JSON object is expected")
    return value
