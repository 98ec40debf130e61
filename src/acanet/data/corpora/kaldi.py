"""A Kaldi data folder: `wav.scp` and `utt2spk`, and what else is known beside them.

Lhotse reads such folders too (`lhotse.kaldi.load_kaldi_data_dir`), but opens every file for its length, runs the
commands in `wav.scp`, takes one rate for all and knows no ages.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from acanet.data.corpora.layout import Layout, LeftOut
from acanet.data.lists.manifest import Utterance
from acanet.errors import BadManifest

REQUIRED = ("wav.scp", "utt2spk")
GENDERS = {"f": "f", "female": "f", "m": "m", "male": "m"}

Value = TypeVar("Value")

_BLANK = re.compile(r"[ \t]+")
_IN_ARCHIVE = re.compile(r":\d+(\[[^]]*\])?$")


@dataclass(frozen=True, slots=True)
class _Segment:
    """A piece of a recording, in seconds; duration None: to its end."""

    recording: str
    start: float = 0.0
    duration: float | None = None


def read_kaldi(folder: Path, root: Path | None = None) -> Iterator[Utterance | LeftOut]:
    """The utterances of `utt2spk`, in its order; without `segments` each is the recording of the same name.

    Only files are read, no command in `wav.scp` is run: `sph2pipe -f wav FILE |` is taken as FILE, and what else is no
    file is left out. A relative path counts from `root`; without it, from the working directory where it exists there,
    else from the folder. `spk2gender`, `spk2age` or `utt2age`, `utt2lang` and `text` become the fields gender, age,
    language and text.

    Raises:
        BadManifest: no folder, no `wav.scp` or `utt2spk`, or a line that cannot be understood.
    """
    for name in REQUIRED:
        if not (folder / name).is_file():
            raise BadManifest(folder, None, f"holds no {name}; a Kaldi data folder has {' and '.join(REQUIRED)}")
    places = (Path(), folder) if root is None else (root,)
    sources = _mapping(folder / "wav.scp", _words)
    speakers = _mapping(folder / "utt2spk", _word)
    segments = _mapping(folder / "segments", _segment)
    of_speakers: dict[str, Mapping[str, object]] = {
        "gender": _mapping(folder / "spk2gender", _gender),
        "age": _mapping(folder / "spk2age", _age),
    }
    of_utterances: dict[str, Mapping[str, object]] = {
        "age": _mapping(folder / "utt2age", _age),
        "language": _mapping(folder / "utt2lang", _word),
        "text": {name: text for name, text in _mapping(folder / "text", str).items() if text},
    }
    table = "segments" if segments else "wav.scp"
    for name in segments or sources:
        if name not in speakers:
            yield LeftOut(name, "", "without a speaker", f"in {table}, but not in utt2spk")
    for name, speaker in speakers.items():
        segment = segments.get(name) if segments else _Segment(name)
        if segment is None:
            yield LeftOut(name, speaker, "missing", "in utt2spk, but not in segments")
            continue
        found = _find(name, speaker, segment.recording, sources, places)
        if isinstance(found, LeftOut):
            yield found
            continue
        fields = {key: known[speaker] for key, known in of_speakers.items() if speaker in known}
        fields |= {key: known[name] for key, known in of_utterances.items() if name in known}
        yield Utterance(name, found, speaker, segment.recording, segment.start, segment.duration, fields)


def _find(
    name: str, speaker: str, recording: str, sources: Mapping[str, str], places: Iterable[Path]
) -> Path | LeftOut:
    """The file that holds the recording of an utterance, in the first of `places` that has it."""
    if recording not in sources:
        return LeftOut(name, speaker, "missing", f"its recording {recording!r} is not in wav.scp")
    source = sources[recording]
    file = _file(source)
    if file is None:
        advice = "a command, or a place in an archive; write it to a wav file and name that"
        return LeftOut(source, speaker, "not a file", advice)
    paths = (place / file for place in places)
    missing = LeftOut(name, speaker, "missing", f"there is no file {file}")
    return next((path for path in paths if path.is_file()), missing)


def _mapping(path: Path, parse: Callable[[str], Value]) -> dict[str, Value]:
    """The rest of each line after its first word, by that word; nothing where there is no such file.

    Args:
        path: a file of the folder.
        parse: reads what follows, or raises ValueError with what is wrong.

    Raises:
        BadManifest: with the line that is wrong.
    """
    known: dict[str, Value] = {}
    if not path.is_file():
        return known
    try:
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except UnicodeDecodeError:
        raise BadManifest(path, None, "is not UTF-8; save it as UTF-8") from None
    for number, line in enumerate(lines, 1):
        name, value, *_ = [*_BLANK.split(line.strip(), maxsplit=1), ""]
        if not name:
            raise BadManifest(path, number, "a blank line; remove it")
        if name in known:
            raise BadManifest(path, number, f"{name!r} has a line already")
        try:
            known[name] = parse(value)
        except ValueError as error:
            raise BadManifest(path, number, str(error)) from None
    return known


def _words(value: str) -> str:
    if not value:
        raise ValueError("only one word; two or more are expected")
    return value


def _word(value: str) -> str:
    if len(value.split()) != 1:
        raise ValueError(f"{1 + len(value.split())} words; two are expected")
    return value


def _segment(value: str) -> _Segment:
    """The piece that `recording start end`, in seconds, names; an end of -1 is that of the recording."""
    words = value.split()
    try:
        recording, start, end = words[0], float(words[1]), float(words[2])
    except (IndexError, ValueError):
        recording, start, end = "", math.nan, math.nan
    if len(words) != 3 or not (0 <= start < end < math.inf or (0 <= start < math.inf and end == -1)):
        raise ValueError(
            f"{value!r} after the name; 'recording start end' is expected, in seconds, the end -1 or later"
        )
    return _Segment(recording, start, None if end == -1 else end - start)


def _gender(value: str) -> str:
    if value.lower() not in GENDERS:
        raise ValueError(f"gender is {value!r}; f or m is expected")
    return GENDERS[value.lower()]


def _age(value: str) -> float:
    try:
        years = float(value)
    except ValueError:
        years = math.nan
    if not 0 <= years < math.inf:
        raise ValueError(f"age is {value!r}; a number of years is expected")
    return int(years) if years.is_integer() else years


def _file(source: str) -> str | None:
    """The file that an extended file name of Kaldi stands for, if it is a whole one.

    `sph2pipe` is a file too unless it is asked for one channel (-c) or a stretch of time (-t).
    """
    if not source.endswith("|"):
        return None if _IN_ARCHIVE.search(source) else source
    try:
        program, *arguments, file = shlex.split(source[:-1])
    except ValueError:  # quotes without an end, or too few words
        return None
    plain = os.path.basename(program) == "sph2pipe" and arguments in (
        ["-f", "wav"],
        ["-f", "wav", "-p"],
        ["-p", "-f", "wav"],
    )
    return file if plain else None


LAYOUT = Layout(read_kaldi)
