"""The chain of effects that a training crop goes through, from the room to the line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from acanet.audio.blocks import Waveform
from acanet.data.augment import functions as augment
from acanet.data.augment.codecs import opus, telephone
from acanet.data.augment.effects import Augment, Music, Noise
from acanet.data.augment.music import music
from acanet.data.augment.rooms import RoomBank
from acanet.data.augment.silence import add_faint_noise, gate, lose_packets, mute_end
from acanet.data.feed.cache import Audio
from acanet.errors import BadArgument

OtherVoices = Callable[[int], Sequence[Waveform]]
"""How many -> that many crops of other speakers, as long as the one that is augmented."""


@dataclass(frozen=True)
class Banks:
    """The sounds and rooms that effects draw from, where they are not generated on the spot."""

    rooms: RoomBank | None = None
    music: Audio | None = None
    noise: Audio | None = None


class Chain:
    """All effects of a config but the speed, which decides the speaker, and SpecAugment, which is not audio.

    Args:
        config: which effects, how often, how strong.
        banks: with rooms, if they have a probability; with the recordings of the folders that the config names.
        rate: samples a second.

    Raises:
        BadArgument: when the config asks for rooms, and there are none.
    """

    def __init__(self, config: Augment, banks: Banks, rate: int) -> None:
        if config.room.probability and banks.rooms is None:
            raise BadArgument("banks", "rooms have a probability, but there is no bank of them")
        self.config, self.banks, self.rate = config, banks, rate

    def __call__(self, crop: Waveform, rng: np.random.Generator, other_voices: OtherVoices) -> Waveform:
        """A crop (samples,) as it may have been recorded; every draw is from `rng`, in a fixed order."""
        config = self.config
        if self.banks.rooms is not None and config.room.happens(rng):
            crop = augment.reverberate(crop, self.banks.rooms[int(rng.integers(len(self.banks.rooms)))])
        if config.babble.happens(rng):
            voices = other_voices(config.babble.speakers.draw_count(rng))
            crop = augment.add_at_snr(crop, augment.babble(voices), config.babble.snr_db.draw(rng))
        if config.music.happens(rng):
            crop = self._add(crop, config.music, self.banks.music, lambda samples: music(rng, samples, self.rate), rng)
        if config.noise.happens(rng):
            crop = self._add(
                crop, config.noise, self.banks.noise, lambda samples: augment.coloured_noise(rng, samples), rng
            )
        if config.clip.happens(rng):
            crop = augment.clip(crop, config.clip.share.draw(rng))
        if config.level.happens(rng):
            crop = augment.change_level(crop, config.level.db.draw(rng))
        return self._through_the_line(crop, rng)

    def _through_the_line(self, crop: Waveform, rng: np.random.Generator) -> Waveform:
        """What recorder and line leave of a crop."""
        config = self.config
        if config.gate.happens(rng):
            crop = gate(crop, self.rate, config.gate.threshold_db.draw(rng))
        if config.hiss.happens(rng):
            crop = add_faint_noise(crop, rng, config.hiss.dbfs.draw(rng))
        if config.telephone.happens(rng):
            crop = telephone(crop, self.rate)
        if config.opus.happens(rng):
            crop = opus(crop, self.rate, config.opus.kbps.draw(rng))
        if config.packets.happens(rng):
            packet = round(config.packets.seconds.draw(rng) * self.rate)
            crop = lose_packets(crop, rng, config.packets.share.draw(rng), packet)
        if config.mute.happens(rng):
            samples = round(config.mute.share.draw(rng) * len(crop))
            crop = mute_end(crop, samples, first=bool(rng.random() < 0.5))
        return crop

    def _add(
        self,
        crop: Waveform,
        effect: Music | Noise,
        bank: Audio | None,
        generate: Callable[[int], Waveform],
        rng: np.random.Generator,
    ) -> Waveform:
        """The crop with a recording of the bank behind it, or with what is generated without one."""
        if bank is None:
            background = generate(len(crop))
        else:
            background = random_crop(bank, int(rng.integers(len(bank))), len(crop), rng)
        return augment.add_at_snr(crop, background, effect.snr_db.draw(rng))


def random_crop(audio: Audio, utterance: int, samples: int, rng: np.random.Generator) -> Waveform:
    """A crop from anywhere in an utterance; a shorter one begins anywhere and is repeated."""
    length = audio.samples(utterance)
    places = length - samples + 1 if length >= samples else length
    return audio.read(utterance, int(rng.integers(places)), samples)
