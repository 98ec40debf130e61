"""What may happen to a training crop, as data: each effect with its probability and its limits.

The effects come in the order in which a recording suffers them: the voice, the room, what else sounds there, the
recorder, the line. In a recipe, an effect that is a number is its probability: `room: 0.3` is
`room: {probability: 0.3}`.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, model_validator

from acanet.config.strict import ConfigPath, Strict
from acanet.data.augment.codecs import LEAST_KBPS, MOST_KBPS
from acanet.data.augment.rooms import LONGEST_T60, SHORTEST_T60
from acanet.data.augment.voices import Voice

Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=0.5, le=2)]


class Range(Strict):
    """An even draw between two values; also written `[low, high]`."""

    low: float
    high: float

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, data: Any) -> Any:
        return {"low": data[0], "high": data[1]} if isinstance(data, list | tuple) and len(data) == 2 else data

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"from {self.low} to {self.high} is the wrong way round")
        return self

    def draw(self, rng: np.random.Generator) -> float:
        """A value between the two."""
        return float(rng.uniform(self.low, self.high))

    def draw_count(self, rng: np.random.Generator) -> int:
        """A whole number from the one to the other, every one as likely."""
        return int(rng.integers(round(self.low), round(self.high) + 1))


def within(low: float, high: float) -> AfterValidator:
    """A check that refuses a range that leaves these limits."""

    def check(value: Range) -> Range:
        if value.low < low or value.high > high:
            raise ValueError(f"from {value.low:g} to {value.high:g} leaves what is possible, {low:g} to {high:g}")
        return value

    return AfterValidator(check)


class Effect(Strict):
    """Something that happens to a crop with a probability."""

    probability: Share = 0.0

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, data: Any) -> Any:
        return {"probability": data} if isinstance(data, int | float) and not isinstance(data, bool) else data

    def happens(self, rng: np.random.Generator) -> bool:
        """Draw whether it happens this time; what never does draws nothing, so that adding it changes no other draw."""
        return self.probability > 0 and bool(rng.random() < self.probability)


class Speed(Effect):
    """Another voice: speech played faster or slower, or with other formants; a speaker in it is another speaker."""

    speeds: tuple[Factor, ...] = Field((0.9, 1.1), description="those speeds, which move pitch and formants too")
    formants: tuple[Factor, ...] = Field(
        (), description="how many times as high formants are, beside that, at each of the speeds and at their own"
    )

    @model_validator(mode="after")
    def _others(self) -> Self:
        if self.probability and not self.voices:
            raise ValueError("neither speeds nor formants; name some, or leave the effect out")
        for name in ("speeds", "formants"):
            given = getattr(self, name)
            if 1.0 in given or len(set(given)) < len(given):
                raise ValueError(f"{name} has 1, or a factor twice; name each other one once")
        return self

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The voices that may come, in a fixed order: none without a probability."""
        if not self.probability:
            return ()
        alone = [Voice(speed) for speed in self.speeds]
        return (*alone, *(Voice(speed, formants) for formants in self.formants for speed in (1.0, *self.speeds)))


class Room(Effect):
    """Reverberation of a shoebox room, from a bank that is made once."""

    count: PositiveInt = Field(500, description="rooms in the bank")
    t60: Annotated[Range, within(SHORTEST_T60, LONGEST_T60)] = Field(
        Range(low=0.15, high=0.8), description="seconds in which the sound falls by 60 dB"
    )


class Babble(Effect):
    """Other training speakers talking."""

    snr_db: Range = Field(Range(low=8.0, high=25.0), description="its signal-to-noise ratio")
    speakers: Annotated[Range, within(1, 100)] = Field(Range(low=3, high=7), description="how many of them")


class Music(Effect):
    """Music in the background."""

    snr_db: Range = Field(Range(low=5.0, high=20.0), description="its signal-to-noise ratio")
    folder: ConfigPath | None = Field(None, description="of recordings (such as `musan/music`); none: generated")


class Noise(Effect):
    """Noise in the background."""

    snr_db: Range = Field(Range(low=5.0, high=25.0), description="its signal-to-noise ratio")
    folder: ConfigPath | None = Field(
        None, description="of recordings (such as `musan/noise`); none: generated, from white to brown"
    )


class Clip(Effect):
    """A recorder that is set too loud."""

    share: Annotated[Range, within(0, 1)] = Field(
        Range(low=0.001, high=0.05), description="of the samples that are clipped"
    )


class Level(Effect):
    """Another level."""

    db: Range = Field(Range(low=-20.0, high=6.0), description="by how many decibels it changes")


class Gate(Effect):
    """A noise gate, which leaves zeros between words."""

    threshold_db: Range = Field(
        Range(low=-45.0, high=-20.0), description="level, below that of the loudest parts, under which it closes"
    )


class Hiss(Effect):
    """Faint white noise of the recorder."""

    dbfs: Range = Field(Range(low=-90.0, high=-50.0), description="its level, in decibels below full scale")


class Packets(Effect):
    """Packets that a network lost, and zeros in their place."""

    share: Annotated[Range, within(0, 1)] = Field(Range(low=0.02, high=0.3), description="of all packets")
    seconds: Annotated[Range, within(0.001, 1)] = Field(Range(low=0.01, high=0.06), description="of a packet")


class Mute(Effect):
    """Zeros at the beginning or the end, as of a microphone that is switched on late or off early."""

    share: Annotated[Range, within(0, 0.9)] = Field(Range(low=0.05, high=0.6), description="of the crop")


class Telephone(Effect):
    """A telephone line: 300 to 3,400 Hz, 8 kHz, mu-law."""


class Opus(Effect):
    """Compression by Opus."""

    kbps: Annotated[Range, within(LEAST_KBPS, MOST_KBPS)] = Field(
        Range(low=8.0, high=32.0), description="kilobits a second"
    )


class SpecAugment(Effect):
    """Stretches of frames and bands of mel bins are hidden (Park et al., Interspeech 2019)."""

    frames: NonNegativeInt = Field(20, description="longest hidden stretch of frames")
    mels: NonNegativeInt = Field(10, description="widest hidden band of mel bins")
    masks: PositiveInt = Field(2, description="of each kind")


class Augment(Strict):
    """What may happen to a crop, in this order.

    `acanet.data.feed.batches` changes its speed, `acanet.data.augment.chain` does the rest, and `spec` is for features.
    """

    speed: Speed = Speed()
    room: Room = Room()
    babble: Babble = Babble()
    music: Music = Music()
    noise: Noise = Noise()
    clip: Clip = Clip()
    level: Level = Level()
    gate: Gate = Gate()
    hiss: Hiss = Hiss()
    telephone: Telephone = Telephone()
    opus: Opus = Opus()
    packets: Packets = Packets()
    mute: Mute = Mute()
    spec: SpecAugment = SpecAugment()
