"""Embedders without weights, quick and easy to foresee."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.runtime.network import Hearing

SECONDS = 0.04
"""Of a step of speech."""
FLOOR = 1e-6
"""Energy of silence, which has a direction too."""


@dataclass
class Fake(ABC):
    """What an evaluation asks of a model.

    Attributes:
        batches: of waveforms that it was given, in turn.
    """

    name: str = "fake"
    rate: int = 8000
    needed_seconds: float = 0.02
    fingerprint: str = "0123456789abcdef"
    trims: bool = False
    calibration: None = None
    training_speakers: frozenset[str] = frozenset()
    training_audio: frozenset[str] = frozenset()
    batches: list[list[Waveform]] = field(default_factory=list)

    @property
    def heard(self) -> list[Waveform]:
        """Every waveform that it was given, in turn."""
        return [waveform for batch in self.batches for waveform in batch]

    def embed_waveforms(self, waveforms: Sequence[Waveform]) -> NDArray[np.float32]:
        self.batches.append(list(waveforms))
        return np.array([self.embedding(waveform) for waveform in waveforms], np.float32)

    @property
    def network(self) -> Fake:
        """Itself: it hears too, and nothing but speech."""
        return self

    def hear(self, waveforms: Sequence[Waveform]) -> list[Hearing]:
        steps = [round(len(waveform) / self.rate / SECONDS) for waveform in waveforms]
        speech = [np.ones(count, np.float32) for count in steps]
        return list(map(Hearing, self.embed_waveforms(waveforms), speech))

    @abstractmethod
    def embedding(self, waveform: Waveform) -> NDArray[np.float64]:
        """(samples,) -> (dim,) of unit length."""


@dataclass
class Spectrum(Fake):
    """The energy in 40 bands of 100 Hz, at 8 kHz."""

    name: str = "spectrum"

    def embedding(self, waveform: Waveform) -> NDArray[np.float64]:
        band = np.abs(np.fft.rfft(waveform, 80))[:40] + FLOOR
        return band / np.linalg.norm(band)


@dataclass
class Level(Fake):
    """Two numbers from which the level of a waveform that is constant can be told."""

    name: str = "level"
    rate: int = 4000
    needed_seconds: float = 0.1

    def embedding(self, waveform: Waveform) -> NDArray[np.float64]:
        angle = float(waveform.mean()) * np.pi
        return np.array([np.cos(angle), np.sin(angle)])
