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

from acanet.audio.blocks import Waveform
from acanet.data.augment.chain import Banks, Chain, random_crop
from acanet.data.augment.effects import Augment
from acanet.data.augment.functions import change_speed, samples_at_speed
from acanet.data.feed.cache import Audio

_LEAST_SECONDS = 1.0
"""Speakers with less speech than this stand in a round as if they had so much."""


class Purpose(IntEnum):
    """The purpose of a random draw, so that draws with the same numbers differ."""

    SPEAKERS = 1
    UTTERANCES = 2
    LENGTH = 3
    CROP = 4
    SPEC = 5
    MODEL = 6
    CHANGE = 7


def generator(seed: int, purpose: Purpose, *numbers: int) -> np.random.Generator:
    """The random generator for one purpose, step and row of a run."""
    return np.random.default_rng((seed, purpose, *numbers))


@dataclass(frozen=True, slots=True)
class Phase:
    """What is cut for a number of steps, and what happens to it."""

    steps: int
    batch: int
    crop_samples: tuple[int, int]
    augment: Augment


class TrainingBatches:
    """Batch number `step` of a run: crops of one length.

    Speakers come in rounds, in an order drawn for the round; every speaker stands in it once, or more often with more
    speech. A speaker's utterances come in rounds of their own.

    Args:
        audio: the utterances.
        speakers: speaker number (0, 1, ...) of every utterance.
        phases: what to cut and how to augment it, one after the other.
        seed: of the run.
        rate: samples a second.
        banks: see `Chain`.
        part: (this, of how many): the rows of each batch that this process makes.
        power: a speaker stands in a round in proportion to the seconds of speech to this power; 0: everybody once.
    """

    def __init__(
        self,
        audio: Audio,
        speakers: Sequence[int],
        phases: Sequence[Phase],
        seed: int,
        rate: int,
        banks: Banks = Banks(),
        part: tuple[int, int] = (0, 1),
        power: float = 0.0,
    ) -> None:
        self.audio, self.phases, self.seed, self.part = audio, phases, seed, part
        self.speakers = speakers
        self.chains = [Chain(phase.augment, banks, rate) for phase in phases]
        by_speaker: dict[int, list[int]] = {}
        for utterance, speaker in enumerate(speakers):
            by_speaker.setdefault(speaker, []).append(utterance)
        self.utterances = [by_speaker[speaker] for speaker in range(len(by_speaker))]
        seconds = [sum(map(audio.samples, mine)) / rate for mine in self.utterances]
        self.turns = _turns(seconds, power)
        self.round = np.repeat(np.arange(len(self.turns)), self.turns)  # speaker of every place in a round
        self.first = np.cumsum(self.turns) - self.turns  # where in it a speaker's turns begin

    @property
    def classes(self) -> int:
        """Speakers, times one and the number of other speeds."""
        speeds = [len(phase.augment.speed.speeds) for phase in self.phases if phase.augment.speed.probability]
        return len(self.utterances) * (1 + max(speeds, default=0))

    def __len__(self) -> int:
        return sum(phase.steps for phase in self.phases)

    def __getitem__(self, step: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Waveforms (rows, samples) and classes (rows,) of a step."""
        number, place = self._phase_and_place(step)
        phase = self.phases[number]
        low, high = phase.crop_samples
        samples = int(generator(self.seed, Purpose.LENGTH, step).integers(low, high + 1))
        rows = range(self.part[0], phase.batch, self.part[1])
        crops = [self._crop(place + row, samples, self.chains[number]) for row in rows]
        return np.stack([crop for crop, _ in crops]), np.array([label for _, label in crops], dtype=np.int64)

    def _phase_and_place(self, step: int) -> tuple[int, int]:
        """The number of the phase of a step, and how many crops come before the step."""
        before = 0
        for number, phase in enumerate(self.phases):
            if step < phase.steps:
                return number, before + step * phase.batch
            step -= phase.steps
            before += phase.steps * phase.batch
        raise IndexError(f"the run has {len(self)} steps")

    def _crop(self, place: int, samples: int, chain: Chain) -> tuple[Waveform, int]:
        """The crop at a place in the run's sequence of crops, and its class."""
        speakers, speed = len(self.utterances), chain.config.speed
        turn, slot = divmod(place, len(self.round))
        chosen = int(_order(self.seed, Purpose.SPEAKERS, turn, len(self.round))[slot])
        speaker = int(self.round[chosen])
        rng = generator(self.seed, Purpose.CROP, place)
        utterance = self._utterance(speaker, turn * int(self.turns[speaker]) + chosen - int(self.first[speaker]))
        label = speaker
        if speed.happens(rng):
            choice = int(rng.integers(len(speed.speeds)))
            label += (1 + choice) * speakers
            needed = samples_at_speed(samples, speed.speeds[choice])
            crop = random_crop(self.audio, utterance, needed, rng)
            crop = change_speed(crop, speed.speeds[choice], samples)
        else:
            crop = random_crop(self.audio, utterance, samples, rng)
        return self._augmented(crop, speaker, chain, rng), label

    def changed(self, waveform: Waveform, utterance: int, chain: Chain, number: int) -> Waveform:
        """The utterance after a chain of effects, (samples,) -> (samples,).

        `number` (0, 1, ...) tells it from other changes of the utterance. The draws are none of a batch's.
        """
        rng = generator(self.seed, Purpose.CHANGE, utterance, number)
        return self._augmented(waveform, self.speakers[utterance], chain, rng)

    def _augmented(self, crop: Waveform, speaker: int, chain: Chain, rng: np.random.Generator) -> Waveform:
        speakers, samples = len(self.utterances), len(crop)

        def others(count: int) -> list[Waveform]:
            chosen = 1 + rng.choice(speakers - 1, min(count, speakers - 1), replace=False)
            return [self._any_of((speaker + int(other)) % speakers, samples, rng) for other in chosen]

        return chain(crop, rng, others)

    def _utterance(self, speaker: int, turn: int) -> int:
        """The utterance for a speaker's turn in the run."""
        mine = self.utterances[speaker]
        again, which = divmod(turn, len(mine))
        rng = generator(self.seed, Purpose.UTTERANCES, speaker, again)
        return mine[int(rng.permutation(len(mine))[which])]

    def _any_of(self, speaker: int, samples: int, rng: np.random.Generator) -> Waveform:
        mine = self.utterances[speaker]
        return random_crop(self.audio, mine[int(rng.integers(len(mine)))], samples, rng)


def _turns(seconds: Sequence[float], power: float) -> NDArray[np.int64]:
    """The number of times each speaker stands in a round: the one with the least speech once."""
    weights = np.maximum(np.asarray(seconds), _LEAST_SECONDS) ** power
    turns: NDArray[np.int64] = np.round(weights / weights.min()).astype(np.int64)
    return turns


@lru_cache(maxsize=4)
def _order(seed: int, purpose: Purpose, turn: int, count: int) -> NDArray[np.int64]:
    return generator(seed, purpose, turn).permutation(count)
