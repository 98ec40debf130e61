"""What libsndfile reads: wav, flac, ogg, opus, mp3, NIST and more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import soundfile

from acanet.audio.blocks import BLOCK, Frames, check_channels
from acanet.audio.ceiling import Ceiling
from acanet.audio.quiet import quiet
from acanet.audio.window import Window
from acanet.errors import BadAudio

_NO_LENGTH = 2**62
"""Samples from which on libsndfile means that a header does not tell."""


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read on and on; soundfile would seek after every block, which a file of no known length fails."""

    def seekable(self) -> bool:
        return False


class SoundLink:
    """A file that libsndfile decodes.

    Attributes:
        rate: samples a second.
        channels: of it.
        reached: samples up to the place where it was read.
    """

    def __init__(self, file: soundfile.SoundFile, name: str) -> None:
        """An open file; `name` is that of the recording, for errors.

        Raises:
            BadAudio: for a file without samples, or with more channels than make sense.
        """
        check_channels(file.channels, name)
        if file.frames <= 0:
            raise BadAudio(name, "there is a header but no samples")
        self._file, self._name = file, name
        self.rate, self.channels, self.reached = int(file.samplerate), int(file.channels), 0
        self._length = None if file.frames >= _NO_LENGTH else int(file.frames)

    @property
    def claimed(self) -> int | None:
        """Samples that it has, if its header tells the truth; None: it does not say."""
        return self._length

    def blocks(self, first: int, count: int | None, ceiling: Ceiling) -> Iterator[Frames]:
        """Samples, as `acanet.audio.chain.Link` says."""
        if self._length is not None and first >= self._length:
            self.reached = self._length
            return
        self._go_to(first, ceiling)
        left = _NO_LENGTH if self._length is None else self._length - first
        end, size = self.reached + (left if count is None else min(count, left)), BLOCK // self.channels
        while self.reached < end and len(block := self._read(min(size, end - self.reached), ceiling)):
            yield block
        read, wanted = self.reached - first, end - first
        if self._length is not None and read < 0.95 * wanted:
            raise BadAudio(self._name, f"cut off: {read} samples where the header promises {wanted}")

    def _go_to(self, sample: int, ceiling: Ceiling) -> None:
        """Seek, or decode up to a sample where nothing can be sought."""
        if soundfile.SoundFile.seekable(self._file) and self._length is not None:
            with _reading(self._name):
                self.reached = self._file.seek(sample)
        while self.reached < sample and len(self._read(min(BLOCK // self.channels, sample - self.reached), ceiling)):
            pass

    def _read(self, count: int, ceiling: Ceiling) -> Frames:
        with _reading(self._name):
            block: Frames = self._file.read(count, dtype="float32", always_2d=True)
        self.reached += len(block)
        ceiling.count(len(block) / self.rate)
        return block


@contextmanager
def open_sound(window: Window, name: str) -> Iterator[SoundLink]:
    """A file that libsndfile decodes.

    Args:
        window: the file.
        name: of the recording, for errors.

    Raises:
        BadAudio: when it cannot be read; while blocks are read, when it breaks or was cut off.
    """
    if not window.size:
        raise BadAudio(name, "the file is empty (0 bytes)")
    window.seek(0)
    with _reading(name):
        file = _Sequential(window)
    with file:
        yield SoundLink(file, name)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """What libsndfile reports, as an error of the recording."""
    try:
        with quiet():
            yield
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        raise BadAudio(name, f"not a recording that can be read, or a broken one ({reason})") from None
