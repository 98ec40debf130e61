"""The two sides of a list's trials, and whom they stand for: utterances and their speakers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from acanet.data.lists.enrolments import Enrolments
from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.data.lists.names_alike import warn_of_names
from acanet.data.lists.same_recording import contents, files, overlapping
from acanet.data.lists.trials import Names, Trials, resolve
from acanet.errors import BadTrials

Rows = NDArray[np.intp]
Source = Literal["manifest", "target trials"]


@dataclass(frozen=True, eq=False)
class Sides:
    """The utterances and speakers that `trials.names` stand for.

    Attributes:
        utterances: each once.
        members: for each name, the rows of its utterances: one, or those that a model was enrolled with.
        speakers: (names,) who speaks, as a number.
        source: where the speakers are known from.
    """

    utterances: list[Utterance]
    members: Sequence[Rows]
    speakers: Rows
    source: Source


def find_sides(
    trials: Trials,
    *,
    manifest: Path | None = None,
    audio_root: Path | None = None,
    enrolments: Enrolments | None = None,
) -> Sides:
    """Find the utterances and the speakers of a list.

    Without a manifest, names that target trials link, directly or through others, are one speaker, and so are the
    members of a model; a name without target trials is a speaker of its own.

    Args:
        trials: the list.
        manifest: names the speakers, and resolves the names in the list.
        audio_root: where paths in the list start; with a manifest, None is the manifest's own folder.
        enrolments: what the names on the enrolment side stand for, all of them; None: each is an utterance. Models
            that are in no trial are passed over.

    Raises:
        BadTrials: with the first line that cannot be used: a name that is not found or stands for several utterances;
            a target trial of two speakers, or a nontarget trial of one (so too a pair that comes with both labels); an
            utterance compared with itself, by whatever names, with a part of a file that it shares speech with, or with
            a model that was enrolled with either; a model that
            is not in the enrolments, is on the test side, or has members of several speakers.
        BadManifest: for a manifest that cannot be used.
        BadArgument: with neither a manifest nor an audio root.

    Warns:
        AlikeWarning: of speakers of the manifest whose names are alike.
    """
    lists: list[Names] = [trials]
    if enrolments is not None:
        lists = _tests_and_members(trials, enrolments)
    known = None if manifest is None else read_manifest(manifest)
    root = manifest.parent if audio_root is None and manifest is not None else audio_root
    utterances, row_of = _each_once(lists, [resolve(listed, manifest=known, audio_root=root) for listed in lists])
    models = {} if enrolments is None else enrolments.models
    members = [np.array([row_of[member] for member in models.get(name, (name,))]) for name in trials.names]
    source: Source = "target trials" if known is None else "manifest"
    if known is None:
        speakers = _linked(len(utterances), _links(trials, members))
    else:
        speakers = np.unique([utterance.speaker for utterance in utterances], return_inverse=True)[1]
    if enrolments is not None:
        _check_models(trials, enrolments, members, speakers)
    sides = Sides(utterances, members, speakers[[rows[0] for rows in members]], source)
    check_apart(trials, sides, files(utterances))
    check_apart(trials, sides, contents(utterances))
    _check_parts(trials, sides)
    _check_labels(trials, sides)
    if known is not None:
        warn_of_names(utterance.speaker for utterance in utterances)
    return sides


def check_apart(trials: Trials, sides: Sides, recordings: Sequence[Hashable]) -> None:
    """See that no test utterance is what it is compared with, or a member of it.

    Args:
        trials: the list.
        sides: what its names stand for.
        recordings: of each of `sides.utterances`, what is the same for two that are one recording, such as the file or
            a hash of the samples.

    Raises:
        BadTrials: with the first line of such a trial.
    """
    number_of: dict[Hashable, int] = {}
    numbers = np.array([number_of.setdefault(recording, len(number_of)) for recording in recordings], np.intp)
    count = len(number_of)
    enrolled = [name * count + numbers[rows] for name, rows in enumerate(sides.members)]
    single = numbers[[rows[0] for rows in sides.members]]
    same = np.flatnonzero(np.isin(trials.enrol * count + single[trials.test], np.concatenate(enrolled)))
    if not same.size:
        return
    enrol, test = (int(side[same[0]]) for side in (trials.enrol, trials.test))
    rows = sides.members[enrol]
    twin = int(rows[numbers[rows] == single[test]][0])
    if enrol == test:
        what = "is compared with itself"
    elif sides.utterances[twin].id != sides.utterances[sides.members[test][0]].id:
        what = f"is compared with itself: {sides.utterances[twin].id!r} is the same recording"
    else:
        what = f"is the very utterance that {trials.names[enrol]!r} stands for"
    raise BadTrials(trials.path, int(same[0]) + 1, f"{trials.names[test]!r} {what}{_such(same)}; remove the trial")


def _check_parts(trials: Trials, sides: Sides) -> None:
    """See that no test utterance shares speech in a file with what it is compared with, or with a member of it."""
    shared: dict[int, set[int]] = {}
    for one, other in overlapping(sides.utterances):
        shared.setdefault(one, set()).add(other)
        shared.setdefault(other, set()).add(one)
    if not shared:
        return
    count = len(sides.utterances)
    enrolled = [
        name * count + other
        for name, rows in enumerate(sides.members)
        for row in rows.tolist()
        for other in shared.get(row, ())
    ]
    single = np.array([rows[0] for rows in sides.members])
    same = np.flatnonzero(np.isin(trials.enrol * count + single[trials.test], enrolled))
    if same.size:
        enrol, test = (trials.names[int(side[same[0]])] for side in (trials.enrol, trials.test))
        reason = f"{test!r} is compared with itself: it is a part of a file that {enrol!r} shares speech with"
        raise BadTrials(trials.path, int(same[0]) + 1, f"{reason}{_such(same)}; remove the trial")


@dataclass(frozen=True)
class _Part:
    """Some of the names of a list."""

    whole: Names
    which: Sequence[int]

    @property
    def path(self) -> Path:
        return self.whole.path

    @property
    def names(self) -> list[str]:
        return [self.whole.names[name] for name in self.which]

    def line_of(self, name: int) -> int:
        return self.whole.line_of(self.which[name])


def _tests_and_members(trials: Trials, enrolments: Enrolments) -> list[Names]:
    """The names that stand for utterances where the enrolment side stands for models."""
    is_model = np.array([name in enrolments.models for name in trials.names])
    unknown, wrong = np.flatnonzero(~is_model[trials.enrol]), np.flatnonzero(is_model[trials.test])
    if unknown.size:
        what = f"no model of {enrolments.path}{_such(unknown)}; give the enrolment list of these trials"
        raise BadTrials(trials.path, int(unknown[0]) + 1, f"{trials.names[trials.enrol[unknown[0]]]!r} is {what}")
    if wrong.size:
        what = f"a model of {enrolments.path}{_such(wrong)}; the test side of a trial is an utterance"
        raise BadTrials(trials.path, int(wrong[0]) + 1, f"{trials.names[trials.test[wrong[0]]]!r} is {what}")
    used = {member for name in np.unique(trials.enrol) for member in enrolments.models[trials.names[name]]}
    return [
        _Part(trials, np.unique(trials.test).tolist()),
        _Part(enrolments, [row for row, name in enumerate(enrolments.names) if name in used]),
    ]


def _each_once(lists: Sequence[Names], found: Sequence[Sequence[Utterance]]) -> tuple[list[Utterance], dict[str, int]]:
    """The utterances, each once whatever its names, and the row of each name."""
    utterances: dict[str, Utterance] = {}
    id_of: dict[str, str] = {}
    for listed, held in zip(lists, found, strict=True):
        utterances |= {utterance.id: utterance for utterance in held}
        id_of |= {name: utterance.id for name, utterance in zip(listed.names, held, strict=True)}
    row_of = {id: row for row, id in enumerate(utterances)}
    return list(utterances.values()), {name: row_of[id] for name, id in id_of.items()}


def _links(trials: Trials, members: Sequence[Rows]) -> Iterable[tuple[int, int]]:
    """Pairs of utterances of one speaker: within models, then by target trials."""
    yield from ((int(rows[0]), int(row)) for rows in members for row in rows[1:])
    first = np.array([rows[0] for rows in members])
    sides = (first[side[trials.target]].tolist() for side in (trials.enrol, trials.test))
    yield from zip(*sides, strict=True)


def _linked(count: int, links: Iterable[tuple[int, int]]) -> Rows:
    """The connected component of each of `count` nodes, (count,), numbered in order of appearance."""
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one, other in links:
        # The smaller root wins, so that a component's root is the first of its nodes.
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return np.unique([root(node) for node in range(count)], return_inverse=True)[1]


def _check_models(trials: Trials, enrolments: Enrolments, members: Sequence[Rows], speakers: Rows) -> None:
    """See that all members of a model are of one speaker."""
    for name, rows in zip(trials.names, members, strict=True):
        other = np.flatnonzero(speakers[rows] != speakers[rows[0]])
        if other.size:
            listed = enrolments.models[name]
            reason = f"model {name!r} is of two speakers ({listed[0]!r} and {listed[other[0]]!r}); enrol one speaker"
            raise BadTrials(enrolments.path, enrolments.line_of_model(name), reason)


def _check_labels(trials: Trials, sides: Sides) -> None:
    """See that targets have one speaker and nontargets two."""
    same = sides.speakers[trials.enrol] == sides.speakers[trials.test]
    wrong = np.flatnonzero(same != trials.target)
    if not wrong.size:
        return
    row = wrong[0]
    label, found = ("target", "two speakers") if trials.target[row] else ("nontarget", "one speaker")
    enrol, test = trials.names[trials.enrol[row]], trials.names[trials.test[row]]
    told = "the manifest" if sides.source == "manifest" else "the target trials"
    reason = f"a {label} trial, but {enrol!r} and {test!r} are of {found} by {told}{_such(wrong)}; correct the label"
    raise BadTrials(trials.path, int(row) + 1, f"{reason} or {told}")


def _such(rows: Rows) -> str:
    return f" ({len(rows):,} such lines)" if len(rows) > 1 else ""
