"""`acanet verify --watch`: a pipe or a microphone, up to its end or Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from acanet.errors import AcanetError

if TYPE_CHECKING:
    from acanet.encoder import Encoder
    from acanet.listening.watch import Moment

LIVE = ("-", "mic")
"""What is heard as it comes: standard input, the microphone."""


def watching(
    encoder: Encoder,
    enrolment: Path,
    source: str,
    rate: int | None,
    every: float,
    *,
    channel: int | None,
    threshold: float | None,
    prior: float | None,
) -> Iterator[Moment]:
    """What is known from time to time of the speech that comes from a source: `-` or `mic`.

    `channel` is that of the enrolment.
    """
    from acanet.listening.sources import microphone, pcm, until_interrupted
    from acanet.listening.watch import watch

    rate = encoder.rate if rate is None else rate
    if source == "mic":
        blocks = microphone(rate)
    elif source != "-":
        raise typer.BadParameter(f"with --watch it is `-` or `mic`, not {source}", param_hint="TEST")
    elif sys.stdin is None:
        raise AcanetError("standard input is closed; give it samples: arecord -t raw -f S16_LE -r 16000 | acanet ...")
    elif sys.stdin.isatty():
        raise AcanetError(
            "standard input is a terminal; give it samples: arecord -t raw -f S16_LE -r 16000 | acanet ..."
        )
    else:
        blocks = pcm(sys.stdin.buffer, rate, source)
    enrolled = encoder.hear(enrolment, channel=channel)
    return watch(
        encoder,
        enrolled,
        until_interrupted(blocks),
        rate=rate,
        every=every,
        threshold=threshold,
        prior=prior,
        name=source,
    )
