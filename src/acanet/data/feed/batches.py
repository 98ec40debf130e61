"""Training batches, each a function of the seed and its step alone.

No state is kept between batches: whichever process makes batch 1234, before or after whichever other one, makes the
same. That is what makes a resumed run equal to an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.data.augment.chain import Banks, Chain, random_crop
from acanet.data.augment.effects import Augment
from acanet.data.augment.voices import Voice, as_voice
from acanet.data.feed.cache import Audio

NO_CLASS = -1
"""The class of a crop of which nobody knows who speaks."""
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


class Batch(NamedTuple):
    """The crops of a step.

    Attributes:
        waveforms: (rows, samples) float32.
        classes: (rows,) int64, the class of the speaker in the crop's voice; -1 where nobody is named.
        utterances: (rows,) int64, the number of the utterance that a crop is from.
        voices: (rows,) int64, 0 for its own voice, 1 for the first of the others, and so on.
        clean: (rows, samples) float32, the crops before their effects; None where nobody asked for them.
    """

    waveforms: NDArray[np.float32]
    classes: NDArray[np.int64]
    utterances: NDArray[np.int64]
    voices: NDArray[np.int64]
    clean: NDArray[np.float32] | None


class _Crop(NamedTuple):
    waveform: Waveform
    label: int
    utterance: int
    voice: int
    clean: Waveform


class TrainingBatches:
    """Batch number `step` of a run: crops of one length.

    Speakers come in rounds, in an order drawn for the round; every speaker stands in it once, or more often with more
    speech. A speaker's utterances come in rounds of their own.

    Args:
        audio: the utterances.
        speakers: speaker number (0, 1, ...) of every utterance.
        named: speakers below this number have names, and classes; None: all. An utterance that names nobody has a
            number of its own.
        phases: what to cut and how to augment it, one after the other.
        seed: of the run.
        rate: samples a second.
        banks: see `Chain`.
        part: (this, of how many): the rows of each batch that this process makes.
        power: a speaker stands in a round in proportion to the seconds of speech to this power; 0: everybody once.
        clean: whether batches hold the crops before their effects too.
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
        named: int | None = None,
        clean: bool = False,
    ) -> None:
        self.audio, self.phases, self.seed, self.part = audio, phases, seed, part
        self.speakers, self.rate, self.clean = speakers, rate, clean
        self.chains = [Chain(phase.augment, banks, rate) for phase in phases]
        by_speaker: dict[int, list[int]] = {}
        for utterance, speaker in enumerate(speakers):
            by_speaker.setdefault(speaker, []).append(utterance)
        self.utterances = [by_speaker[speaker] for speaker in range(len(by_speaker))]
        self.named = len(self.utterances) if named is None else named
        seconds = [sum(map(audio.samples, mine)) / rate for mine in self.utterances]
        self.turns = _turns(seconds, power)
        self.round = np.repeat(np.arange(len(self.turns)), self.turns)  # speaker of every place in a round
        self.first = np.cumsum(self.turns) - self.turns  # where in it a speaker's turns begin

    @property
    def classes(self) -> int:
        """Speakers with names, times one and the number of other voices."""
        return self.named * (1 + len(self.voices))

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The voices, beside their own, in which utterances are heard."""
        return max((phase.augment.speed.voices for phase in self.phases), key=len)

    def __len__(self) -> int:
        return sum(phase.steps for phase in self.phases)

    def __getitem__(self, step: int) -> Batch:
        """The crops of a step."""
        number, place = self._phase_and_place(step)
        phase = self.phases[number]
        low, high = phase.crop_samples
        samples = int(generator(self.seed, Purpose.LENGTH, step).integers(low, high + 1))
        rows = range(self.part[0], phase.batch, self.part[1])
        crops = [self._crop(place + row, samples, self.chains[number]) for row in rows]
        return Batch(
            waveforms=np.stack([crop.waveform for crop in crops]),
            classes=np.array([crop.label for crop in crops], dtype=np.int64),
            utterances=np.array([crop.utterance for crop in crops], dtype=np.int64),
            voices=np.array([crop.voice for crop in crops], dtype=np.int64),
            clean=np.stack([crop.clean for crop in crops]) if self.clean else None,
        )

    def _phase_and_place(self, step: int) -> tuple[int, int]:
        """The number of the phase of a step, and how many crops come before the step."""
        before = 0
        for number, phase in enumerate(self.phases):
            if step < phase.steps:
                return number, before + step * phase.batch
            step -= phase.steps
            before += phase.steps * phase.batch
        raise IndexError(f"the run has {len(self)} steps")

    def _crop(self, place: int, samples: int, chain: Chain) -> _Crop:
        """The crop at a place in the run's sequence of crops."""
        speed, voice = chain.config.speed, 0
        turn, slot = divmod(place, len(self.round))
        chosen = int(_order(self.seed, Purpose.SPEAKERS, turn, len(self.round))[slot])
        speaker = int(self.round[chosen])
        rng = generator(self.seed, Purpose.CROP, place)
        utterance = self._utterance(speaker, turn * int(self.turns[speaker]) + chosen - int(self.first[speaker]))
        if speed.happens(rng):
            voice = 1 + int(rng.integers(len(speed.voices)))
            other = speed.voices[voice - 1]
            crop = random_crop(self.audio, utterance, other.samples_needed(samples), rng)
            crop = as_voice(crop, other, samples, self.rate)
        else:
            crop = random_crop(self.audio, utterance, samples, rng)
        label = speaker + voice * self.named if speaker < self.named else NO_CLASS
        return _Crop(self._augmented(crop, speaker, chain, rng), label, utterance, voice, crop)

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
