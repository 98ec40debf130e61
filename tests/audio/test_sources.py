"""Whatever a recording comes as is heard, or refused with a word on what is heard."""

from __future__ import annotations

import io
import mmap
import os
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from acanet.audio import files, sources
from acanet.audio.recording import channel_count, open_recording, read_audio
from acanet.audio.sources import describe
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadArgument, BadAudio
from support.sounds import encode, noise

SOUND = noise(8000)
WAV = encode(SOUND, subtype="FLOAT")


def refusal(source: Any, rate: int | None = None) -> str:
    with pytest.raises(BadAudio) as caught:
        read_audio(source, rate)
    assert caught.value.source == describe(source)
    return caught.value.reason


class Answer:
    """What comes over the net: it is read once, and holds no file."""

    def __init__(self, data: bytes) -> None:
        self._held = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._held.read(size)


def half_read(data: bytes) -> io.BytesIO:
    file = io.BytesIO(data)
    file.read(100)
    return file


def mapped(data: bytes) -> mmap.mmap:
    """A map, whose `seek` tells nothing before Python 3.13."""
    found = mmap.mmap(-1, len(data))
    found.write(data)
    return found


class NoPath:
    """What says that it is a path."""

    def __init__(self, path: Any) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        if isinstance(self.path, Exception):
            raise self.path
        return self.path


def released() -> memoryview:
    view = memoryview(b"RIFF")
    view.release()
    return view


TAKEN: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "a view of other numbers": lambda data: memoryview(data).cast("i"),
    "BytesIO": io.BytesIO,
    "BytesIO at its end": half_read,
    "an answer": Answer,
    "a map": mapped,
}


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "MP3"])
def test_bytes_are_heard_whatever_holds_them(name: str, format: str) -> None:
    data = encode(SOUND, format=format)
    data += bytes(-len(data) % 4) if format == "FLAC" or name.startswith("a view") else b""
    np.testing.assert_array_equal(read_audio(TAKEN[name](data))[0], read_audio(data)[0])


def test_an_open_file_is_heard_from_its_beginning_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(WAV)
    for buffering in (-1, 0):
        with path.open("rb", buffering=buffering) as file:
            file.seek(77)
            for _ in range(2):
                np.testing.assert_array_equal(read_audio(file)[0], SOUND)
            assert file.tell() == 77
    with tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(WAV)
        np.testing.assert_array_equal(read_audio(spooled)[0], SOUND)


def test_open_files_that_are_of_no_use(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(WAV)
    with path.open(encoding="latin-1") as text:
        assert "not bytes; open it with mode 'rb'" in refusal(text)
    assert "not bytes" in refusal(io.StringIO("RIFF"))
    with path.open("rb") as closed:
        pass
    assert "closed file" in refusal(closed)


def test_what_is_no_recording_is_told_what_is_one() -> None:
    for source in (None, 5, 0.5, object(), {"waveform": SOUND}, iter(SOUND), {1, 2}):
        assert f"NumPy array of samples, not {type(source).__name__}" in refusal(source)
    for source in ([0.0] * 100, (0.0, 0.1), [SOUND, SOUND]):
        assert "numpy.asarray(samples, dtype='float32')" in refusal(source, 16000)
    for source in ("", Path("")) if os.fspath(Path("")) == "" else ("",):
        assert "a recording is a path" in refusal(source)


def test_a_tensor_is_told_how_it_becomes_an_array() -> None:
    kind = type("Tensor", (), {"__module__": "torch"})
    assert refusal(kind()).endswith("of a tensor give tensor.detach().cpu().numpy()")


def test_a_tensor_of_torch_itself() -> None:
    torch = pytest.importorskip("torch")
    assert "tensor.detach().cpu().numpy()" in refusal(torch.zeros(16000), 16000)


def test_relatives_of_arrays(tmp_path: Path) -> None:
    assert "array.filled(0)" in refusal(np.ma.masked_array(SOUND, SOUND > 0.1), 16000)
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(SOUND)
    np.testing.assert_array_equal(read_audio(matrix, 16000)[0], SOUND)
    mapped = np.memmap(tmp_path / "samples", np.float32, "w+", shape=SOUND.shape)
    mapped[:] = SOUND
    np.testing.assert_array_equal(read_audio(mapped, 16000)[0], SOUND)
    for dtype in (object, "datetime64[s]", [("left", "f4")]):
        assert "not integers or floating-point" in refusal(np.zeros(100, dtype), 16000)


# Pipes


def through(fifo: Path, data: bytes) -> threading.Thread:
    """A pipe with a name, and somebody who writes into it."""
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(data))
    writer.start()
    return writer


@pytest.mark.skipif(os.name != "posix", reason="pipes have no names")
@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG"])
def test_a_pipe_is_heard(format: str, tmp_path: Path) -> None:
    stereo = np.stack([SOUND, -SOUND], axis=1)  # decoded twice
    data = encode(np.tile(stereo, (80, 1)), format=format)
    writer = through(tmp_path / "pipe", data)
    np.testing.assert_array_equal(read_audio(tmp_path / "pipe")[0], read_audio(data)[0])
    writer.join()


@pytest.mark.skipif(os.name != "posix", reason="no /dev/stdin")
def test_standard_input_is_heard() -> None:
    script = "from acanet import read_audio; print(read_audio('/dev/stdin')[0].shape)"
    done = subprocess.run([sys.executable, "-c", script], input=WAV, capture_output=True, check=True, timeout=60)
    assert done.stdout.decode().strip() == "(8000,)"


@pytest.mark.skipif(os.name != "posix", reason="pipes have no names")
def test_a_pipe_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_MOST_PIPED", 2**21)
    reader, writer = os.pipe()

    def write() -> None:
        try:
            while True:
                os.write(writer, bytes(2**16))
        except BrokenPipeError:
            os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reader, "rb") as file:
        assert "came through a pipe; save it to a file first" in refusal(file)
    thread.join()


# Errors of the system and of decoders


class Failing(io.RawIOBase):
    """A file on a disk that fails from some byte on, or at once."""

    def __init__(self, data: bytes, good: int) -> None:
        self._data, self._good, self._at = data, good, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = (0, self._at, len(self._data))[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        if self._at + size > self._good:
            raise OSError(5, "Input/output error")
        self._at += size
        return self._data[self._at - size : self._at]


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_a_disk_that_fails_is_an_error_of_the_file(format: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = encode(noise(100_000), format=format)
    for good in (0, 100, len(data) // 2):
        assert "cannot be read: [Errno 5] Input/output error" in refusal(Failing(data, good))
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file that opens and cannot be read")
def test_a_file_that_cannot_be_read_names_itself() -> None:
    assert refusal("/proc/self/mem").startswith("cannot be read: [Errno ")


class Surprise(Exception):
    """Nothing that acanet knows."""


ESCAPES = [
    Surprise("?"),
    ValueError("no"),
    struct.error("unpack requires a buffer"),
    UnicodeDecodeError("ascii", b"\xff", 0, 1, "no"),
    MemoryError(),
    RecursionError("deep"),
    OSError(5, "Input/output error"),
    OverflowError("large"),
    KeyError("x"),
    StopIteration(),
]


@pytest.mark.parametrize("error", ESCAPES, ids=lambda error: type(error).__name__)
def test_whatever_a_decoder_raises_is_an_error_of_the_file(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(WAV)

    def fail(*_: object, **__: object) -> Any:
        raise error

    for where in ((files, "open_sound"), (soundfile.SoundFile, "read")):
        with monkeypatch.context() as patched:
            patched.setattr(*where, fail)
            for read in (read_audio,) if where[1] == "read" else (read_audio, channel_count):
                with pytest.raises(BadAudio) as caught:
                    read(path)
                assert caught.value.source == str(path)
                assert caught.value.__cause__ is error or isinstance(error, StopIteration)


def test_what_the_caller_raises_is_nobodys_error_but_theirs() -> None:
    with pytest.raises(Surprise), open_recording(WAV):
        raise Surprise
    with pytest.raises(OSError, match="mine"), open_recording(WAV):
        raise OSError("mine")


def test_names_with_other_bytes_are_opened(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.wav"))
    path.write_bytes(WAV)
    np.testing.assert_array_equal(read_audio(path)[0], SOUND)
    assert read_audio(os.fspath(path))[1] == 16000


# Many


@pytest.fixture(scope="module")
def encoder(tiny_bundle: Path) -> Encoder:
    return Encoder.load(tiny_bundle)


def test_one_recording_of_another_type_costs_only_itself(encoder: Encoder, voices: Path) -> None:
    good = (voices / "s001" / "000.wav").read_bytes()
    odd = [None, [0.0], "/proc/self/mem", "", released(), NoPath(5), NoPath(KeyError("no"))]
    results = list(encoder.embed_many([good, *odd, io.BytesIO(good), bytearray(good)]))  # type: ignore[list-item]
    assert [isinstance(result, AcanetError) for result in results] == [False, *[True] * len(odd), False, False]
    np.testing.assert_array_equal(results[0], results[-2])
    np.testing.assert_array_equal(results[0], results[-1])


@pytest.mark.parametrize("given", [b"RIFF", "talk.wav", Path("talk.wav"), SOUND, io.BytesIO(), 5, None])
def test_one_recording_is_no_list(encoder: Encoder, given: Any) -> None:
    with pytest.raises(BadArgument, match="no list of recordings; `embed` takes one"):
        list(encoder.embed_many(given))


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2", None])
def test_workers_are_one_or_more(encoder: Encoder, workers: Any) -> None:
    with pytest.raises(AcanetError, match="workers is"):
        list(encoder.embed_many([], workers=workers))
