"""Trial lists: which pairs of utterances are compared, and whether one speaker is behind both.

Three forms, all also gzipped. The first line tells them apart, in this order, so `1 a 0` is of VoxCeleb's:

- Kaldi: `enrol test target` or `enrol test nontarget`;
- VoxCeleb: `1 enrol test` or `0 enrol test`, also with the words `target` and `nontarget`;
- CN-Celeb: `enrol test 1` or `enrol test 0`.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acanet.data.manifest import Utterance
from acanet.errors import BadTrials

GZIP_MAGIC = b"\x1f\x8b"
DIGITS = {b"1": True, b"0": False}
WORDS = {b"target": True, b"nontarget": False}
SHOWN = 3


@dataclass(frozen=True, eq=False)
class Trials:
    """A trial list; trial t compares `names[enrol[t]]` with `names[test[t]]` and stands on line t + 1.

    Attributes:
        path: where it was read.
        names: utterances as the list calls them, each once, in order of appearance.
        enrol: (trials,) index into `names`.
        test: (trials,) index into `names`.
        target: (trials,) whether both sides are the same speaker.
        sha256: of the file's bytes, after gunzipping.
    """

    path: Path
    names: list[str]
    enrol: NDArray[np.intp]
    test: NDArray[np.intp]
    target: NDArray[np.bool_]
    sha256: str

    def __len__(self) -> int:
        return len(self.target)

    def line_of(self, name: int) -> int:
        """The first line, from 1, on which `names[name]` stands."""
        return int(np.argmax((self.enrol == name) | (self.test == name))) + 1


@dataclass(frozen=True)
class _Form:
    """Where a line has its label, and which labels it may have."""

    expected: str
    labels: Mapping[bytes, bool]
    label: int
    enrol: int
    test: int


VOXCELEB = _Form("'1 enrol test' or '0 enrol test'", DIGITS, 0, 1, 2)
VOXCELEB_WORDS = _Form("'target enrol test' or 'nontarget enrol test'", WORDS, 0, 1, 2)
KALDI = _Form("'enrol test target' or 'enrol test nontarget'", WORDS, 2, 0, 1)
CNCELEB = _Form("'enrol test 1' or 'enrol test 0'", DIGITS, 2, 0, 1)
FORMS = (KALDI, VOXCELEB, VOXCELEB_WORDS, CNCELEB)


def read_trials(path: str | Path) -> Trials:
    """Read a trial list, in its order.

    The first line says which form the list has; every other line must have the same. Blank lines at the end
    are passed over.

    Raises:
        BadTrials: with the line (from 1; None for the file as a whole) and what was expected there: a file
            that cannot be read, bytes that are not UTF-8, a wrong number of fields, an unknown label, no
            trials at all or trials of one class only.
    """
    path = Path(path)
    data = _bytes(path)
    lines = _lines(path, data)
    form = _form(path, lines[0])
    index: dict[bytes, int] = {}
    enrol, test = np.empty(len(lines), np.intp), np.empty(len(lines), np.intp)
    target = np.empty(len(lines), np.bool_)
    for row, line in enumerate(lines):
        fields = line.split()
        if len(fields) != 3 or fields[form.label] not in form.labels:
            raise BadTrials(path, row + 1, _complaint(fields, form))
        enrol[row] = index.setdefault(fields[form.enrol], len(index))
        test[row] = index.setdefault(fields[form.test], len(index))
        target[row] = form.labels[fields[form.label]]
    if target.all() or not target.any():
        have = "target" if target[0] else "nontarget"
        raise BadTrials(path, None, f"all {len(lines)} trials are {have}; error rates need trials of both classes")
    names = [name.decode() for name in index]
    return Trials(path, names, enrol, test, target, hashlib.sha256(data).hexdigest())


def read_names(path: str | Path) -> list[str]:
    """The utterances that a list names, each once, in order of appearance.

    A list whose first line is a trial is a trial list, and both sides count; of any other the first column does.

    Raises:
        BadTrials: as `read_trials`.
    """
    path = Path(path)
    lines = _lines(path, _bytes(path))
    if _form_of(lines[0].split()) is not None:
        return read_trials(path).names
    return list(dict.fromkeys(line.split()[0].decode() for line in lines if line.strip()))


def resolve(
    trials: Trials, *, manifest: Sequence[Utterance] | None = None, audio_root: Path | None = None
) -> list[Utterance]:
    """Find the utterance behind each of `trials.names`, in their order.

    With a manifest a name is the id of one of its utterances, or the id of a recording or the path of a file
    that holds one utterance of it only; a relative path counts from `audio_root`, if that is given, else from
    the working directory. Without a manifest a name is a file's path below `audio_root`, and the `speaker` of
    what is returned is empty (see `speakers_from_targets`).

    Raises:
        BadTrials: for names that are not found, or stand for several utterances; with the first such line.
        ValueError: with neither a manifest nor an audio root.
    """
    if manifest is not None:
        return _from_manifest(trials, manifest, audio_root or Path())
    if audio_root is None:
        raise ValueError("names of a trial list are resolved by a manifest, an audio root, or both")
    return _from_files(trials, audio_root)


def finder(manifest: Sequence[Utterance], root: Path) -> Callable[[str], list[Utterance]]:
    """A function from a name to the utterances that it stands for: none, one, or all those of a recording.

    Args:
        manifest: the utterances; a name is the id of one, or else of a recording, or else the path of a file.
        root: where a relative path counts from.
    """
    by_id = {utterance.id: utterance for utterance in manifest}
    by_recording = _grouped((utterance.recording, utterance) for utterance in manifest)
    by_path = _grouped((os.path.abspath(utterance.path), utterance) for utterance in manifest)

    def find(name: str) -> list[Utterance]:
        if name in by_id:
            return [by_id[name]]
        return by_recording.get(name) or by_path.get(os.path.abspath(root / name)) or []

    return find


def speakers_from_targets(trials: Trials) -> NDArray[np.intp]:
    """Number the speakers of a list that comes without a manifest: (names,), from 0, in order of appearance.

    Names that target trials link, directly or through others, are one speaker: the connected components of
    the graph of target trials. A name without target trials is a speaker of its own.
    """
    parent = list(range(len(trials.names)))

    def root(name: int) -> int:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for enrol, test in zip(trials.enrol[trials.target].tolist(), trials.test[trials.target].tolist(), strict=True):
        # The smaller root wins, so that a speaker's root is the first of its names.
        low, high = sorted((root(enrol), root(test)))
        parent[high] = low
    roots = [root(name) for name in range(len(parent))]
    return np.unique(roots, return_inverse=True)[1]


def check_labels(trials: Trials, speakers: NDArray[np.intp]) -> None:
    """See that targets have one speaker and nontargets two.

    Args:
        trials: the list.
        speakers: (names,) speaker of each name.

    Raises:
        BadTrials: with the first line that says otherwise.
    """
    same = speakers[trials.enrol] == speakers[trials.test]
    wrong = np.flatnonzero(same != trials.target)
    if not wrong.size:
        return
    row = wrong[0]
    label, found = ("target", "two speakers") if trials.target[row] else ("nontarget", "one and the same speaker")
    enrol, test = trials.names[trials.enrol[row]], trials.names[trials.test[row]]
    reason = f"a {label} trial, but {enrol!r} and {test!r} are of {found} ({wrong.size} such lines); correct the "
    raise BadTrials(trials.path, int(row) + 1, reason + "label or the speaker")


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data
    except FileNotFoundError:
        raise BadTrials(path, None, "there is no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise BadTrials(path, None, f"cannot be read: {error}") from None


def _lines(path: Path, data: bytes) -> list[bytes]:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadTrials(path, line, f"not UTF-8: byte {data[error.start]:#04x}; save the list as UTF-8") from None
    text = data.removeprefix(codecs.BOM_UTF8).rstrip()
    if not text:
        raise BadTrials(path, None, f"no trials; one a line is expected, {_any_form()}")
    return text.split(b"\n")


def _form(path: Path, line: bytes) -> _Form:
    form = _form_of(line.split())
    if form is None:
        raise BadTrials(path, 1, f"{_quoted(line.split())}; expected {_any_form()}")
    return form


def _form_of(fields: list[bytes]) -> _Form | None:
    return next((form for form in FORMS if len(fields) == 3 and fields[form.label] in form.labels), None)


def _any_form() -> str:
    return " or ".join((VOXCELEB.expected, KALDI.expected, CNCELEB.expected))


def _complaint(fields: list[bytes], form: _Form) -> str:
    if len(fields) != 3:
        found = f"{len(fields)} fields ({_quoted(fields)})"
    else:
        found = f"unknown label {fields[form.label].decode()!r}"
    return f"{found}; expected {form.expected}, as on line 1"


def _quoted(fields: list[bytes]) -> str:
    shown = b" ".join(fields).decode()
    return repr(shown if len(shown) <= 80 else shown[:80] + "...") if fields else "a blank line"


def _from_manifest(trials: Trials, manifest: Sequence[Utterance], root: Path) -> list[Utterance]:
    found = list(map(finder(manifest, root), trials.names))
    if unknown := [index for index, held in enumerate(found) if not held]:
        what = "in the manifest, as the id of a cut or recording or as a path; give the manifest of these trials"
        raise _unresolved(trials, unknown, f"not found {what}, or the folder that their paths start from")
    if several := [index for index, held in enumerate(found) if len(held) > 1]:
        raise _unresolved(trials, several, "recordings of several utterances; name the cut instead")
    return [held[0] for held in found]


def _from_files(trials: Trials, root: Path) -> list[Utterance]:
    paths = [root / name for name in trials.names]
    if missing := [index for index, path in enumerate(paths) if not path.is_file()]:
        what = f"not found as files below {root}; give the folder that their paths start from, or a manifest"
        raise _unresolved(trials, missing, what)
    return [
        Utterance(id=name, path=path, speaker="", recording=name)
        for name, path in zip(trials.names, paths, strict=True)
    ]


def _grouped(pairs: Iterator[tuple[str, Utterance]]) -> dict[str, list[Utterance]]:
    groups: dict[str, list[Utterance]] = {}
    for key, utterance in pairs:
        groups.setdefault(key, []).append(utterance)
    return groups


def _unresolved(trials: Trials, which: list[int], what: str) -> BadTrials:
    shown = ", ".join(repr(trials.names[index]) for index in which[:SHOWN])
    more = ", ..." if len(which) > SHOWN else ""
    count = f"{len(which)} of {len(trials.names)} names are {what}"
    return BadTrials(trials.path, trials.line_of(which[0]), f"{count} ({shown}{more})")
