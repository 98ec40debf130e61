"""Whole utterances as networks hear them beside training: in their own voice, and in others."""

from __future__ import annotations

from collections.abc import Sequence

from acanet.audio.blocks import Waveform
from acanet.data.augment.voices import Voice, as_voice
from acanet.data.feed.cache import Audio

SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 20.0
"""A shorter utterance is repeated up to the one, of a longer one so much is taken."""


def whole_in(audio: Audio, utterance: int, rate: int, voices: Sequence[Voice]) -> list[Waveform]:
    """An utterance as it is, and in each of some other voices.

    Args:
        audio: the utterances.
        utterance: which of them.
        rate: samples a second.
        voices: the others.

    Returns:
        The waveforms (samples,), that in its own voice first.
    """
    seconds = min(max(audio.samples(utterance) / rate, SHORTEST_SECONDS), LONGEST_SECONDS)
    whole = audio.read(utterance, 0, round(seconds * rate))
    return [whole, *(as_voice(whole, voice, voice.samples_of(len(whole)), rate) for voice in voices)]
