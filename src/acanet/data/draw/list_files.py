"""Drawn trial lists as files."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from acanet.config.files import written
from acanet.data.draw.plan import Plan
from acanet.data.draw.trial_list import Drawn, check_unheard, draw_trials
from acanet.data.lists.manifest import read_manifest
from acanet.data.lists.names_alike import warn_of_names
from acanet.data.lists.same_recording import without_copies
from acanet.data.lists.trials import WORDS
from acanet.errors import AcanetError

ENROL = ".enrol"
"""Follows the name of a list in that of its enrolment list."""


def draw_list(
    manifest: Path, output: Path, plan: Plan, *, seed: int = 0, apart_from: Sequence[Path] = ()
) -> tuple[Drawn, list[Path]]:
    """Draw a trial list from a manifest, and write it.

    Args:
        manifest: the utterances to draw from.
        output: the list, a new file; with models, theirs stands beside it.
        plan: what to draw.
        seed: of all that is drawn.
        apart_from: manifests of training data, none of whose speakers may be in the first.

    Returns:
        The list, and the files that were written.

    Raises:
        AcanetError: as `write_trials`; a file that is there is known before anything is read.
        BadManifest: as `read_manifest`, `check_unheard` and `draw_trials`.

    Warns:
        AlikeWarning: of speakers whose names are alike.
        CopyWarning: of utterances that are the recording of an earlier one, and are passed over.
    """
    check_new(output, models=plan.enrol > 1)
    utterances = read_manifest(manifest)
    for training in apart_from:
        check_unheard(utterances, training, manifest)
    warn_of_names(utterance.speaker for utterance in utterances)
    drawn = draw_trials(without_copies(utterances), plan, seed=seed, source=manifest)
    return drawn, write_trials(output, drawn)


def write_trials(path: Path, drawn: Drawn) -> list[Path]:
    """Write a drawn list, `1 enrol test` or `0 enrol test` a line, gzipped if its name ends in `.gz`.

    With models, their list stands beside it with `.enrol` after its name, `model utterance utterance ...` a line; a
    model is called by its speaker and a number, as in `anna:1`.

    Returns:
        The files that were written.

    Raises:
        AcanetError: when a file is there already or has no folder, or for names that no list can hold.
    """
    names = [utterance.id for utterance in drawn.utterances]
    models = {} if drawn.models is None else _models(drawn, names)
    enrolled = list(models) or names
    _check_names(names, enrolled)
    rows = zip(drawn.target.tolist(), drawn.enrol.tolist(), drawn.test.tolist(), strict=True)
    contents: dict[Path, Iterable[str]] = {
        path: (f"{target:d} {enrolled[enrol]} {names[test]}\n" for target, enrol, test in rows)
    }
    if models:  # first, so that a list that is there is complete
        members = (f"{model} {' '.join(members)}\n" for model, members in models.items())
        contents = {path.with_name(path.name + ENROL): members, **contents}
    check_new(path, models=bool(models))
    for file, lines in contents.items():
        _write(file, lines)
    return list(contents)


def check_new(path: Path, *, models: bool) -> None:
    """See that a list can be written.

    Raises:
        AcanetError: when it, or with `models` the list of its models, is there already, or has no folder.
    """
    if not path.absolute().parent.is_dir():
        raise AcanetError(f"{path}: there is no folder {path.parent}; make it first")
    for file in (path, path.with_name(path.name + ENROL)) if models else (path,):
        if file.exists():
            raise AcanetError(f"{file} exists; remove it, or choose another name")


def _models(drawn: Drawn, names: Sequence[str]) -> dict[str, list[str]]:
    """The members of `anna:1`, `anna:2`, ..., in the order of `drawn.models`."""
    models: dict[str, list[str]] = {}
    numbers: Counter[str] = Counter()
    for rows in [] if drawn.models is None else drawn.models.tolist():
        speaker = drawn.utterances[rows[0]].speaker
        numbers[speaker] += 1
        models[f"{speaker}:{numbers[speaker]}"] = [names[row] for row in rows]
    return models


def _check_names(names: Sequence[str], enrolled: Sequence[str]) -> None:
    """See that a list of these names can be read as it was meant."""
    wrong = [name for name in (*names, *enrolled) if name in LABELS or not _is_one_field(name)]
    if wrong:
        reason = "names in a list are text without white space, other than 'target' and 'nontarget'"
        raise AcanetError(f"{len(set(wrong)):,} names such as {wrong[0]!r} cannot stand in a list; {reason}")
    if enrolled is not names and (both := set(names) & set(enrolled)):
        raise AcanetError(f"{min(both)!r} is the name of a model and of an utterance; rename the utterance")


LABELS = {word.decode() for word in WORDS}


def _is_one_field(name: str) -> bool:
    """True where a name is one field to `read_trials`; lone surrogates, which JSON can hold, are no text."""
    return name.encode(errors="replace").split() == [name.encode(errors="surrogatepass")]


def _write(path: Path, lines: Iterable[str]) -> None:
    with written(path) as file:
        if path.suffix == ".gz":
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                packed.writelines(line.encode() for line in lines)
        else:
            file.writelines(line.encode() for line in lines)
