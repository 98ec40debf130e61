"""A folder of speakers' folders, of any depth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import soundfile

from acanet.audio.containers import CONTAINER_EXTENSIONS
from acanet.data.corpora.layout import Layout, LeftOut
from acanet.data.corpora.text import visible
from acanet.data.lists.manifest import Utterance
from acanet.data.lists.recording import is_unicode
from acanet.errors import BadManifest

EXTENSIONS = {f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW"} | {
    *(".aif", ".aifc", ".oga", ".opus", ".snd", ".sph", ".wv1"),
    *CONTAINER_EXTENSIONS,
}
"""Recordings: what soundfile reads, and what takes the extra `media` (left out, with this advice, without it)."""


def read_folder(folder: Path) -> Iterator[Utterance | LeftOut]:
    """The utterances of `folder`/speaker/.../file, sorted; the first folder is the speaker, hidden files are skipped.

    Raises:
        BadManifest: no folder, or no recordings in it.
    """
    if not folder.is_dir():
        raise BadManifest(folder, None, "is not a folder; folders are read as SPEAKER/.../recording.wav")
    paths = sorted(recordings(folder))
    if not paths:
        raise BadManifest(folder, None, "holds no recordings; SPEAKER/.../recording.wav is expected")
    for path in paths:
        relative = path.relative_to(folder)
        speaker = relative.parts[0] if len(relative.parts) > 1 else ""
        if not speaker:
            yield LeftOut(str(path), "", "without a speaker", "lies in no speaker's folder")
        elif not is_unicode(str(relative)):
            yield LeftOut(str(path), speaker, "unreadable", "its name is not UTF-8; rename it")
        else:
            yield Utterance(relative.as_posix(), path, speaker, relative.as_posix())


def recordings(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The files below a folder that are recordings by their names, in no order, without hidden ones.

    A link to a folder above it is passed over: `above` are those, as they are without links.
    """
    here = folder.resolve()
    for path in visible(folder) if here not in above else ():
        if os.path.isdir(path):
            yield from recordings(path, (*above, here))
        elif path.suffix.lower() in EXTENSIONS:
            yield path


LAYOUT = Layout(read_folder)
