"""Recordings of any length -> embeddings, in constant memory: decoded in blocks, twice.

once      checks, level, features
again     speech, up to where there is enough
at last   the passes over the features (`acanet.runtime.pieces`)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import open_again, open_checked, resampled
from acanet.audio.recording import Source, describe
from acanet.errors import NoSpeech, TooShort
from acanet.runtime.pieces import Piecewise
from acanet.speech.meter import Level, SpeechMeter
from acanet.speech.segments import RATE


def embed_hours(
    source: Source, source_rate: int | None, piecewise: Piecewise, rate: int, needed: float, enough: float
) -> tuple[NDArray[np.float32], float]:
    """The embedding of a recording, and its seconds of speech.

    Args:
        source: as in `acanet.audio.recording.decode`.
        source_rate: samples a second of an array.
        piecewise: a new one, of the model.
        rate: samples a second that the model wants.
        needed: seconds of speech without which there is no embedding.
        enough: seconds of speech, as many or more, after which nothing more is looked for.

    Returns:
        (dim,) float32, of unit length; seconds.

    Raises:
        BadAudio, MissingExtra: as `acanet.audio.recording.load`.
        NoSpeech: when nobody talks in it.
        TooShort: when there is less speech than needed.

    Warns:
        AudioWarning: as `acanet.audio.recording.load`.
    """
    level, samples, name = Level(), 0, describe(source)
    with open_checked(source, source_rate, rate) as blocks:
        for waveform in blocks:
            samples += len(waveform)
            level.feed(waveform)
            piecewise.feed(waveform)
    total = samples / rate
    if total < needed:
        raise TooShort(name, total, needed)
    speech = _speech_seconds(source, source_rate, rate, level.gain, enough)
    if not speech:
        raise NoSpeech(name, total)
    if speech < needed:
        raise TooShort(name, speech, needed)
    return piecewise.embedding(), speech


def _speech_seconds(source: Source, source_rate: int | None, rate: int, gain: float, enough: float) -> float:
    if not gain:
        return 0.0
    meter = SpeechMeter()
    with open_again(source, source_rate, rate) as blocks:
        for block in resampled(blocks, rate, RATE):
            if meter.feed(block, gain, enough=enough):
                return meter.seconds
    meter.finish(enough=enough)
    return meter.seconds
