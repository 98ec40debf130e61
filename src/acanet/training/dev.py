"""The equal error rate on the dev set, which chooses checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acanet.data.cache import build_cache
from acanet.data.manifest import Utterance, read_manifest
from acanet.data.trials import read_trials, resolve
from acanet.errors import BadManifest
from acanet.evaluation.metrics import eer
from acanet.models.inference import embed_waveforms
from acanet.scoring.cosine import cosine
from acanet.training.config import Dev


@dataclass(frozen=True, eq=False)
class DevTrials:
    """Which dev utterances are compared, and who speaks in any of the manifest's."""

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
        chosen = _few_of_each(utterances, dev.per_speaker)
        return DevTrials(speakers, chosen, *_all_pairs(chosen, dev.manifest))
    listed = read_trials(dev.trials)
    chosen = resolve(listed, manifest=utterances, audio_root=None)
    return DevTrials(speakers, chosen, listed.enrol, listed.test, listed.target)


class DevSet:
    """Dev utterances, decoded once, and the trials on them."""

    def __init__(self, dev: Dev, cache: Path, rate: int, workers: int) -> None:
        self.trials = read_dev(dev)
        self.speakers = self.trials.speakers
        self.audio = build_cache(self.trials.utterances, cache, rate, workers)

    def eer(self, model: Any) -> float:
        """Equal error rate of cosine scores of whole utterances; the model is left in evaluation mode."""
        model.eval()
        waveforms = [self.audio.read(i, 0, self.audio.samples(i)) for i in range(len(self.audio))]
        scores = cosine(embed_waveforms(model, waveforms), self.trials.enrol, self.trials.test)
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


def _all_pairs(
    utterances: list[Utterance], manifest: Path
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Every pair of utterances once."""
    _, speaker = np.unique([utterance.speaker for utterance in utterances], return_inverse=True)
    enrol, test = np.triu_indices(len(utterances), 1)
    target = speaker[enrol] == speaker[test]
    if target.all() or not target.any():
        reason = "a dev set needs two speakers, and a speaker with two utterances"
        raise BadManifest(manifest, None, reason)
    return enrol, test, target
