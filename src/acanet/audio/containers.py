"""What a container claims, checked against its file before a demuxer believes it.

FFmpeg makes an entry for each packet that the tables of an mp4 file claim, 24 bytes each, before it reads any: a
file of 30 kB can ask for gigabytes. And it reads a Matroska file that was cut off without a word.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import numpy as np

from acanet.audio.window import Window
from acanet.errors import BadAudio

MOST_PACKETS = 2**23
"""Packets of all tracks together: 200 MB of FFmpeg's memory, 38 hours of video at 60 frames a second."""

_MAGIC = {
    "mov": re.compile(rb"....(ftyp|moov|mdat|wide|free|skip|pnot)", re.DOTALL),
    "matroska": re.compile(rb"\x1a\x45\xdf\xa3"),
    "asf": re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    "amr": re.compile(rb"#!AMR"),
    "aac": re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"),
}
CONTAINER_EXTENSIONS = (".m4a", ".mp4", ".mov", ".3gp", ".mkv", ".webm", ".wma", ".amr", ".aac")
"""How the names of such files end."""
_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"edts", b"udta", b"mvex", b"dinf", b"tref", b"wave", b"moof", b"traf"}
_DEEPEST, _MOST_BOXES = 10, 2**20
_EBML, _SEGMENT, _CLUSTER = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
_OPEN_ENDED = (_SEGMENT, _CLUSTER)
"""Elements of Matroska whose length may be unknown, for what was written while it was recorded."""
_PCM_PACKET = 1024
"""Samples of uncompressed audio that FFmpeg makes one packet of."""


def demuxer_for(magic: bytes) -> str | None:
    """FFmpeg's name of the container that begins with these bytes (12 of them); None: one for soundfile to try."""
    return next((name for name, pattern in _MAGIC.items() if pattern.match(magic)), None)


def check_claims(window: Window, demuxer: str, name: str) -> None:
    """Refuse a file that is shorter than it says, or whose tables claim more packets than make sense.

    The layouts are those of ISO/IEC 14496-12 (mp4, m4a, mov, 3gp) and RFC 9559 (Matroska, WebM).

    Raises:
        BadAudio: saying which.
    """
    size = window.size
    if demuxer == "mov":
        _check_boxes(window, size, name)
    elif demuxer == "matroska":
        _check_segment(window, size, name)


def joined(window: Window, demuxer: str, name: str) -> list[Window]:
    """The files that were joined to one: mp4 or Matroska, of which FFmpeg hears the first only, or the first two.

    Each mp4 begins with a box `ftyp`, and holds a box `moov`; each Matroska file begins with an EBML header. Where
    files of other kinds were joined, FFmpeg hears them all.

    Raises:
        BadAudio: when there are more boxes or elements than make sense.
    """
    begins = [0]
    if demuxer == "mov":
        begins = _mp4_begins(window, name)
    elif demuxer == "matroska":
        begins = _matroska_begins(window, name)
    return [window.part(begin, end) for begin, end in zip(begins, [*begins[1:], None], strict=True)]


def _mp4_begins(window: Window, name: str) -> list[int]:
    begins, described = [0], False
    for number, (kind, body, _) in enumerate(_boxes(window, 0, window.size)):
        _check_number(number, name)
        if kind == b"ftyp" and described:
            begins.append(body - 8)
            described = False
        described = described or kind == b"moov"
    return begins


def _matroska_begins(window: Window, name: str) -> list[int]:
    begins = [0]
    for number, (kind, at) in enumerate(_elements(window)):
        _check_number(number, name)
        if kind == _EBML and at:
            begins.append(at)
    return begins


def _check_boxes(window: Window, size: int, name: str) -> None:
    kinds = set()
    for kind, body, end in _boxes(window, 0, size):
        kinds.add(kind)
        if kind in (b"moov", b"mdat", b"moof") and end > size:
            _refuse_cut_off(name, f"its {kind.decode()} box", end - body, size - body)
    if b"moov" not in kinds:
        raise BadAudio(name, "cut off, or never finished: there is no moov box, which says where the samples are")
    packets, edits = 0, 1
    for number, (kind, body, end) in enumerate(_descendants(window, 0, size)):
        _check_number(number, name)
        if kind == b"stbl":
            packets += _listed_packets(window, body, end)
        elif kind == b"trun":
            packets += _word(window, body + 4)
        elif kind == b"elst":
            edits = max(edits, _word(window, body + 4))
    if packets * edits > MOST_PACKETS:
        raise BadAudio(
            name,
            f"its tables claim {packets * edits} packets; at most {MOST_PACKETS} make sense. "
            "If it is a recording, rewrite it: ffmpeg -i in.mp4 out.wav",
        )


def _check_number(boxes: int, name: str) -> None:
    if boxes > _MOST_BOXES:
        raise BadAudio(name, f"it has more than {_MOST_BOXES} boxes or elements, which is no recording")


def _boxes(window: Window, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, begin and end of what is in each box from `at` to `end`, in bytes; the last may say that it goes on."""
    while at + 8 <= end:
        window.seek(at)
        head = window.read(16)
        if len(head) < 8:
            return
        size, kind = struct.unpack_from(">I4s", head)
        body = at + 8
        if size == 1:
            size, body = int.from_bytes(head[8:]), at + 16
        stop = at + size if size else end
        if stop < body:
            return
        yield kind, body, stop
        at = stop


def _descendants(window: Window, at: int, end: int, depth: int = 1) -> Iterator[tuple[bytes, int, int]]:
    """As `_boxes`, with the boxes inside the boxes that hold others."""
    for kind, body, stop in _boxes(window, at, end):
        yield kind, body, stop
        if kind in _PARENTS and depth < _DEEPEST:
            yield from _descendants(window, body, min(stop, end), depth + 1)


def _listed_packets(window: Window, body: int, end: int) -> int:
    """How many packets FFmpeg makes of a sample table (stbl), at most."""
    tables: dict[bytes, int] = {}
    for kind, at, _ in _boxes(window, body, end):
        tables.setdefault(kind, at)
    times = tables.get(b"stts")
    if times is None or _word(window, times + 4) != 1 or _word(window, times + 12) != 1:
        sizes = tables.get(b"stsz", tables.get(b"stz2"))
        return 0 if sizes is None else _word(window, sizes + 8)
    offsets = tables.get(b"stco", tables.get(b"co64"))
    chunks = 0 if offsets is None else _word(window, offsets + 4)
    return chunks * (_largest_chunk(window, tables.get(b"stsc")) // _PCM_PACKET + 1)


def _largest_chunk(window: Window, at: int | None) -> int:
    """Samples of the largest chunk that an stsc table at `at` lists."""
    if at is None:
        return 0
    runs = min(_word(window, at + 4), MOST_PACKETS)
    table = window.read(12 * runs)
    return int(np.frombuffer(table[: len(table) // 12 * 12], ">u4")[1::3].max(initial=0))


def _word(window: Window, at: int) -> int:
    window.seek(at)
    return int.from_bytes(window.read(4))


def _check_segment(window: Window, size: int, name: str) -> None:
    window.seek(0)
    head = window.read(4096)
    length, at = _vint(head, 4)
    if length is None or head[at + length : at + length + 4] != _SEGMENT:
        return
    length, at = _vint(head, at + length + 4)
    if length is not None and at + length > size:
        _refuse_cut_off(name, "its segment", length, size - at)


def _elements(window: Window) -> Iterator[tuple[bytes, int]]:
    """Identifier and begin of each element of Matroska files; of one with an unknown length, those inside it too."""
    at = 0
    while at < window.size:
        head = window.peek(at, 16)
        width = 9 - head[0].bit_length() if head else 9
        kind, (length, body) = head[:width], _vint(head, width)
        if length is None and kind not in _OPEN_ENDED:
            return
        yield kind, at
        at += body + (length or 0)


def _vint(data: bytes, at: int) -> tuple[int | None, int]:
    """A number of variable width, None where it stands for "unknown" or is none, and where it ends."""
    width = 9 - data[at].bit_length() if at < len(data) else 9
    value = int.from_bytes(data[at : at + width])
    ones = (1 << 7 * width) - 1
    return (None if width > 8 or value & ones == ones else value & ones), at + width


def _refuse_cut_off(name: str, what: str, claimed: int, held: int) -> None:
    raise BadAudio(name, f"cut off: {what} promises {claimed} bytes, the file has {max(0, held)}")
