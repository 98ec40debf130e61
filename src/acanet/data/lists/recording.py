"""The recording of an utterance: whatever keeps it from being read is an error of its file, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acanet.audio.blocks import Waveform
from acanet.audio.recording import read_audio
from acanet.data.lists.manifest import Utterance
from acanet.errors import AcanetError, BadAudio


def read_utterance(utterance: Utterance) -> tuple[Waveform, int]:
    """The waveform of an utterance, (samples,) float32, and its rate, that of the file.

    Raises:
        BadAudio: naming the file, whatever is wrong with it.
        MissingExtra: as `acanet.audio.recording.read_audio`.
    """
    with errors_of(utterance.path):
        return read_audio(utterance.path, start=utterance.start, duration=utterance.duration)


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Errors of a file that is read, all of them errors of acanet.

    Raises:
        BadAudio: in place of any other error, such as one of the disk or of a decoder.
    """
    try:
        yield
    except AcanetError:
        raise
    except Exception as error:
        raise BadAudio(str(path), f"cannot be read ({type(error).__name__}: {error})") from error


def is_unicode(text: str) -> bool:
    """True where a name has no bytes that Python had to smuggle in as surrogates (PEP 383)."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
