"""Synthetic voices, for demonstrations and tests: speech-like, nobody's, and each speaker has a voice.

A source-filter synthesiser after Klatt (Software for a cascade/parallel formant synthesizer, JASA 1980):

    plan of syllables -> tracks (every 5 ms) -> glottal pulses -> formant resonators -+-> room -> noise, level
                                             -> frication noise -> one resonator -----+

What a speaker keeps is in `SyntheticVoice`; content, room, background and level are drawn for each recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter, sosfilt

from acanet.config.files import written
from acanet.errors import BadConfig

Floats = NDArray[np.float64]
Seed = int | Sequence[int]

VOWELS = np.array(
    [
        (270, 2290, 3010),
        (390, 1990, 2550),
        (530, 1840, 2480),
        (660, 1720, 2410),
        (730, 1090, 2440),
        (570, 840, 2410),
        (440, 1020, 2240),
        (300, 870, 2240),
        (640, 1190, 2390),
        (490, 1350, 1690),
    ],
    dtype=float,
)
"""(vowels, 3): F1 to F3 in Hz, means of the men of Peterson and Barney (JASA 1952)."""
UPPER_FORMANTS = (3500.0, 4500.0)
BANDWIDTHS = np.array([70.0, 90.0, 120.0, 180.0, 250.0])
PLACES = ((900.0, 1800.0), (1700.0, 5200.0), (2100.0, 3400.0))
"""Labial, alveolar and palatal: where F2 points and where frication is centred, in Hz."""

_FRAME = 0.005


@dataclass(frozen=True, slots=True)
class SyntheticVoice:
    """The traits that make a speaker.

    Attributes:
        f0: mean fundamental frequency in Hz.
        f0_range: standard deviation of its logarithm within a phrase.
        tract: length of the vocal tract relative to an average man's; formants scale with its inverse.
        formant_shifts: (5,), factors of single formants, as no two tracts have the same shape.
        bandwidth: factor of the formants' bandwidths.
        breathiness: level of aspiration noise relative to the pulses.
        jitter: standard deviation of the pulses' instants, in periods.
        shimmer: standard deviation of the pulses' amplitudes, relative.
        open_quotient: share of a period in which the glottis is open.
        tilt: pole of a low-pass filter on the source, from 0 (bright) towards 1 (dull).
        rate: syllables a second.
    """

    f0: float
    f0_range: float
    tract: float
    formant_shifts: tuple[float, ...]
    bandwidth: float
    breathiness: float
    jitter: float
    shimmer: float
    open_quotient: float
    tilt: float
    rate: float

    @classmethod
    def draw(cls, seed: Seed, speaker: int) -> SyntheticVoice:
        """The voice of a speaker, the same for the same seed and index."""
        rng = np.random.default_rng([*np.atleast_1d(seed).tolist(), speaker])
        tract = rng.uniform(0.8, 1.2)
        return cls(
            f0=float(np.clip(130 * tract**-2 * np.exp(rng.normal(0, 0.18)), 70, 320)),
            f0_range=rng.uniform(0.06, 0.18),
            tract=tract,
            formant_shifts=tuple(np.exp(rng.normal(0, 0.04, 5)).tolist()),
            bandwidth=rng.uniform(0.8, 1.5),
            breathiness=10 ** rng.uniform(-2.2, -1.0),
            jitter=rng.uniform(0.003, 0.015),
            shimmer=rng.uniform(0.02, 0.1),
            open_quotient=rng.uniform(0.45, 0.75),
            tilt=rng.uniform(0.0, 0.75),
            rate=rng.uniform(3.5, 6.0),
        )


def synthesise(voice: SyntheticVoice, seconds: float, seed: Seed, rate: int = 16000) -> NDArray[np.float32]:
    """A recording of a voice saying something meaningless.

    Args:
        voice: who speaks.
        seconds: how long the recording is, pauses included; at least 1.
        seed: of what is said, the room, the background noise and the level.
        rate: samples a second, at least 8000.

    Returns:
        The waveform, (samples,), float32 within [-1, 1].

    Raises:
        BadConfig: too short, or too low a rate.
    """
    if seconds < 1 or rate < 8000:
        problem = f"{seconds} s at {rate} samples a second; at least 1 s and 8000 are needed"
        raise BadConfig("synthetic speech", [problem])
    rng = np.random.default_rng(seed)
    tracks = _tracks(voice, seconds, rng)
    samples = round(seconds * rate)
    voiced = _resonate(
        _glottal_source(voice, tracks, samples, rate, rng),
        tracks.formants / voice.tract * voice.formant_shifts,
        BANDWIDTHS * voice.bandwidth,
        rate,
    )
    return _record(voiced / _rms(voiced) + 0.6 * _frication(voice, tracks, samples, rate, rng), rate, rng)


def write_corpus(
    folder: str | Path,
    speakers: int,
    utterances: int,
    seconds: tuple[float, float] = (2.0, 4.0),
    seed: int = 0,
    first: int = 0,
) -> Path:
    """Write `folder`/s000/000.wav and so on: 16 kHz, 16 bit, the same files for the same arguments.

    Args:
        folder: made where it is missing.
        speakers: how many voices.
        utterances: how many recordings of each.
        seconds: the shortest and the longest of them.
        seed: of voices, contents and lengths.
        first: number of the first voice; other numbers are other voices.

    Returns:
        The folder.
    """
    folder = Path(folder)
    for speaker in range(first, first + speakers):
        voice = SyntheticVoice.draw(seed, speaker)
        home = folder / f"s{speaker:03d}"
        home.mkdir(parents=True, exist_ok=True)
        lengths = np.random.default_rng([seed, speaker, 1]).uniform(*seconds, utterances)
        for number, length in enumerate(lengths):
            waveform = synthesise(voice, float(length), (seed, speaker, 2 + number))
            with written(home / f"{number:03d}.wav") as file:
                soundfile.write(file, waveform, 16000, format="WAV", subtype="PCM_16")
    return folder


# What is said


class _Segment(NamedTuple):
    seconds: float
    formants: Floats
    voicing: float
    frication: float = 0.0
    place: int = 0


@dataclass(frozen=True, slots=True)
class _Tracks:
    """The control values every 5 ms, (frames,); formants, (frames, 5), are an average man's in Hz."""

    formants: Floats
    voicing: Floats
    frication: Floats
    place: NDArray[np.int64]
    f0: Floats


def _tracks(voice: SyntheticVoice, seconds: float, rng: np.random.Generator) -> _Tracks:
    segments = list(_segments(voice, seconds, rng))
    frames = int(np.ceil(seconds / _FRAME)) + 1
    bounds = np.round(np.cumsum([segment.seconds for segment in segments]) / _FRAME).astype(int)
    index = np.minimum(np.searchsorted(bounds, np.arange(frames), side="right"), len(segments) - 1)
    voicing = np.array([segment.voicing for segment in segments])[index]
    return _Tracks(
        formants=_smooth(np.stack([segment.formants for segment in segments])[index], 0.07),
        voicing=_smooth(voicing, 0.03),
        frication=_smooth(np.array([segment.frication for segment in segments])[index], 0.015),
        place=np.array([segment.place for segment in segments])[index],
        f0=_intonation(voice, frames, rng),
    )


def _segments(voice: SyntheticVoice, seconds: float, rng: np.random.Generator) -> Iterator[_Segment]:
    """Phrases of a few syllables with pauses between them; the last pause lasts to the end."""
    neutral = _formants(VOWELS.mean(axis=0))
    left = seconds - rng.uniform(0.05, 0.15)
    yield _Segment(seconds - left, neutral, 0.0)
    while True:
        for _ in range(rng.integers(4, 10)):
            syllable = list(_syllable(voice, rng))
            left -= sum(segment.seconds for segment in syllable)
            if left < 0.05:
                yield _Segment(seconds, neutral, 0.0)
                return
            yield from syllable
        pause = rng.uniform(0.12, 0.35)
        left -= pause
        yield _Segment(pause, neutral, 0.0)


def _syllable(voice: SyntheticVoice, rng: np.random.Generator) -> Iterator[_Segment]:
    """A consonant of some kind, or none, and a vowel."""
    vowel = _formants(VOWELS[rng.integers(len(VOWELS))] * np.exp(rng.normal(0, 0.04, 3)))
    place = int(rng.integers(len(PLACES)))
    closed = vowel.copy()
    closed[:2] = 300.0, (PLACES[place][0] + vowel[1]) / 2
    length = rng.uniform(0.75, 1.3) / voice.rate
    match rng.choice(["fricative", "stop", "nasal", "glide", "none"], p=[0.22, 0.24, 0.2, 0.2, 0.14]):
        case "fricative":
            yield _Segment(0.35 * length, closed, rng.choice([0.0, 0.25]), rng.uniform(0.5, 1.0), place)
        case "stop":
            yield _Segment(0.2 * length, closed, rng.choice([0.0, 0.1]))
            yield _Segment(0.02, closed, 0.0, rng.uniform(0.8, 1.6), place)
        case "nasal":
            yield _Segment(0.3 * length, closed, 0.35)
        case "glide":
            yield _Segment(0.25 * length, closed, 0.7)
    yield _Segment(0.7 * length, vowel, rng.uniform(0.7, 1.0))


def _formants(lower: Floats) -> Floats:
    """The formants F1 to F5 from F1 to F3."""
    return np.concatenate([lower, UPPER_FORMANTS])


def _intonation(voice: SyntheticVoice, frames: int, rng: np.random.Generator) -> Floats:
    """The f0 in Hz, (frames,): it declines through the recording and moves with accents of about 0.3 s."""
    accents = _smooth(rng.standard_normal(frames), 0.3)
    contour = accents / accents.std() + 0.7 * np.linspace(1.0, -1.0, frames) + rng.normal(0, 0.4)
    f0: Floats = voice.f0 * np.exp(voice.f0_range * contour)
    return f0


# How it sounds


def _glottal_source(
    voice: SyntheticVoice, tracks: _Tracks, samples: int, rate: int, rng: np.random.Generator
) -> Floats:
    """The derivative of the flow through the glottis, (samples,): Rosenberg's pulses (JASA 1971), aspiration."""
    phase = np.cumsum(_per_sample(tracks.f0, samples, rate)) / rate
    pulses = int(phase[-1]) + 2
    phase += voice.jitter * np.interp(phase, np.arange(pulses), rng.standard_normal(pulses))
    number = np.clip(phase.astype(int), 0, pulses - 1)
    within = np.clip(phase - number, 0.0, 1.0)
    opening, closing = 0.67 * voice.open_quotient, 0.33 * voice.open_quotient
    falling = np.clip((within - opening) / closing, 0.0, 1.0)
    rise = np.sin(np.pi * within / opening) * np.pi / (2 * opening)
    fall = -np.sin(np.pi / 2 * falling) * np.pi / (2 * closing)
    is_open = within < voice.open_quotient
    flow = np.where(within < opening, rise, fall) * is_open
    flow *= 1 + voice.shimmer * rng.standard_normal(pulses)[number]
    breath = rng.standard_normal(samples) * (0.3 + is_open) * voice.breathiness * _rms(flow)
    source = (flow + breath) * _per_sample(tracks.voicing, samples, rate)
    tilted: Floats = lfilter([1 - voice.tilt], [1, -voice.tilt], source)
    return tilted


def _frication(voice: SyntheticVoice, tracks: _Tracks, samples: int, rate: int, rng: np.random.Generator) -> Floats:
    """Noise with a resonance at the place of articulation, (samples,), of RMS 1 where frication is 1."""
    noise = rng.standard_normal(samples)
    frication = np.zeros(samples)
    for place, (_, centre) in enumerate(PLACES):
        numerator, denominator = _resonator(np.array(centre / voice.tract), np.array(1500.0), rate)
        hiss = lfilter(numerator, denominator, noise)
        here = _per_sample(np.where(tracks.place == place, tracks.frication, 0.0), samples, rate)
        frication += hiss / _rms(hiss) * here
    return frication


def _resonate(signal: Floats, frequencies: Floats, bandwidths: Floats, rate: int) -> Floats:
    """Resonators in a cascade, with frequencies that move every 5 ms.

    Args:
        signal: (samples,).
        frequencies: (frames, resonators) in Hz.
        bandwidths: (resonators,) in Hz.
        rate: samples a second.

    Returns:
        (samples,).
    """
    sections = np.concatenate(_resonator(frequencies, bandwidths, rate), axis=-1)
    begins = np.round(np.arange(len(frequencies)) * _FRAME * rate).astype(int)
    pieces = np.split(signal, begins[(begins > 0) & (begins < len(signal))])
    state = np.zeros((frequencies.shape[1], 2))
    filtered = []
    for section, piece in zip(sections, pieces, strict=False):
        resonant, state = sosfilt(section, piece, zi=state)
        filtered.append(resonant)
    return np.concatenate(filtered)


def _resonator(frequency: Floats, bandwidth: Floats, rate: int) -> tuple[Floats, Floats]:
    """Klatt's digital resonator, of gain 1 at 0 Hz: numerator and denominator, (..., 3) each.

    Frequencies above 0.45 of the rate are moved down to that.
    """
    frequency = np.minimum(frequency, 0.45 * rate)
    second = np.broadcast_to(np.exp(-2 * np.pi * bandwidth / rate), frequency.shape)
    first = -2 * np.exp(-np.pi * bandwidth / rate) * np.cos(2 * np.pi * frequency / rate)
    zero, one = np.zeros_like(frequency), np.ones_like(frequency)
    return np.stack([1 + first + second, zero, zero], axis=-1), np.stack([one, first, second], axis=-1)


def _record(dry: Floats, rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """The voice, (samples,), in a small room with a little noise, at some level."""
    decay = rng.uniform(0.08, 0.3)
    time = np.arange(round(decay * rate)) / rate
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay)
    tail[: round(0.002 * rate)] = 0.0
    response = 10 ** (-rng.uniform(8, 20) / 20) * tail / np.linalg.norm(tail)
    response[0] = 1.0
    wet = fftconvolve(dry, response)[: len(dry)]
    noise = lfilter([1.0], [1.0, -rng.uniform(0.0, 0.95)], rng.standard_normal(len(dry)))
    mixed = wet / _rms(wet) + 10 ** (-rng.uniform(30, 50) / 20) * noise / _rms(noise)
    mixed *= 10 ** (rng.uniform(-32, -18) / 20) / _rms(mixed)
    scaled: NDArray[np.float32] = (mixed * min(1.0, 0.98 / np.abs(mixed).max())).astype(np.float32)
    return scaled


def _per_sample(track: Floats, samples: int, rate: int) -> Floats:
    """A track, (frames,), between its frames: (samples,)."""
    return np.interp(np.arange(samples) / (rate * _FRAME), np.arange(len(track)), track)


def _smooth(track: Floats, seconds: float) -> Floats:
    """A track, (frames,) or (frames, n), under a Hann window of that length."""
    half = max(1, round(seconds / _FRAME / 2))
    window = np.hanning(2 * half + 3)[1:-1]
    padded = np.pad(track, [(half, half)] + [(0, 0)] * (track.ndim - 1), mode="edge")
    columns = padded.reshape(len(padded), -1).T
    smooth = np.stack([np.convolve(column, window / window.sum(), "valid") for column in columns], axis=1)
    return smooth.reshape(track.shape)


def _rms(signal: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(signal)))) or 1.0
