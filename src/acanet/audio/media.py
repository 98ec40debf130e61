"""What phones and browsers record (m4a, mp4, mov, 3gp, aac, webm, mkv, wma, amr), decoded by FFmpeg through PyAV.

The samples are those that the container says there are: what the encoder put in front (priming, pre-skip) and behind
(padding) is left out wherever the container tells of it, with edit lists, packet durations, CodecDelay and
DiscardPadding. Raw aac and amr streams and wma tell nothing, so they come with all that their decoder gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain, pairwise
from typing import Any, Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.stream import Discard
from numpy.typing import NDArray

from acanet.audio.blocks import BLOCK, Frames
from acanet.audio.ceiling import Ceiling
from acanet.audio.containers import check_claims
from acanet.audio.window import Window
from acanet.errors import BadAudio

CODECS = (
    "aac,ac3,alac,amrnb,amrwb,eac3,flac,libopus,mp2,mp2float,mp3,mp3float,opus,vorbis,"
    "wmalossless,wmapro,wmav1,wmav2,wmavoice,pcm_alaw,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,"
    "pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,pcm_u8"
)
"""The decoders that may run. None is for video, so pictures are never decoded."""

_MOST_BARREN = 100
"""Packets in a row that give no samples; a decoder needs two or three before the first comes."""
_MOVIE_TICK = Fraction(1, 600)
"""Seconds: the coarsest clock that edit lists are usually written in."""
_FINE_TICK = 2
"""Samples: a clock of packets that is coarser does not tell where the last one ends."""
_UNCOUNTED = 0.2
"""Seconds that a container may count which are no samples: an encoder's priming and padding."""
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "flt": 1.0, "dbl": 1.0}


@contextmanager
def open_media(window: Window, demuxer: str, name: str) -> Iterator[MediaFile]:
    """The first audio stream of a container.

    Args:
        window: the whole file.
        demuxer: FFmpeg's name of the container; no other is tried.
        name: of the recording, for errors.

    Raises:
        BadAudio: when it cannot be read; while blocks are read, when it breaks or was cut off.
    """
    check_claims(window, demuxer, name)
    with MediaFile(window, demuxer, name) as file:
        yield file


class MediaFile:
    """The first audio stream of a container; a context manager.

    Attributes:
        rate: samples a second that the decoder gives; of Opus always 48000.
        channels: at the beginning.
        reached: samples up to the place where it was read.
    """

    def __init__(self, window: Window, demuxer: str, name: str) -> None:
        """Open it.

        Args:
            window: the whole file.
            demuxer: FFmpeg's name of the container; no other is tried.
            name: of the recording, for errors.

        Raises:
            BadAudio: when it cannot be decoded, is encrypted, or has no audio.
        """
        self._name, self._demuxer = name, demuxer
        self._end: int | None = None
        self.reached = 0
        options = {"codec_whitelist": CODECS}
        window.seek(0)
        with self._telling_errors():
            self._container = av.open(window, "r", demuxer, options, metadata_errors="replace")
        try:
            self._stream = self._first_audio()
            self._frames = self._whole_frames()
            first = next(self._frames, None)
            if first is None:
                raise BadAudio(name, "there is a header but no samples")
        except BaseException:
            self._container.close()
            raise
        self._first: AudioFrame = first
        self.rate, self.channels = first.sample_rate, first.layout.nb_channels

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def claimed(self) -> int | None:
        """The number of samples that the container claims, to about a millisecond; None: it does not say.

        Where fragments follow each other, it says so of those that were read.
        """
        if self._demuxer == "mov" and self._stream.duration and self._stream.time_base:
            return round(self._stream.duration * self._stream.time_base * self.rate)
        alone = len(self._container.streams) == 1
        if self._demuxer in ("matroska", "asf") and alone and self._container.duration:
            return round(Fraction(self._container.duration, av.time_base) * self.rate)
        return None

    def blocks(self, first: int, count: int | None, ceiling: Ceiling) -> Iterator[Frames]:
        """Samples, as `acanet.audio.chain.Link` says; once."""
        end = None if count is None else first + count
        gathered, size = [np.empty((0, self.channels), np.float32)], 0
        for frame in self._whole():
            ceiling.count(len(frame) / self.rate)
            before, self.reached = self.reached, self.reached + len(frame)
            wanted = frame[max(0, first - before) : None if end is None else max(0, end - before)]
            if size * self.channels >= BLOCK or gathered[0].shape[1] != wanted.shape[1]:
                yield np.concatenate(gathered)
                gathered, size = [], 0
            gathered.append(wanted)
            size += len(wanted)
            if end is not None and self.reached >= end:
                break
        else:
            self._check_claimed()
        yield np.concatenate(gathered)

    def _check_claimed(self) -> None:
        """Refuse a file that ends before the samples that it claims."""
        read = self.reached
        missing = (self.claimed or 0) - read
        if missing > max(0.05 * read, _UNCOUNTED * self.rate):
            raise BadAudio(self._name, f"cut off: {read} samples where the header promises {self.claimed}")

    def _whole(self) -> Iterator[Frames]:
        """All samples, in order, once: blocks of (samples, channels), a few thousand samples long.

        Raises:
            BadAudio: when a packet is broken or encrypted.
        """
        decoded, last = 0, self._first
        for frame, after in pairwise(chain([self._first], self._frames)):
            if after.sample_rate != self.rate:
                raise BadAudio(self._name, f"the rate changes within it, from {self.rate} to {after.sample_rate}")
            yield _samples(frame)
            decoded, last = decoded + frame.samples, after
        yield _samples(last)[: self._without_padding(last, decoded)]

    def _first_audio(self) -> AudioStream:
        """The stream to decode; the demuxer skips the others."""
        if not self._container.streams.audio:
            kinds = ", ".join(sorted({stream.type for stream in self._container.streams}))
            raise BadAudio(self._name, f"there is no audio in it ({kinds or 'nothing at all'})")
        first = self._container.streams.audio[0]
        for stream in self._container.streams:
            stream.discard = Discard.default if stream.index == first.index else Discard.all
        context = first.codec_context  # None where no decoder is known
        if context and context.codec_tag == "drms":
            self._refuse_encrypted()
        if not context or context.name not in CODECS.split(","):
            codec = context.name if context else "unknown"
            raise BadAudio(self._name, f"its codec is {codec}, which is not read; convert it: ffmpeg -i in out.wav")
        return first

    def _without_padding(self, last: AudioFrame, before: int) -> int:
        """How many samples of the last frame, with `before` ahead of it, lie within its packet and the edit list."""
        kept = last.samples
        tick = (self._stream.time_base or 0) * self.rate
        if self._end is not None and last.pts is not None and 0 < tick <= _FINE_TICK:
            kept = min(kept, round((self._end - last.pts) * tick))
        surplus = before + kept - (self.claimed or before + kept)
        if self._demuxer == "mov" and surplus > _MOVIE_TICK * self.rate:
            kept -= surplus
        return max(0, kept)

    def _whole_frames(self) -> Iterator[AudioFrame]:
        """What the decoder gives, padding and all; `_end` becomes where the last packet says that it ends."""
        barren = 0
        for packet in self._packets():
            if packet.has_sidedata("encryption_info"):
                self._refuse_encrypted()
            with self._telling_errors():
                frames = packet.decode()
            if packet.pts is not None and packet.duration:
                self._end = packet.pts + packet.duration
            barren = 0 if frames else barren + 1
            if barren > _MOST_BARREN:
                raise BadAudio(self._name, f"broken: {barren} packets in a row without a sample")
            yield from frames

    def _packets(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            with self._telling_errors():
                packet = next(packets, None)
            if packet is None:
                return
            yield packet

    @contextmanager
    def _telling_errors(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as error:
            reason = f"not a recording that can be read, or a broken one (FFmpeg says: {error.strerror})"
            raise BadAudio(self._name, reason) from None

    def _refuse_encrypted(self) -> None:
        raise BadAudio(self._name, "encrypted (copy protection); give a recording that is not")


def _samples(frame: AudioFrame) -> NDArray[np.float32]:
    """A frame as (samples, channels) on the scale of [-1, 1]."""
    kind = frame.format.name.rstrip("p")
    channels = frame.to_ndarray()
    samples = channels.T if frame.format.is_planar else channels.reshape(-1, frame.layout.nb_channels)
    centred = samples - 128.0 if kind == "u8" else samples
    return (centred / _FULL_SCALE[kind]).astype(np.float32)
