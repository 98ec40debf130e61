"""The split that an utterance goes into: by the part of its corpus, by a list, or by a draw of its speaker."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from acanet.data.corpora.layout import Layout, LeftOut, Split
from acanet.data.lists.manifest import Utterance
from acanet.data.lists.trials import finder, read_names
from acanet.errors import BadManifest

SPLITS: tuple[Split, ...] = get_args(Split)

Lists = Mapping[Split, Sequence[Path]]
"""The files that say what is in a split."""
Groups = dict[Split, list[Utterance]]


def split_by_part(utterances: Sequence[Utterance], layout: Layout) -> Groups:
    """Put each utterance into the split of its part; without parts, all into train."""
    groups: Groups = {split: [] for split in SPLITS}
    if not layout.parts:
        return groups | {"train": list(utterances)}
    part_of = [str(utterance.fields["part"]) for utterance in utterances]
    split_of = {name: part.split for name, part in layout.parts.items()}
    for name in layout.beside.keys() & set(part_of):
        split_of |= layout.beside[name]
    for utterance, part in zip(utterances, part_of, strict=True):
        groups[split_of[part]].append(utterance)
    return groups


def split_by_lists(utterances: Sequence[Utterance], lists: Lists, source: Path) -> tuple[Groups, list[LeftOut]]:
    """Put the listed utterances into the splits of their lists, in the order of `utterances`.

    Args:
        utterances: what was found.
        lists: of utterances, one in the first column of a line, or of trials; see `read_names`. A name is an id, or
            that of a recording, with all of its utterances, or a path, from `source` where it is relative.
        source: the folder or file that the utterances were found in.

    Returns:
        The groups, and what is listed but was not found.

    Raises:
        BadTrials: a list that cannot be read.
        BadManifest: an utterance in the lists of two splits.
    """
    find = finder(utterances, source if source.is_dir() else source.parent)
    split_of: dict[str, Split] = {}
    missing: dict[str, LeftOut] = {}
    for split, path in ((split, path) for split, paths in lists.items() for path in paths):
        for name in read_names(path):
            found = find(name)
            if not found:
                missing.setdefault(name, LeftOut(name, "", "missing", f"listed in {path}"))
            for utterance in found:
                if split_of.setdefault(utterance.id, split) != split:
                    reason = f"{name!r} is listed for {split_of[utterance.id]} too; an utterance has one split"
                    raise BadManifest(path, None, reason)
    groups: Groups = {split: [] for split in SPLITS}
    for utterance in utterances:
        if utterance.id in split_of:
            groups[split_of[utterance.id]].append(utterance)
    return groups, list(missing.values())


def check_apart(groups: Groups, source: Path) -> None:
    """See that nobody who is trained on is in dev or test.

    Raises:
        BadManifest: naming the first speaker who is.
    """
    trained = {utterance.speaker for utterance in groups["train"]}
    for split in ("dev", "test"):
        if shared := sorted(trained & {utterance.speaker for utterance in groups[split]}):
            more = f" and {len(shared) - 1} others" if len(shared) > 1 else ""
            reason = f"speaker {shared[0]!r}{more} in train and in {split}; a speaker is in one of them only"
            raise BadManifest(source, None, reason)


class DevSize(NamedTuple):
    """The number of speakers that a dev split gets, and the number that its share asks for."""

    given: int
    wanted: int


def dev_size(counts: Mapping[str, int], dev: float) -> DevSize:
    """How many speakers go into dev.

    Only those with two utterances or more can, of whom training needs some too: how one voice varies is learned from
    them alone.

    Args:
        counts: utterances of each speaker.
        dev: share of all speakers; 0: none.
    """
    if not dev:
        return DevSize(0, 0)
    several = sum(count >= 2 for count in counts.values())
    wanted = max(2, round(dev * len(counts)))
    most = max(2, math.ceil(max(0.5, dev) * several))
    return DevSize(min(wanted, most, several, len(counts) - 2), wanted)


def draw_dev(
    utterances: Sequence[Utterance], dev: float, seed: int, source: Path, left_out: Sequence[LeftOut]
) -> set[str]:
    """The speakers of a dev split: `dev_size` of them, each with two utterances or more; two others are left.

    Args:
        utterances: of train.
        dev: share of the speakers; 0: none.
        seed: of the draw.
        source: where they were found, for errors.
        left_out: what cannot be used, for errors.

    Raises:
        BadManifest: there are too few speakers.
    """
    counts = Counter(utterance.speaker for utterance in utterances)
    eligible = sorted(speaker for speaker, count in counts.items() if count >= 2)
    size = dev_size(counts, dev).given
    if len(counts) < 2:
        need = "two speakers are needed to tell people apart"
    elif dev and size < 2:
        need = (
            f"a dev split needs two of the {len(eligible)} speakers with two utterances or more, and two "
            "others left to train; add recordings or ask for no dev split (0)"
        )
    else:
        return set(np.random.default_rng(seed).choice(eligible, size, replace=False).tolist())
    have = f"{len(utterances)} usable utterances of {len(counts)} speakers ({first_losses(left_out)})"
    raise BadManifest(source, None, f"{have}; {need}")


def first_losses(left_out: Sequence[LeftOut]) -> str:
    """The number of utterances left out, and the first of them, for an error before `left_out.csv` is there."""
    if not left_out:
        return "none left out"
    first = left_out[0]
    return f"{len(left_out)} left out, first {first.path}: {first.reason}, {first.detail}"
