"""Training batches, each a function of the seed and its step alone.

No state is kept between batches: whichever process makes batch 1234, before or after whichever other one, makes the
same. That is what makes a resumed run equal to an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from acanet.audio import Waveform
from acanet.data import augment
from acanet.data.cache import AudioCache


class Purpose(IntEnum):
    """What a random draw is for, so that draws with the same numbers differ."""

    SPEAKERS = 1
    UTTERANCES = 2
    LENGTH = 3
    CROP = 4
    SPEC = 5
    MODEL = 6


def generator(seed: int, purpose: Purpose, *numbers: int) -> np.random.Generator:
    """The random generator for one purpose, step and row of a run."""
    return np.random.default_rng((seed, purpose, *numbers))


@dataclass(frozen=True, slots=True)
class CropPlan:
    """What is cut and done to it; `augment` in a recipe, without its SpecAugment."""

    batch: int
    crop_samples: tuple[int, int]
    speed: float
    speeds: tuple[float, ...]
    noise: float
    noise_snr_db: tuple[float, float]
    babble: float
    babble_snr_db: tuple[float, float]
    babble_speakers: tuple[int, int]
    gain: float
    gain_db: tuple[float, float]


class TrainingBatches:
    """Batch number `step` of a run: crops of one length, each speaker as often as every other.

    Speakers come in rounds, every one once in a round, in an order drawn for the round; a speaker's utterances come in
    rounds of their own.

    Args:
        cache: decoded audio.
        speakers: speaker number (0, 1, ...) of every utterance of the cache.
        plan: what to cut and how to augment it.
        seed: of the run.
        steps: how many batches there are.
        part: (this, of how many): the rows of each batch that this process makes.
    """

    def __init__(
        self,
        cache: AudioCache,
        speakers: Sequence[int],
        plan: CropPlan,
        seed: int,
        steps: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.cache, self.plan, self.seed, self.steps, self.part = cache, plan, seed, steps, part
        by_speaker: dict[int, list[int]] = {}
        for utterance, speaker in enumerate(speakers):
            by_speaker.setdefault(speaker, []).append(utterance)
        self.utterances = [by_speaker[speaker] for speaker in range(len(by_speaker))]

    @property
    def classes(self) -> int:
        """Speakers, times one and the number of other speeds."""
        return len(self.utterances) * (1 + (len(self.plan.speeds) if self.plan.speed else 0))

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Waveforms (rows, samples) and classes (rows,) of a step."""
        low, high = self.plan.crop_samples
        samples = int(generator(self.seed, Purpose.LENGTH, step).integers(low, high + 1))
        rows = range(self.part[0], self.plan.batch, self.part[1])
        crops = [self._crop(step * self.plan.batch + row, samples) for row in rows]
        return np.stack([crop for crop, _ in crops]), np.array([label for _, label in crops], dtype=np.int64)

    def _crop(self, place: int, samples: int) -> tuple[Waveform, int]:
        """The crop at a place in the run's sequence of crops, and its class."""
        plan, speakers = self.plan, len(self.utterances)
        turn, slot = divmod(place, speakers)
        speaker = int(_order(self.seed, Purpose.SPEAKERS, turn, speakers)[slot])
        rng = generator(self.seed, Purpose.CROP, place)
        utterance = self._utterance(speaker, turn)
        label = speaker
        if rng.random() < plan.speed:
            choice = int(rng.integers(len(plan.speeds)))
            label += (1 + choice) * speakers
            needed = augment.samples_at_speed(samples, plan.speeds[choice])
            crop = augment.change_speed(self._read(utterance, needed, rng), plan.speeds[choice], samples)
        else:
            crop = self._read(utterance, samples, rng)
        if rng.random() < plan.babble:
            others = 1 + rng.choice(speakers - 1, min(self._count(rng), speakers - 1), replace=False)
            voices = [self._any_of((speaker + int(other)) % speakers, samples, rng) for other in others]
            crop = augment.add_at_snr(crop, augment.babble(voices), rng.uniform(*plan.babble_snr_db))
        if rng.random() < plan.noise:
            noise = augment.coloured_noise(rng, samples)
            crop = augment.add_at_snr(crop, noise, rng.uniform(*plan.noise_snr_db))
        if rng.random() < plan.gain:
            crop = augment.change_level(crop, rng.uniform(*plan.gain_db))
        return crop, label

    def _utterance(self, speaker: int, turn: int) -> int:
        mine = self.utterances[speaker]
        again, which = divmod(turn, len(mine))
        rng = generator(self.seed, Purpose.UTTERANCES, speaker, again)
        return mine[int(rng.permutation(len(mine))[which])]

    def _any_of(self, speaker: int, samples: int, rng: np.random.Generator) -> Waveform:
        mine = self.utterances[speaker]
        return self._read(mine[int(rng.integers(len(mine)))], samples, rng)

    def _read(self, utterance: int, samples: int, rng: np.random.Generator) -> Waveform:
        """A crop from anywhere in an utterance; a shorter one begins anywhere and is repeated."""
        length = self.cache.samples(utterance)
        places = length - samples + 1 if length >= samples else length
        return self.cache.read(utterance, int(rng.integers(places)), samples)

    def _count(self, rng: np.random.Generator) -> int:
        low, high = self.plan.babble_speakers
        return int(rng.integers(low, high + 1))


@lru_cache(maxsize=4)
def _order(seed: int, purpose: Purpose, turn: int, count: int) -> NDArray[np.int64]:
    return generator(seed, purpose, turn).permutation(count)
