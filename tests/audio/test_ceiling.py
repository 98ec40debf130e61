"""What no honest recording is gets refused at once; honest hours do not."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acanet.audio.ceiling import Ceiling
from acanet.audio.recording import MOST_SAMPLES, check_holdable, open_recording, read_audio
from acanet.encoder import Encoder
from acanet.errors import BadAudio, TooLong
from support.sounds import encode, noise

RATE = 16000


def silence(path: Path, seconds: int, rate: int = 4000, **kind: str) -> bytes:
    """A file of zeros, written a minute at a time."""
    with soundfile.SoundFile(path, "w", rate, 1, **kind) as file:
        for start in range(0, seconds, 60):
            file.write(np.zeros(min(60, seconds - start) * rate, np.float32))
    return path.read_bytes()


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two hours in some 30 kB."""
    return silence(tmp_path_factory.mktemp("bomb") / "two-hours.flac", 7200, format="FLAC", subtype="PCM_16")


def refusal(source: bytes, **piece: float) -> str:
    begin = time.perf_counter()
    tracemalloc.start()
    with pytest.raises(BadAudio) as caught, open_recording(source, **piece) as recording:
        for _ in recording.blocks:
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**26
    assert time.perf_counter() - begin < 10
    return caught.value.reason


def lying(flac: bytes, samples: int) -> bytes:
    """A flac file that claims so many samples; 0: it does not say."""
    fields = int.from_bytes(flac[18:26], "big")
    return flac[:18] + (fields >> 36 << 36 | samples).to_bytes(8, "big") + flac[26:]


def test_a_claim_is_refused_before_anything_is_decoded(bomb: bytes) -> None:
    assert len(bomb) < 100_000
    with pytest.raises(BadAudio, match=r"it claims 2\.0 hours, in \d+ bytes: beyond ten minutes"), open_recording(bomb):
        raise AssertionError("opened")


def test_what_is_decoded_is_counted_where_no_claim_is_made(bomb: bytes) -> None:
    for piece in ({}, {"start": 5000.0}, {"start": 100.0, "duration": 6000.0}):
        assert "it decodes to" in refusal(lying(bomb, 0), **piece)


def test_joined_files_are_counted_together(bomb: bytes) -> None:
    part = lying(bomb, 0)[: len(bomb) // 15]  # under ten minutes each
    assert "it decodes to" in refusal(part * 100)


HONEST = [
    ("wav", "WAV", "PCM_16"),
    pytest.param(("ogg", "OGG", "OPUS"), marks=pytest.mark.slow),
    pytest.param(("mp3", "MP3", "MPEG_LAYER_III"), marks=pytest.mark.slow),
]


def test_ten_minutes_are_free(tmp_path: Path) -> None:
    data = silence(tmp_path / "minutes.flac", 599, format="FLAC", subtype="PCM_16")
    assert len(data) < 59_900
    assert len(read_audio(data)[0]) == 599 * 4000


@pytest.mark.parametrize("kind", HONEST)
def test_honest_hours_are_heard(kind: tuple[str, str, str], tmp_path: Path) -> None:
    suffix, format, subtype = kind
    path = tmp_path / f"hour.{suffix}"
    with soundfile.SoundFile(path, "w", 8000, 1, format=format, subtype=subtype) as file:
        for _ in range(12):
            file.write(noise(60 * 8000, level=0.01))
    with open_recording(path) as recording:
        seconds = sum(map(len, recording.blocks)) / recording.rate
    assert seconds == pytest.approx(720, abs=0.5)


def test_the_border() -> None:
    for seconds, size, refused in (
        (600.0, 1, False),
        (601.0, 60_100, False),
        (601.0, 60_000, True),
        (1e9, 10**9, True),
    ):
        for count in (Ceiling(size, "x").check_claim, Ceiling(size, "x").count):
            if refused:
                with pytest.raises(BadAudio, match="x: it "):
                    count(seconds)
            else:
                count(seconds)


def test_samples_are_counted_as_those_that_they_become() -> None:
    check_holdable(MOST_SAMPLES, 48000, "x")
    check_holdable(MOST_SAMPLES // 4, 4000, "x")
    with pytest.raises(BadAudio, match=r"4\.7 hours at 4000 Hz, .* up to 4\.6 hours"):
        check_holdable(MOST_SAMPLES // 4 + 1, 4000, "x")


# A limit of one's own


@pytest.fixture(scope="module")
def talk(voices: Path) -> bytes:
    speech, _ = read_audio(voices / "s001" / "000.wav")
    return encode(np.tile(speech, 4))


def test_max_seconds_is_a_limit_on_every_road(tiny_bundle: Path, talk: bytes) -> None:
    seconds = len(read_audio(talk)[0]) / RATE
    short, enough = (Encoder.load(tiny_bundle, max_seconds=limit) for limit in (seconds - 0.5, seconds + 0.5))
    for ask in (
        lambda encoder: encoder.embed(talk),
        lambda encoder: encoder.hear(talk),
        lambda encoder: encoder.embed_windows(talk, 2.0, 1.0),
        lambda encoder: encoder.verify(talk, talk, threshold=0.0),
        lambda encoder: encoder.recording(talk).__enter__().close(),
    ):
        ask(enough)
        with pytest.raises(TooLong, match=rf"max_seconds is {seconds - 0.5:g}"):
            ask(short)
    (result,) = short.embed_many([talk])
    assert isinstance(result, TooLong)
    with short.recording(talk, start=1.0, duration=1.0) as recording:
        assert recording.seconds == 1.0


def test_max_seconds_does_not_believe_a_header(tiny_bundle: Path, talk: bytes) -> None:
    data = encode(read_audio(talk)[0], format="FLAC")
    encoder = Encoder.load(tiny_bundle, max_seconds=3.0)
    with pytest.raises(TooLong, match="max_seconds is 3"):
        encoder.embed(lying(data, 0))


@pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
def test_limits_that_make_no_sense(limit: float, tiny_bundle: Path) -> None:
    from acanet.errors import BadArgument

    with pytest.raises(BadArgument, match="seconds above 0"):
        Encoder.load(tiny_bundle, max_seconds=limit)


def test_minutes_of_speech_are_trimmed_in_pieces(tiny_bundle: Path, talk: bytes) -> None:
    """The same as the network gives for all of the speech at once."""
    encoder = Encoder.load(tiny_bundle, trim=True)
    speech, _ = read_audio(talk)
    pause = noise(2 * RATE, level=1e-4)
    long = np.concatenate([np.r_[speech, pause]] * 12)
    with encoder.recording(long) as recording:
        spoken = recording.require_speech()
        trimmed = spoken.trim(recording.waveform, RATE)
        parts = list(spoken.trimmed(recording.blocks(), RATE))
    np.testing.assert_array_equal(np.concatenate(parts), trimmed)
    assert spoken.seconds > 60
    np.testing.assert_allclose(encoder.embed(long), encoder.embed_waveforms([trimmed])[0], atol=1e-4)
    (other,) = encoder.embed_many([long])
    np.testing.assert_array_equal(other, encoder.embed(long))
