"""One recording of one file or several that follow each other: the samples of a span, whatever decodes them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from acanet.audio.blocks import Frames, Span, Tracks, check_channels, checked_rate
from acanet.audio.ceiling import Ceiling
from acanet.audio.window import Window
from acanet.errors import BadAudio


class Link(Protocol):
    """A file that a decoder has open.

    Attributes:
        rate: samples a second.
        channels: at its beginning.
        reached: samples up to the place where it was read.
    """

    rate: int
    channels: int
    reached: int

    @property
    def claimed(self) -> int | None:
        """Samples that it has, if its header tells the truth; None: it does not say."""

    def blocks(self, first: int, count: int | None, ceiling: Ceiling) -> Iterator[Frames]:
        """Samples from `first` on, `count` of them or to the end, fewer or none where it ends earlier.

        Args:
            first: the first sample.
            count: samples; None: all.
            ceiling: told of what is decoded.

        Raises:
            BadAudio: when it breaks or was cut off.
        """


_MOST_LINKS = 10_000
"""Files that follow each other: each has to be opened."""
Open = Callable[[Window], AbstractContextManager[Link]]


@contextmanager
def open_tracks(
    links: Callable[[], Iterable[Window]], open_link: Open, span: Span, size: int, name: str
) -> Iterator[Tracks]:
    """A span of a recording.

    Args:
        links: gives the files that follow each other, one at least.
        open_link: opens one.
        span: what is wanted.
        size: bytes of all files together.
        name: of the recording, for errors.

    Raises:
        BadAudio: when the first cannot be opened, or claims what no recording is; while samples are read, when one
            breaks or was cut off, or they do not belong together.
    """
    with open_link(next(iter(links()))) as first:
        rate, claimed = checked_rate(first.rate, name), first.claimed
        check_channels(first.channels, name)
        if claimed is not None:
            Ceiling(size, name).check_claim(claimed / rate)
        begin, wanted, unread = span.first(rate), span.wanted(rate), [first]

        def opened(window: Window) -> AbstractContextManager[Link]:
            return nullcontext(unread.pop()) if unread else open_link(window)

        def frames() -> Generator[Frames]:
            ceiling, passed, given = Ceiling(size, name), 0, 0
            for number, window in enumerate(links()):
                if number == _MOST_LINKS:
                    raise BadAudio(name, f"more than {_MOST_LINKS} files were joined; decode it: ffmpeg -i in out.wav")
                with opened(window) as link:
                    if link.rate != rate:
                        raise BadAudio(name, f"the rate changes within it, from {rate} to {link.rate}")
                    left = None if wanted is None else wanted - given
                    for block in link.blocks(max(0, begin - passed), left, ceiling):
                        given += len(block)
                        yield block
                    passed += link.reached
                if given == wanted:
                    return
            if not given:
                span.count(passed, rate, name)

        if claimed is not None:
            claimed = max(0, claimed - begin)
            claimed = claimed if wanted is None else min(claimed, wanted)
        yield Tracks(rate, claimed, first.channels, frames)
