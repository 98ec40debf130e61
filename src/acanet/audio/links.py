"""Recordings that are several files one after another: where each begins, and whether the last one ends.

Ogg calls them the links of a chain (RFC 3533); other files are joined by `cat`. Each link is decoded as a file of its
own, for decoders stop, or stumble, where the first one ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from acanet.audio.window import Window

_FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_BEGIN, _END = 2, 4
"""Flags of an Ogg page: the first of a stream, the last of one."""
_HEADER = 27
_READ = 2**16


class _Page(NamedTuple):
    """An Ogg page: where it begins and ends, its flags, and whose it is."""

    begin: int
    end: int
    flags: int
    serial: bytes


def ogg_links(window: Window) -> tuple[list[Window], bool]:
    """The links of an Ogg file, and whether each of them comes to its end, as its pages say."""
    begins, going, whole, within = [0], set[bytes](), True, False
    for page in _pages(window):
        if page.flags & _BEGIN and within:
            whole, within = whole and not going, False
            begins.append(page.begin)
            going.clear()
        if page.flags & _BEGIN:
            going.add(page.serial)
        else:
            within = True
        if page.flags & _END and page.end <= window.size:
            going.discard(page.serial)
    ends = [*begins[1:], None]
    return [window.part(begin, end) for begin, end in zip(begins, ends, strict=True)], whole and not going


def flac_links(window: Window) -> list[Window]:
    """The links of a flac file, the first of which begins with it."""
    begins = [0]
    while (begin := _find(window, _FLAC, begins[-1] + 1)) is not None:
        begins.append(begin)
    return [window.part(begin, end) for begin, end in zip(begins, [*begins[1:], None], strict=True)]


def _pages(window: Window) -> Iterator[_Page]:
    """The pages of an Ogg file, in order; what lies between them is passed over."""
    at, start, held, passed = 0, 0, b"", 0
    while at + _HEADER <= window.size:
        if at + _HEADER + 255 > start + len(held):
            start, held = at, window.peek(at, _READ)
        here = at - start
        if held[here : here + 4] != b"OggS":
            if passed:  # the page before is not whole, and its end in what it claims
                at, passed = passed, 0
                continue
            found = held.find(b"OggS", here)
            at = start + (found if found >= 0 else max(here + 1, len(held) - 3))
            continue
        sizes = held[here + _HEADER : here + _HEADER + held[here + 26]]
        end = at + _HEADER + len(sizes) + sum(sizes)
        yield _Page(at, end, held[here + 5], held[here + 14 : here + 18])
        at, passed = end, at + _HEADER


def _find(window: Window, pattern: re.Pattern[bytes], at: int) -> int | None:
    """Where a pattern of up to 8 bytes is found first, from a place on."""
    while at < window.size:
        held = window.peek(at, 2**20)
        if found := pattern.search(held):
            return at + found.start()
        if len(held) < 8:
            return None
        at += len(held) - 7
    return None
