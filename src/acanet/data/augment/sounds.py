"""Generated sounds that are not speech: what a detector of speech has to tell from it.

Tones and chords, hum and engines, sirens, bursts as of keys and hands, barks, noise that comes and goes, music, steady
noise, dither, silence.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.data.augment.functions import coloured_noise
from acanet.data.augment.music import music

Floats = NDArray[np.floating]
_HIGHEST = 0.45  # of the rate: partials above it are left out
_TURNS = 2000 * np.pi  # after which a phase begins again, so that 32 bits hold it


def sound(rng: np.random.Generator, samples: int, rate: int) -> Waveform:
    """A sound that nobody speaks in, (samples,), at `rate`, of mean power 1, or of silence.

    Every draw is from `rng`; each kind is as likely as any other.
    """
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    made = kind(rng, samples, rate).astype(np.float32)
    power = float(np.mean(made**2))
    return made if power == 0 else made / np.float32(np.sqrt(power))


def _silence(rng: np.random.Generator, samples: int, rate: int) -> Floats:
    return np.zeros(samples)


def _steady_noise(rng: np.random.Generator, samples: int, rate: int) -> Floats:
    return coloured_noise(rng, samples)


def _changing_noise(rng: np.random.Generator, samples: int, rate: int) -> Floats:
    """Noise whose level swings, slowly as wind or as quickly as syllables come."""
    return coloured_noise(rng, samples) * _swing(rng, samples, rate, 0.2, 8.0)


def _tones(rng: np.random.Generator, samples: int, rate: int) -> Floats:
    """One to four steady tones, perhaps switched on and off as a telephone rings."""
    hertz = rng.uniform(60, 4000, int(rng.integers(1, 5)))
    tones = [_harmonics(each, samples, rate, int(rng.integers(1, 4))) for each in hertz]
    sounding: Floats = np.sum(tones, axis=0) * _switched(rng, samples, rate)
    return sounding


def _chord(rng: np.random.Generator, samples: int, rate: int) -> Floats:
    root = rng.uniform(80, 500)
    steps = np.cumsum([0, *rng.choice([3, 4, 5], int(rng.integers(1, 4)))])
    notes = [_harmonics(root * 2 ** (step / 12), samples, rate, int(rng.integers(2, 9))) for step in steps]
    sounding: Floats = np.sum(notes, axis=0) * _switched(rng, samples, rate)
    return sounding


def _hum(rng: np.random.Generator, samples: int, rate: int) -> Floats:
    return _harmonics(float(rng.choice([50.0, 60.0, 100.0])), samples, rate, int(rng.integers(1, 30)))


def _engine(rng: np.random.Generator, samples: int, rate: int) -> Floats:
    swing = 1 + rng.uniform(0.02, 0.4) * (_swing(rng, samples, rate, 0.1, 2.0) - 0.5)
    return _harmonics(rng.uniform(30, 200) * swing, samples, rate, int(rng.integers(10, 50)))


def _siren(rng: np.random.Generator, samples: int, rate: int) -> Floats:
    """A tone that wails, or changes between two pitches."""
    if rng.random() < 0.5:
        pitch = rng.uniform(300, 1200) + rng.uniform(50, 600) * _swing(rng, samples, rate, 0.15, 6.0)
    else:
        low, high = np.sort(rng.uniform(300, 1500, 2))
        pitch = np.where(_switched(rng, samples, rate, always=True) > 0, high, low)
    return _harmonics(pitch, samples, rate, int(rng.integers(1, 10)))


def _bursts(rng: np.random.Generator, samples: int, rate: int) -> Floats:
    """Noise that starts again and again and dies away: clicks, keys, clapping, rain."""
    decay = 10 ** rng.uniform(-4, -1.3)
    length = min(samples, round(8 * decay * rate) + 1)
    fall = np.exp(-np.arange(length) / (decay * rate))
    track = np.zeros(samples + length)
    for start in rng.integers(0, samples, rng.poisson(10 ** rng.uniform(0, 2.2) * samples / rate)):
        track[start : start + length] += rng.uniform(0.1, 1) * rng.standard_normal(length) * fall
    return track[:samples] + 10 ** rng.uniform(-5, -2) * rng.standard_normal(samples)


def _barks(rng: np.random.Generator, samples: int, rate: int) -> Floats:
    """Short cries of rising and falling pitch with rough noise, as of animals."""
    phase = np.arange(samples) / rate % rng.uniform(0.3, 1.2) / rng.uniform(0.08, 0.3)
    envelope = np.sin(np.pi * np.minimum(phase, 1))
    pitch = rng.uniform(200, 2500) * (1 + rng.uniform(0, 0.8) * envelope)
    cry = _harmonics(pitch, samples, rate, int(rng.integers(2, 14)))
    return envelope * (cry + rng.uniform(0, 1.5) * coloured_noise(rng, samples))


def _dither(rng: np.random.Generator, samples: int, rate: int) -> Floats:
    return rng.integers(-1, 2, samples).astype(np.float32)


_KINDS: tuple[Callable[[np.random.Generator, int, int], Floats], ...] = (
    _silence,
    _steady_noise,
    _steady_noise,
    _changing_noise,
    _tones,
    _chord,
    _hum,
    _engine,
    _siren,
    _bursts,
    _bursts,
    _barks,
    _dither,
    music,
    music,
    music,
)


def _harmonics(hertz: Floats | float, samples: int, rate: int, count: int) -> Floats:
    """A harmonic tone of constant or moving pitch, `hertz` () or (samples,), whose partials fall off as drawn."""
    phase = (2 * np.pi * np.cumsum(np.broadcast_to(hertz, samples)) / rate % _TURNS).astype(np.float32)
    kept = [k for k in range(1, count + 1) if k * float(np.max(hertz)) < _HIGHEST * rate]
    tone = np.zeros(samples, np.float32)
    for k in kept or [1]:
        tone += np.sin(np.float32(k) * phase + np.float32(k * k)) / np.float32(k)
    return tone


def _swing(rng: np.random.Generator, samples: int, rate: int, slowest: float, quickest: float) -> Floats:
    """A wave between 0 and 1, of a frequency between these, in Hz."""
    hertz = np.exp(rng.uniform(np.log(slowest), np.log(quickest)))
    wave: Floats = 0.5 + 0.5 * np.sin(2 * np.pi * (hertz * np.arange(samples) / rate + rng.random()))
    return wave


def _switched(rng: np.random.Generator, samples: int, rate: int, *, always: bool = False) -> Floats:
    """Ones and zeros in turn, as a ringing tone; in half of the draws only ones, unless `always` is set."""
    if not always and rng.random() < 0.5:
        return np.ones(samples)
    on = (np.arange(samples) / rate / rng.uniform(0.15, 3.0) + rng.random()) % 1 < rng.uniform(0.2, 0.8)
    return on.astype(np.float64)
