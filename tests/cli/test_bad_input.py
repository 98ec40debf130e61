"""Whatever comes in: a typed error or a right answer, in bounded time and memory; never a crash, NaN or a score."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.audio.resample import resample
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadAudio, NoSpeech, TooLong, TooShort
from support.commands import acanet

RATE = 16000


@pytest.fixture(scope="module")
def encoder(tiny_bundle: Path) -> Encoder:
    return Encoder.load(tiny_bundle)


@pytest.fixture(scope="module")
def good(voices: Path) -> Path:
    return voices / "s001" / "000.wav"


@pytest.fixture(scope="module")
def speech(good: Path) -> np.ndarray:
    return soundfile.read(good, dtype="float32")[0]


def square(samples: int) -> np.ndarray:
    """200 Hz, driven far beyond full scale."""
    return np.clip(30 * np.sin(2 * np.pi * 200 * np.arange(samples) / RATE), -1, 1)


def with_value(speech: np.ndarray, value: float) -> np.ndarray:
    spoilt = speech.copy()
    spoilt[len(spoilt) // 2] = value
    return spoilt


def wav(path: Path, samples: np.ndarray, subtype: str = "PCM_16") -> None:
    soundfile.write(path, samples, RATE, subtype=subtype)


def cut_flac(path: Path, speech: np.ndarray) -> None:
    soundfile.write(path, speech, RATE)
    os.truncate(path, path.stat().st_size // 2)


def claim(path: Path, data_bytes: int, size: int) -> None:
    """A wav header for so many bytes of samples, and a file of `size` bytes, all zero behind it."""
    layout = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    header = b"RIFF" + struct.pack("<I", 36 + data_bytes) + b"WAVEfmt " + struct.pack("<I", 16) + layout
    path.write_bytes(header + b"data" + struct.pack("<I", data_bytes))
    os.truncate(path, size)


Make = Callable[[Path, np.ndarray], Any]
BAD: dict[str, tuple[type[AcanetError], str, Make]] = {
    "empty.wav": (BadAudio, "the file is empty", lambda path, _: path.touch()),
    "header.wav": (BadAudio, "a header but no samples", lambda path, _: claim(path, 0, 44)),
    "text.wav": (BadAudio, "not a recording", lambda path, _: path.write_text("not audio\n" * 1000)),
    "text.m4a": (BadAudio, "not a recording", lambda path, _: path.write_text("not audio\n" * 1000)),
    "truncated.flac": (BadAudio, "", cut_flac),
    "nan.wav": (BadAudio, "1 samples are not finite", lambda path, x: wav(path, with_value(x, np.nan), "FLOAT")),
    "infinite.wav": (BadAudio, "1 samples are not finite", lambda path, x: wav(path, with_value(x, np.inf), "FLOAT")),
    "zeros.wav": (NoSpeech, "no speech in 2.00 s", lambda path, _: wav(path, np.zeros(2 * RATE))),
    "dc.wav": (NoSpeech, "no speech in 2.00 s", lambda path, _: wav(path, np.full(2 * RATE, 0.5))),
    "full.wav": (NoSpeech, "no speech in 2.00 s", lambda path, _: wav(path, np.ones(2 * RATE), "FLOAT")),
    "square.wav": (NoSpeech, "no speech in 2.00 s", lambda path, _: wav(path, square(2 * RATE))),
    "short.wav": (TooShort, "0.05 s of speech", lambda path, x: wav(path, x[RATE // 2 :][: RATE // 20])),
    "hours.wav": (BadAudio, "cut off: the header promises", lambda path, _: claim(path, 5 * 3600 * 2 * RATE, 3244)),
    "sparse.wav": (TooLong, "1118.5 minutes of audio", lambda path, _: claim(path, 2**31 - 44, 2**31)),
    "holes.wav": (BadAudio, "not a recording", lambda path, _: (path.touch(), os.truncate(path, 2**31))),
    "holes.mp4": (BadAudio, "moov", lambda path, _: (path.write_bytes(b"\0\0\0\x08ftyp"), os.truncate(path, 2**31))),
}  # fmt: skip


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, speech: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    for name, (_, _, make) in BAD.items():
        make(folder / name, speech)
    return folder


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore::acanet.audio.quality.AudioWarning")
def test_a_bad_file_has_a_typed_error(
    name: str, bad: Path, good: Path, encoder: Encoder, tiny_bundle: Path, tmp_path: Path
) -> None:
    error, reason, _ = BAD[name]
    path, begin = bad / name, time.perf_counter()
    for ask in (
        lambda: encoder.embed(path),
        lambda: encoder.verify(path, good, threshold=-1.0),
        lambda: encoder.verify(good, path, threshold=-1.0),
    ):
        with pytest.raises(AcanetError) as caught:
            ask()
        assert type(caught.value) is error
        assert str(caught.value).startswith(f"{path}: ")
        assert reason in str(caught.value)
    answer = acanet("embed", path, "-o", tmp_path / "out.npz", "-m", tiny_bundle)
    assert (answer.code, answer.out) == (error.exit_code, "")
    assert f"error: {caught.value}" in answer.err
    assert not list(tmp_path.iterdir())
    assert time.perf_counter() - begin < 20


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_bad_files_cost_no_memory(bad: Path, good: Path, tiny_bundle: Path) -> None:
    """All of them after a good one, in a process whose peak memory tells what they took."""
    script = f"""
        import json, sys, warnings
        from pathlib import Path
        from acanet import AcanetError, Encoder
        warnings.simplefilter("ignore")
        encoder = Encoder.load({str(tiny_bundle)!r})
        encoder.embed({str(good)!r})
        def peak():
            return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
        before, codes = peak(), []
        for name in sys.argv[1:]:
            try:
                encoder.embed(name)
            except AcanetError as error:
                codes.append(error.exit_code)
        print(json.dumps([codes, peak() - before]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), *(str(bad / name) for name in BAD)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    codes, kilobytes = json.loads(done.stdout)
    assert codes == [error.exit_code for error, _, _ in BAD.values()]
    assert kilobytes < 2**16


def upsampled(speech: np.ndarray) -> tuple[np.ndarray, int]:
    return resample(speech, RATE, 384_000), 384_000


def narrow(speech: np.ndarray) -> tuple[np.ndarray, int]:
    return resample(speech, RATE, 8000), 8000


def sixteen_channels(speech: np.ndarray) -> tuple[np.ndarray, int]:
    """The voice in the mean of channels that are louder than it and cancel each other."""
    signs = np.tile([1.0, -1.0], 8)
    hum = 0.3 * np.sin(2 * np.pi * 50 * np.arange(len(speech)) / RATE)
    return speech[:, None] + hum[:, None] * signs, RATE


@pytest.mark.parametrize(
    ("change", "likeness"),
    [(upsampled, 0.999), (sixteen_channels, 0.999), (narrow, None)],
    ids=["384 kHz", "16 channels", "8 kHz"],
)
@pytest.mark.filterwarnings("ignore::acanet.audio.quality.AudioWarning")
def test_an_odd_file_has_a_right_answer(
    change: Callable[[np.ndarray], tuple[np.ndarray, int]],
    likeness: float | None,
    speech: np.ndarray,
    good: Path,
    encoder: Encoder,
    tiny_bundle: Path,
    tmp_path: Path,
) -> None:
    samples, rate = change(speech)
    path = tmp_path / "odd.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    embedding = encoder.embed(path)
    same = encoder.embed(resample(samples.mean(axis=1) if samples.ndim == 2 else samples, rate, RATE))
    score = encoder.verify(path, good).score
    np.testing.assert_allclose(embedding, same, atol=1e-5)
    assert score == pytest.approx(float(embedding @ encoder.embed(good)), abs=1e-6)
    if likeness is not None:
        assert score > likeness
    answer = acanet("embed", path, "-o", tmp_path / "out.npz", "-m", tiny_bundle)
    assert answer.code == 0, answer.err
    with np.load(tmp_path / "out.npz") as written:
        np.testing.assert_allclose(written["embeddings"][0], embedding, atol=1e-6)


DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]
CONTENTS = ("voice", "voice", "noise", "zeros", "loud", "nan")


def contents(kind: str, speech: np.ndarray, samples: int, channels: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "voice":
        one = np.resize(speech, samples) * 10.0 ** rng.uniform(-3, 0)
    else:
        one = np.zeros(samples) if kind == "zeros" else rng.normal(0, 0.1, samples)
    if kind in ("loud", "nan"):
        one[rng.integers(0, max(1, samples))] = 1e6 if kind == "loud" else np.nan
    return np.stack([one] * channels, axis=rng.integers(0, 2)) if channels else one


def cast(array: np.ndarray, dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        half = 2.0 ** (8 * kind.itemsize - 1)
        array = np.clip(np.nan_to_num(array), -1, 0.999) * half + (half if kind.kind == "u" else 0)
    with np.errstate(over="ignore"):
        return array.astype(kind)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(CONTENTS),
    dtype=st.sampled_from([*DTYPES, "bool", "complex64", "object", "str"]),
    samples=st.one_of(st.integers(1, 100), st.integers(RATE // 4, 3 * RATE)),
    channels=st.one_of(st.just(0), st.integers(1, 70)),
    rate=st.one_of(st.just(RATE), st.integers(-1, 400_000)),
    seed=st.integers(0, 2**32 - 1),
)
@pytest.mark.filterwarnings("ignore::acanet.audio.quality.AudioWarning")
def test_any_array_has_a_unit_embedding_or_a_typed_error(
    encoder: Encoder,
    speech: np.ndarray,
    kind: str,
    dtype: str,
    samples: int,
    channels: int,
    rate: int,
    seed: int,
) -> None:
    array = cast(contents(kind, speech, samples, channels, seed), dtype)
    try:
        embedding = encoder.embed(array, rate=rate)
    except AcanetError as error:
        complaint = str(error)
    else:
        assert kind not in ("zeros", "loud", "nan") or dtype not in ("float32", "float64")
        assert (embedding.dtype, embedding.shape) == (np.float32, (encoder.dim,))
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
        return
    assert complaint.startswith(f"<array {array.shape}>: ")


@settings(max_examples=15, deadline=None)
@given(
    dtype=st.sampled_from(["int16", "int32", "float16", "float32", "float64"]),
    channels=st.integers(1, 8),
    factor=st.sampled_from([(1, 2), (3, 2), (3, 1)]),
    level=st.floats(0.05, 1.0),
)
@pytest.mark.filterwarnings("ignore::acanet.audio.quality.AudioWarning")
def test_a_voice_keeps_its_embedding_in_any_array(
    encoder: Encoder, speech: np.ndarray, dtype: str, channels: int, factor: tuple[int, int], level: float
) -> None:
    """At half the rate nothing is left above 4 kHz, so only what it is compared with is resampled too."""
    rate = RATE * factor[0] // factor[1]
    there = level * resample(speech, RATE, rate)
    array = cast(np.stack([there] * channels), dtype)
    expected = encoder.embed(resample(there, rate, RATE))
    assert encoder.embed(array, rate=rate) @ expected > 0.999
