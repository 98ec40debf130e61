"""Seconds of speech, measured in blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.speech.meter import Level, SpeechMeter
from acanet.speech.segments import CHUNK, RATE, _bridge, _level, speech_seconds, speech_segments
from support.blocks import cut


@pytest.fixture(scope="module")
def talk():
    """Two voices with silence and hiss between, of no whole number of chunks."""
    one, other = (synthesise(SyntheticVoice.draw(5, number), 3.0, [5, number]) for number in (1, 2))
    hiss = np.random.default_rng(0).normal(0, 1e-3, 2 * RATE)
    return np.concatenate([np.zeros(RATE), one, hiss, 0.3 * other[:-77]]).astype(np.float32)


def gain(waveform, sizes=(10**9,)):
    level = Level()
    for block in cut(waveform, sizes):
        level.feed(block)
    return level.gain


@pytest.mark.parametrize("sizes", [[1600], [37, 4000, 512], [10**6]])
def test_in_blocks_it_is_what_the_whole_holds(talk, sizes):
    meter = SpeechMeter()
    for block in cut(talk, sizes):
        assert not meter.feed(block, gain(talk, sizes))
    meter.finish()
    assert meter.seconds == pytest.approx(speech_seconds(talk, RATE), abs=1e-9)
    assert meter.seconds > 3


def test_speech_that_is_cut_off_ends_with_the_samples(talk):
    in_speech = 0
    for end in range(2 * RATE, 4 * RATE, 2345):
        meter = SpeechMeter()
        meter.feed(talk[:end], gain(talk[:end]))
        meter.finish()
        assert meter.seconds == pytest.approx(speech_seconds(talk[:end], RATE), abs=1e-9)
        in_speech += speech_segments(talk[:end], RATE)[-1][1] == end / RATE
    assert in_speech > 5


@pytest.mark.parametrize("enough", [0.5, 1.7, 2.0, 3.5])
def test_enough_is_where_the_whole_has_it(talk, enough):
    meter = SpeechMeter()
    assert any(meter.feed(block, gain(talk), enough=enough) for block in cut(talk, [5000]))
    want = sum(end - start for start, end in speech_segments(talk, RATE, enough=enough))
    assert meter.seconds == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-12, 1e-8, 1e-4, 0.1, 3.0])
def test_the_gain_is_that_of_the_detector(scale):
    waveform = (scale * np.random.default_rng(1).standard_normal(30000)).astype(np.float32)
    want = float(_level(waveform)[0] / waveform[0])
    assert gain(waveform, (700, 11)) == pytest.approx(want, rel=6e-4)


def test_silence_and_nothing_have_no_gain():
    assert Level().gain == gain(np.zeros(100, np.float32)) == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.booleans(), max_size=60))
def test_stretches_are_bridged_as_they_come(spoken):
    class Detector:
        def __init__(self):
            self.answers = iter(spoken)

        def process_samples(self, _):
            return float(next(self.answers))

    meter = SpeechMeter()
    meter._detector = Detector()
    for _ in spoken:
        meter.feed(np.zeros(CHUNK, np.float32), 1.0)
    chunks = sum(end - first for first, end in _bridge(np.flatnonzero(spoken)))
    assert meter.seconds == pytest.approx(chunks * CHUNK / RATE)
