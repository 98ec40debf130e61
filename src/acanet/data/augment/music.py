"""Generated music, for when there are no recordings of any: chords, a bass, a melody and percussion in a tempo.

It stands for background music in training, no more: what matters is that it is tonal, rhythmic and of many timbres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform

_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))  # semitones of major and of minor
_BEATS = 4  # in a bar
_PARTIALS = 6
_ATTACK = 0.005  # seconds
_HIGHEST = 0.45  # of the rate: partials above it are left out


@dataclass(frozen=True)
class _Piece:
    """A piece: what stays the same throughout it."""

    rate: int
    beat: int  # in samples
    root: float  # in Hz, of the bass
    scale: tuple[int, ...]
    amplitudes: NDArray[np.float32]  # (partials,)
    decay: float  # seconds in which a note falls to 1/e
    percussion: float  # gain

    @classmethod
    def draw(cls, rng: np.random.Generator, rate: int) -> Self:
        """A piece of any tempo, key and timbre."""
        rolled_off = np.arange(1, _PARTIALS + 1) ** -rng.uniform(0.8, 2.5)
        return cls(
            rate=rate,
            beat=round(rate * 60 / rng.uniform(70, 150)),
            root=float(rng.uniform(50, 100)),
            scale=_SCALES[int(rng.integers(len(_SCALES)))],
            amplitudes=(rolled_off * rng.uniform(0.3, 1.0, _PARTIALS)).astype(np.float32),
            decay=float(rng.uniform(0.15, 1.5)),
            percussion=float(rng.uniform(0.0, 0.6)),
        )

    def hz(self, degree: int) -> float:
        """The frequency of a degree of the scale, 0 being the root; 7 is an octave above."""
        octave, step = divmod(degree, len(self.scale))
        return float(self.root * 2 ** (octave + self.scale[step] / 12))

    def note(self, degree: int, beats: int) -> Waveform:
        """A note of decaying partials, (beats * beat,)."""
        seconds = np.arange(beats * self.beat, dtype=np.float32) / np.float32(self.rate)
        partials = self.hz(degree) * np.arange(1, _PARTIALS + 1, dtype=np.float32)
        kept = partials < _HIGHEST * self.rate
        angles = np.outer(2 * np.pi * partials[kept], seconds).astype(np.float32)
        envelope = np.exp(-seconds / np.float32(self.decay)) * np.minimum(seconds / np.float32(_ATTACK), 1)
        sound: Waveform = self.amplitudes[kept] @ np.sin(angles) * envelope
        return sound

    def hit(self, rng: np.random.Generator) -> Waveform:
        """A burst of noise, as a brush on a drum, (beat // 2,)."""
        samples = self.beat // 2
        fall = np.exp(np.arange(samples, dtype=np.float32) / np.float32(-0.03 * self.rate))
        burst: Waveform = rng.standard_normal(samples, dtype=np.float32) * fall * np.float32(self.percussion)
        return burst


def music(rng: np.random.Generator, samples: int, rate: int) -> Waveform:
    """A piece of music, (samples,), at `rate`, of mean power 1; it begins anywhere in a bar."""
    piece = _Piece.draw(rng, rate)
    track = np.zeros(samples, dtype=np.float32)
    bar = -int(rng.integers(_BEATS * piece.beat))
    while bar < samples:
        _play_bar(track, bar, piece, rng)
        bar += _BEATS * piece.beat
    power = float(np.mean(track**2))
    return track / np.float32(np.sqrt(power)) if power else track


def _play_bar(track: Waveform, at: int, piece: _Piece, rng: np.random.Generator) -> None:
    """Add a bar from sample `at` on: a chord every other beat, a bass and a melody, and percussion twice a beat."""
    chord = int(rng.integers(7)) + np.array((0, 2, 4))
    strummed = np.sum([piece.note(14 + int(degree), 2) for degree in chord], axis=0)
    plucked = 1.5 * piece.note(int(chord[0]), 1)
    for beat in range(_BEATS):
        now = at + beat * piece.beat
        if beat % 2 == 0:
            _add(track, now, strummed)
        _add(track, now, plucked)
        _add(track, now, piece.note(21 + int(rng.choice(chord)), 1))
        for half in range(2):
            _add(track, now + half * piece.beat // 2, piece.hit(rng))


def _add(track: Waveform, at: int, sound: Waveform) -> None:
    """Add what lies within the track."""
    first, end = max(at, 0), min(at + len(sound), len(track))
    if first < end:
        track[first:end] += sound[first - at : end - at]
