"""Who finds speech in a recording for a model that does not listen for it itself: the same network, alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from acanet.audio.blocks import Waveform, checked_rate
from acanet.audio.intake import checked_waveform
from acanet.audio.resample import Resampler
from acanet.audio.sources import describe
from acanet.errors import AcanetError
from acanet.runtime.features import PIECE, FeatureStream, Run
from acanet.runtime.speech_map import SpeechMap
from acanet.runtime.spill import Floats
from acanet.speech.network import FOLDER
from acanet.speech.speech import Speech
from acanet.speech.steps import HOP, RATE, WINDOW, speech_in

if TYPE_CHECKING:
    from acanet.runtime.sessions import Sessions

FEATURES, SPEECH = "speech-features", "speech"
"""The graphs: samples -> features, and features -> the probability of speech and how much each step counts."""


class SpeechDetector(Protocol):
    """What finds speech in one recording."""

    def feed(self, waveform: Waveform) -> None:
        """Take the next samples, (samples,), at the rate of the recording."""

    def speech(self, rest: Waveform | None = None) -> Floats:
        """The probability of speech in each step, (steps,), of what was fed and, for this time only, of the rest."""


class Detector:
    """Speech in a recording as it comes, by the network alone."""

    def __init__(self, rate: int, run: Run, features: str = FEATURES) -> None:
        """Nothing was heard yet.

        Args:
            rate: samples a second.
            run: runs the graphs.
            features: the name of the graph of the features, which a model may share.
        """
        self._resampler = Resampler(rate, RATE)
        self._features = FeatureStream(lambda samples: run(features, waveforms=samples[None])[0][0], WINDOW, HOP, PIECE)
        self._map = SpeechMap(lambda rows: np.concatenate(run(SPEECH, features=rows[None])))

    def feed(self, waveform: Waveform) -> None:
        """Hear the next samples, (samples,)."""
        for rows in self._features.feed(self._resampler.feed(waveform)):
            self._map.feed(rows)

    def speech(self, rest: Waveform | None = None) -> Floats:
        """The probability of speech in each step, (steps,); `rest`, (samples,), comes after what was fed."""
        for rows in self._features.flush():
            self._map.feed(rows)
        tail = self._resampler.rest(rest)
        found: Floats = self._map.so_far(self._features.rest(tail))[0]
        return found


def find_speech(waveform: Waveform, rate: int) -> Speech:
    """The speech in a waveform.

    Args:
        waveform: (samples,), any number of them: floating-point in [-1, 1], or int16.
        rate: samples a second.

    Raises:
        BadAudio: for samples of another shape or type, not finite, or far beyond 1; for a rate that cannot be used.
    """
    name = describe(waveform)
    rate, checked = checked_rate(rate, name), checked_waveform(waveform, name)
    return speech_in(detected(checked, own_detector(rate)), len(checked) / rate)


def detected(waveform: Waveform, detector: SpeechDetector) -> Floats:
    """The probability of speech in each step, (steps,), of a waveform, (samples,), by a new detector."""
    detector.feed(waveform)
    return detector.speech()


def own_detector(rate: int) -> Detector:
    """A detector with the network that comes with acanet, for a recording of so many samples a second."""
    return Detector(rate, _sessions().run)


@cache
def _sessions() -> Sessions:
    from acanet.runtime.sessions import Sessions  # onnxruntime is loaded with a model, not before

    return Sessions(FOLDER, _damaged)


def _damaged(path: Path, reason: object) -> AcanetError:
    return AcanetError(f"{path}: the installation is damaged; install acanet again ({reason})")
