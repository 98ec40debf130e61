"""Recordings in blocks are what they are as a whole."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.audio import recording as audio
from acanet.audio.blocks import Checks, Resampler, resampled
from acanet.audio.quality import AudioWarning
from acanet.audio.recording import claimed_seconds, decode, load, open_blocks, resample
from acanet.errors import BadAudio
from support.blocks import cut

RATE = 16000


def noise(seconds, seed=0, rate=RATE):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


# Decoding


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(audio, "_BLOCK", 1000)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("channels", [1, 3])
def test_blocks_of_a_file_are_what_is_decoded(small_blocks, tmp_path, suffix, channels):
    path = tmp_path / f"talk.{suffix}"
    soundfile.write(path, noise(0.7 * channels).reshape(-1, channels), RATE)
    for source in (path, path.read_bytes()):
        with open_blocks(source) as recording:
            blocks = list(recording.blocks)
        assert (recording.rate, recording.claimed) == (RATE, round(0.7 * RATE))
        assert max(map(len, blocks)) <= 1000
        np.testing.assert_array_equal(np.concatenate(blocks), decode(source)[0])


@pytest.mark.parametrize("dtype", [np.float64, np.int16, np.uint8, np.int32])
def test_blocks_of_an_array_are_what_is_decoded(small_blocks, dtype):
    kind = np.dtype(dtype)
    scale, offset = (1, 0) if kind.kind == "f" else (2.0 ** (8 * kind.itemsize - 1), 128 if kind.kind == "u" else 0)
    array = (np.stack([noise(0.5), noise(0.5, 1)]) * scale + offset).astype(dtype)
    array[:, :1500] = offset  # silence says nothing about the scale
    with open_blocks(array, RATE) as recording:
        np.testing.assert_array_equal(np.concatenate(list(recording.blocks)), decode(array, RATE)[0])


def test_what_media_hold_comes_in_blocks(small_blocks, tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "talk.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE)
        for start in range(0, 3 * RATE, 1024):
            frame = av.AudioFrame.from_ndarray(noise(3)[None, start : start + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_blocks(path) as recording:
        blocks = list(recording.blocks)
    assert len(blocks) > 10
    np.testing.assert_array_equal(np.concatenate(blocks), decode(path)[0])


def test_a_file_that_was_cut_off_is_noticed_at_its_end(small_blocks, tmp_path):
    path = tmp_path / "talk.flac"
    soundfile.write(path, noise(3), RATE)
    whole = path.read_bytes()
    with pytest.raises(BadAudio), open_blocks(whole[: len(whole) // 2]) as recording:
        list(recording.blocks)


def test_how_long_a_recording_says_it_is(tmp_path):
    soundfile.write(tmp_path / "talk.wav", noise(1.5), RATE)
    assert claimed_seconds(tmp_path / "talk.wav") == 1.5
    assert claimed_seconds(noise(1.5), 8000) == 3.0
    with pytest.raises(BadAudio, match="no such file"):
        claimed_seconds(tmp_path / "gone.wav")
    header = (
        "NIST_1A\n   1024\nsample_count -i 32000\nsample_rate -i 16000\nsample_coding -s26 pcm,embedded-shorten-v2.00\n"
    )
    assert claimed_seconds(f"{header}end_head\n".encode().ljust(2048)) == 2.0


# Other rates


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from([8000, 11025, 22050, 44100, 44101, 48000]),
    st.lists(st.integers(1, 9000), min_size=1, max_size=4),
    st.integers(2000, 40000),
)
def test_resampled_in_blocks_as_in_one(have, sizes, length):
    samples = noise(1, length, rate=length)
    found = np.concatenate(list(resampled(cut(samples, sizes), have, RATE)))
    np.testing.assert_array_equal(found, resample(samples, have, RATE))


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from([8000, 11025, 44100, 44101, 96000]),
    st.lists(st.integers(1, 9000), min_size=1, max_size=4),
    st.integers(1, 150_000),
)
def test_the_rest_is_what_would_come_if_it_ended_here(have, sizes, length):
    samples = noise(1, length, rate=length)
    resampler = Resampler(have, RATE)
    found = []
    for number, block in enumerate(cut(samples, sizes)):
        found.append(resampler.feed(block))
        if number % 7 == 0:
            resampler.rest()  # changes nothing
    found.append(resampler.rest())
    np.testing.assert_allclose(np.concatenate(found), resample(samples, have, RATE), rtol=0, atol=2e-6)


# Checks


def losses(samples, rate, sizes):
    """What is warned of, in blocks and of the whole."""
    told = []
    checks = Checks(rate, f"<array {samples.shape}>")
    for block in cut(samples, sizes):
        checks.feed(block)
    for check in (lambda: checks.finish(RATE), lambda: load(samples, RATE, source_rate=rate)):
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
    checks = Checks(RATE, "talk")
    checks.feed(noise(1))
    for bad, reason in ((math.nan, "not finite"), (math.inf, "not finite"), (100.0, "far beyond 1")):
        block = noise(0.1)
        block[50] = bad
        with pytest.raises(BadAudio, match=f"talk: .*{reason}"):
            checks.feed(block)
    with pytest.raises(BadAudio, match="no samples"):
        Checks(RATE, "nothing").finish(RATE)
