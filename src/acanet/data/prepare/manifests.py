"""Recordings of any layout -> manifests to train, choose and test on, and a report of what was kept and left out.

Layout (`corpora`) -> split (`splits`) -> read each file once, in parallel -> sift -> draw dev -> files.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from acanet.config.files import written_folder
from acanet.config.scratch import sweep
from acanet.data.corpora.corpus_kinds import Kind
from acanet.data.corpora.layout import LeftOut, Part, Split
from acanet.data.corpora.layouts import LAYOUTS
from acanet.data.lists.manifest import Utterance
from acanet.data.lists.names_alike import names_alike
from acanet.data.prepare.cuts import write_manifest
from acanet.data.prepare.findings import MISSING, OTHER_SPEAKER, SHOWN, Coverage, Durations, Report, Share
from acanet.data.prepare.measure import Measured, Unfit, measure
from acanet.data.prepare.splits import (
    SPLITS,
    Groups,
    Lists,
    check_apart,
    dev_size,
    draw_dev,
    first_losses,
    split_by_lists,
    split_by_part,
)
from acanet.errors import AcanetError, BadConfig, BadManifest


def prepare(
    kind: Kind,
    source: Path,
    out: Path,
    *,
    lists: Lists | None = None,
    dev: float = 0.1,
    seed: int = 0,
    workers: int = 2,
    progress: bool = False,
) -> Report:
    """Write `train.jsonl`, `dev.jsonl`, `test.jsonl`, `report.json` and `left_out.csv` for a set of recordings.

    Every file is decoded once. Left out are utterances that cannot be read, are silent, shorter than 0.5 s,
    or have the content of an earlier one; of the dev and test sets that a corpus or a list names, only what cannot be
    read, for trial lists name the others. No speaker of train is in dev or test. The manifests are Lhotse CutSets: the
    id of a cut is its path relative to `source` (or what the source says), `audio_hash` its content, and the
    recording's path is absolute. A file of several channels, read as their mean, becomes a MultiCut.

    Args:
        kind: how the source lies on disk, one of `LAYOUTS`. `folder`: `source`/speaker/.../file; `jsonl`: a plain or
            Lhotse manifest; `csv`: a table with the columns `path` and `speaker` and any others; others: a corpus.
        source: the folder or file.
        out: a folder that does not exist yet or is empty; it appears when everything is done.
        lists: files that name the utterances of each split, in place of the parts of the corpus; nothing else is used.
        dev: share of the speakers of train for `dev.jsonl`, where neither the corpus nor a list has a dev set; drawn
            among those with at least two utterances, at least two of them, and no more than half of them (or this
            share, where it is larger), so that training has such speakers too; 0: no dev split.
        seed: of that draw.
        workers: processes that read files; 1: this one.
        progress: show a bar on standard error.

    Returns:
        The report, also written as `report.json`.

    Raises:
        BadManifest: a source that cannot be read, leaves too little to train on, or mixes speakers of train and test.
        BadTrials: a list that cannot be read.
        BadConfig: an unknown kind or split, a share outside [0, 1), a negative seed.
        AcanetError: `out` is not empty, or a process died.
    """
    source, out, lists = Path(source), Path(out), lists or {}
    _check(kind, lists, dev, seed, out)
    layout = LAYOUTS[kind]
    found = list(layout.read(source))
    utterances = [item for item in found if isinstance(item, Utterance)]
    left_out = [item for item in found if isinstance(item, LeftOut)]
    if lists:
        groups, missing = split_by_lists(utterances, lists, source)
        left_out = [item for item in left_out if item.reason != MISSING] + missing
    else:
        groups = split_by_part(utterances, layout)
    _check_found(groups, layout.parts, lists, source)
    check_apart(groups, source)
    trains, share = not lists or "train" in lists, 0.0 if groups["dev"] or "dev" in lists else dev
    if trains:
        draw_dev(groups["train"], share, seed, source, left_out)  # fails early where even all of them are too few
    splits, rejected = _sift(groups, workers, progress)
    left_out += rejected
    if trains:
        drawn = draw_dev([utterance for utterance, _ in splits["train"]], share, seed, source, left_out)
        splits["dev"] += [pair for pair in splits["train"] if pair[0].speaker in drawn]
        splits["train"] = [pair for pair in splits["train"] if pair[0].speaker not in drawn]
    splits = {name: kept for name, kept in splits.items() if kept}
    if not splits:
        raise BadManifest(source, None, f"no usable utterances ({first_losses(left_out)})")
    report = _report(splits, _coverage(utterances, layout.parts), left_out, share if trains else 0.0, dev, seed)
    _write(out, splits, left_out, report)
    return report


def _check(kind: str, lists: Lists, dev: float, seed: int, out: Path) -> None:
    problems = []
    if kind not in LAYOUTS:
        problems.append(f"kind is {kind!r}; known are {', '.join(LAYOUTS)}")
    if unknown := [name for name in lists if name not in SPLITS]:
        problems.append(f"a list for {unknown[0]!r}; known are {', '.join(SPLITS)}")
    if not 0 <= dev < 1:
        problems.append(f"dev is {dev}; a share of the speakers, at least 0 and below 1, is expected")
    if seed < 0:
        problems.append(f"seed is {seed}; 0 or more is expected")
    if problems:
        raise BadConfig("prepare", problems)
    sweep(out.absolute().parent)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AcanetError(f"{out}: is there already and not an empty folder; name another one, or remove it")


def _check_found(groups: Groups, parts: Mapping[str, Part], lists: Lists, source: Path) -> None:
    """See that there is something to train on, where training is what the source or its lists are for."""
    if groups["train"]:
        return
    if "train" in lists:
        names = ", ".join(str(path) for path in lists["train"])
        raise BadManifest(source, None, f"nothing that {names} lists is here, by id, recording or path")
    if parts and not lists:
        names = ", ".join(name for name, part in parts.items() if part.split == "train")
        reason = f"nothing of {names} was found in this folder or below it; docs/corpora.md has the layout"
        raise BadManifest(source, None, reason)


# Sifting, splitting, reporting

Kept = list[tuple[Utterance, Measured]]


def _sift(groups: Groups, workers: int, progress: bool) -> tuple[dict[Split, Kept], list[LeftOut]]:
    """The utterances that are fit for use, and the rest.

    Train is without flawed utterances, and without those that have the content of an earlier one or of a test.
    """
    order = [(split, utterance) for split in reversed(SPLITS) for utterance in groups[split]]
    findings = measure([utterance for _, utterance in order], workers, progress)
    kept: dict[Split, Kept] = {split: [] for split in SPLITS}
    left_out: list[LeftOut] = []
    first_with: dict[str, Utterance] = {}
    for (split, utterance), finding in zip(order, findings, strict=True):
        if isinstance(finding, Measured):
            unfit = _problem(split, utterance, finding, first_with)
            if unfit is None:
                kept[split].append((utterance, finding))
                continue
            finding = unfit
        left_out.append(LeftOut(str(utterance.path), utterance.speaker, finding.reason, finding.detail))
    return kept, left_out


def _problem(split: Split, utterance: Utterance, measured: Measured, first_with: dict[str, Utterance]) -> Unfit | None:
    """The reason why an utterance cannot be used; `first_with` has the first utterance of each content so far."""
    if measured.flaw:
        return measured.flaw if split == "train" else None
    first = first_with.setdefault(measured.audio_hash, utterance)
    return None if first is utterance or split != "train" else _duplicate(utterance, first)


def _duplicate(utterance: Utterance, first: Utterance) -> Unfit:
    if utterance.speaker == first.speaker:
        return Unfit("duplicate", f"of {first.id}")
    return Unfit(OTHER_SPEAKER, f"of {first.id}, there as speaker {first.speaker}")


def _coverage(utterances: Sequence[Utterance], parts: Mapping[str, Part]) -> dict[str, Coverage]:
    speakers: dict[str, list[str]] = {name: [] for name in parts}
    for utterance in utterances if parts else ():
        speakers[str(utterance.fields["part"])].append(utterance.speaker)
    return {
        name: Coverage(len(speakers[name]), len(set(speakers[name])), part.utterances, part.speakers)
        for name, part in parts.items()
    }


def _report(
    splits: Mapping[Split, Kept],
    parts: Mapping[str, Coverage],
    left_out: Sequence[LeftOut],
    drawn: float,
    dev: float,
    seed: int,
) -> Report:
    kept = [pair for split in splits.values() for pair in split]
    seconds = np.array([measured.seconds for _, measured in kept])
    total = _share(kept)
    counts = Counter(utterance.speaker for utterance, _ in kept)
    return Report(
        utterances=total.utterances,
        speakers=total.speakers,
        hours=total.hours,
        durations=Durations(
            min=float(seconds.min()),
            median=float(np.median(seconds)),
            mean=float(seconds.mean()),
            max=float(seconds.max()),
            deciles=tuple(np.quantile(seconds, np.arange(1, 10) / 10).tolist()),
        ),
        splits={name: _share(split) for name, split in splits.items()},
        parts=parts,
        missing=tuple(item.path for item in left_out if item.reason == MISSING),
        missing_because=dict(Counter(item.detail for item in left_out if item.reason == MISSING).most_common(SHOWN)),
        left_out=dict(Counter(item.reason for item in left_out).most_common()),
        dev_wanted=dev_size({who: counts[who] for who in _speakers(splits, "train", "dev")}, drawn).wanted,
        train_with_several=sum(counts[who] > 1 for who in _speakers(splits, "train")),
        names_alike=tuple(names_alike(counts)),
        single_utterance_speakers=tuple(sorted(name for name, count in counts.items() if count == 1)),
        ids_with_space=sum(len(utterance.id.encode(errors="replace").split()) > 1 for utterance, _ in kept),
        dev=dev,
        seed=seed,
    )


def _speakers(splits: Mapping[Split, Kept], *names: Split) -> set[str]:
    return {utterance.speaker for name in names for utterance, _ in splits.get(name, ())}


def _share(kept: Kept) -> Share:
    speakers = {utterance.speaker for utterance, _ in kept}
    return Share(len(kept), len(speakers), sum(measured.seconds for _, measured in kept) / 3600)


# Writing


def _write(out: Path, splits: Mapping[Split, Kept], left_out: Sequence[LeftOut], report: Report) -> None:
    """All files into a folder beside `out`, which then takes its name."""
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with written_folder(out) as fresh:
        for name, kept in splits.items():
            write_manifest(fresh / f"{name}.jsonl", kept)
        _write_left_out(fresh / "left_out.csv", left_out)
        (fresh / "report.json").write_text(report.as_json(), encoding="utf-8")


def _write_left_out(path: Path, left_out: Iterable[LeftOut]) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "speaker", "reason", "detail"])
        table.writerows([item.path, item.speaker, item.reason, item.detail] for item in left_out)
