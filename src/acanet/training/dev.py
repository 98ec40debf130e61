"""The equal error rate on the dev set, which chooses checkpoints."""

from __future__ import annotations

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


class DevSet:
    """Dev utterances, decoded once, and the trials on them."""

    def __init__(self, dev: Dev, cache: Path, rate: int, workers: int) -> None:
        utterances = read_manifest(dev.manifest)
        self.speakers = frozenset(utterance.speaker for utterance in utterances)
        if dev.trials is None:
            utterances = _few_of_each(utterances, dev.per_speaker)
            self.enrol, self.test, self.target = _all_pairs(utterances, dev.manifest)
        else:
            listed = read_trials(dev.trials)
            utterances = resolve(listed, manifest=utterances, audio_root=None)
            self.enrol, self.test, self.target = listed.enrol, listed.test, listed.target
        self.audio = build_cache(utterances, cache, rate, workers)

    def eer(self, model: Any) -> float:
        """Equal error rate of cosine scores of whole utterances; the model is left in evaluation mode."""
        model.eval()
        waveforms = [self.audio.read(i, 0, self.audio.samples(i)) for i in range(len(self.audio))]
        scores = cosine(embed_waveforms(model, waveforms), self.enrol, self.test)
        return float(eer(scores, self.target))


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
