"""The trials of a list on crops of its utterances, so that a calibration knows short speech too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.audio.quality import Losses
from acanet.data.lists.sides import Sides
from acanet.data.lists.trials import Trials
from acanet.encoder import Encoder
from acanet.evaluation.embedding import embed_utterances
from acanet.evaluation.scorer import Scorer
from acanet.scoring.calibrate import Ratio, fit

Floats = NDArray[np.float64]

CROPS = 4
"""Of each utterance; a trial compares every crop of one side with one of the other."""
SHORTEST = 1.0
"""Seconds of audio of the shortest crop."""
_COMMON = 0.1
"""Share of the utterances that a calibration has to have seen of what recordings lose, to know it."""


@dataclass(frozen=True, eq=False)
class CropPairs:
    """Pairs of crops that were compared, (pairs,) each.

    Attributes:
        scores: cosines.
        enrol_speech, test_speech: seconds of speech.
        target: whether both are one speaker.
        enrol_speaker, test_speaker: who speaks, as numbers from 0.
    """

    scores: Floats
    enrol_speech: Floats
    test_speech: Floats
    target: NDArray[np.bool_]
    enrol_speaker: NDArray[np.intp]
    test_speaker: NDArray[np.intp]

    def of(self, chosen: NDArray[np.bool_]) -> Self:
        """Some of the pairs; chosen: (pairs,)."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def fit(self, weights: Floats | None = None) -> Ratio:
        """The ratios that are fitted to the pairs (see `acanet.scoring.calibrate.fit`)."""
        return fit(self.scores, self.target, (self.enrol_speech, self.test_speech), weights=weights)

    def llr(self, ratio: Ratio) -> Floats:
        """The log-likelihood ratios of the pairs, (pairs,)."""
        return ratio.llr(self.scores, self.enrol_speech, self.test_speech)


@dataclass(frozen=True, eq=False)
class Crops:
    """A list on crops of its utterances.

    Attributes:
        pairs: of crops that were compared.
        whole: median seconds of speech of whole utterances.
        lost: what a tenth of the utterances or more have lost.
        hashes: content hash of each utterance.
    """

    pairs: CropPairs
    whole: float
    lost: tuple[str, ...]
    hashes: Sequence[str]


def score_crops(encoder: Encoder, trials: Trials, sides: Sides, seed: int) -> Crops:
    """Score the trials of a list on crops.

    Of each utterance, the last crop is the whole. The others are drawn: the logarithm of the length evenly from a
    third of its own between one second and the whole, so that all lengths come as often; the place evenly. Each crop
    of the enrolment side meets one of the test side, drawn for each trial. Crops with less speech than the model needs
    are left out, because a verification refuses them.
    """
    utterances, rate = len(sides.utterances), encoder.rate
    lost: Counter[str] = Counter()

    def crop(waveform: Waveform, index: int) -> Waveform:
        number, utterance = divmod(index, utterances)
        if number == CROPS - 1:
            losses = Losses(rate)
            losses.feed(waveform)
            lost.update(losses.found(rate))
        whole = len(waveform) / rate / SHORTEST
        if number == CROPS - 1 or whole <= 1:
            return waveform
        generator = np.random.default_rng((seed, 0, utterance, number))
        samples = round(SHORTEST * rate * whole ** ((number + generator.uniform()) / (CROPS - 1)))
        start = int(generator.integers(len(waveform) - samples + 1))
        return waveform[start : start + samples]

    embedded = embed_utterances(
        encoder,
        sides.utterances * CROPS,
        forbidden=encoder.training_audio,
        change=crop,
        measure_speech=True,
        label="embedding crops",
    )
    assert embedded.speech is not None
    embeddings = embedded.embeddings.reshape(CROPS, utterances, -1)
    speech = embedded.speech.reshape(CROPS, utterances)
    turns = np.random.default_rng((seed, 1)).integers(CROPS, size=len(trials))
    scorers = [Scorer(some_of(trials, turns == turn), sides) for turn in range(CROPS)]
    parts = []
    for one in range(CROPS):
        for other in range(CROPS):
            scorer = scorers[(other - one) % CROPS]
            met = CropPairs(
                scorer(embeddings[one], embeddings[other]).astype(np.float64),
                scorer.speech(speech[one])[0],
                scorer.speech(speech[other])[1],
                scorer.trials.target,
                sides.speakers[scorer.trials.enrol],
                sides.speakers[scorer.trials.test],
            )
            parts.append(met.of(np.minimum(met.enrol_speech, met.test_speech) >= encoder.needed_seconds))
    columns = (np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(CropPairs))
    common = tuple(sorted(loss for loss, count in lost.items() if count >= _COMMON * utterances))
    whole = float(np.median(speech[-1]))
    return Crops(CropPairs(*columns), whole, common, embedded.hashes[:utterances])


def some_of(trials: Trials, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Trials:
    """Some of the trials of a list."""
    return replace(trials, enrol=trials.enrol[chosen], test=trials.test[chosen], target=trials.target[chosen])
