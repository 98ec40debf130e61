"""CN-Celeb1 and CN-Celeb2: Chinese celebrities in eleven genres (openslr.org/82, cnceleb.org).

Fan et al., "CN-Celeb: a challenging Chinese speaker recognition dataset", ICASSP 2020; Li et al., "CN-Celeb:
multi-genre speaker recognition", Speech Communication 137 (2022).
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
    "cnceleb1-dev": Part("train", 797, 107_953),
    "cnceleb2": Part("train", 1_996, 524_787),
    "eval-enroll": Part("test", 196, 196),
    "eval-test": Part("test", 200, 17_777),
}
FIRST, SECOND = Path("dev", "dev.lst"), Path("spk.lst")
"""By its list of speakers for training each of the two is known."""
SUFFIXES = (".flac", ".wav")
"""It comes as flac; its lists say wav, which many convert it to."""

_SPEAKER = re.compile(r"id\d{5}")
_CLIP = re.compile(r"(?P<genre>[a-z_]+)-(?P<session>\d+)-\d+")


def read_cnceleb(folder: Path) -> Iterator[Utterance | LeftOut]:
    """CN-Celeb1 (data/SPEAKER/GENRE-SESSION-NUMBER.flac, dev, eval), CN-Celeb2 (data, spk.lst), or both.

    Of CN-Celeb1 the speakers of dev/dev.lst are for training; the others of `data` are those of `eval`, and are passed
    over. Ids are as in the corpus's own lists: `id00800-enroll` and `test/id00800-singing-01-002.wav` in `eval`,
    `id00000/singing-01-002.wav` in `data`. Genre and session come from the name, and for an enrolment from
    eval/lists/enroll.map, when all that it was put together from agrees. What the lists name but is not there is left
    out as missing.

    Args:
        folder: one of `CN-Celeb_flac` and `CN-Celeb2_flac`, or the folder that one or both are in.

    Raises:
        BadManifest: neither of them is there, or a list of theirs is not.
    """
    roots = (folder, *visible(folder))
    firsts = [root for root in roots if (root / FIRST).is_file() or (root / "eval").is_dir()]
    first = next(iter(firsts), None)
    second = next((root for root in roots if (root / SECOND).is_file() and root not in firsts), None)
    if first is None and second is None:
        looked = "looked for dev/dev.lst (CN-Celeb1) and spk.lst (CN-Celeb2) in it and in the folders in it"
        raise BadManifest(folder, None, f"holds neither CN-Celeb1 nor CN-Celeb2; {looked}")
    if first is not None:
        yield from _read_data(first, FIRST, "cnceleb1-dev")
        yield from _read_enrolments(first / "eval")
        yield from _read_tests(first / "eval")
    if second is not None:
        yield from _read_data(second, SECOND, "cnceleb2")


def _read_data(root: Path, listed: Path, part: str) -> Iterator[Utterance | LeftOut]:
    """The utterances in `data` of the speakers of a list."""
    for _, speaker in lines(root / listed):
        home = root / "data" / speaker
        if not home.is_dir():
            yield LeftOut(str(home), speaker, "missing", f"in {listed.as_posix()}, but has no folder")
        for stem, path in _best(home).items():
            name = f"{speaker}/{stem}.wav"
            yield Utterance(name, path, speaker, name, fields={"part": part, "language": "zh", **_about(stem)})


def _read_enrolments(folder: Path) -> Iterator[Utterance | LeftOut]:
    """The lines of enroll.lst: `id00800-enroll enroll/id00800-enroll.wav`."""
    sources = _sources(folder / "lists" / "enroll.map")
    for number, line in lines(folder / "lists" / "enroll.lst"):
        name, _, file = line.partition(" ")
        if not file:
            reason = f"{line!r}; a name and a file are expected, such as id00800-enroll enroll/id00800-enroll.wav"
            raise BadManifest(folder / "lists" / "enroll.lst", number, reason)
        yield _listed(folder, "enroll.lst", number, name, file.strip(), "eval-enroll", sources.get(name, {}))


def _read_tests(folder: Path) -> Iterator[Utterance | LeftOut]:
    """The lines of test.lst: `test/id00800-singing-01-002.wav`."""
    for number, name in lines(folder / "lists" / "test.lst"):
        about = _about(Path(name).stem.partition("-")[2])
        yield _listed(folder, "test.lst", number, name, name, "eval-test", about)


def _listed(
    folder: Path, listed: str, number: int, name: str, file: str, part: str, about: dict[str, str]
) -> Utterance | LeftOut:
    speaker = Path(file).name.partition("-")[0]
    if not _SPEAKER.fullmatch(speaker):
        raise BadManifest(folder / "lists" / listed, number, f"{file!r} does not begin with a speaker such as id00800")
    paths = [(folder / file).with_suffix(suffix) for suffix in SUFFIXES]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return LeftOut(str(paths[0]), speaker, "missing", f"{name} is in eval/lists/{listed}")
    return Utterance(name, path, speaker, name, fields={"part": part, "language": "zh", **about})


def _sources(path: Path) -> dict[str, dict[str, str]]:
    """Genre and session of enrolments, from lines such as `id00800-enroll id00800/singing-01-001.wav ...`."""
    known: dict[str, dict[str, str]] = {}
    for _, line in lines(path) if path.is_file() else ():
        name, *files = line.split()
        clips = [_about(Path(file).stem) for file in files]
        known[name] = {
            key: values.pop()
            for key in ("genre", "session")
            if len(values := {clip.get(key, "") for clip in clips}) == 1 and "" not in values
        }
    return known


def _best(folder: Path) -> dict[str, Path]:
    """The recordings in a folder by stem, flac before wav."""
    found = [path for path in visible(folder) if path.suffix in SUFFIXES]
    found.sort(key=lambda path: SUFFIXES.index(path.suffix), reverse=True)
    best = {path.stem: path for path in found}
    return dict(sorted(best.items()))


def _about(stem: str) -> dict[str, str]:
    """Genre and session, which a name such as singing-01-002 tells; the session's number counts within its genre."""
    match = _CLIP.fullmatch(stem)
    if match is None:
        return {}
    return {"genre": match["genre"], "session": f"{match['genre']}-{match['session']}"}


LAYOUT = Layout(read_cnceleb, PARTS)
