"""What the network that finds speech is taught on: speech among gaps and sounds, sounds alone, through lines and gates.

Each batch is a function of the seed and its step alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.data.augment.chain import Banks, Chain, random_crop
from acanet.data.augment.effects import Augment
from acanet.data.augment.functions import add_at_snr
from acanet.data.augment.silence import add_faint_noise, gate, lose_packets, mute_end
from acanet.data.augment.sounds import sound
from acanet.data.feed.cache import Audio
from acanet.speech.steps import HOP, STEP, WINDOW
from acanet.training.speech.teacher import CHUNK, RATE

_SCALE = 32768.0
_SHORTEST, _LONGEST = 0.3, 5.0  # seconds of a stretch of an utterance


@dataclass(frozen=True)
class Taught:
    """Utterances and what the teacher says of them.

    Attributes:
        audio: the utterances, at `RATE`.
        probabilities: of speech in each chunk of each utterance.
    """

    audio: Audio
    probabilities: Sequence[NDArray[np.float32]]


class SpeechCrops:
    """Batch number `step`: waveforms (batch, samples), and the probability of speech in each step (batch, steps).

    Args:
        speech: who talks.
        augment: what happens to speech and sounds alike.
        banks: what that draws from.
        noise: recordings without speech; None: generated sounds only.
        batch: rows.
        seconds: of a row.
        seed: of all draws.
        sounds: share of the rows that nobody speaks in.
    """

    def __init__(
        self,
        speech: Taught,
        augment: Augment,
        banks: Banks,
        noise: Audio | None,
        *,
        batch: int,
        seconds: float,
        steps: int,
        seed: int,
        sounds: float,
    ) -> None:
        self.speech, self.noise = speech, noise
        self.chain = Chain(augment, banks, RATE)
        self.batch, self.samples, self.steps, self.seed, self.sounds = batch, round(seconds * RATE), steps, seed, sounds

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[Waveform, NDArray[np.float32]]:
        """Waveforms (batch, samples) and probabilities (batch, steps of speech)."""
        if not 0 <= step < self.steps:
            raise IndexError(f"there are {self.steps} steps")
        rows = [self._row(np.random.default_rng((self.seed, step, row))) for row in range(self.batch)]
        return np.stack([waveform for waveform, _ in rows]), np.stack([spoken for _, spoken in rows])

    def _row(self, rng: np.random.Generator) -> tuple[Waveform, NDArray[np.float32]]:
        if rng.random() < self.sounds:
            waveform, spoken = self._sound(rng, self.samples), np.zeros(self.samples, np.float32)
        else:
            waveform, spoken = self._talk(rng)
            if rng.random() < 0.3:
                waveform = add_at_snr(waveform, self._sound(rng, self.samples), rng.uniform(0, 25))
        waveform = self.chain(_at_level(waveform, rng.uniform(-35, -10)), rng, lambda count: [])
        waveform, spoken = _lined(waveform, spoken, rng)
        return waveform, spoken[_centres(self.samples)]

    def _sound(self, rng: np.random.Generator, samples: int) -> Waveform:
        """A sound that nobody speaks in, of a few seconds or all through."""
        if self.noise is not None and rng.random() < 0.25:
            made = random_crop(self.noise, int(rng.integers(len(self.noise))), samples, rng)
        else:
            made = sound(rng, samples, RATE)
        if rng.random() < 0.3:
            made = made.copy()
            made[: int(rng.integers(samples))] = 0
        return made

    def _talk(self, rng: np.random.Generator) -> tuple[Waveform, NDArray[np.float32]]:
        """Stretches of utterances with gaps between them, and the probability of speech at each sample."""
        waveform, spoken = np.zeros(self.samples, np.float32), np.zeros(self.samples, np.float32)
        gaps = rng.random() < 0.6
        place = int(rng.integers(2 * RATE)) if gaps else 0
        utterance = int(rng.integers(len(self.speech.audio)))
        while place < self.samples:
            length = self.speech.audio.samples(utterance)
            wanted = round(rng.uniform(_SHORTEST, _LONGEST) * RATE) if gaps else self.samples
            count = min(wanted, length, self.samples - place)
            start = int(rng.integers(length - count + 1))
            gain = np.float32(10 ** (rng.uniform(-8, 8) / 20))
            waveform[place : place + count] = gain * self.speech.audio.read(utterance, start, count)
            chunks = np.minimum(np.arange(start, start + count) // CHUNK, len(self.speech.probabilities[utterance]) - 1)
            spoken[place : place + count] = self.speech.probabilities[utterance][chunks]
            place += count + (round(10 ** rng.uniform(-1, 0.5) * RATE) if gaps else 0)
            if rng.random() < 0.5:
                utterance = int(rng.integers(len(self.speech.audio)))
        return waveform, spoken


def _lined(
    waveform: Waveform, spoken: NDArray[np.float32], rng: np.random.Generator
) -> tuple[Waveform, NDArray[np.float32]]:
    """Muted, gated, with lost packets, faint noise, at any level, in 16 bit: each now and then."""
    if rng.random() < 0.1:
        waveform = gate(waveform, RATE, rng.uniform(-45, -20))
    if rng.random() < 0.1:
        waveform = lose_packets(waveform, rng, rng.uniform(0.02, 0.3), round(rng.uniform(0.01, 0.06) * RATE))
    for first in (True, False):
        if rng.random() < 0.1:
            samples = int(rng.integers(len(waveform) // 2))
            waveform, spoken = (mute_end(each, samples, first=first) for each in (waveform, spoken))
    if rng.random() < 0.3:
        waveform = _at_level(waveform, rng.uniform(-62, -5))
    if rng.random() < 0.3:
        waveform = add_faint_noise(waveform, rng, rng.uniform(-100, -70))
    waveform = np.clip(waveform, -1, 1)
    if rng.random() < 0.6:
        waveform = (np.rint(waveform * _SCALE) / _SCALE).astype(np.float32)
    return waveform, spoken


def _at_level(waveform: Waveform, decibels: float) -> Waveform:
    """Of that root mean square, relative to 1, over the samples that are not zero."""
    heard = waveform[waveform != 0]
    if not len(heard):
        return waveform
    scaled: Waveform = waveform * np.float32(
        10 ** (decibels / 20) / np.sqrt(np.mean(np.square(heard, dtype=np.float64)))
    )
    return scaled


def _centres(samples: int) -> NDArray[np.int64]:
    """The sample in the middle of each step."""
    frames = (samples - WINDOW) // HOP + 1
    steps = -(-frames // STEP)
    middle = ((STEP - 1) * HOP + WINDOW) // 2
    return np.minimum(np.arange(steps) * STEP * HOP + middle, samples - 1)
