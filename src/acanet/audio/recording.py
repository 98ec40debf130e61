"""Recordings: a path, the bytes of a file or an array in; a mono waveform or a telling `BadAudio` out.

soundfile reads what it can; what phones and browsers record goes through `acanet.audio.media`, an extra.

Files are decoded in blocks that are mixed to mono at once, so memory follows the samples that a file really
holds, never what its header claims.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from acanet.audio.containers import check_claims, demuxer_for
from acanet.audio.quality import clipped_share, is_narrow_band, warn_of_losses
from acanet.errors import BadAudio, MissingExtra

if TYPE_CHECKING:
    from acanet.audio.media import MediaFile

Waveform = NDArray[np.float32]
Source = str | os.PathLike[str] | bytes | NDArray[Any]

LOWEST_RATE, HIGHEST_RATE = 4000, 384_000
MOST_CHANNELS = 64
MOST_SAMPLES = 2**28
"""Longest waveform at its own rate: 1 GiB of float32, 4.6 hours at 16 kHz."""
LOUDEST = 8.0
"""Floating-point samples beyond this are not on the scale of [-1, 1]."""

_BLOCK = 2**20
_CUT_OFF = re.compile(r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
_NIST_HEADER = 1024
_PADDING = 0.2
"""Seconds that a container may count which are no samples: an encoder's priming and padding."""
_LENGTH_UNKNOWN = {0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0x7FFFF000}
"""Data sizes that writers to a pipe (ffmpeg, arecord, sox) put where they cannot know the length."""


@dataclass(frozen=True)
class Blocks:
    """A recording of any length, as `open_blocks` reads it.

    Attributes:
        rate: samples a second.
        claimed: samples that it has, if its header tells the truth; None: it does not say.
        blocks: (samples,) each, float32, the mean of the channels; in order, once.
    """

    rate: int
    claimed: int | None
    blocks: Iterator[Waveform]


def decode(
    source: Source, rate: int | None = None, *, start: float = 0.0, duration: float | None = None
) -> tuple[Waveform, int]:
    """The mean of the channels of a recording, at its own rate.

    Args:
        source: a path, the bytes of a whole file (wav, flac, ogg, opus, mp3, NIST, ...; with the extra `media`
            also m4a, mp4, mov, 3gp, aac, webm, mkv, wma, amr: their first audio stream) or an array, (samples,),
            (channels, samples) or (samples, channels): the shorter axis is the channels. Integers are scaled
            by the range of their type. NIST files compressed with shorten (.wv1) go through `sph2pipe`.
        rate: samples a second of an array; files know their own.
        start: where to begin, in seconds.
        duration: seconds to read, fewer where the recording ends earlier; None: to the end.

    Returns:
        The waveform, (samples,), float32 in [-1, 1] (lossy files overshoot a little), and its rate.

    Raises:
        BadAudio: what cannot be read, or holds no samples, or samples that no microphone gives.
        MissingExtra: for m4a and the like, without PyAV.
    """
    if not (np.isfinite(start) and start >= 0):
        raise BadAudio(describe(source), f"start is {start}; it has to be 0 s or later")
    if duration is not None and not (np.isfinite(duration) and duration > 0):
        raise BadAudio(describe(source), f"duration is {duration}; it has to be more than 0 s")
    if isinstance(source, np.ndarray):
        waveform, rate = _from_array(source, rate, start, duration)
    else:
        with _open(source) as stream:
            demuxer = demuxer_for(_magic(stream))
            if demuxer is not None:
                waveform, rate = _from_media(stream, demuxer, describe(source), start, duration)
            elif "shorten" in _nist_header(stream).get("sample_coding", ""):
                waveform, rate = _from_stream(io.BytesIO(_expand(source)), describe(source), start, duration)
            else:
                waveform, rate = _from_stream(stream, describe(source), start, duration)
    _check_samples(waveform, describe(source))
    return waveform, rate


@contextmanager
def open_blocks(source: Source, rate: int | None = None) -> Iterator[Blocks]:
    """A recording of any length, decoded as its blocks are asked for.

    A file that is compressed with shorten is expanded as a whole first. Samples are checked by
    `acanet.audio.blocks.Checks`.

    Args:
        source: as in `decode`.
        rate: samples a second of an array.

    Raises:
        BadAudio: what cannot be read; while blocks are read, a recording that breaks or was cut off.
        MissingExtra: as in `decode`.
    """
    name = describe(source)
    if isinstance(source, np.ndarray):
        channels, rate = _checked_array(source, rate)
        starts = range(0, channels.shape[1], _BLOCK)
        blocks = (_array_block(channels[:, start : start + _BLOCK], name) for start in starts)
        yield Blocks(rate, channels.shape[1], blocks)
        return
    with _open(source) as stream:
        demuxer = demuxer_for(_magic(stream))
        if demuxer is not None:
            with _media_file(stream, demuxer, name) as media:
                yield Blocks(checked_rate(media.rate, name), media.claimed, _media_blocks(media, name))
            return
        shortened = "shorten" in _nist_header(stream).get("sample_coding", "")
        with _sound_file(io.BytesIO(_expand(source)) if shortened else stream, name) as file:
            yield Blocks(file.samplerate, file.frames, _file_blocks(file, name))


def load(
    source: Source,
    rate: int,
    *,
    source_rate: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
) -> Waveform:
    """A recording as a mono waveform at the rate that a model wants.

    Args:
        source: as in `decode`.
        rate: samples a second to give.
        source_rate: samples a second of an array.
        start: where to begin, in seconds.
        duration: seconds to read; None: to the end.

    Returns:
        The waveform, (samples,), float32.

    Raises:
        BadAudio: as in `decode`.
        MissingExtra: as in `decode`.

    Warns:
        AudioWarning: of telephone bandwidth and of clipping.
    """
    waveform, have = decode(source, source_rate, start=start, duration=duration)
    narrow = rate > 8000 and is_narrow_band(waveform, have)
    warn_of_losses(describe(source), narrow, clipped_share(waveform))
    return resample(waveform, have, rate)


def resample(waveform: Waveform, have: int, want: int) -> Waveform:
    """The waveform, (samples,), at `want` instead of `have` samples a second (soxr, "HQ")."""
    if have == want:
        return waveform
    resampled: Waveform = soxr.resample(waveform, have, want, quality="HQ")
    return resampled


def claimed_seconds(source: Source, rate: int | None = None) -> float | None:
    """How long a recording is, if its header tells the truth; None: it does not say. Arguments as in `decode`."""
    if not isinstance(source, np.ndarray):
        with _open(source) as stream:
            header = _nist_header(stream)
        if "shorten" in header.get("sample_coding", "") and {"sample_count", "sample_rate"} <= header.keys():
            return int(header["sample_count"]) / int(header["sample_rate"])  # opening it means to expand it
    with open_blocks(source, rate) as recording:
        return None if recording.claimed is None else recording.claimed / recording.rate


def channel_count(path: str | os.PathLike[str]) -> int:
    """How many channels a file has that `decode` can read, from its header."""
    with _open(path) as stream:
        demuxer = demuxer_for(_magic(stream))
        if demuxer is not None:
            with _media_file(stream, demuxer, describe(path)) as media:
                return media.channels
        header = _nist_header(stream)
        if "channel_count" in header:
            return int(header["channel_count"])
        with soundfile.SoundFile(stream) as file:
            return int(file.channels)


def content_hash(waveform: Waveform) -> str:
    """What a recording sounds like, as 16 hex digits: SHA-256 of its samples in 16 bit.

    Of a waveform from `decode`, so at the rate of the file: a wav and the flac made of it agree.
    """
    pcm = np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype("<i2")
    return hashlib.sha256(pcm.tobytes()).hexdigest()[:16]


def describe(source: Source) -> str:
    """How errors and warnings name a source: its path, `<bytes, 1234>` or `<array (16000,)>`."""
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


def _nist_header(stream: BinaryIO) -> dict[str, str]:
    """The fields of a NIST SPHERE header, `name -type value` a line; empty for other files."""
    start = stream.read(_NIST_HEADER)
    stream.seek(0)
    if not start.startswith(b"NIST_1A"):
        return {}
    lines = start.partition(b"end_head")[0].decode("ascii", "replace").splitlines()[2:]
    return {words[0]: words[2] for words in (line.split(None, 2) for line in lines) if len(words) == 3}


def _expand(source: str | os.PathLike[str] | bytes) -> bytes:
    """A NIST file that is compressed with shorten, as a wav file: what `sph2pipe -f wav` makes of it."""
    name, program = describe(source), shutil.which("sph2pipe")
    if program is None:
        raise BadAudio(
            name,
            "compressed with shorten, as on the discs of the LDC, which needs sph2pipe: put it on the PATH, "
            "or convert the files (sph2pipe -f wav in.wv1 out.wav)",
        )
    if isinstance(source, bytes):
        with tempfile.NamedTemporaryFile(suffix=".sph") as file:
            file.write(source)
            file.flush()
            done = _run([program, "-f", "wav", file.name])
    else:
        done = _run([program, "-f", "wav", os.path.abspath(source)])
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip() or "nothing"
        raise BadAudio(name, f"sph2pipe cannot expand it (exit {done.returncode}); it says: {said}")
    return done.stdout


def _run(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)


def _from_stream(stream: BinaryIO, name: str, start: float, duration: float | None) -> tuple[Waveform, int]:
    with _sound_file(stream, name) as file:
        rate = file.samplerate
        first, count = _piece(file.frames, rate, start, duration, name)
        file.seek(first)
        blocks = list(_mono_blocks(file, count))
    waveform = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
    _check_read(len(waveform), count, name)
    return waveform, rate


@contextmanager
def _sound_file(stream: BinaryIO, name: str) -> Iterator[soundfile.SoundFile]:
    """What libsndfile reads, once its header is checked."""
    if not _magic(stream):
        raise BadAudio(name, "the file is empty (0 bytes)")
    try:
        with soundfile.SoundFile(stream) as file:
            checked_rate(file.samplerate, name)
            _check_layout(file, name)
            yield file
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        raise BadAudio(name, f"not a recording that can be read, or a broken one ({reason})") from None


def _file_blocks(file: soundfile.SoundFile, name: str) -> Iterator[Waveform]:
    read = 0
    for block in _mono_blocks(file, file.frames):
        read += len(block)
        yield block
    _check_read(read, file.frames, name)


def _check_read(read: int, promised: int, name: str) -> None:
    if read < 0.95 * promised:
        raise BadAudio(name, f"cut off: {read} samples where the header promises {promised}")


def _from_media(
    stream: BinaryIO, demuxer: str, name: str, start: float, duration: float | None
) -> tuple[Waveform, int]:
    with _media_file(stream, demuxer, name) as file:
        rate = checked_rate(file.rate, name)
        _check_channels(file.channels, name)
        first = round(start * rate)
        claimed = (file.claimed or 0) - first
        count = claimed if duration is None else max(1, round(duration * rate))
        _check_length(min(count, claimed), rate, name)
        wanted = MOST_SAMPLES + 1 if duration is None else min(count, MOST_SAMPLES + 1)
        blocks, read = _gather(file.blocks(), first, wanted)
        if read < first + wanted:
            _check_claimed(file, read, name)
    _piece(read, rate, start, duration, name)
    return np.concatenate(blocks), rate


def _media_blocks(file: MediaFile, name: str) -> Iterator[Waveform]:
    _check_channels(file.channels, name)
    read, gathered, size = 0, [], 0
    for block in file.blocks():
        gathered.append(_mono(block))
        read, size = read + len(block), size + len(block)
        if size * file.channels >= _BLOCK:
            yield np.concatenate(gathered)
            gathered, size = [], 0
    yield np.concatenate([*gathered, np.empty(0, np.float32)])
    _check_claimed(file, read, name)


def _check_claimed(file: MediaFile, read: int, name: str) -> None:
    missing = (file.claimed or 0) - read
    if missing > max(0.05 * read, _PADDING * file.rate):
        raise BadAudio(name, f"cut off: {read} samples where the header promises {file.claimed}")


def _media_file(stream: BinaryIO, demuxer: str, name: str) -> MediaFile:
    """The file, opened by what the extra `media` installs, after a look at what it claims."""
    try:
        from acanet.audio.media import MediaFile
    except ModuleNotFoundError as error:
        if error.name != "av":
            raise
        raise MissingExtra(f"PyAV to read {name}", "media") from None
    check_claims(stream, demuxer, name)
    return MediaFile(stream, demuxer, name)


def _gather(blocks: Iterable[NDArray[np.float32]], first: int, count: int) -> tuple[list[Waveform], int]:
    """Samples `first` to `first + count` of blocks, (samples, channels) each, as mono; and how many were read."""
    pieces, read = [], 0
    for block in blocks:
        piece = block[max(0, first - read) : max(0, first + count - read)]
        pieces.append(_mono(piece))
        read += len(block)
        if read >= first + count:
            break
    return pieces, read


def _check_channels(channels: int, name: str) -> None:
    if channels > MOST_CHANNELS:
        raise BadAudio(name, f"{channels} channels; at most {MOST_CHANNELS} make sense")


def _check_layout(file: soundfile.SoundFile, name: str) -> None:
    """Refuse what a header says before any sample is read."""
    _check_channels(file.channels, name)
    if file.frames <= 0:
        raise BadAudio(name, "there is a header but no samples")
    if file.frames >= 2**62:
        raise BadAudio(name, "the header does not say how long it is; rewrite it: ffmpeg -i in.flac out.wav")
    for claimed, held in _CUT_OFF.findall(file.extra_info):
        if int(claimed) > int(held) and int(claimed) not in _LENGTH_UNKNOWN:
            raise BadAudio(name, f"cut off: the header promises {claimed} bytes of samples, the file has {held}")


def _mono_blocks(file: soundfile.SoundFile, count: int) -> Iterator[Waveform]:
    """Up to `count` samples from here on, each block mixed to mono before the next is read."""
    size = _BLOCK // file.channels
    while count > 0:
        block = file.read(min(size, count), dtype="float32", always_2d=True)
        if not len(block):
            return
        count -= len(block)
        yield _mono(block)


def _mono(block: NDArray[np.float32]) -> Waveform:
    """The mean of the channels, (samples, channels) -> (samples,)."""
    return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)


def _from_array(array: NDArray[Any], rate: int | None, start: float, duration: float | None) -> tuple[Waveform, int]:
    channels, rate = _checked_array(array, rate)
    name = describe(array)
    first, count = _piece(channels.shape[1], rate, start, duration, name)
    return _array_block(channels[:, first : first + count], name), rate


def _checked_array(array: NDArray[Any], rate: int | None) -> tuple[NDArray[Any], int]:
    """An array as (channels, samples), whose type and values are on a scale that is known, and its rate."""
    name = describe(array)
    if rate is None:
        raise BadAudio(name, "an array needs its rate in samples a second")
    rate = checked_rate(rate, name)
    if array.ndim not in (1, 2):
        raise BadAudio(name, "an array has to be (samples,), (channels, samples) or (samples, channels)")
    if not array.size:
        raise BadAudio(name, "the array is empty")
    channels = np.atleast_2d(array)
    if channels.shape[0] > channels.shape[1]:
        channels = channels.T
    _check_channels(len(channels), name)
    _check_integers(array, name)
    return channels, rate


def _check_integers(array: NDArray[Any], name: str) -> None:
    """Refuse values of 16 bits in a larger type, which would be all but silent."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize <= 2:
        return
    half = 2 ** (8 * array.dtype.itemsize - 1)
    centre = half if array.dtype.kind == "u" else 0
    peak = max(abs(int(array.max()) - centre), abs(int(array.min()) - centre))
    if 0 < peak <= 2**15:
        raise BadAudio(
            name,
            f"samples are {array.dtype} but none is beyond {peak}: "
            "if they are 16-bit values, pass array.astype('int16')",
        )


def _array_block(channels: NDArray[Any], name: str) -> Waveform:
    """Samples of any integer or floating type, (channels, samples), on the scale of [-1, 1], as mono."""
    if channels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            floats: Waveform = channels.astype(np.float32).mean(axis=0, dtype=np.float32)
        return floats
    if channels.dtype.kind not in "iu":
        raise BadAudio(name, f"samples are {channels.dtype}, not integers or floating-point numbers")
    half = 2.0 ** (8 * channels.dtype.itemsize - 1)
    centred = channels.astype(np.float64) - (half if channels.dtype.kind == "u" else 0.0)
    mono: Waveform = (centred / half).mean(axis=0, dtype=np.float32)
    return mono


def _piece(total: int, rate: int, start: float, duration: float | None, name: str) -> tuple[int, int]:
    """First sample and number of samples of a piece of a recording of `total` samples."""
    first = round(start * rate)
    if first >= total:
        raise BadAudio(name, f"start is {start:g} s, but the recording has only {total / rate:g} s")
    count = total - first if duration is None else min(total - first, max(1, round(duration * rate)))
    _check_length(count, rate, name)
    return first, count


def _check_length(count: int, rate: int, name: str) -> None:
    if count > MOST_SAMPLES:
        raise BadAudio(
            name,
            f"{count / rate / 3600:.1f} hours at {rate} Hz, to be held as a whole; cut it into recordings of up to "
            f"{int(MOST_SAMPLES / rate / 360) / 10:.1f} hours",
        )


def checked_rate(rate: float, name: str) -> int:
    """Samples a second, if they are a whole number in range; one in floating point is as good.

    Raises:
        BadAudio: when they are not.
    """
    if not isinstance(rate, Real) or not LOWEST_RATE <= rate <= HIGHEST_RATE or rate != int(rate):
        raise BadAudio(
            name, f"{rate} samples a second; a whole number from {LOWEST_RATE} to {HIGHEST_RATE} can be used"
        )
    return int(rate)


def _check_samples(waveform: Waveform, name: str) -> None:
    if not len(waveform):
        raise BadAudio(name, "there are no samples")
    check_scale(waveform, name)


def check_scale(waveform: Waveform, name: str) -> None:
    """Refuse samples, one at least, that are not finite, or on another scale than [-1, 1]."""
    peak = max(waveform.max(), -waveform.min())
    if not np.isfinite(peak):
        bad = int((~np.isfinite(waveform)).sum())
        raise BadAudio(name, f"{bad} samples are not finite (NaN or infinite)")
    if peak > LOUDEST:
        raise BadAudio(
            name,
            f"samples reach {peak:g}, far beyond 1: if they are 16-bit values, divide them by 32768",
        )
