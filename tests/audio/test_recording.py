"""Recordings: what can be read is read right, and everything else is a BadAudio that says why."""

from __future__ import annotations

import json
import os
import stat
import struct
import time
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.audio.quality import AudioWarning
from acanet.audio.recording import MOST_SAMPLES, channel_count, content_hash, load, read_audio
from acanet.audio.resample import resample
from acanet.audio.sources import describe
from acanet.errors import BadAudio
from support.damage import refusals
from support.sounds import encode, noise, tone

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def wav_header(data_bytes: int, rate: int = 16000, channels: int = 1) -> bytes:
    layout = struct.pack("<HHIIHH", 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    return (
        b"RIFF" + struct.pack("<I", min(36 + data_bytes, 2**32 - 1)) + b"WAVEfmt " + struct.pack("<I", 16)
        + layout + b"data" + struct.pack("<I", data_bytes)
    )  # fmt: skip


def refusal(source: Any, rate: int | None = None, **piece: float) -> str:
    with pytest.raises(BadAudio) as caught:
        read_audio(source, rate, **piece)
    assert caught.value.source == describe(source)
    assert str(caught.value).startswith(describe(source))
    return caught.value.reason


# What can be read


@pytest.mark.parametrize("name", FORMATS)
def test_formats_come_back_from_files_and_bytes(name: str, tmp_path: Path) -> None:
    sound = tone(440, 16000)
    path = tmp_path / f"tone.{name}"
    path.write_bytes(encode(sound, 16000, *FORMATS[name]))
    waveform, rate = read_audio(path)
    assert (rate, waveform.dtype, waveform.shape) == (16000, np.float32, sound.shape)
    middle = slice(4000, 12000)
    assert np.sqrt(np.mean(waveform[middle] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert np.abs(np.fft.rfft(waveform)).argmax() == 440
    for same in (str(path), path.read_bytes()):
        np.testing.assert_array_equal(read_audio(same)[0], waveform)


def test_wav_samples_are_exact() -> None:
    pcm = np.array([0, 1, -1, 16384, -32768, 32767], np.int16)
    np.testing.assert_array_equal(read_audio(encode(pcm))[0], pcm.astype(np.float32) / 32768)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_any_rate_comes_in_as_one_rate(rate: int) -> None:
    waveform, have = read_audio(encode(noise(rate), rate))
    assert have == rate
    assert waveform.shape == (rate,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        assert load(encode(noise(rate), rate), 16000).shape == (16000,)


@pytest.mark.parametrize("channels", [2, 16, 64])
def test_channels_are_averaged(channels: int) -> None:
    sound = noise(3000 * channels).reshape(3000, channels)
    want = sound.mean(axis=1)
    np.testing.assert_allclose(read_audio(encode(sound, subtype="FLOAT"))[0], want, atol=1e-7)
    np.testing.assert_allclose(read_audio(sound, 16000)[0], want, atol=1e-7)
    np.testing.assert_allclose(read_audio(sound.T, 16000)[0], want, atol=1e-7)


def test_blocks_join_without_a_seam() -> None:
    sound = noise(2**20 + 12345)
    np.testing.assert_array_equal(read_audio(encode(sound, subtype="FLOAT"))[0], sound)


@pytest.mark.parametrize("name", FORMATS)
def test_a_piece_is_what_the_whole_has_there(name: str) -> None:
    data = encode(noise(32000), 16000, *FORMATS[name])
    whole, piece = read_audio(data)[0], read_audio(data, start=0.5, duration=0.25)[0]
    assert piece.shape == (4000,)
    difference = piece - whole[8000:12000]
    assert np.sqrt(np.mean(difference**2)) < (0.05 if name in ("opus", "mp3") else 1e-6) * 0.1
    assert read_audio(data, start=1.5, duration=99)[0].shape == (8000,)


def test_a_piece_of_an_array() -> None:
    sound = noise(16000)
    np.testing.assert_array_equal(read_audio(sound, 16000, start=0.5, duration=0.25)[0], sound[8000:12000])


INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"]


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from([*INTEGERS, "float16", "float32", "float64"]),
    samples=st.integers(1, 500),
    channels=st.integers(1, 3),
    rate=st.integers(4000, 384_000),
    seed=st.integers(0, 99),
)
def test_arrays_of_every_type_mean_the_same(dtype: str, samples: int, channels: int, rate: int, seed: int) -> None:
    samples = max(samples, channels)
    want = np.random.default_rng(seed).uniform(-0.9, 0.9, (channels, samples))
    kind = np.dtype(dtype)
    if kind.kind == "f":
        array, step = want.astype(kind), np.finfo(kind).eps
    else:
        half = 2.0 ** (8 * kind.itemsize - 1)
        array, step = (want * half + (half if kind.kind == "u" else 0)).astype(kind), 2 / half
    waveform, have = read_audio(array if channels > 1 else array[0], rate)
    assert have == rate
    assert waveform.dtype == np.float32
    np.testing.assert_allclose(waveform, want.mean(axis=0), atol=step + 1e-6)


# Rates


@pytest.mark.parametrize(("have", "want"), [(48000, 16000), (44100, 16000), (8000, 16000), (16000, 8000)])
def test_resampling_keeps_frequency_and_level(have: int, want: int) -> None:
    resampled = resample(tone(1000, have), have, want)
    assert resampled.shape == (want,)
    assert resampled.dtype == np.float32
    middle = slice(want // 8, -want // 8)
    np.testing.assert_allclose(resampled[middle], tone(1000, want)[middle], atol=1e-3)


def test_resampling_removes_what_the_new_rate_cannot_hold() -> None:
    middle = resample(tone(10000, 48000), 48000, 16000)[2000:-2000]
    assert np.abs(middle).max() < 1e-3


def test_the_same_rate_is_the_same_waveform() -> None:
    sound = noise(100)
    assert resample(sound, 16000, 16000) is sound


# Hashes and names


def test_a_wav_and_its_flac_have_one_hash() -> None:
    stereo = (noise(4000).reshape(2000, 2) * 32768).astype(np.int16)
    wav, flac = (content_hash(read_audio(encode(stereo, 44100, format))[0]) for format in ("WAV", "FLAC"))
    assert wav == flac
    assert len(wav) == 16
    assert int(wav, 16) >= 0
    changed = read_audio(encode(stereo, 44100))[0]
    changed[7] += 2 / 32768
    assert content_hash(changed) != wav


def test_sources_are_named_in_errors() -> None:
    assert describe(b"x" * 1234) == "<bytes, 1234>"
    assert describe(np.zeros(16000)) == "<array (16000,)>"
    assert describe(Path("a/b.wav")) == describe("a/b.wav") == os.path.join("a", "b.wav")


# What cannot be read


def test_paths_that_are_no_recording(tmp_path: Path) -> None:
    text, empty = tmp_path / "text.wav", tmp_path / "empty.wav"
    text.write_text("not audio\n" * 1000)
    empty.touch()
    assert "no such file" in refusal(tmp_path / "missing.wav")
    assert "folder" in refusal(tmp_path)
    assert "empty" in refusal(empty)
    assert "not a recording" in refusal(text)
    assert "this is a device; give a file or a pipe" in refusal(os.devnull)
    assert "cannot be opened" in refusal("x" * 5000)


def test_a_name_never_decides_how_bytes_are_read(tmp_path: Path) -> None:
    for suffix in ("raw", "vox", "gsm", "mp3", "m4a"):
        path = tmp_path / f"text.{suffix}"
        path.write_text("not audio\n" * 1000)
        assert "not a recording" in refusal(path)


def test_bytes_that_are_no_recording() -> None:
    assert "empty" in refusal(b"")
    assert "not a recording" in refusal(b"hello")
    assert "not a recording" in refusal(bytes(100_000))


def test_a_header_without_samples() -> None:
    assert "no samples" in refusal(encode(np.zeros(0, np.float32)))
    assert "no samples" in refusal(wav_header(0))


def test_a_header_that_claims_hours() -> None:
    data = wav_header(5 * 3600 * 32000) + bytes(3200)
    tracemalloc.start()
    reason = refusal(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "promises 576000000 bytes" in reason
    assert "has 3200" in reason
    assert peak < 2**20


def test_a_flac_that_claims_hours_is_not_believed() -> None:
    data = bytearray(encode(noise(8000), format="FLAC"))
    fields = int.from_bytes(data[18:26], "big")
    for claim, reason in ((10**9, "17.4 hours"), (8 * 10**6, "cut off"), (10**7, "it claims 0.2 hours")):
        data[18:26] = (fields >> 36 << 36 | claim).to_bytes(8, "big")
        assert reason in refusal(bytes(data))


def test_a_flac_that_does_not_say_how_long_it_is_is_read_to_its_end() -> None:
    sound = noise(100_000)
    data = bytearray(encode(sound, format="FLAC"))
    whole = read_audio(bytes(data))[0]
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    np.testing.assert_array_equal(read_audio(bytes(data))[0], whole)
    np.testing.assert_array_equal(read_audio(bytes(data), start=2.0, duration=1.0)[0], whole[32000:48000])
    assert "only 6.25 s" in refusal(bytes(data), start=7.0)


def test_a_length_left_open_by_a_pipe_is_no_lie() -> None:
    sound = encode(noise(1600))[44:]
    for size in (0xFFFFFFFF, 0x7FFFF000):
        assert read_audio(wav_header(size) + sound)[0].shape == (1600,)


def test_huge_sparse_files_cost_nothing(tmp_path: Path) -> None:
    zeros, hours = tmp_path / "zeros.wav", tmp_path / "hours.wav"
    zeros.touch()
    hours.write_bytes(wav_header(2**31 - 44))
    for path in (zeros, hours):
        os.truncate(path, 2**31)
    begin = time.perf_counter()
    tracemalloc.start()
    assert "not a recording" in refusal(zeros)
    assert "18.6 hours" in refusal(hours)
    assert read_audio(hours, start=3600, duration=2)[0].shape == (32000,)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22
    assert time.perf_counter() - begin < 2


def test_many_channels_are_mixed_block_by_block(tmp_path: Path) -> None:
    path, size = tmp_path / "wide.wav", 2**28
    path.write_bytes(wav_header(size - 44, channels=64))
    os.truncate(path, size)
    tracemalloc.start()
    waveform, _ = read_audio(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert waveform.shape == ((size - 44) // 128,)
    assert peak < 2**25 < 4 * (size - 44) // 2


def test_arrays_have_the_same_limit_as_files() -> None:
    said = refusal(np.broadcast_to(np.float32(0), (MOST_SAMPLES + 1,)), 16000)
    assert "4.7 hours at 16000 Hz" in said
    assert "cut it into recordings of up to 4.6 hours" in said


@pytest.mark.parametrize("name", ["wav", "flac", "mp3"])
def test_half_a_file_is_refused(name: str) -> None:
    data = encode(noise(32000), 16000, *FORMATS[name])
    assert refusal(data[: len(data) // 2])


@pytest.mark.parametrize("name", FORMATS)
def test_a_broken_file_gives_finite_samples_or_badaudio(name: str) -> None:
    assert refusals(encode(noise(4000), 16000, *FORMATS[name])) > 20


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite(value: float) -> None:
    sound = noise(1000)
    sound[500] = value
    assert "1 samples are not finite" in refusal(sound, 16000)
    assert "1 samples are not finite" in refusal(encode(sound, subtype="FLOAT"))


def test_samples_on_another_scale() -> None:
    loud = noise(1000, level=3000.0)
    assert "divide them by 32768" in refusal(loud, 16000)
    assert "divide them by 32768" in refusal(encode(loud, subtype="FLOAT"))
    assert "int16" in refusal(loud.astype(np.int64), 16000)
    assert "not finite" in refusal(np.full(10, 1e300), 16000)
    assert read_audio(noise(1000, level=0.5).clip(-1.3, 1.3), 16000)[0].shape == (1000,)


@pytest.mark.parametrize("rate", [0, -16000, 3999, 384_001])
def test_rates_that_make_no_sense(rate: int) -> None:
    assert f"{rate} samples a second" in refusal(noise(1000), rate)


def test_a_file_with_a_rate_that_makes_no_sense() -> None:
    for rate in (1000, 400_000):
        assert f"{rate} samples a second" in refusal(encode(noise(1000), rate))


def test_too_many_channels() -> None:
    assert "65 channels" in refusal(encode(noise(6500).reshape(100, 65)))
    assert "65 channels" in refusal(noise(6500).reshape(65, 100), 16000)


def test_arrays_that_are_no_waveform() -> None:
    assert "needs its rate" in refusal(noise(10))
    assert "empty" in refusal(np.zeros(0), 16000)
    assert "empty" in refusal(np.zeros((2, 0)), 16000)
    assert "(samples,)" in refusal(np.zeros((2, 3, 4)), 16000)
    assert "(samples,)" in refusal(np.array(0.5), 16000)
    for dtype in (complex, bool, str):
        assert "not integers" in refusal(np.zeros(10, dtype), 16000)


@pytest.mark.parametrize(
    "piece", [{"start": -1}, {"start": np.nan}, {"duration": 0}, {"duration": -1}, {"duration": np.inf}]
)
def test_pieces_that_make_no_sense(piece: dict[str, float]) -> None:
    assert f"{next(iter(piece))} is" in refusal(noise(1000), 16000, **piece)


def test_a_piece_past_the_end() -> None:
    assert "only 1 s" in refusal(noise(16000), 16000, start=1.0)
    assert "only 1 s" in refusal(encode(noise(16000)), start=7.0)


# NIST SPHERE


def nist(samples: np.ndarray, coding: str = "pcm", channels: int = 1) -> bytes:
    """A SPHERE file of 16 bit samples, (samples x channels,), with any coding in its header."""
    fields = {
        "channel_count": f"-i {channels}",
        "sample_count": f"-i {len(samples) // channels}",
        "sample_rate": "-i 16000",
        "sample_n_bytes": "-i 2",
        "sample_byte_format": "-s2 01",
        "sample_coding": f"-s{len(coding)} {coding}",
    }
    header = "NIST_1A\n   1024\n" + "".join(f"{name} {value}\n" for name, value in fields.items()) + "end_head\n"
    return header.encode().ljust(1024) + np.rint(samples * 32767).astype("<i2").tobytes()


SHORTEN = "pcm,embedded-shorten-v2.00"


@pytest.fixture
def sph2pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only thing on the PATH: a program that notes its arguments and gives the contents of `expanded`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "sph2pipe"
    program.write_text(
        f'#!/bin/sh\nfor word; do echo "$word"; done >{folder}/called\nexec /bin/cat {folder}/expanded\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    return program


@pytest.mark.parametrize("channels", [1, 2])
def test_plain_nist_files_need_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    monkeypatch.setenv("PATH", "")
    sound = noise(3200)
    path = tmp_path / "011a0101.wv1"
    path.write_bytes(nist(sound, channels=channels))
    waveform, rate = read_audio(path)
    assert rate == 16000
    np.testing.assert_allclose(waveform, sound.reshape(-1, channels).mean(axis=1), atol=1e-4)
    assert channel_count(path) == channels


def test_shortened_nist_files_go_through_sph2pipe(sph2pipe: Path, tmp_path: Path) -> None:
    sound = noise(3200)
    (sph2pipe.parent / "expanded").write_bytes(encode(sound))
    path = tmp_path / "-a b.wv1"
    path.write_bytes(nist(sound[:100], SHORTEN, channels=2))
    waveform, rate = read_audio(path)
    assert rate == 16000
    np.testing.assert_allclose(waveform, sound, atol=1e-4)
    *options, given = (sph2pipe.parent / "called").read_text().splitlines()
    assert options == ["-f", "wav"]
    assert not given.startswith("-")
    np.testing.assert_array_equal(read_audio(path, start=0.05, duration=0.1)[0], waveform[800:2400])
    np.testing.assert_array_equal(read_audio(path.read_bytes())[0], waveform)
    assert channel_count(path) == 2


def test_without_sph2pipe_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "011a0101.wv1"
    path.write_bytes(nist(noise(100), SHORTEN))
    for source in (path, path.read_bytes()):
        reason = refusal(source)
        assert "needs sph2pipe: put it on the PATH" in reason
        assert "sph2pipe -f wav in.wv1 out.wav" in reason


def test_what_sph2pipe_cannot_expand(sph2pipe: Path, tmp_path: Path) -> None:
    path = tmp_path / "011a0101.wv1"
    path.write_bytes(nist(noise(100), SHORTEN))
    sph2pipe.write_text("#!/bin/sh\necho corrupted >&2\nexit 3\n")
    assert refusal(path) == "sph2pipe cannot expand it (exit 3); it says: corrupted"
    sph2pipe.write_text("#!/bin/sh\n")
    assert refusal(path) == "sph2pipe cannot expand it (exit 0); it says: nothing"
    sph2pipe.write_text("#!/bin/sh\necho no recording\n")
    assert "not a recording" in refusal(path)


@pytest.mark.parametrize("name", FORMATS)
def test_channels_are_counted_in_any_format(name: str, tmp_path: Path) -> None:
    path = tmp_path / "two.raw"  # a name that says nothing, or the wrong thing
    path.write_bytes(encode(noise(32000).reshape(-1, 2), 16000, *FORMATS[name]))
    assert channel_count(path) == 2


@pytest.mark.speech
def test_real_speech_gives_almost_no_warnings(shared: Path) -> None:
    warned = total = 0
    for name in ("speechocean762.dev", "librispeech.train", "arabic_commands.train"):
        lines = (shared / "data" / f"{name}.jsonl").read_text().splitlines()
        for line in lines[:: len(lines) // 20]:
            path = shared / "data" / json.loads(line)["path"]
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                load(path, 16000)
            warned, total = warned + bool(caught), total + 1
    assert total >= 60
    assert warned <= 0.05 * total
