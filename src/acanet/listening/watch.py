"""One voice enrolled, another heard as it speaks: score and decision over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from acanet.encoder import Encoder
from acanet.errors import NoSpeech
from acanet.runtime.stream import NAME
from acanet.scoring.decide import Verification
from acanet.scoring.heard import Heard

_SPACING = 0.05
"""Decisions lie at least this share of what was heard apart: each costs as much as all that was heard is long, and
together they cost some twenty embeddings of the whole, however long it gets."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known at a time.

    Attributes:
        seconds: of audio so far.
        speech: seconds of speech so far.
        verification: the comparison; None while there is too little speech.
        last: whether nothing comes after it.
    """

    seconds: float
    speech: float
    verification: Verification | None
    last: bool = False


def watch(
    encoder: Encoder,
    enrolment: Heard,
    blocks: Iterable[NDArray[Any]],
    *,
    rate: int,
    every: float = 1.0,
    threshold: float | None = None,
    prior: float | None = None,
    name: str = NAME,
) -> Iterator[Moment]:
    """Compare speech with a recording while it comes.

    Args:
        encoder: one whose model can be run in pieces.
        enrolment: from `encoder.hear`.
        blocks: samples as `Stream.feed` takes them.
        rate: their samples a second.
        every: seconds of audio from one moment to the next; after twenty times as many, a twentieth of what was heard.
        threshold, prior: as in `Encoder.verify`.
        name: what errors and warnings call what comes.

    Yields:
        Moments; the last, of all that was heard, comes after the end.

    Raises:
        AcanetError: as `Encoder.stream` and `Stream.feed`.
        NoSpeech, TooShort: at the end, when there is no comparison of the whole, or nothing came at all.
    """
    with encoder.stream(rate=rate, name=name) as stream:

        def moment(*, last: bool = False) -> Moment:
            speech = stream.speech_seconds
            heard = Heard(stream.embedding(), speech, encoder.fingerprint, stream.lost)
            compared = encoder.compare(enrolment, heard, threshold=threshold, prior=prior)
            return Moment(stream.seconds, speech, compared, last)

        def silent() -> Moment:
            return Moment(stream.seconds, stream.speech_seconds, None)

        due = every
        for block in blocks:
            stream.feed(block)
            if stream.seconds >= due:
                due = stream.seconds + max(every, _SPACING * stream.seconds)
                yield moment() if stream.speech_seconds >= encoder.needed_seconds else silent()
        if not stream.seconds:
            raise NoSpeech(name, 0.0)
        stream.end()
        yield moment(last=True)
