"""What comes in is checked, and told what it lost, in blocks as it would be as a whole."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from acanet.audio.intake import Intake
from acanet.audio.quality import AudioWarning
from acanet.audio.recording import load
from acanet.audio.resample import resample
from acanet.errors import BadAudio
from support.blocks import cut

RATE = 16000


def noise(seconds, seed=0, rate=RATE):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


def losses(samples, rate, sizes):
    """What is warned of, in blocks and of the whole."""
    told = []
    intake = Intake(rate, RATE, f"<array {samples.shape}>")
    for block in cut(samples, sizes):
        intake.feed(block)
    intake.end()
    for check in (intake.tell, lambda: load(samples, RATE, source_rate=rate)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check()
        told.append([str(warning.message) for warning in caught if warning.category is AudioWarning])
    return told


@pytest.mark.parametrize("sizes", [[32000], [9000, 700, 20000]])
def test_what_was_lost_is_told_as_of_the_whole(sizes):
    talk = noise(4)
    telephone = resample(noise(4, rate=8000), 8000, RATE)
    clipped = np.clip(talk, -0.05, 0.05)
    louder_at_last = np.concatenate([clipped, 2 * talk])
    for samples, rate, warned in (
        (talk, RATE, []),
        (talk, 8000, ["telephone"]),
        (telephone, RATE, ["telephone"]),
        (clipped, RATE, ["clipped"]),
        (louder_at_last, RATE, []),
    ):
        in_blocks, whole = losses(samples, rate, sizes)
        assert [any(word in line for line in in_blocks) for word in warned] == [True] * len(warned)
        assert len(in_blocks) == len(whole) == len(warned)


def test_samples_that_no_microphone_gives_are_refused():
    intake = Intake(RATE, RATE, "talk")
    intake.feed(noise(1))
    for bad, reason in ((math.nan, "not finite"), (math.inf, "not finite"), (100.0, "far beyond 1")):
        block = noise(0.1)
        block[50] = bad
        with pytest.raises(BadAudio, match=f"talk: .*{reason}"):
            intake.feed(block)
        assert intake.samples == RATE
