"""What decoding finds in utterances: their lengths and contents, and why some cannot be used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from acanet.audio.blocks import Waveform
from acanet.audio.recording import channel_count, content_hash, read_audio
from acanet.data.lists.manifest import Utterance
from acanet.data.lists.recording import errors_of
from acanet.data.parallel import spread
from acanet.errors import AcanetError, BadAudio

SHORTEST = 0.5
"""Seconds; shorter utterances are left out."""
QUIETEST = 10 ** (-60 / 20)
"""RMS (-60 dBFS); quieter utterances are left out as silent."""
OVERRUN = 0.1
"""Seconds that a manifest may name beyond the end of a file (rounding); they are cut off."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """The reason why an utterance cannot be used."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Measured:
    """An utterance as decoding finds it: its file (rate, samples, channels), its span, its content.

    With a flaw it is nothing to train on.
    """

    rate: int
    samples: int
    channels: int
    first: int
    count: int
    audio_hash: str
    flaw: Unfit | None = None

    @property
    def seconds(self) -> float:
        """The length of the span, in seconds."""
        return self.count / self.rate


Finding = Measured | Unfit
Span = tuple[float, float | None]
"""Start and duration in seconds."""


def measure(utterances: Sequence[Utterance], workers: int, progress: bool) -> list[Finding]:
    """The findings about each utterance; a file is decoded once, whatever the number of its utterances."""
    of_file: dict[Path, list[int]] = {}
    for index, utterance in enumerate(utterances):
        of_file.setdefault(utterance.path, []).append(index)
    spans = [[(utterances[i].start, utterances[i].duration) for i in indices] for indices in of_file.values()]
    findings: dict[int, Finding] = {}
    for indices, found in zip(of_file.values(), _measure_files(list(of_file), spans, workers, progress), strict=True):
        findings.update(zip(indices, found, strict=True))
    return [findings[index] for index in range(len(utterances))]


def _measure_files(
    paths: Sequence[Path], spans: Sequence[Sequence[Span]], workers: int, progress: bool
) -> list[list[Finding]]:
    results = spread(_measure_file, paths, spans, workers=workers)
    return list(track(results, "decoding", len(paths), console=Console(stderr=True), disable=not progress))


def _measure_file(path: Path, spans: Sequence[Span]) -> list[Finding]:
    """Decode a file and look at spans of it.

    Args:
        path: the file.
        spans: start and duration of each, in seconds; duration None: to the end.

    Returns:
        One finding a span.
    """
    try:
        with errors_of(path):
            waveform, rate = read_audio(path)
            channels = channel_count(path)
    except BadAudio as error:
        return [Unfit("unreadable", error.reason)] * len(spans)
    except AcanetError as error:  # what is not installed
        return [Unfit("unreadable", str(error))] * len(spans)
    return [_measure_span(waveform, rate, channels, start, duration) for start, duration in spans]


def _measure_span(waveform: Waveform, rate: int, channels: int, start: float, duration: float | None) -> Finding:
    total = len(waveform)
    first = round(start * rate)
    end = total if duration is None else first + round(duration * rate)
    if first >= total or end > total + OVERRUN * rate:
        detail = f"{start:g} s to {end / rate:g} s of a recording of {total / rate:g} s"
        return Unfit("outside its recording", detail)
    span = waveform[first:end]
    return Measured(rate, total, channels, first, len(span), content_hash(span), _flaw(span, rate))


def _flaw(span: Waveform, rate: int) -> Unfit | None:
    if len(span) < SHORTEST * rate:
        return Unfit("too short", f"{len(span) / rate:.2f} s, at least {SHORTEST} s are needed")
    rms = float(np.sqrt(np.mean(np.square(span, dtype=np.float64))))
    if rms < QUIETEST:
        return Unfit("silent", f"{20 * math.log10(rms):.0f} dBFS" if rms else "digital silence")
    return None
