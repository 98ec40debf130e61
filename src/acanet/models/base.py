"""What a part of a model is: four roles, and what each asks of a part before it is known.

    front end     waveforms (batch, samples) -> features (batch, frames, mels)
    frames        features -> (batch, frames', channels)
    aggregator    frames -> (batch, features) or (batch, latents, features)
    head          what the aggregator gives -> (batch, dimensions)

A part is a config class, which has its sizes, answers the questions and builds the module, and that module. Configs do
nothing with torch but build. A part of your own goes the same way: derive from the bases, register the config.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from acanet.models.kinds import Kinds, Part
from acanet.models.layers import frame_mask
from acanet.models.speech import Taught, counts
from acanet.runtime.front_end import DECIBEL, FrontEndConfig

_EXACT = "whether a row of a padded batch gives the same as it gives alone"
_DIVISION = "the sizes of which each of several branches has its share; None: it cannot be divided"
_BUILD = "the module"


class ReceptiveField(NamedTuple):
    """What a frame sees of the features: those from `i * stride - around` to `i * stride + around`, for frame i.

    There are ceil(features / stride) frames, and what lies outside of the recording is taken for zero.
    """

    around: int
    stride: int


@dataclass(frozen=True)
class Division:
    """How a part is divided into branches, networks side by side.

    What the branches get and give are equal shares of channels, latents or dimensions, those of the first branch first.

    Attributes:
        sizes: the fields of the config of which each branch has its share.
        when: what `holds` asks, in the words of an error.
        holds: whether a config can be divided.
    """

    sizes: tuple[str, ...]
    when: str = ""
    holds: Callable[[Any], bool] = lambda part: True


class FrontEndPart(FrontEndConfig, Part):
    """How a waveform becomes features: what the run time reads of it, and what else a model asks."""

    ANSWERS: ClassVar[Mapping[str, str]] = {
        "local": "whether row i of the features depends on nothing but the samples from i * hop to i * hop + window, "
        "so that a recording can be embedded in pieces; the mean that is removed does not count",
        "exact_when_padded": _EXACT,
        "build": _BUILD,
    }
    local: ClassVar[bool]
    exact_when_padded: ClassVar[bool]

    @abstractmethod
    def build(self) -> FrontEnd:
        """The module."""


class OtherFrontEndPart(FrontEndPart):
    """A front end of features that are not Kaldi's, in which speech is not found."""

    @model_validator(mode="after")
    def _hears_all(self) -> Self:
        if self.hears_speech:
            raise ValueError("floor_db and speech_only are of kind 'kaldi' alone, in whose features speech is found")
        return self


class Features(NamedTuple):
    """What a front end gives of a batch.

    Attributes:
        values: (batch, frames, mels), zero in padded frames.
        lengths: (batch,) frames of each row; None when no row is padded.
        counts: (batch, frames) how much each frame counts, from 0 to 1; None: all that are real count the same.
        speech: (batch, steps) probability that somebody talks; None where the front end does not listen for it.
    """

    values: Tensor
    lengths: Tensor | None
    counts: Tensor | None
    speech: Tensor | None

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """What a model's `forward` takes of them; counts are for those alone whose front end gives some."""
        return self[:2] if self.counts is None else self[:3]


class FrontEnd(nn.Module, ABC):
    """Waveforms in [-1, 1] -> features.

    For every front end, this is where speech is found, where features get their floor, and where the mean over the
    recording, or over its speech, is removed.
    """

    config: FrontEndPart

    def __init__(self, config: FrontEndPart) -> None:
        super().__init__()
        self.config = config
        self.speech: Taught | None = Taught() if config.hears_speech else None

    @abstractmethod
    def frames(self, samples: Any) -> Any:
        """The number of rows of features that so many samples give: an integer, or a tensor of them."""

    @abstractmethod
    def features(self, waveforms: Tensor) -> Tensor:
        """The features, (batch, samples) -> (batch, frames, mels), with the mean still in them."""

    def over_utterance(self, features: Tensor, real: Tensor | None) -> Tensor:
        """What looks at the whole utterance, beside its mean; only asked of a front end that is not local.

        Args:
            features: (batch, frames, mels).
            real: (batch, frames, 1) bool, true where a frame is real; None when all are.
        """
        return features

    def forward(self, waveforms: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Features and how many frames of each row are real.

        Args:
            waveforms: (batch, samples) float32 in [-1, 1] at `config.rate`, rows padded with zeros.
            lengths: (batch,) samples of each row, at least one window; None when no row is padded.

        Returns:
            (batch, frames, mels), zero in padded frames, and (batch,) frames of each row (None without lengths).
        """
        return self.hear(waveforms, lengths)[:2]

    def hear(self, waveforms: Tensor, lengths: Tensor | None = None) -> Features:
        """What `forward` gives, how much each frame counts, and where speech is; arguments as there."""
        features = self.features(waveforms)
        frames = None if lengths is None else torch.as_tensor(self.frames(lengths), device=features.device)
        real = None if frames is None else frame_mask(frames, features.shape[1]).unsqueeze(2)
        if not self.config.local:
            features = self.over_utterance(features, real)
        speech = spoken = None
        if self.speech is not None:
            speech = self.speech(features, frames)
            spoken = counts(speech, features.shape[1], frames)
        if spoken is not None and self.config.floor_db is not None:
            features = features.maximum(floor(features, spoken, self.config.floor_db).view(-1, 1, 1))
        if not self.config.speech_only:
            spoken = None
        if self.config.remove_mean:
            features = features - _mean(features, spoken.unsqueeze(2) if spoken is not None else real)
        return Features(features if real is None else features * real, frames, spoken, speech)


def floor(features: Tensor, spoken: Tensor, decibels: float) -> Tensor:
    """The level, (batch,), that is so many decibels below the mean power of the speech.

    Args:
        features: (batch, frames, mels), logarithms of powers.
        spoken: (batch, frames) how much each frame counts as speech.
        decibels: below the speech.
    """
    power = (features.exp().mean(dim=2) * spoken).sum(dim=1) / spoken.sum(dim=1)
    return power.log() - decibels * DECIBEL


def _mean(features: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over time, (batch, 1, mels), under weights (batch, frames, 1); None: over all frames."""
    if weights is None:
        return features.mean(dim=1, keepdim=True)
    return (features * weights).sum(dim=1, keepdim=True) / weights.sum(dim=1, keepdim=True)


class FramesConfig(Part):
    """A frame encoder's sizes and answers."""

    ANSWERS: ClassVar[Mapping[str, str]] = {
        "channels_out": "how many channels its frames have",
        "receptive_field": "what a frame sees of the features; None: the whole utterance",
        "exact_when_padded": _EXACT,
        "division": _DIVISION,
        "build": _BUILD,
    }
    exact_when_padded: ClassVar[bool]
    division: ClassVar[Division | None]

    @property
    @abstractmethod
    def channels_out(self) -> int:
        """Channels of its frames, of all branches together."""

    @property
    @abstractmethod
    def receptive_field(self) -> ReceptiveField | None:
        """What a frame sees of the features; None: the whole utterance, so that it cannot be run in pieces."""

    def check_mels(self, mels: int) -> None:
        """See that it can be built for so many features of each frame; ValueError where it cannot."""

    @abstractmethod
    def build(self, mels: int, branches: int) -> Frames:
        """The module, for so many features and branches (1, if it cannot be divided)."""


class Frames(nn.Module, ABC):
    """Features -> frames."""

    @abstractmethod
    def forward(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Frames, and which of them are real.

        Args:
            features: (batch, frames, mels), zero in padded frames.
            mask: (batch, frames) bool, true where a frame is real; None when all are.

        Returns:
            (batch, frames', channels_out), and the mask of these frames.
        """


class AggregatorConfig(Part):
    """An aggregator's sizes and answers."""

    ANSWERS: ClassVar[Mapping[str, str]] = {
        "latents_out": "how many latents it gives; None: one vector",
        "features_out": "how many numbers a latent, or the vector, has",
        "passes": "in how many passes over the frames it can be run in pieces; None: it cannot",
        "exact_when_padded": _EXACT,
        "division": _DIVISION,
        "build": _BUILD,
    }
    exact_when_padded: ClassVar[bool]
    division: ClassVar[Division | None]

    @property
    @abstractmethod
    def latents_out(self) -> int | None:
        """Latents of all branches together; None where it gives one vector for the utterance."""

    @abstractmethod
    def features_out(self, channels: int, branches: int) -> int:
        """Numbers of each latent, or of the vector, for so many channels of frames."""

    @property
    @abstractmethod
    def passes(self) -> int | None:
        """Passes over the frames that it takes in pieces, as an `AggregatorInPasses`; None: it needs all at once."""

    @property
    def starts_as(self) -> AggregatorConfig | None:
        """The pooling whose place it can take in a trained model, because it equals it at first; None: it cannot."""
        return None

    def check_channels(self, channels: int, branches: int) -> None:
        """See that it can be built for so many channels of frames; ValueError where it cannot."""

    @abstractmethod
    def build(self, channels: int, branches: int) -> Aggregator:
        """The module, for so many channels of frames and branches (1, if it cannot be divided)."""


class Aggregator(nn.Module, ABC):
    """Any number of frames -> something of fixed size."""

    @abstractmethod
    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """What the frames come to.

        Args:
            frames: (batch, frames, channels).
            mask: (batch, frames) bool, true where a frame is real; or how much each counts, from 0 to 1 (a frame
                without speech may count nothing, and what is not real never counts); None when all count the same.

        Returns:
            (batch, features_out) or (batch, latents_out, features_out).
        """


class HeadConfig(Part):
    """A head's sizes and answers."""

    ANSWERS: ClassVar[Mapping[str, str]] = {
        "takes_vectors": "whether it can stand over an aggregator that gives one vector, not latents",
        "division": _DIVISION,
        "dimensions": "how many numbers an embedding has",
        "build": _BUILD,
    }
    takes_vectors: ClassVar[bool]
    division: ClassVar[Division | None]

    @abstractmethod
    def dimensions(self, latents: int | None) -> int:
        """Numbers of an embedding, over so many latents; over one vector where that is None."""

    def check_latents(self, latents: int | None) -> None:
        """See that it can be built over so many latents; ValueError where it cannot."""

    @abstractmethod
    def build(self, features: int, latents: int | None, branches: int) -> Head:
        """The module, over latents of so many features, or one vector, and branches (1, if it cannot be divided)."""


class Head(nn.Module, ABC):
    """What the aggregator gives -> embeddings, not yet of unit length."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """(batch, features) or (batch, latents, features) -> (batch, dimensions)."""

    def of_vector(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The weights with which this head gives over latents what such a head gives over a vector, the first latent.

        Args:
            weights: of the head over the vector. As they are, they fit over one latent.
        """
        return weights


FRONT_ENDS = Kinds("a front end", FrontEndPart, default="kaldi")  # type: ignore[type-abstract]
FRAMES = Kinds("frames", FramesConfig)  # type: ignore[type-abstract]
AGGREGATORS = Kinds("an aggregator", AggregatorConfig)  # type: ignore[type-abstract]
HEADS = Kinds("a head", HeadConfig)  # type: ignore[type-abstract]

register_front_end = FRONT_ENDS.register
register_frames = FRAMES.register
register_aggregator = AGGREGATORS.register
register_head = HEADS.register
