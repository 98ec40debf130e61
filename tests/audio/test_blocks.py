"""Recordings in blocks are what they are as a whole."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from acanet.audio import arrays, media, soundfiles
from acanet.audio.recording import open_recording, read_audio
from acanet.errors import BadAudio

RATE = 16000


def noise(seconds, seed=0, rate=RATE):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


# Decoding


@pytest.fixture
def small_blocks(monkeypatch):
    for reader in (arrays, soundfiles, media):
        monkeypatch.setattr(reader, "BLOCK", 1000)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("channels", [1, 3])
def test_blocks_of_a_file_are_what_is_decoded(small_blocks, tmp_path, suffix, channels):
    path = tmp_path / f"talk.{suffix}"
    soundfile.write(path, noise(0.7 * channels).reshape(-1, channels), RATE)
    for source in (path, path.read_bytes()):
        with open_recording(source) as recording:
            blocks = list(recording.blocks)
        assert (recording.rate, recording.claimed) == (RATE, round(0.7 * RATE))
        assert max(map(len, blocks)) <= 1000
        np.testing.assert_array_equal(np.concatenate(blocks), read_audio(source)[0])


@pytest.mark.parametrize("dtype", [np.float64, np.int16, np.uint8, np.int32])
def test_blocks_of_an_array_are_what_is_decoded(small_blocks, dtype):
    kind = np.dtype(dtype)
    scale, offset = (1, 0) if kind.kind == "f" else (2.0 ** (8 * kind.itemsize - 1), 128 if kind.kind == "u" else 0)
    array = (np.stack([noise(0.5), noise(0.5, 1)]) * scale + offset).astype(dtype)
    array[:, :1500] = offset  # silence says nothing about the scale
    with open_recording(array, RATE) as recording:
        np.testing.assert_array_equal(np.concatenate(list(recording.blocks)), read_audio(array, RATE)[0])


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
    with open_recording(path) as recording:
        blocks = list(recording.blocks)
    assert len(blocks) > 10
    np.testing.assert_array_equal(np.concatenate(blocks), read_audio(path)[0])


def test_a_file_that_was_cut_off_is_noticed_at_its_end(small_blocks, tmp_path):
    path = tmp_path / "talk.flac"
    soundfile.write(path, noise(3), RATE)
    whole = path.read_bytes()
    with pytest.raises(BadAudio), open_recording(whole[: len(whole) // 2]) as recording:
        list(recording.blocks)


def test_how_long_a_recording_says_it_is(tmp_path):
    soundfile.write(tmp_path / "talk.wav", noise(1.5), RATE)
    for source, rate, seconds in ((tmp_path / "talk.wav", None, 1.5), (noise(1.5), 8000, 3.0)):
        with open_recording(source, rate) as recording:
            assert recording.claimed_seconds == seconds
    with pytest.raises(BadAudio, match="no such file"), open_recording(tmp_path / "gone.wav"):
        pass
