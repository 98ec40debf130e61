"""The steps in which speech is found: their size, what each of them sees, and the stretches that they make."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acanet.speech.speech import Speech

RATE = 16000
"""Samples a second of the features, which are Kaldi's."""
WINDOW, HOP = 400, 160
"""Samples in a window of them, and from one window to the next."""
MELS = 80
"""Features of a frame."""
STEP = 4
"""Frames of features in a step."""
BEFORE, AFTER = 68, 12
"""Steps before and after that decide a step."""
FAINTLY, CLEARLY = 0.2, 0.5
"""The probability of speech from which on a step may belong to a stretch of speech, and from which on it is speech."""
LONGEST_GAP = 5
"""Steps without speech (0.2 s) that still belong to the speech around them: stops and short breaths."""
SHORTEST_SPEECH = 3
"""Steps (0.12 s) that are clearly speech in a stretch, at least; less is a click."""

SHORTEST_SECONDS = WINDOW / RATE
"""A recording that is shorter than a window has no features, and no speech."""

_SECONDS = STEP * HOP / RATE


def speech_in(probabilities: NDArray[np.float32], seconds: float) -> Speech:
    """The speech in a recording: gaps are bridged, clicks left out.

    Args:
        probabilities: (steps,) that somebody talks, of all steps of the recording.
        seconds: of the recording, where what is spoken in the last step ends.
    """
    spoken = np.flatnonzero(probabilities > FAINTLY)
    stretches = np.split(spoken, np.flatnonzero(np.diff(spoken) > LONGEST_GAP + 1) + 1)
    ends = {len(probabilities): seconds}
    return Speech(
        [
            (float(stretch[0] * _SECONDS), ends.get(int(stretch[-1]) + 1, float((stretch[-1] + 1) * _SECONDS)))
            for stretch in stretches
            if np.count_nonzero(probabilities[stretch] > CLEARLY) >= SHORTEST_SPEECH
        ]
    )
