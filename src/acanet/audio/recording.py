"""Recordings: a path, the bytes of a file or an array in; checked mono samples or a telling `BadAudio` out.

soundfile reads what it can; what phones and browsers record goes through `acanet.audio.media`, an extra.

A recording is opened once and decoded in blocks that are mixed to mono at once, so memory follows the samples that a
file really holds, never what its header claims.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from acanet.audio.arrays import read_array
from acanet.audio.blocks import Recording, Span, Waveform, check_scale
from acanet.audio.containers import demuxer_for
from acanet.audio.intake import Intake
from acanet.audio.soundfiles import count_channels, open_sound
from acanet.audio.sphere import expand, is_shortened, sphere_header
from acanet.errors import BadAudio, MissingExtra

Source = str | os.PathLike[str] | bytes | NDArray[Any]
"""A path, the bytes of a whole file (wav, flac, ogg, opus, mp3, NIST, ...; with the extra `media` also m4a, mp4, mov,
3gp, aac, webm, mkv, wma, amr: their first audio stream) or an array of samples. NIST files compressed with shorten
(.wv1) go through `sph2pipe`."""

MOST_SAMPLES = 2**28
"""Longest waveform that is held as a whole: 1 GiB of float32, 4.6 hours at 16 kHz."""


@contextmanager
def open_recording(
    source: Source, rate: int | None = None, *, start: float = 0.0, duration: float | None = None
) -> Iterator[Recording]:
    """A recording of any length, decoded as its blocks are asked for.

    A file that is compressed with shorten is expanded as a whole first.

    Args:
        source: as `Source` says.
        rate: samples a second of an array; files know their own.
        start: where to begin, in seconds.
        duration: seconds to read, fewer where the recording ends earlier; None: to the end.

    Raises:
        BadAudio: what cannot be read; while blocks are read, a recording that breaks or was cut off.
        MissingExtra: for m4a and the like, without PyAV.
    """
    name, span = describe(source), Span(start, duration)
    span.check(name)
    if isinstance(source, np.ndarray):
        yield read_array(source, rate, span, name)
        return
    with _open(source) as stream:
        demuxer = demuxer_for(_magic(stream))
        if demuxer is not None:
            with _media(name).open_media(stream, demuxer, span, name) as recording:
                yield recording
        elif is_shortened(stream):
            with open_sound(io.BytesIO(expand(source, name)), span, name) as recording:
                yield recording
        else:
            with open_sound(stream, span, name) as recording:
                yield recording


def read_audio(
    source: Source, rate: int | None = None, *, start: float = 0.0, duration: float | None = None
) -> tuple[Waveform, int]:
    """A recording as acanet hears it: the mean of its channels, at its own rate.

    Args:
        source: as `Source` says; arrays are (samples,), (channels, samples) or (samples, channels), and integers are
            scaled by the range of their type.
        rate: samples a second of an array; files know their own.
        start: where to begin, in seconds.
        duration: seconds to read, fewer where the recording ends earlier; None: to the end.

    Returns:
        The waveform, (samples,), float32 in [-1, 1] (lossy files overshoot a little), and its rate.

    Raises:
        BadAudio: what cannot be read, or holds no samples, or samples that no microphone gives.
        MissingExtra: for m4a and the like, without PyAV.
    """
    name = describe(source)
    with open_recording(source, rate, start=start, duration=duration) as recording:
        check_holdable(recording.claimed or 0, recording.rate, name)
        blocks, count = [], 0
        for block in recording.blocks:
            blocks.append(block)
            count += len(block)
            check_holdable(count, recording.rate, name)
    if not count:
        raise BadAudio(name, "there are no samples")
    waveform = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    check_scale(waveform, name)
    return waveform, recording.rate


def load(
    source: Source, rate: int, *, source_rate: int | None = None, start: float = 0.0, duration: float | None = None
) -> Waveform:
    """A recording as a mono waveform at the rate that a model wants.

    Args:
        source: as in `read_audio`.
        rate: samples a second to give.
        source_rate: samples a second of an array.
        start: where to begin, in seconds.
        duration: seconds to read; None: to the end.

    Returns:
        The waveform, (samples,), float32.

    Raises:
        BadAudio, MissingExtra: as `read_audio`.

    Warns:
        AudioWarning: of telephone bandwidth and of clipping.
    """
    name = describe(source)
    with open_recording(source, source_rate, start=start, duration=duration) as recording:
        check_holdable(recording.claimed or 0, recording.rate, name)
        intake = Intake(recording.rate, rate, name)
        parts = [intake.feed(block) for block in recording.blocks]
    parts.append(intake.end())
    if not intake.samples:
        raise BadAudio(name, "there are no samples")
    intake.tell()
    return np.concatenate(parts)


def check_holdable(count: int, rate: int, name: str) -> None:
    """Refuse more samples than are held as a whole.

    Raises:
        BadAudio: naming the recording, and how long it may be.
    """
    if count > MOST_SAMPLES:
        raise BadAudio(
            name,
            f"{count / rate / 3600:.1f} hours at {rate} Hz, to be held as a whole; cut it into recordings of up to "
            f"{int(MOST_SAMPLES / rate / 360) / 10:.1f} hours",
        )


def channel_count(path: str | os.PathLike[str]) -> int:
    """The number of channels of a file that `read_audio` reads, from its header."""
    name = describe(path)
    with _open(path) as stream:
        demuxer = demuxer_for(_magic(stream))
        if demuxer is not None:
            return int(_media(name).count_channels(stream, demuxer, name))
        header = sphere_header(stream)
        return int(header["channel_count"]) if "channel_count" in header else count_channels(stream, name)


def content_hash(waveform: Waveform) -> str:
    """A name for what a recording sounds like, 16 hex digits: SHA-256 of its samples in 16 bit.

    Of a waveform from `read_audio`, so at the rate of the file: a wav and the flac made of it agree.
    """
    pcm = np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype("<i2")
    return hashlib.sha256(pcm.tobytes()).hexdigest()[:16]


def describe(source: Source) -> str:
    """The name of a source in errors and warnings: its path, `<bytes, 1234>` or `<array (16000,)>`."""
    if isinstance(source, np.ndarray):
        return f"<array {source.shape}>"
    if isinstance(source, bytes):
        return f"<bytes, {len(source)}>"
    return os.fspath(source)


def _open(source: str | os.PathLike[str] | bytes) -> BinaryIO:
    """The bytes of a file as a stream, or BadAudio where there can be none."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    name, path = describe(source), Path(source)
    try:
        if path.is_dir():
            raise BadAudio(name, "this is a folder; give the path of a recording")
        if path.exists() and not path.is_file():
            raise BadAudio(name, "this is a device or a pipe; give a file")
        # By descriptor: soundfile would take the name's suffix for the format.
        return open(os.open(path, os.O_RDONLY), "rb")
    except FileNotFoundError:
        raise BadAudio(name, "there is no such file") from None
    except (OSError, ValueError) as error:
        raise BadAudio(name, f"cannot be opened: {error}") from None


def _magic(stream: BinaryIO) -> bytes:
    """The first bytes, which say what container it is."""
    magic = stream.read(12)
    stream.seek(0)
    return magic


def _media(name: str) -> ModuleType:
    """The module that reads what the extra `media` is for."""
    try:
        import acanet.audio.media as media
    except ModuleNotFoundError as error:
        if error.name != "av":
            raise
        raise MissingExtra(f"PyAV to read {name}", "media") from None
    return media
