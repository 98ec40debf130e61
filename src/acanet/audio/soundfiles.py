"""What libsndfile reads (wav, flac, ogg, opus, mp3, NIST and more), once its header is checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import soundfile

from acanet.audio.blocks import BLOCK, Recording, Span, Waveform, check_channels, checked_rate, mono
from acanet.errors import BadAudio

_CUT_OFF = re.compile(r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
_LENGTH_UNKNOWN = {0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0x7FFFF000}
"""Data sizes that writers to a pipe (ffmpeg, arecord, sox) put where they cannot know the length."""


@contextmanager
def open_sound(stream: BinaryIO, span: Span, name: str) -> Iterator[Recording]:
    """A recording in a file that libsndfile decodes.

    Args:
        stream: the whole file, at its beginning.
        span: what is wanted of it.
        name: of the recording, for errors.

    Raises:
        BadAudio: when it cannot be read; while blocks are read, when it breaks or was cut off.
    """
    with _opened(stream, name) as file:
        checked_rate(file.samplerate, name)
        _check_header(file, name)
        first, count = span.first(file.samplerate), span.count(file.frames, file.samplerate, name)
        file.seek(first)
        yield Recording(file.samplerate, count, _blocks(file, count, name))


def count_channels(stream: BinaryIO, name: str) -> int:
    """The number of channels, from the header; errors as `open_sound`."""
    with _opened(stream, name) as file:
        return int(file.channels)


@contextmanager
def _opened(stream: BinaryIO, name: str) -> Iterator[soundfile.SoundFile]:
    empty = not stream.read(1)
    stream.seek(0)
    if empty:
        raise BadAudio(name, "the file is empty (0 bytes)")
    try:
        with soundfile.SoundFile(stream) as file:
            yield file
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        raise BadAudio(name, f"not a recording that can be read, or a broken one ({reason})") from None


def _check_header(file: soundfile.SoundFile, name: str) -> None:
    """Refuse what a header says before any sample is read."""
    check_channels(file.channels, name)
    if file.frames <= 0:
        raise BadAudio(name, "there is a header but no samples")
    if file.frames >= 2**62:
        raise BadAudio(name, "the header does not say how long it is; rewrite it: ffmpeg -i in.flac out.wav")
    for claimed, held in _CUT_OFF.findall(file.extra_info):
        if int(claimed) > int(held) and int(claimed) not in _LENGTH_UNKNOWN:
            raise BadAudio(name, f"cut off: the header promises {claimed} bytes of samples, the file has {held}")


def _blocks(file: soundfile.SoundFile, count: int, name: str) -> Iterator[Waveform]:
    """`count` samples from here on, each block mixed to mono before the next is read."""
    read, size = 0, BLOCK // file.channels
    while read < count:
        block = file.read(min(size, count - read), dtype="float32", always_2d=True)
        if not len(block):
            break
        read += len(block)
        yield mono(block)
    if read < 0.95 * count:
        raise BadAudio(name, f"cut off: {read} samples where the header promises {count}")
