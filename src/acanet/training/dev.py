"""The equal error rate on the dev set, which chooses checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acanet.data.draw.plan import Plan
from acanet.data.draw.trial_list import draw_trials
from acanet.data.feed.cache import build_cache
from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.data.lists.sides import find_sides
from acanet.data.lists.trials import read_trials
from acanet.errors import BadAudio, BadTrials
from acanet.evaluation.figures.metrics import eer
from acanet.models.inference import embed_waveforms
from acanet.scoring.cosine import cosine
from acanet.training.finite import require_finite_embeddings
from acanet.training.recipe import Dev


@dataclass(frozen=True, eq=False)
class DevTrials:
    """The trials on dev utterances, and the speakers of all utterances of the manifest."""

    speakers: frozenset[str]
    utterances: list[Utterance]
    enrol: NDArray[np.intp]
    test: NDArray[np.intp]
    target: NDArray[np.bool_]


def read_dev(dev: Dev) -> DevTrials:
    """The dev set without its audio.

    Raises:
        BadManifest, BadTrials: for a manifest or list that cannot be used.
    """
    utterances = read_manifest(dev.manifest)
    speakers = frozenset(utterance.speaker for utterance in utterances)
    if dev.trials is None:
        every_pair = Plan(targets=None, ratio=None)
        chosen = _few_of_each(utterances, dev.per_speaker)
        drawn = draw_trials(chosen, every_pair, seed=0, source=dev.manifest)
        return DevTrials(speakers, drawn.utterances, drawn.enrol, drawn.test, drawn.target)
    listed = read_trials(dev.trials)
    sides = find_sides(listed, manifest=dev.manifest)
    row = np.array([rows[0] for rows in sides.members])
    return DevTrials(speakers, sides.utterances, row[listed.enrol], row[listed.test], listed.target)


class DevSet:
    """The dev utterances, decoded once, and the trials on them, which need them all: BadAudio without one."""

    def __init__(self, dev: Dev, cache: Path, rate: int, workers: int) -> None:
        self.trials = read_dev(dev)
        self.speakers = self.trials.speakers
        self.audio = build_cache(self.trials.utterances, cache, rate, workers)
        for place, reason in self.audio.failures[:1]:
            raise BadAudio(str(self.trials.utterances[place].path), reason)
        if dev.trials is not None:
            hashes = np.array(self.audio.hashes)
            for row in np.flatnonzero(hashes[self.trials.enrol] == hashes[self.trials.test])[:1].tolist():
                one, other = (self.trials.utterances[side[row]].id for side in (self.trials.enrol, self.trials.test))
                reason = f"{other!r} is compared with itself: {one!r} is the same recording; remove the trial"
                raise BadTrials(dev.trials, row + 1, reason)

    def eer(self, model: Any, step: int = 0) -> float:
        """The equal error rate of cosine scores of whole utterances; the model is left in evaluation mode.

        Args:
            model: the network.
            step: after which it is as it is; 0: before any.

        Raises:
            Diverged: when its embeddings are not finite.
        """
        model.eval()
        waveforms = [self.audio.read(i, 0, self.audio.samples(i)) for i in range(len(self.audio))]
        embeddings = embed_waveforms(model, waveforms)
        require_finite_embeddings(step, embeddings)
        scores = cosine(embeddings, self.trials.enrol, self.trials.test)
        return float(eer(scores, self.trials.target))


def _few_of_each(utterances: list[Utterance], most: int | None) -> list[Utterance]:
    """At most so many utterances of each speaker, evenly over the list."""
    if most is None:
        return utterances
    by_speaker: dict[str, list[int]] = {}
    for index, utterance in enumerate(utterances):
        by_speaker.setdefault(utterance.speaker, []).append(index)
    chosen = [
        mine[place]
        for mine in by_speaker.values()
        for place in np.linspace(0, len(mine) - 1, min(most, len(mine))).round().astype(int)
    ]
    return [utterances[index] for index in sorted(chosen)]
