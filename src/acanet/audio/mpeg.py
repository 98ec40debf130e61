"""mp3 files as libmpg123 hears them whole: it believes a header that counts frames, and guesses where there is none.

Where a file is longer than its header says, as joined files are, or has none, its frames are counted here, and a header
that says so is put in front. Frames are those of ISO/IEC 11172-3 and 13818-3, headers those of Xing and Fraunhofer.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from acanet.audio.window import Window
from acanet.errors import BadAudio

_KBITS = {
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Thousands of bits a second, by their number less one, of layer III in MPEG 1 and in MPEG 2 and 2.5."""
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""Samples a second by the number of the version: MPEG 1, 2, 2.5."""
_LAYER_3, _MONO = 1, 3
_COUNTS = re.compile(rb"Xing|Info|VBRI")
_COVERED = 0.99
"""Share of the bytes of a file from which on its header speaks of all of it."""
_READ = 2**20


class _Frame(NamedTuple):
    """A frame, as its first four bytes describe it."""

    size: int
    rate: int
    version: int
    stereo: bool


def counted(window: Window, name: str) -> Window:
    """An mp3 file with a header that counts all of its frames; a file of another kind is given back as it is.

    Args:
        window: the file.
        name: of the recording, for errors.

    Raises:
        BadAudio: when files of different rates or channels were joined.
    """
    begin = behind_tags(window)
    head = window.peek(begin, 64)
    first = _frame(head[:4])
    if first is None:
        return window
    tag = _COUNTS.search(head, 0, 44)
    frames, size = (0, 0) if tag is None else _told(window.peek(begin + tag.start(), 20))
    if size >= _COVERED * (window.size - begin):
        return window
    count = 0
    for frame in _frames(window, begin, first):
        if frame[1:] != first[1:]:
            reason = "mp3 files of different rates or channels were joined, which is not read to its end"
            raise BadAudio(name, f"{reason}; convert each of them: ffmpeg -i in.mp3 out.wav")
        count += 1
    if tag is not None and count <= frames + 1:
        return window
    before = _xing(head, first, count)
    patches = [] if tag is None else [(len(before) + tag.start(), bytes(4))]
    return window.part(begin, before=before, patches=patches)


def behind_tags(window: Window) -> int:
    """Where a file begins behind its ID3 tags (version 2), which hold a title and the like."""
    at = 0
    while (head := window.peek(at, 10)).startswith(b"ID3") and len(head) == 10 and max(head[6:]) < 128:
        a, b, c, d = head[6:]
        end = at + 10 + (a << 21 | b << 14 | c << 7 | d) + (10 if head[5] & 0x10 else 0)
        if end >= window.size:
            break
        at = end
    return at


def _frames(window: Window, at: int, first: _Frame) -> Iterator[_Frame]:
    """The frames from that of a place on, in order; what is none is passed over."""
    start, held, before = at, b"", first
    while at + 4 <= window.size:
        if at + 4 > start + len(held):
            start, held = at, window.peek(at, _READ)
            if len(held) < 4:
                return
        frame = _frame(held[at - start : at - start + 4])
        if frame is not None and (frame[1:] == before[1:] or _follows(window, at + frame.size, frame)):
            yield frame
            at, before = at + frame.size, frame
        else:
            found = held.find(b"\xff", at - start + 1)
            at = start + (found if found >= 0 else len(held))


def _follows(window: Window, at: int, before: _Frame) -> bool:
    """Whether a frame of the same kind is at a place, or the end."""
    after = _frame(window.peek(at, 4))
    return at >= window.size or (after is not None and after[1:] == before[1:])


@lru_cache(maxsize=4096)
def _frame(head: bytes) -> _Frame | None:
    """The frame of layer III that four bytes begin; None: they begin none, or one of a size that they do not tell."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bits, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer != _LAYER_3 or bits in (0, 15) or rate == 3:
        return None
    kbits, hertz = _KBITS[3 if version == 3 else 2][bits - 1], _RATES[version][rate]
    size = (144 if version == 3 else 72) * 1000 * kbits // hertz + padding
    return _Frame(size, hertz, version, head[3] >> 6 != _MONO)


def _told(tag: bytes) -> tuple[int, int]:
    """The frames and bytes of which a header speaks; 0: it does not say."""
    tag = tag.ljust(20, b"\0")
    if tag.startswith(b"VBRI"):
        size, frames = struct.unpack_from(">II", tag, 10)
        return frames, size
    flags, first, second = struct.unpack_from(">III", tag, 4)
    frames = first if flags & 1 else 0
    return frames, (second if flags & 1 else first) if flags & 2 else 0


def _xing(head: bytes, like: _Frame, count: int) -> bytes:
    """A frame that holds no samples but the number of frames that follow, of the kind of another frame."""
    heads = [_with(head, bits) for bits in range(1, 15)]
    start, size = next((each, found.size) for each in heads if (found := _frame(each)) and found.size >= 64)
    at = (36 if like.stereo else 21) if like.version == 3 else (21 if like.stereo else 13)
    return (start.ljust(at, b"\0") + struct.pack(">4sII", b"Xing", 1, count)).ljust(size, b"\0")


def _with(head: bytes, bits: int) -> bytes:
    """The first four bytes of a frame with another number for its bits a second, unpadded and without a checksum."""
    return bytes([head[0], head[1] | 1, bits << 4 | head[2] & 0x0C, head[3]])
