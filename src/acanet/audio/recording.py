"""Recordings: files, arrays and whatever else one comes as; checked mono samples or a telling `BadAudio` out.

soundfile reads what it can; what phones and browsers record goes through `acanet.audio.media`, an extra.

A recording is decoded in blocks that become one channel at once, so memory follows the samples that a file really
holds, never what its header claims. Whatever goes wrong with it is an error of that recording.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

from acanet.audio.arrays import read_array
from acanet.audio.blocks import Recording, Span, Waveform, check_scale
from acanet.audio.channels import check_channel, one_channel
from acanet.audio.files import open_file, stored_channels
from acanet.audio.intake import Intake
from acanet.audio.sources import Source, check_source, describe, opened, told
from acanet.audio.window import Window
from acanet.errors import BadAudio

MOST_SAMPLES = 2**28
"""Longest waveform that is held as a whole: 1 GiB of float32, 4.6 hours at 16 kHz."""
_USUAL_RATE = 16000
"""Samples a second to which what has fewer is brought, and at which it is counted."""


@contextmanager
def open_recording(
    source: Source,
    rate: int | None = None,
    *,
    channel: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
) -> Iterator[Recording]:
    """A recording of any length, decoded as its blocks are asked for.

    A file that is compressed with shorten is expanded as a whole first. Of more than one channel, without `channel`,
    ten minutes are decoded twice: first to see whether the channels cancel out.

    Args:
        source: as `Source` says.
        rate: samples a second of an array; files know their own.
        channel: the one to hear, 0 is the first (left); None: the mean of all, or where they cancel out the strongest.
        start: where to begin, in seconds.
        duration: seconds to read, fewer where the recording ends earlier; None: to the end.

    Raises:
        BadAudio: what cannot be read; while blocks are read, a recording that breaks, was cut off, or has no such
            channel.
        MissingExtra: for m4a and the like, without PyAV.

    Warns:
        AudioWarning: of an Ogg file whose end is missing.
    """
    name, span = describe(source), Span(start, duration)
    check_source(source, name)
    span.check(name)
    check_channel(channel, name)
    with ExitStack() as stack:
        window = None
        with told(name):
            if isinstance(source, np.ndarray):
                tracks = read_array(source, rate, span, name)
            else:
                window = stack.enter_context(opened(source, name))
        if window is not None:
            with told(name, window):
                tracks = stack.enter_context(open_file(window, span, name))
        yield Recording(tracks.rate, tracks.claimed, _told(one_channel(tracks, channel, name), name, window))


def read_audio(
    source: Source,
    rate: int | None = None,
    *,
    channel: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
) -> tuple[Waveform, int]:
    """A recording as acanet hears it: the mean of its channels, or one of them, at its own rate.

    Args:
        source: as `Source` says; arrays are (samples,), (channels, samples) or (samples, channels), and integers are
            scaled by the range of their type.
        rate: samples a second of an array; files know their own.
        channel: the one to hear, 0 is the first (left); None: the mean of all, or where they cancel out the strongest.
        start: where to begin, in seconds.
        duration: seconds to read, fewer where the recording ends earlier; None: to the end.

    Returns:
        The waveform, (samples,), float32 in [-1, 1] (lossy files overshoot a little), and its rate.

    Raises:
        BadAudio: what cannot be read, or holds no samples, or samples that no microphone gives, or has no such channel.
        MissingExtra: for m4a and the like, without PyAV.

    Warns:
        AudioWarning: as `open_recording`.
    """
    name = describe(source)
    with open_recording(source, rate, channel=channel, start=start, duration=duration) as recording:
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
    source: Source,
    rate: int,
    *,
    source_rate: int | None = None,
    channel: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
) -> Waveform:
    """A recording as a mono waveform at the rate that a model wants.

    Args:
        source: as in `read_audio`.
        rate: samples a second to give.
        source_rate: samples a second of an array.
        channel: as in `read_audio`.
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
    with open_recording(source, source_rate, channel=channel, start=start, duration=duration) as recording:
        check_holdable(recording.claimed or 0, recording.rate, name)
        intake = Intake(recording.rate, rate, name)
        parts = [intake.feed(block) for block in recording.blocks]
    parts.append(intake.end())
    if not intake.samples:
        raise BadAudio(name, "there are no samples")
    intake.tell()
    return np.concatenate(parts)


def check_holdable(count: int, rate: int, name: str) -> None:
    """Refuse more samples than are held as a whole: as many as they become at 16 kHz, where that is more.

    Raises:
        BadAudio: naming the recording, and how long it may be.
    """
    most = MOST_SAMPLES * min(1.0, rate / _USUAL_RATE)
    if count > most:
        raise BadAudio(
            name,
            f"{count / rate / 3600:.1f} hours at {rate} Hz, to be held as a whole; cut it into recordings of up to "
            f"{int(most / rate / 360) / 10:.1f} hours",
        )


def channel_count(path: str | os.PathLike[str]) -> int:
    """The number of channels of a file that `read_audio` reads, from its header."""
    name = describe(path)
    with ExitStack() as stack, told(name):
        window = stack.enter_context(opened(path, name))
        with told(name, window):
            return stored_channels(window, name)


def content_hash(waveform: Waveform) -> str:
    """A name for what a recording sounds like, 16 hex digits: SHA-256 of its samples in 16 bit.

    Of a waveform from `read_audio`, so at the rate of the file: a wav and the flac made of it agree.
    """
    pcm = np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype("<i2")
    return hashlib.sha256(pcm.tobytes()).hexdigest()[:16]


def _told(blocks: Iterator[Waveform], name: str, window: Window | None) -> Iterator[Waveform]:
    """Blocks of which every error is one of the recording."""
    while True:
        with told(name, window):
            block = next(blocks, None)
        if block is None:
            return
        yield block
