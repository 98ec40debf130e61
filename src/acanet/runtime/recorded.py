"""A source of any kind as a recording that was fed to its end, if it is not too long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from acanet.audio.intake import Intake
from acanet.audio.recording import open_recording
from acanet.audio.sources import Source, describe
from acanet.errors import BadAudio, TooLong
from acanet.runtime.network import Network
from acanet.runtime.pieces import WHOLE_SECONDS
from acanet.runtime.spill import Floats
from acanet.runtime.stream import RecordedStream


class Limit(NamedTuple):
    """How long a recording may be, in seconds, and why."""

    seconds: float
    reason: str

    def check(self, seconds: float, name: str) -> None:
        """Refuse a recording that is longer.

        Raises:
            TooLong: naming the recording.
        """
        if seconds > self.seconds:
            raise TooLong(name, seconds, self.seconds, self.reason)


@contextmanager
def recorded(
    source: Source,
    network: Network,
    needed: float,
    *,
    limits: Sequence[Limit] = (),
    rate: int | None = None,
    channel: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
) -> Iterator[RecordedStream]:
    """A recording as a stream that was fed to its end.

    Args:
        source: as `acanet.audio.sources.Source` says.
        network: the model.
        needed: seconds of speech without which there is no embedding.
        limits: on its length, as it is claimed and as it is decoded.
        rate: samples a second of an array; None: the model's own rate.
        channel, start, duration: as in `acanet.audio.recording.open_recording`.

    Raises:
        BadAudio, MissingExtra: when it cannot be read.
        TooLong: beyond a limit.
    """
    name = describe(source)
    if isinstance(source, np.ndarray) and rate is None:
        rate = network.rate
    with (
        open_recording(source, rate, channel=channel, start=start, duration=duration) as opened,
        RecordedStream(Intake(opened.rate, network.rate, name), network, needed) as stream,
    ):
        for limit in limits:
            limit.check(opened.claimed_seconds or 0.0, name)
        for block in opened.blocks:
            stream.feed(block)
            for limit in limits:
                limit.check(stream.seconds, name)
        if not stream.seconds:
            raise BadAudio(name, "there are no samples")
        stream.end()
        yield stream


def embed_trimmed(recording: RecordedStream, network: Network) -> Floats:
    """The embedding, (dim,), of the speech in a recording without its pauses; hours of it are not held as a whole.

    Raises:
        NoSpeech, TooShort: as `RecordedStream.require_speech`.
    """
    speech = recording.require_speech()
    blocks = speech.trimmed(recording.blocks(), network.rate)
    pieces = network.in_pieces() if speech.seconds > WHOLE_SECONDS else None
    if pieces is None:
        embedding: Floats = network.embed_waveforms([np.concatenate(list(blocks))])[0]
        return embedding
    with pieces:
        for block in blocks:
            pieces.feed(block)
        return pieces.embedding()
