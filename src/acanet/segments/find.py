"""A recording -> who speaks when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.audio.sources import Source
from acanet.encoder import Encoder
from acanet.errors import AcanetError, NotCalibrated, TooShort
from acanet.runtime.windows import Progress, cover, embed_spans
from acanet.segments.cluster import closeness, cluster
from acanet.segments.rttm import Turn
from acanet.segments.timeline import turns_of
from acanet.speech.speech import Speech, Stretch

WINDOW, HOP, THRESHOLD = 2.0, 1.0, 0.5
"""Seconds of a window and from one to the next, and the mean log-likelihood ratio from which on clusters are joined:
chosen on dev speakers, with `benchmarks/segments.py`."""
MOST = 5000
"""Windows, of which every pair is compared: 83 minutes of speech, and 1 GB."""


@dataclass(frozen=True, eq=False)
class Conversation:
    """A recording in windows of speech, each as close to each as they are likely to be of one voice.

    Attributes:
        name: of the recording.
        waveform: (samples,) at `rate`.
        rate: samples a second.
        segments: start and end of each stretch of speech, in seconds.
        starts, ends: (windows,) in seconds, each within a stretch of speech.
        close: (windows, windows) log-likelihood ratios; cosines of a model without calibration.
        calibrated: which of the two.
    """

    name: str
    waveform: Waveform
    rate: int
    segments: Sequence[Stretch]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    close: NDArray[np.float64]
    calibrated: bool

    @property
    def seconds(self) -> float:
        """How long the recording is."""
        return len(self.waveform) / self.rate

    def turns(self, *, speakers: int | None = None, threshold: float | None = None) -> list[Turn]:
        """Who speaks when.

        Args:
            speakers: how many there are; None: as many as the threshold leaves.
            threshold: mean closeness from which on two clusters of windows are one voice; None: `THRESHOLD`.

        Raises:
            AcanetError: for both, a number that cannot be, or fewer windows than speakers.
            NotCalibrated: for neither, of a model without calibration.
            MissingExtra: without SciPy.
        """
        check_choice(speakers, threshold, calibrated=self.calibrated)
        chosen = THRESHOLD if threshold is None else threshold
        labels = cluster(self.close, speakers=speakers, threshold=chosen)
        return turns_of(self.segments, self.starts, self.ends, labels)


def check_choice(speakers: int | None, threshold: float | None, *, calibrated: bool) -> None:
    """Make sure that it can be decided how many voices there are.

    Raises:
        AcanetError: for both a number of speakers and a threshold, or one that cannot be.
        NotCalibrated: for neither, of a model without calibration.
    """
    if speakers is not None and threshold is not None:
        raise AcanetError("speakers and threshold are two ways to say how many voices there are; give one of them")
    if speakers is not None and speakers < 1:
        raise AcanetError(f"speakers is {speakers}; 1 or more are needed")
    if threshold is not None and not np.isfinite(threshold):
        raise AcanetError(f"threshold is {threshold}; a number is expected")
    if speakers is None and threshold is None and not calibrated:
        raise NotCalibrated(
            "this model has no calibration to tell how many voices there are (`acanet calibrate` makes one, and "
            "--speakers does without)"
        )


def find_conversation(
    encoder: Encoder,
    source: Source,
    *,
    rate: int | None = None,
    channel: int | None = None,
    window: float = WINDOW,
    hop: float = HOP,
    progress: Progress | None = None,
) -> Conversation:
    """The speech in a recording in windows, each compared with each.

    Args:
        encoder: the model.
        source, rate, channel: as in `Encoder.embed`.
        window: seconds; shorter stretches of speech are windows of their own.
        hop: seconds from one window to the next.
        progress: told the share that is done, from 0 to 1.

    Raises:
        BadAudio, NoSpeech: as `Encoder.embed`.
        TooShort: when no stretch of speech is as long as the model needs.
        AcanetError: when there is more speech than can be compared.
    """
    with encoder.recording(source, rate=rate, channel=channel) as recording:
        speech = recording.require_speech()
        spans = _spans(speech.segments, encoder.rate, window, hop, encoder.needed_seconds)
        _check_spans(spans, speech, hop, encoder.needed_seconds, recording.name)
        waveform = recording.waveform
    embeddings = embed_spans(encoder.network, [waveform], spans, progress=progress)
    starts, ends = spans.T / encoder.rate
    close, calibrated = closeness(embeddings, ends - starts, encoder.calibration), encoder.calibration is not None
    return Conversation(recording.name, waveform, encoder.rate, speech.segments, starts, ends, close, calibrated)


def _check_spans(spans: NDArray[np.intp], speech: Speech, hop: float, needed: float, name: str) -> None:
    """Make sure that there are windows, and not more than can be compared."""
    if not len(spans):
        raise TooShort(name, max(end - start for start, end in speech.segments), needed)
    if len(spans) > MOST:
        raise AcanetError(
            f"{name}: {len(spans) * hop / 60:.0f} minutes of speech; at most {MOST * hop / 60:.0f} can be compared "
            "with each other, so cut the recording into parts"
        )


def file_name(source: str | Path) -> str:
    """How RTTM names a recording: its file's name without the ending."""
    return Path(source).stem


def _spans(segments: Sequence[Stretch], rate: int, window: float, hop: float, needed: float) -> NDArray[np.intp]:
    """(windows, 2) first sample and end of the windows over stretches of speech that are as long as is needed."""
    sizes = round(window * rate), round(hop * rate)
    stretches = [(round(start * rate), round(end * rate)) for start, end in segments]
    spans = [span for start, end in stretches if end - start >= needed * rate for span in cover(start, end, *sizes)]
    return np.array(spans, np.intp).reshape(-1, 2)
