"""Where speech comes from as it is spoken: a pipe of samples, or a microphone."""

from __future__ import annotations

import queue
import re
import signal
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from acanet.audio.quality import AudioWarning
from acanet.errors import AcanetError, BadAudio, MissingExtra

_BLOCK_SECONDS = 0.1
_CONTAINERS = {
    "wav": rb"RIFF|RF64",
    "flac": rb"fLaC",
    "ogg": rb"OggS",
    "mp3": rb"ID3",
    "aiff": rb"FORM",
    "caf": rb"caff",
    "mp4": rb"....ftyp",
    "webm": rb"\x1a\x45\xdf\xa3",
    "nist": rb"NIST_1A",
}
"""How files begin that hold no raw samples; a recording of raw ones hardly ever does."""


def pcm(stream: BinaryIO, rate: int, name: str = "-") -> Iterator[NDArray[np.int16]]:
    """Blocks of 0.1 s, (samples,), of a stream of 16-bit little-endian samples of one channel, to its end.

    Raises:
        BadAudio: when it begins as a file does whose samples have to be decoded.

    Warns:
        AudioWarning: when it ends amid a sample, which is left out.
    """
    size = 2 * max(1, round(_BLOCK_SECONDS * rate))
    held = stream.read(size)
    _refuse_containers(held, rate, name)
    while held:
        whole = len(held) // 2 * 2
        yield np.frombuffer(held[:whole], "<i2").astype(np.int16)
        if whole < len(held):
            told = (
                f"{name}: it ends amid a sample, with an odd byte, which is left out; see that the samples have 16 bits"
            )
            warnings.warn(told, AudioWarning, stacklevel=2)
        held = stream.read(size)


def _refuse_containers(head: bytes, rate: int, name: str) -> None:
    kind = next((kind for kind, magic in _CONTAINERS.items() if re.match(magic, head, re.DOTALL)), None)
    if kind is not None:
        raise BadAudio(
            name,
            f"the pipe holds a file ({kind}), not raw samples; decode it first: "
            f"ffmpeg -i FILE -f s16le -ac 1 -ar {rate} - | acanet ...",
        )


def microphone(rate: int) -> Iterator[NDArray[np.int16]]:
    """Blocks of 0.1 s, (samples,), of the microphone that the system prefers, until somebody interrupts.

    Raises:
        MissingExtra: without sounddevice.
        AcanetError: when PortAudio is missing, or there is no microphone that gives this rate.
    """
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        if error.name != "sounddevice":
            raise
        raise MissingExtra("sounddevice", "microphone") from None
    except OSError as error:
        raise AcanetError(f"the microphone needs PortAudio: {error} (on Debian: apt install libportaudio2)") from None
    heard: queue.SimpleQueue[NDArray[np.int16]] = queue.SimpleQueue()

    def keep(samples: NDArray[np.int16], *_: Any) -> None:
        heard.put(samples[:, 0].copy())

    try:
        device = sounddevice.InputStream(rate, round(_BLOCK_SECONDS * rate), channels=1, dtype="int16", callback=keep)
        with device:
            while True:
                yield heard.get()
    except sounddevice.PortAudioError as error:
        raise AcanetError(f"no microphone at {rate} samples a second: {error}; try another --rate") from None


def until_interrupted(blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Blocks up to Ctrl-C, which ends them as if there were no more: work on a block is never cut short.

    Only in the main thread.
    """
    waiting = interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        interrupted = True
        if waiting:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        remaining = iter(blocks)
        while not interrupted:
            waiting = True
            try:
                block = next(remaining, None)
            finally:
                waiting = False
            if block is None:
                return
            yield block
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGINT, before)
