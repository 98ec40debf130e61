"""Speech as it comes: whatever the blocks, the embedding of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.audio.intake import Intake
from acanet.audio.quality import AudioWarning
from acanet.audio.resample import resample
from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadAudio, NoSpeech, TooShort
from acanet.runtime.detector import find_speech
from acanet.runtime.stream import Stream
from support.blocks import cut

RATE = 16000


@pytest.fixture(scope="module")
def encoder():
    return Encoder.load()


@pytest.fixture(scope="module")
def talk():
    return np.concatenate([synthesise(SyntheticVoice.draw(5, n), 4.0, [5, n]) for n in range(3)]).astype(np.float32)


@settings(deadline=None, max_examples=20)
@given(
    sizes=st.lists(st.integers(1, 40000), min_size=1, max_size=5),
    length=st.integers(RATE, 12 * RATE),
    asked=st.integers(1, 9),
    ended=st.booleans(),
)
def test_a_stream_is_the_whole(encoder, talk, sizes, length, asked, ended):
    waveform = talk[:length]
    with encoder.stream(memory=2**17) as stream:
        for number, block in enumerate(cut(waveform, sizes)):
            stream.feed(block)
            if number % 10 == asked and number < 100 and stream.speech_seconds > 0.5:
                stream.embedding()
        if ended:
            stream.end()
        found = stream.embedding()
        assert stream.seconds == length / RATE
    np.testing.assert_allclose(found, encoder.embed(waveform), rtol=0, atol=1e-4 / 2)


@settings(deadline=None, max_examples=10)
@given(st.sampled_from([22050, 44100, 44101, 48000]), st.lists(st.integers(1, 40000), min_size=1, max_size=5))
def test_at_other_rates_too(encoder, talk, rate, sizes):
    samples = resample(talk[: 3 * RATE], RATE, rate)
    samples += np.random.default_rng(0).normal(0, 1e-4, len(samples)).astype(np.float32)
    with encoder.stream(rate=rate) as stream:
        for block in cut(samples, sizes):
            stream.feed(block)
        found = stream.embedding()
        stream.end()
        ended = stream.embedding()
    whole = encoder.embed(samples, rate=rate)
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-4)
    np.testing.assert_allclose(ended, whole, rtol=0, atol=1e-5)


def test_the_end_is_exact_where_high_bands_hold_rounding_errors_only(encoder, talk):
    samples = resample(talk[:RATE], RATE, 8000)
    with encoder.stream(rate=8000) as stream:
        for block in cut(samples, [777]):
            stream.feed(block)
        stream.end()
        with pytest.warns(AudioWarning, match="telephone"):
            found = stream.embedding()
    with pytest.warns(AudioWarning, match="telephone"):
        whole = encoder.embed(samples, rate=8000)
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-5)


def test_int16_is_what_its_floats_are(encoder, talk):
    pcm = (talk[: 2 * RATE] * 32767).astype(np.int16)
    with encoder.stream() as one, encoder.stream() as other:
        one.feed(pcm)
        other.feed((pcm / 32768).astype(np.float64))
        for stream in (one, other):
            stream.feed(pcm.astype(">i2"))
        np.testing.assert_array_equal(one.embedding(), other.embedding())


def test_speech_is_counted_as_it_comes(encoder, talk):
    with encoder.stream() as stream:
        for number, block in enumerate(cut(talk, [4000]), 1):
            stream.feed(block)
            assert stream.speech_seconds == pytest.approx(find_speech(talk[: 4000 * number], RATE).seconds, abs=1e-6)
        stream.end()
        assert stream.speech_seconds == pytest.approx(find_speech(talk, RATE).seconds)


def test_too_little_speech_has_no_embedding(encoder, talk):
    with encoder.stream() as stream:
        with pytest.raises(TooShort, match=r"<stream>: 0\.00 s of speech, at least 0\.50 s"):
            stream.embedding()
        stream.feed(np.zeros(2 * RATE, np.float32))
        with pytest.raises(NoSpeech, match=r"<stream>: no speech in 2\.00 s"):
            stream.embedding()
        stream.feed(talk[: 2 * RATE])
        assert stream.embedding().shape == (encoder.dim,)


def test_what_was_lost_is_told_once(encoder, talk, recwarn):
    with encoder.stream() as stream:
        for _ in range(9):
            stream.feed(np.clip(talk[: 2 * RATE], -0.05, 0.05))
            stream.embedding()
            assert not recwarn or stream.seconds >= 10
    assert [warning.category for warning in recwarn if "clipped" in str(warning.message)] == [AudioWarning]


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros((2, 100)), r"an array \(2, 100\); samples of one channel"),
        ([0.0, 0.1], "list; samples of one channel"),
        (np.zeros(10, np.int32), "samples are int32"),
        (np.full(10, np.nan), "not finite"),
        (np.full(10, 1e300), "not finite"),
        (np.full(10, 3000.0), "far beyond 1"),
        (np.ma.masked_greater(np.full(10, 1e9), 2), "masked array"),
        (np.ma.masked_all(10), "masked array"),
    ],
)
def test_what_cannot_be_fed(encoder, talk, samples, reason):
    with encoder.stream() as stream:
        stream.feed(talk[:RATE])
        with pytest.raises(BadAudio, match=reason):
            stream.feed(samples)
        stream.feed(np.zeros(0, np.float32))
        assert stream.seconds == 1.0


def test_after_the_end_nothing_comes(encoder, talk):
    with encoder.stream() as stream:
        stream.feed(talk[: 2 * RATE])
        stream.end()
        stream.end()
        with pytest.raises(AcanetError, match="has ended"):
            stream.feed(talk)


@pytest.mark.parametrize(
    "use",
    [
        lambda stream: stream.feed(np.zeros(10, np.float32)),
        lambda stream: stream.end(),
        lambda stream: stream.speech_seconds,
        lambda stream: stream.embedding(),
    ],
)
def test_a_closed_stream_says_where_to_use_it(encoder, talk, use):
    with encoder.stream(name="door") as stream:
        stream.feed(talk[: 2 * RATE])
    assert stream.seconds == 2.0
    with pytest.raises(AcanetError, match=r"door is closed, .* inside the `with`"):
        use(stream)


@pytest.mark.parametrize("rate", [16000.0, np.float32(16000), np.int64(16000)])
def test_a_whole_rate_is_one_whatever_its_type(encoder, talk, rate):
    with encoder.stream(rate=rate) as stream:
        stream.feed(talk[:RATE])
        assert stream.seconds == 1.0
    assert encoder.embed(talk, rate=rate).shape == (encoder.dim,)


@pytest.mark.parametrize("rate", ["x", 16000.5, float("nan"), float("inf"), True, 100])
def test_a_rate_that_cannot_be_used(encoder, talk, rate):
    for use in (lambda: encoder.stream(rate=rate), lambda: encoder.embed(talk, rate=rate)):
        with pytest.raises(BadAudio, match=f"{rate} samples a second; a whole number from 4000 to 384000"):
            use()


@pytest.mark.parametrize("memory", ["a", -1, 0, 1.5, None])
def test_memory_is_a_number_of_bytes(encoder, memory):
    with pytest.raises(AcanetError, match="a number of bytes, 1 or more"):
        encoder.stream(memory=memory)


def test_who_cannot_stream_says_so(tiny_bundle):
    with pytest.raises(AcanetError, match=r"cannot embed speech as it comes: .*acanet export"):
        Encoder.load(tiny_bundle).stream()
    with pytest.raises(AcanetError, match="leave trimming out"):
        Encoder.load(trim=True).stream()
    with pytest.raises(BadAudio, match="<stream>: 0 samples a second"):
        Encoder.load().stream(rate=0)


class AllIsSpeech:
    """What is kept of a recording, with a detector of somebody's own."""

    def __init__(self, pieces):
        self.pieces = pieces
        self.feed, self.embedding, self.close = pieces.feed, pieces.embedding, pieces.close

    def speech(self, rest=None):
        return np.ones_like(self.pieces.speech(rest))


def test_another_detector_decides_what_is_speech(encoder):
    noise = np.random.default_rng(0).normal(0, 0.01, RATE).astype(np.float32)
    with pytest.raises(NoSpeech):
        encoder.embed(noise)
    with Stream(Intake(RATE, RATE, "noise"), AllIsSpeech(encoder.network.in_pieces()), 0.5) as stream:
        stream.feed(noise[:4000])
        with pytest.raises(TooShort, match=r"0\.25 s"):
            stream.embedding()
        stream.feed(noise[4000:])
        assert stream.speech_seconds == 1.0
        found = stream.embedding()
    np.testing.assert_allclose(found, encoder.embed_waveforms([noise])[0], rtol=0, atol=1e-4)
