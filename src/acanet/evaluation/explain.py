"""What asymmetric cross attention attends to in a recording, and how much of that is speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from acanet.audio.blocks import Waveform
from acanet.audio.sources import Source, describe
from acanet.config.strict import Strict
from acanet.data.lists.manifest import Utterance
from acanet.encoder import Encoder
from acanet.evaluation.names import without_folder
from acanet.runtime.bundle import Bundle
from acanet.runtime.front_end import FrontEndConfig
from acanet.speech.speech import Speech, Stretch

Floats = NDArray[np.float32]

COLUMNS = 3000
"""Of a spectrogram, at most about so many."""
DYNAMICS = 80.0
"""Decibels that a spectrogram shows."""


class Shares(Strict):
    """How much of a recording is speech, and how much of the attention falls on it; shares from 0 to 1."""

    name: str
    seconds: float
    speech: float = Field(description="share of the frames in which somebody talks")
    attended: float = Field(description="share of the attention that these get, all latents alike")

    def sentence(self) -> str:
        """The shares in one line, in per cent."""
        return f"speech: {self.speech:.1%} of {self.seconds:.2f} s, {self.attended:.1%} of the attention"


class Attended(Strict):
    """The contents of `attention.json`."""

    utterances: tuple[Shares, ...] = Field(description="the first is the one in the picture")

    @property
    def speech(self) -> float:
        """The mean share of speech."""
        return sum(shares.speech for shares in self.utterances) / len(self.utterances)

    @property
    def attended(self) -> float:
        """The mean share of the attention on speech."""
        return sum(shares.attended for shares in self.utterances) / len(self.utterances)


@dataclass(frozen=True, eq=False)
class Explanation:
    """A recording under the attention of the last ACA layer.

    Attributes:
        name: of the recording.
        waveform: (samples,).
        front_end: of the model; its rate is that of the waveform.
        attention: (latents, frames); rows add up to one.
        times: (frames,) seconds at the middle of each frame.
        segments: start and end of each stretch of speech, in seconds.
    """

    name: str
    waveform: Waveform
    front_end: FrontEndConfig
    attention: Floats
    times: NDArray[np.float64]
    segments: Sequence[Stretch]

    @property
    def seconds(self) -> float:
        """The length of the recording, in seconds."""
        return len(self.waveform) / self.front_end.rate

    @property
    def spoken(self) -> NDArray[np.bool_]:
        """A mask of the frames, (frames,), in whose middle somebody talks."""
        spoken = np.zeros(len(self.times), np.bool_)
        for start, end in self.segments:
            spoken |= (start <= self.times) & (self.times < end)
        return spoken

    @property
    def shares(self) -> Shares:
        """The shares of speech and of the attention on it; both equal would be attention that does not care."""
        mean = self.attention.mean(axis=0, dtype=np.float64)
        return Shares(
            name=self.name,
            seconds=self.seconds,
            speech=float(self.spoken.mean()),
            attended=float(mean[self.spoken].sum() / mean.sum()),
        )


@dataclass(frozen=True)
class Explainer:
    """A model that shows what it attends to.

    Attributes:
        encoder: the model.
        front_end: of the model.
    """

    encoder: Encoder
    front_end: FrontEndConfig

    @classmethod
    def load(cls, model: str | Path = "default", *, max_seconds: float | None = None) -> Self:
        """An exported bundle, opened.

        Args:
            model: `default` or `small` (the models that ship), or the folder of a bundle.
            max_seconds: refuse longer recordings; None: any length.

        Raises:
            AcanetError: when there is no exported bundle there, or it is damaged.
        """
        encoder = Encoder.load(model, max_seconds=max_seconds)
        bundle = encoder.bundle
        front_end = FrontEndConfig.of_bundle(bundle.config.model["front_end"], bundle.folder / "config.json")
        return cls(encoder, front_end)

    def recording(self, source: Source, *, channel: int | None = None) -> Explanation:
        """The attention over a recording that the model would embed.

        Args:
            source: as in `Encoder.embed`; an array is at the model's rate.
            channel: as in `Encoder.embed`.

        Raises:
            BadAudio: when it cannot be read.
            NoSpeech, TooShort: when there is no or too little speech in it.
            AcanetError: when the model has no asymmetric cross attention.
        """
        with self.encoder.recording(source, channel=channel) as recording:
            speech, waveform = recording.require_speech(), recording.waveform
        name = Path(source).name if isinstance(source, str | Path) else describe(source)
        return self._explain(waveform, name, speech)

    def utterances(self, utterances: Sequence[Utterance], *, most: int = 20) -> list[Explanation]:
        """Look at utterances of an evaluation, which need not hold speech.

        Args:
            utterances: of which up to `most` are taken, evenly spread; the first of the answer is that of middle
                length.
            most: utterances.

        Raises:
            BadAudio: for a recording that cannot be read, with its path.
            AcanetError: when the model has no asymmetric cross attention.
        """
        places = np.unique(np.linspace(0, len(utterances) - 1, min(most, len(utterances))).round().astype(int))
        found = [self._utterance(utterances[place]) for place in places]
        middle = sorted(range(len(found)), key=lambda place: len(found[place].waveform))[len(found) // 2]
        return [found.pop(middle), *found]

    def _utterance(self, utterance: Utterance) -> Explanation:
        start, duration = utterance.start, utterance.duration
        with self.encoder.recording(utterance.path, start=start, duration=duration) as recording:
            return self._explain(recording.waveform, without_folder(utterance.id), recording.speech())

    def _explain(self, waveform: Waveform, name: str, speech: Speech) -> Explanation:
        config = self.front_end
        attention = self.encoder.network.attention(waveform)
        frames = attention.shape[1]
        # A network with strides has fewer frames than its features.
        stride = max(1, round(len(waveform) / (config.hop * frames)))
        times = (np.arange(frames) * stride * config.hop + config.window / 2) / config.rate
        return Explanation(name, waveform, config, attention, times, speech.segments)


def explain_list(model: str | Path, utterances: Sequence[Utterance]) -> list[Explanation]:
    """What a model attends to in some utterances of an evaluation; nothing where it cannot tell.

    Only an exported bundle with asymmetric cross attention can; arguments and errors as `Explainer.load` and
    `Explainer.utterances`.
    """
    bundle = Bundle.load(model)
    if bundle.config.onnx is None or "attention" not in bundle.graphs.stages:
        return []
    return Explainer.load(model).utterances(utterances)


def log_mel(waveform: Waveform, config: FrontEndConfig) -> Floats:
    """Log-mel energies for a picture, (samples,) -> (columns, mels), in decibels under the loudest.

    Not the front end of any model: neither dither nor pre-emphasis, a Hann window, `DYNAMICS` of range, and of a long
    recording only so many windows as a picture can show.

    Raises:
        ValueError: for a waveform shorter than a window.
    """
    size = 1 << (config.window - 1).bit_length()
    hop = max(config.hop, len(waveform) // COLUMNS)
    frames = np.lib.stride_tricks.sliding_window_view(waveform, config.window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(config.window), size)) ** 2
    energy = power @ _filters(config, size).T
    floor = max(float(energy.max()), 1e-20) * 10 ** (-DYNAMICS / 10)
    decibels = 10 * np.log10(np.maximum(energy, floor))
    return np.asarray(decibels - decibels.max(), np.float32)


def mel(hertz: ArrayLike) -> NDArray[np.float64]:
    """The mel scale of O'Shaughnessy (*Speech Communication*, 1987), as HTK and Kaldi have it."""
    return np.asarray(1127 * np.log1p(np.asarray(hertz) / 700), np.float64)


def _filters(config: FrontEndConfig, size: int) -> NDArray[np.float64]:
    """Triangular filters that overlap by half, evenly spaced in mel, (mels, size // 2 + 1)."""
    edges = np.linspace(mel(config.low_hz), mel(config.high_hz or config.rate / 2), config.mels + 2)
    place = mel(np.fft.rfftfreq(size, 1 / config.rate))
    step = edges[1] - edges[0]
    return np.asarray(np.maximum(0, 1 - np.abs(place - edges[1:-1, None]) / step))
