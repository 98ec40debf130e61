"""What can happen to a training crop. What draws takes its random generator, so a seed repeats every draw.

Waveforms are float32 (samples,) in [-1, 1]; ratios of levels are in decibels of mean power.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from acanet.audio.blocks import Waveform

_QUIETEST = 1e-8  # mean power under which a signal counts as silence


def coloured_noise(rng: np.random.Generator, samples: int) -> Waveform:
    """Gaussian noise whose power falls by a random 0 to 6 dB an octave (white to brown), mean power 1."""
    size = 2 ** int(np.ceil(np.log2(samples)))
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    spectrum *= np.arange(1, len(spectrum) + 1, dtype=np.float32) ** -rng.uniform(0.0, 1.0)
    noise = np.fft.irfft(spectrum, size)[:samples]
    scaled: Waveform = (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)
    return scaled


def babble(voices: Sequence[Waveform]) -> Waveform:
    """Several people at once, each at the same mean power."""
    mixed = np.zeros_like(voices[0])
    for voice in voices:
        mixed += voice / np.sqrt(max(float(np.mean(voice**2)), _QUIETEST))
    return mixed


def add_at_snr(waveform: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """Add noise at a signal-to-noise ratio; to silence, or of silence, nothing is added."""
    signal_power, noise_power = float(np.mean(waveform**2)), float(np.mean(noise**2))
    if signal_power < _QUIETEST or noise_power < _QUIETEST:
        return waveform
    gain = np.float32(np.sqrt(signal_power / noise_power * 10 ** (-snr_db / 10)))
    noisy: Waveform = waveform + noise * gain
    return noisy


def reverberate(waveform: Waveform, response: Waveform) -> Waveform:
    """A waveform as heard in a room, cut to its length, at its mean power.

    `response`, (taps,), begins with the direct sound, so nothing moves in time; what comes before a crop is not heard
    in it, as if somebody began to speak.
    """
    size = fft.next_fast_len(len(waveform) + len(response) - 1, real=True)
    wet: Waveform = fft.irfft(fft.rfft(waveform, size) * fft.rfft(response, size), size)[: len(waveform)]
    power = float(np.mean(wet**2))
    if power < _QUIETEST:
        return waveform
    wet *= np.float32(np.sqrt(float(np.mean(waveform**2)) / power))
    return wet


def clip(waveform: Waveform, share: float) -> Waveform:
    """Amplify until `share` of the samples, 0 to 1, lie at -1 or 1: a recorder that was set too hot.

    Full scale becomes the magnitude that so many samples reach, give or take one sample and samples of equal
    magnitude. With less than a sample to clip, or of silence, nothing changes.
    """
    clipped = round(share * len(waveform))
    if not clipped:
        return waveform
    loudness = np.abs(waveform)
    full_scale = np.partition(loudness, -clipped)[-clipped]
    if full_scale**2 < _QUIETEST:
        return waveform
    hot: Waveform = np.clip(waveform / full_scale, -1.0, 1.0)
    return hot


def change_level(waveform: Waveform, gain_db: float) -> Waveform:
    """Scale by decibels; what leaves [-1, 1] is clipped, as a recorder would."""
    scaled: Waveform = np.clip(waveform * np.float32(10 ** (gain_db / 20)), -1.0, 1.0)
    return scaled


def spec_masks(
    rng: np.random.Generator, shape: tuple[int, int], masks: int, most_frames: int, most_mels: int
) -> NDArray[np.bool_]:
    """The mask of SpecAugment, (frames, mels), true where it hides frames and mel bins, 0 to `most_*` wide.

    Source: Park et al., "SpecAugment", Interspeech 2019, section 2 (without time warping).
    """
    hidden = np.zeros(shape, dtype=bool)
    for _ in range(masks):
        for axis, most in enumerate((most_frames, most_mels)):
            width = int(rng.integers(0, min(most, shape[axis]) + 1))
            first = int(rng.integers(0, shape[axis] - width + 1))
            np.moveaxis(hidden, axis, 0)[first : first + width] = True
    return hidden
