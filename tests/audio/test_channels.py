"""One channel of several: the mean, the chosen one, or the strongest of those that cancel out."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acanet.audio import arrays, media, soundfiles
from acanet.audio.recording import load, open_recording, read_audio
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadAudio
from support.sounds import encode, noise

RATE = 16000


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1).astype(np.float32)


def heard(channels: np.ndarray, **choice: Any) -> np.ndarray:
    """(samples, channels) as it is heard, alike as an array and in a file."""
    waveform, _ = read_audio(channels, RATE, **choice)
    for format in ("WAV", "AIFF", "RF64"):
        np.testing.assert_array_equal(
            read_audio(encode(channels, format=format, subtype="FLOAT"), **choice)[0], waveform
        )
    np.testing.assert_array_equal(read_audio(channels.T, RATE, **choice)[0], waveform)
    return waveform


# Channels that cancel


@pytest.mark.parametrize("level", [1.0, 1e-3])
@pytest.mark.parametrize("balance", [1.0, 0.9, 0.7])
def test_one_of_opposite_channels_is_heard(balance: float, level: float) -> None:
    sound = level * noise(RATE)
    np.testing.assert_array_equal(heard(stereo(sound, -balance * sound)), sound)
    first = -sound if balance == 1 else sound
    np.testing.assert_array_equal(heard(stereo(-balance * sound, sound)), first)


@pytest.mark.parametrize("decibels", [60, 20, 10, 6])
def test_opposite_channels_with_noise_of_their_own(decibels: float) -> None:
    sound, share = noise(RATE), 10 ** (-decibels / 20)
    channels = stereo(sound + share * noise(RATE, 1), 0.99 * (-sound + share * noise(RATE, 2)))
    np.testing.assert_array_equal(heard(channels), channels[:, 0])


def test_silence_and_constant_parts_say_nothing() -> None:
    sound, before = noise(RATE), np.zeros(3 * RATE)
    channels = stereo(np.r_[before, sound], np.r_[before, -sound])
    np.testing.assert_array_equal(heard(channels)[3 * RATE :], sound)
    shifted = stereo(sound + 0.25, -sound + 0.25)
    np.testing.assert_array_equal(heard(shifted), shifted[:, 0])


@pytest.mark.parametrize(
    "right",
    [
        lambda sound: sound,
        lambda sound: 0.01 * sound,
        lambda sound: np.zeros_like(sound),
        lambda sound: noise(len(sound), 7),
        lambda sound: -0.15 * sound,
        lambda sound: np.roll(sound, 40),
        lambda sound: 0.5 * noise(len(sound), 7) - 0.2 * sound,
    ],
)
def test_all_other_channels_are_averaged(right: Any) -> None:
    sound = noise(RATE)
    channels = stereo(sound, right(sound))
    np.testing.assert_array_equal(heard(channels), channels.mean(axis=1))


def test_many_channels_cancel_together() -> None:
    sound, other = noise(RATE), noise(RATE, 5)
    channels = np.stack([0.5 * sound, -sound, 0.5 * sound, 0.01 * other], axis=1)
    np.testing.assert_array_equal(heard(channels), -sound)
    alone = np.stack([sound, *[np.zeros(RATE, np.float32)] * 7], axis=1)
    np.testing.assert_allclose(heard(alone), sound / 8, atol=1e-7)


def test_a_moment_says_nothing() -> None:
    sound = noise(RATE // 20)
    np.testing.assert_array_equal(heard(stereo(sound, -sound)), np.zeros_like(sound))


@pytest.mark.parametrize("block", [1000, 2**14])
def test_the_answer_does_not_depend_on_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = noise(2 * RATE)
    channels = stereo(np.r_[noise(RATE, 1), sound], np.r_[noise(RATE, 2), -sound])
    want = heard(channels)
    np.testing.assert_array_equal(want, channels[:, int(np.argmax(channels.var(axis=0)))])
    for reader in (arrays, soundfiles, media):
        monkeypatch.setattr(reader, "BLOCK", block)
    np.testing.assert_array_equal(heard(channels), want)


def test_in_containers_too() -> None:
    pytest.importorskip("av")
    from audio.test_media import LOSSLESS, speech_like, write

    sound = speech_like(RATE)[0]
    for kind in LOSSLESS[:2]:
        waveform, _ = read_audio(write(kind, np.stack([sound, -sound])))
        assert np.corrcoef(waveform, sound)[0, 1] > 0.999


def test_whoever_holds_only_a_block_hears_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfiles, "BLOCK", 2000)
    sound = noise(RATE)
    data = encode(stereo(sound, -sound), subtype="FLOAT")
    with open_recording(data) as recording:
        sizes = [len(block) for block in recording.blocks]
    assert max(sizes) <= 1000
    assert sum(sizes) == RATE


# The chosen one


@pytest.mark.parametrize("channel", [0, 1, 2, np.int64(1)])
def test_a_channel_is_chosen(channel: int) -> None:
    channels = noise(3 * RATE).reshape(-1, 3)
    np.testing.assert_array_equal(heard(channels, channel=channel), channels[:, channel])
    np.testing.assert_array_equal(load(channels, RATE, source_rate=RATE, channel=channel), channels[:, channel])


def test_the_only_channel_is_number_0() -> None:
    sound = noise(RATE)
    np.testing.assert_array_equal(read_audio(sound, RATE, channel=0)[0], sound)
    with pytest.raises(BadAudio, match="there is no channel 1; it has one channel, 0"):
        read_audio(sound, RATE, channel=1)


@pytest.mark.parametrize("channel", [2, 63, 10**9])
def test_a_channel_that_is_not_there(channel: int) -> None:
    data = encode(noise(2 * RATE).reshape(-1, 2))
    with pytest.raises(BadAudio, match=f"there is no channel {channel}; it has 2 channels, 0 to 1"):
        read_audio(data, channel=channel)


@pytest.mark.parametrize("channel", [-1, 0.0, "0", True, "left", [0]])
def test_what_is_no_channel(channel: Any) -> None:
    with pytest.raises(BadAudio, match="a whole number is expected, 0 is the first"):
        read_audio(encode(noise(RATE)), channel=channel)


# Wherever a source is taken


@pytest.fixture(scope="module")
def encoder(tiny_bundle: Path) -> Encoder:
    return Encoder.load(tiny_bundle)


@pytest.fixture(scope="module")
def call(voices: Path) -> tuple[Any, Any, bytes]:
    """Two people, and a call with one on each side."""
    one, two = (read_audio(voices / name / "000.wav")[0] for name in ("s001", "s002"))
    size = min(len(one), len(two))
    return one[:size], two[:size], encode(stereo(one[:size], two[:size]), subtype="FLOAT")


def test_each_side_of_a_call(encoder: Encoder, call: tuple[Any, Any, bytes]) -> None:
    one, two, both = call
    want = encoder.embed(one), encoder.embed(two)
    for channel in (0, 1):
        np.testing.assert_array_equal(encoder.embed(both, channel=channel), want[channel])
        np.testing.assert_array_equal(encoder.hear(both, channel=channel).embedding, want[channel])
        (found,) = encoder.embed_many([both], channel=channel)
        np.testing.assert_allclose(found, want[channel], atol=1e-6)
        windows = encoder.embed_windows(both, 1.0, 1.0, channel=channel)
        np.testing.assert_array_equal(
            windows.embeddings, encoder.embed_windows((one, two)[channel], 1.0, 1.0).embeddings
        )
        with encoder.recording(both, channel=channel) as recording:
            np.testing.assert_array_equal(recording.waveform, (one, two)[channel])


def test_verify_takes_a_channel_for_both_or_for_each(encoder: Encoder, call: tuple[Any, Any, bytes]) -> None:
    one, two, both = call

    def score(enrolment: Any, test: Any, channel: Any) -> float:
        return encoder.verify(enrolment, test, threshold=0.0, channel=channel).score

    assert score(both, both, 1) == pytest.approx(1.0, abs=1e-5)
    strangers = encoder.verify(one, two, threshold=0.0).score
    assert score(both, both, (0, 1)) == pytest.approx(strangers, abs=1e-6)
    assert score(one, both, (None, 1)) == pytest.approx(strangers, abs=1e-6)
    with pytest.raises(BadAudio, match="no channel 1"):
        encoder.verify(one, both, threshold=0.0, channel=1)


def test_opposite_channels_embed_as_the_voice_does(encoder: Encoder, call: tuple[Any, Any, bytes]) -> None:
    one, _, _ = call
    for source in (encode(stereo(one, -one), subtype="FLOAT"), io.BytesIO(encode(stereo(one, -one), subtype="FLOAT"))):
        np.testing.assert_array_equal(encoder.embed(source), encoder.embed(one))
    np.testing.assert_array_equal(encoder.embed(stereo(one, -one)), encoder.embed(one))


def test_one_recording_without_the_channel_costs_only_itself(encoder: Encoder, call: tuple[Any, Any, bytes]) -> None:
    one, _, both = call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = list(encoder.embed_many([both, one, both], channel=1))
    assert [isinstance(result, AcanetError) for result in results] == [False, True, False]
