"""Trial lists: which pairs of utterances are compared, and whether one speaker is behind both.

Three forms, all also gzipped. The first line tells them apart, in this order, so `1 a 0` is of VoxCeleb's:

- Kaldi: `enrol test target` or `enrol test nontarget`;
- VoxCeleb: `1 enrol test` or `0 enrol test`, also with the words `target` and `nontarget`;
- CN-Celeb: `enrol test 1` or `enrol test 0`.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acanet.data.lists.lines import quoted, read_lines
from acanet.data.lists.manifest import Utterance
from acanet.errors import BadArgument, BadTrials, few

DIGITS = {b"1": True, b"0": False}
WORDS = {b"target": True, b"nontarget": False}
MARK = b"\xff"


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
    """The form of a line: the place and the words of the label; the other two fields are enrolment and test."""

    expected: str
    labels: Mapping[bytes, bool]
    label: int


VOXCELEB = _Form("'1 enrol test' or '0 enrol test'", DIGITS, 0)
VOXCELEB_WORDS = _Form("'target enrol test' or 'nontarget enrol test'", WORDS, 0)
KALDI = _Form("'enrol test target' or 'enrol test nontarget'", WORDS, 2)
CNCELEB = _Form("'enrol test 1' or 'enrol test 0'", DIGITS, 2)
FORMS = (KALDI, VOXCELEB, VOXCELEB_WORDS, CNCELEB)


def read_trials(path: str | Path) -> Trials:
    """Read a trial list, in its order.

    The first line says which form the list has; every other line must have the same. Fields are parted by white
    space of any kind. Blank lines at the end are passed over. A trial that comes twice counts twice, as published
    lists have it.

    Memory beyond the result is bounded; the result takes 17 bytes a trial, and each name once.

    Raises:
        BadTrials: with the line (from 1; None for the file as a whole) and what was expected there: a file
            that cannot be read, bytes that are not UTF-8, a wrong number of fields, an unknown label, no
            trials at all or trials of one class only.
    """
    path = Path(path)
    digest = hashlib.sha256()
    form: _Form | None = None
    index: defaultdict[bytes, int] = defaultdict(itertools.count().__next__)
    sides: list[NDArray[np.intp]] = []
    targets: list[NDArray[np.bool_]] = []
    for first, lines in read_lines(path, digest.update):
        form = form or _form(path, lines[0])
        names, labels = _fields(path, first, lines, form)
        sides.append(np.array([index[name] for name in names], np.intp))
        targets.append(np.array(labels))
    if not targets:
        raise _no_trials(path)
    target = np.concatenate(targets)
    if target.all() or not target.any():
        have = "target" if target[0] else "nontarget"
        raise BadTrials(path, None, f"all {len(target)} trials are {have}; error rates need trials of both classes")
    enrol, test = np.concatenate([part.reshape(-1, 2).T for part in sides], axis=1)
    return Trials(path, [name.decode() for name in index], enrol, test, target, digest.hexdigest())


def read_names(path: str | Path) -> list[str]:
    """The utterances that a list names, each once, in order of appearance.

    A list whose first line is a trial is a trial list, and both sides count; of any other the first column does.

    Raises:
        BadTrials: as `read_trials`.
    """
    path = Path(path)
    names: dict[bytes, None] = {}
    for first, lines in read_lines(path):
        if first == 1 and _form_of(lines[0].split()) is not None:
            return read_trials(path).names
        names.update((line.split()[0], None) for line in lines if line.strip())
    if not names:
        raise _no_trials(path)
    return [name.decode() for name in names]


class Names(Protocol):
    """A list that names utterances: a trial list, or a list of enrolment models."""

    @property
    def path(self) -> Path:
        """The file that it was read from."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """The utterances as the list calls them, each once."""
        ...

    def line_of(self, name: int) -> int:
        """The first line, from 1, on which `names[name]` stands."""
        ...


def resolve(
    listed: Names, *, manifest: Sequence[Utterance] | None = None, audio_root: Path | None = None
) -> list[Utterance]:
    """Find the utterance behind each of `listed.names`, in their order.

    With a manifest a name is the id of one of its utterances, or the id of a recording or the path of a file
    that holds one utterance of it only; a relative path counts from `audio_root`, if that is given, else from
    the working directory. Without a manifest a name is a file's path below `audio_root`, and the `speaker` of
    what is returned is empty (see `acanet.data.lists.sides`).

    Raises:
        BadTrials: for names that are not found, or stand for several utterances; with the first such line.
        BadArgument: with neither a manifest nor an audio root.
    """
    if manifest is not None:
        return _from_manifest(listed, manifest, audio_root or Path())
    if audio_root is None:
        raise BadArgument("audio_root", "names of a trial list are resolved by a manifest, an audio root, or both")
    return _from_files(listed, audio_root)


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


def _no_trials(path: Path) -> BadTrials:
    return BadTrials(path, None, f"no trials; one a line is expected, {_any_form()}")


def _form(path: Path, line: bytes) -> _Form:
    form = _form_of(line.split())
    if form is None:
        raise BadTrials(path, 1, f"{quoted(line.split())}; expected {_any_form()}")
    return form


def _form_of(fields: list[bytes]) -> _Form | None:
    return next((form for form in FORMS if len(fields) == 3 and fields[form.label] in form.labels), None)


def _any_form() -> str:
    return " or ".join((VOXCELEB.expected, KALDI.expected, CNCELEB.expected))


def _fields(path: Path, first: int, lines: list[bytes], form: _Form) -> tuple[list[bytes], list[bool]]:
    """Enrolment and test of each line in turn, and whether it is a target trial; `first` is the first line's number.

    All lines are split at once, with a mark between them that no UTF-8 text holds: that is twice as fast.
    """
    fields = (b" " + MARK + b" ").join(lines).split()
    labels = fields[form.label :: 4]
    regular = len(fields) == 4 * len(lines) - 1 and fields[3::4].count(MARK) == len(lines) - 1
    if not regular or not form.labels.keys() >= set(labels):
        raise next(_complaints(path, first, lines, form))
    del fields[3::4]
    del fields[form.label :: 3]
    return fields, [form.labels[label] for label in labels]


def _complaints(path: Path, first: int, lines: list[bytes], form: _Form) -> Iterator[BadTrials]:
    for number, line in enumerate(lines, first):
        fields = line.split()
        if len(fields) != 3:
            found = f"{len(fields)} fields ({quoted(fields)})"
        elif fields[form.label] not in form.labels:
            found = f"unknown label {fields[form.label].decode()!r}"
        else:
            continue
        yield BadTrials(path, number, f"{found}; expected {form.expected}, as on line 1")


def _from_manifest(listed: Names, manifest: Sequence[Utterance], root: Path) -> list[Utterance]:
    found = list(map(finder(manifest, root), listed.names))
    if unknown := [index for index, held in enumerate(found) if not held]:
        what = "in the manifest, as the id of a cut or recording or as a path; give the manifest of these trials"
        raise _unresolved(listed, unknown, f"not found {what}, or the folder that their paths start from")
    if several := [index for index, held in enumerate(found) if len(held) > 1]:
        raise _unresolved(listed, several, "recordings of several utterances; name the cut instead")
    return [held[0] for held in found]


def _from_files(listed: Names, root: Path) -> list[Utterance]:
    paths = [root / name for name in listed.names]
    if missing := [index for index, path in enumerate(paths) if not os.path.isfile(path)]:
        what = f"not found as files below {root}; give the folder that their paths start from, or a manifest"
        raise _unresolved(listed, missing, what)
    return [
        Utterance(id=name, path=path, speaker="", recording=name)
        for name, path in zip(listed.names, paths, strict=True)
    ]


def _grouped(pairs: Iterator[tuple[str, Utterance]]) -> dict[str, list[Utterance]]:
    groups: dict[str, list[Utterance]] = {}
    for key, utterance in pairs:
        groups.setdefault(key, []).append(utterance)
    return groups


def _unresolved(listed: Names, which: list[int], what: str) -> BadTrials:
    shown = few([repr(listed.names[index]) for index in which])
    count = f"{len(which)} of {len(listed.names)} names are {what}"
    return BadTrials(listed.path, listed.line_of(which[0]), f"{count} ({shown})")
