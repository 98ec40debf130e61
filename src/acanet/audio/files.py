"""Which reader takes a file, by its first bytes, and the files that follow each other in it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from types import ModuleType

from acanet.audio.blocks import Span, Tracks
from acanet.audio.chain import open_tracks
from acanet.audio.chunks import mended
from acanet.audio.containers import demuxer_for, joined
from acanet.audio.links import flac_links, ogg_links
from acanet.audio.mpeg import behind_tags, counted
from acanet.audio.quality import AudioWarning
from acanet.audio.soundfiles import open_sound
from acanet.audio.sphere import expand, is_shortened, sphere_header, sphere_links
from acanet.audio.window import Window
from acanet.errors import MissingExtra

_OGG_FLAC = re.compile(rb"OggS.{22}\x01.\x7fFLAC", re.DOTALL)
"""libsndfile as it comes with soundfile does not read it."""
_SOUND = re.compile(rb"OggS|fLaC|RIFF|RIFX|RF64|BW64|FORM|caff|riff|\.snd|NIST_1A")


def open_file(window: Window, span: Span, name: str) -> AbstractContextManager[Tracks]:
    """A file with all of its channels.

    Args:
        window: the file.
        span: what is wanted of it.
        name: of the recording, for errors.

    Raises:
        BadAudio: when it cannot be read; while blocks are read, when it breaks or was cut off.
        MissingExtra: for m4a and the like, without PyAV.

    Warns:
        AudioWarning: when blocks are read, of an Ogg file whose end is missing.
    """
    size, file = window.size, _behind_tags(window)
    demuxer = "ogg" if _OGG_FLAC.match(file.peek(0, 300)) else demuxer_for(file.peek(0, 12))
    if demuxer is not None:
        media = _media(name)
        links = _ogg(file, name) if demuxer == "ogg" else lambda: joined(file, demuxer, name)
        return open_tracks(links, lambda link: media.open_media(link, demuxer, name), span, size, name)
    if is_shortened(file):
        file = expand(file, name)
    return open_tracks(_links(file, name), lambda link: open_sound(link, name), span, size, name)


def stored_channels(window: Window, name: str) -> int:
    """The number of channels, from the header; errors as `open_file`."""
    if is_shortened(window):
        return int(sphere_header(window).get("channel_count", ""))
    with open_file(window, Span(), name) as tracks:
        return tracks.channels


def _behind_tags(window: Window) -> Window:
    """A file without the ID3 tags in front, which its decoder may not know; those of mp3 and flac do."""
    begin = behind_tags(window)
    head = window.peek(begin, 12)
    return window.part(begin) if begin and (demuxer_for(head) or _SOUND.match(head)) else window


def _links(window: Window, name: str) -> Callable[[], Iterable[Window]]:
    """What gives the files for libsndfile that follow each other, each with a header that tells its length."""
    match window.peek(0, 4):
        case b"OggS":
            return _ogg(window, name)
        case b"fLaC":
            found = flac_links(window)
            return lambda: found
        case b"NIST":
            files = sphere_links(window, name)
            return lambda: files
    file = counted(window, name)
    return (lambda: [file]) if file is not window else lambda: _chunked(window, name)


def _ogg(window: Window, name: str) -> Callable[[], Iterable[Window]]:
    links, ends = ogg_links(window)
    untold = [] if ends else [f"{name}: cut off: its last page does not end the stream; what there is of it is heard"]

    def given() -> Iterator[Window]:
        yield from links
        while untold:
            warnings.warn(untold.pop(), AudioWarning, stacklevel=2)

    return given


def _chunked(window: Window, name: str) -> Iterator[Window]:
    begin: int | None = 0
    while begin is not None:
        rest = window.part(begin)
        file, following = mended(rest, name)
        yield file
        begin = None if following is None else begin + following


def _media(name: str) -> ModuleType:
    """The module that reads what the extra `media` is for."""
    try:
        import acanet.audio.media as media
    except ModuleNotFoundError as error:
        if error.name != "av":
            raise
        raise MissingExtra(f"PyAV to read {name}", "media") from None
    return media
