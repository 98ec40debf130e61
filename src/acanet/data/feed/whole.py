"""Whole utterances as networks hear them beside training: at their own speed, and at others."""

from __future__ import annotations

from collections.abc import Sequence

from acanet.audio.blocks import Waveform
from acanet.data.augment.functions import change_speed
from acanet.data.feed.cache import Audio

SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 20.0
"""A shorter utterance is repeated up to the one, of a longer one so much is taken."""


def whole_at(audio: Audio, utterance: int, rate: int, speeds: Sequence[float]) -> list[Waveform]:
    """An utterance as it is, and at each of some other speeds.

    Args:
        audio: the utterances.
        utterance: which of them.
        rate: samples a second.
        speeds: the others.

    Returns:
        The waveforms (samples,), that at its own speed first.
    """
    seconds = min(max(audio.samples(utterance) / rate, SHORTEST_SECONDS), LONGEST_SECONDS)
    whole = audio.read(utterance, 0, round(seconds * rate))
    return [whole, *(change_speed(whole, speed, int(len(whole) / speed)) for speed in speeds)]
