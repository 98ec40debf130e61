"""Files of samples in chunks: how long they really are, and whether another such file follows.

A header may promise other samples than there are: none, where whoever wrote it could not go back; a number near the top
of its range, where the length was not known; a few bytes too many, its own. All these are read to their end, and what
was cut off is told of. The layouts are those of RIFF (IBM and Microsoft), RF64 (EBU Tech 3306), AIFF and CAF (Apple),
W64 (Sony) and AU (Sun).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from acanet.audio.mpeg import behind_tags
from acanet.audio.window import Window
from acanet.errors import BadAudio

_SLACK, _MISSING = 128, 0.05
"""Bytes that a header promises too many, its own among them, and the share of them, which are not missed."""
_UNKNOWN, _UNKNOWN_WIDE = 1_900_000_000, 2**40
"""Sizes from which on they say that the size is not known, in 32 bits (2,000,000,000, 0x7FFFF000, 0xFFFFFFFF and their
neighbours) and in 64."""
_NEAR_THE_TOP = 2**16
"""Bytes around 2 and 4 GiB at which a size of 64 bits is one of 32 that is not known."""
_TAGS = (b"ID3", b"TAG", b"APETAGEX")
_OTHER_FILES = re.compile(
    rb"RIFF....WAVE|RIFX....WAVE|RF64|FORM....AIF[FC]|caff\0|riff\x2e\x91|fLaC|OggS|NIST_1A|\x1a\x45\xdf\xa3|....ftyp|\.snd",
    re.DOTALL,
)
"""How recordings begin."""
_NO_SAMPLES = re.compile(rb"PK\x03\x04|\xff\xd8\xff[\xdb-\xef]|\x89PNG\r\n|%PDF-|GIF8[79]a|Rar!\x1a|7z\xbc\xaf")
"""How pictures and archives begin, which some put behind the samples."""
_OLD_TAG = 128
"""Bytes of a tag of version 1 of ID3."""
_NAME = re.compile(rb"[ -~]{4}")
_MOST_CHUNKS = 10_000
_Order = Literal["little", "big"]


@dataclass(frozen=True)
class _Layout:
    """How files of a kind lay out their chunks.

    Attributes:
        begins: how such a file begins.
        first: where its first chunk is.
        data: the name of the chunk of samples.
        order: of the bytes of a size.
        width: bytes of a size, which stands behind the name.
        whole: whether a size counts the name and itself.
        step: chunks begin at multiples of so many bytes.
    """

    begins: re.Pattern[bytes]
    first: int
    data: bytes
    order: _Order = "little"
    width: int = 4
    whole: bool = False
    step: int = 2


_LAYOUTS = (
    _Layout(re.compile(rb"(RIFF|RF64|BW64)....WAVE", re.DOTALL), 12, b"data"),
    _Layout(re.compile(rb"RIFX....WAVE", re.DOTALL), 12, b"data", "big"),
    _Layout(re.compile(rb"FORM....AIF[FC]", re.DOTALL), 12, b"SSND", "big"),
    _Layout(re.compile(rb"caff\0\x01"), 8, b"data", "big", width=8, step=1),
    _Layout(
        re.compile(rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb"),
        40,
        b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a",
        width=8,
        whole=True,
        step=8,
    ),
)


@dataclass(frozen=True)
class _Chunk:
    """A chunk: its name, where its size stands and in how many bytes, and where what it holds begins and ends."""

    name: bytes
    place: int
    width: int
    begin: int
    end: int


def mended(window: Window, name: str) -> tuple[Window, int | None]:
    """A file whose header tells how many samples there are.

    Args:
        window: the file; of another kind it is given back as it is.
        name: of the recording, for errors.

    Returns:
        The file, and where in `window` another one of its kind begins; None: nowhere.

    Raises:
        BadAudio: when it was cut off.
    """
    head = window.peek(0, 16)
    if head.startswith((b".snd", b"dns.")):
        order: _Order = "big" if head.startswith(b".") else "little"
        layout, samples = None, _au(head, order)
    else:
        layout = next((each for each in _LAYOUTS if each.begins.match(head)), None)
        if layout is None or (found := _samples(window, layout)) is None:
            return window, None
        order, samples = layout.order, found
    _check_whole(samples, window.size, name)
    unclaimed = window.size - samples.end
    if unclaimed > 0 and (known := _followed(window, layout, samples.end, name)) is not None:
        return known
    if 0 <= unclaimed <= max(_SLACK, _MISSING * (samples.end - samples.begin)):
        return window, None
    own = len(samples.name) + samples.width if layout is not None and layout.whole else 0
    size = min(window.size - samples.begin + own, 256**samples.width - 1)
    return window.part(0, patches=[(samples.place, size.to_bytes(samples.width, order))]), None


def _samples(window: Window, layout: _Layout) -> _Chunk | None:
    """The chunk of samples; of RF64 with the size that a chunk of its own has for it."""
    wide = None
    for chunk in _chunks(window, layout, layout.first):
        if chunk.name == b"ds64":
            wide = chunk.begin + 8
        if chunk.name != layout.data:
            continue
        if wide is None or chunk.end - chunk.begin != 0xFFFFFFFF:
            return chunk
        size = int.from_bytes(window.peek(wide, 8), layout.order)
        return _Chunk(chunk.name, wide, 8, chunk.begin, chunk.begin + size)
    return None


def _au(head: bytes, order: _Order) -> _Chunk:
    """The samples of an AU file, in place of a chunk."""
    begin, size = int.from_bytes(head[4:8], order), int.from_bytes(head[8:12], order)
    return _Chunk(head[:4], 8, 4, begin, begin + size)


def _chunks(window: Window, layout: _Layout, at: int) -> Iterator[_Chunk]:
    """The chunks from a place on, as far as their sizes lead."""
    length = len(layout.data)
    for _ in range(_MOST_CHUNKS):
        head = window.peek(at, length + layout.width)
        if len(head) < length + layout.width:
            return
        begin, size = at + len(head), int.from_bytes(head[length:], layout.order)
        end = begin + max(0, size - len(head) if layout.whole else size)
        yield _Chunk(head[:length], at + length, layout.width, begin, end)
        at = -(-end // layout.step) * layout.step


def _check_whole(samples: _Chunk, size: int, name: str) -> None:
    """Refuse a file that was cut off."""
    claimed, held = samples.end - samples.begin, max(0, size - samples.begin)
    if samples.width == 4:
        known = claimed < _UNKNOWN
    else:
        known = claimed < _UNKNOWN_WIDE and all(abs(claimed - top) > _NEAR_THE_TOP for top in (2**31, 2**32))
    if known and claimed - held > max(_SLACK, _MISSING * claimed):
        raise BadAudio(name, f"cut off: the header promises {claimed} bytes of samples, the file has {held}")


def _followed(window: Window, layout: _Layout | None, end: int, name: str) -> tuple[Window, int | None] | None:
    """The file and where the next one begins, as `mended` gives them, where what follows its samples is no samples.

    That is a chunk, a tag, another file of its kind, a picture or an archive.

    Raises:
        BadAudio: where a file of another kind follows.
    """
    step = 1 if layout is None else layout.step
    end = -(-end // step) * step
    behind = _behind_tags(window, end)
    own = window.part(0, end) if window.peek(end, 16).startswith(_TAGS) else window
    begin = window.peek(behind, 16)
    if layout is None and begin[:4] == window.peek(0, 4):
        return window.part(0, end), behind
    if layout is not None and (behind > end or _is_chunk(window, layout, end)):
        following = _next(window, layout, behind)
        if following is not None:
            return own if behind > end else window.part(0, following), following
        if not _OTHER_FILES.match(begin):
            return own, None
    if _OTHER_FILES.match(begin):
        raise BadAudio(name, "a file of another kind follows in it; decode both, then join them")
    return (window, None) if _NO_SAMPLES.match(begin) else None


def _behind_tags(window: Window, at: int) -> int:
    """Where something begins behind a place and the ID3 tags there."""
    at += behind_tags(window.part(at))
    return at + _OLD_TAG if window.peek(at, 3) == b"TAG" and at + _OLD_TAG < window.size else at


def _is_chunk(window: Window, layout: _Layout, at: int) -> bool:
    """Whether a chunk, a tag or the next file begins at a place, and not samples that the header does not know of."""
    at = -(-at // layout.step) * layout.step
    head = window.peek(at, 16)
    chunk = next(_chunks(window, layout, at), None)
    fits = chunk is not None and chunk.end <= window.size + 1
    return head.startswith(_TAGS) or bool(layout.begins.match(head) or (fits and _NAME.match(head)))


def _next(window: Window, layout: _Layout, at: int) -> int | None:
    """Where behind the samples another file begins."""
    at = -(-at // layout.step) * layout.step
    places = [at, *(-(-chunk.end // layout.step) * layout.step for chunk in _chunks(window, layout, at))]
    return next((place for place in places if layout.begins.match(window.peek(place, 16))), None)
