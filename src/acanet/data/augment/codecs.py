"""What telephones and messengers do to speech: G.711 over a narrow band, and Opus.

Both give back as many samples as they get, at the same rate, and in time with them.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import firwin, oaconvolve

from acanet.audio.blocks import Waveform
from acanet.audio.resample import resample
from acanet.errors import BadConfig

TELEPHONE_RATE = 8000
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
"""Samples a second that Opus encodes; others go through the next higher one."""
LEAST_KBPS, MOST_KBPS = 6.0, 256.0
"""What libsndfile asks of Opus for one channel at its highest and lowest compression level."""

_MU_FULL_SCALE = 8192.0  # G.711 counts magnitudes in 14 bit
_MU_BIAS = 33
_MU_CLIP = 8158.0  # largest magnitude below the end of the last interval
_BAND = firwin(129, (250.0, 3460.0), fs=TELEPHONE_RATE, pass_zero=False).astype(np.float32)  # (taps,), symmetric


def telephone(waveform: Waveform, rate: int) -> Waveform:
    """A waveform, (samples,), at `rate`, as a telephone gives it: 300 to 3,400 Hz at 8 kHz in mu-law of 8 bit.

    At 300 and 3,400 Hz it is 1 dB down, between them less; below 150 Hz and from 3.65 kHz on at least 35 dB.
    """
    narrow = oaconvolve(resample(waveform, rate, TELEPHONE_RATE), _BAND, mode="same")
    return _cut(resample(mu_law_decode(mu_law_encode(narrow)), TELEPHONE_RATE, rate), len(waveform))


def mu_law_encode(waveform: Waveform) -> NDArray[np.uint8]:
    """Bytes of G.711 mu-law, (samples,), as they are sent: a sign, 3 bits of segment, 4 of interval, all inverted.

    Source: ITU-T Recommendation G.711 (1988), tables 2a and 2b; 1.0 is 8192 on its scale, and what is louder is
    clipped.
    """
    magnitude = np.minimum(np.abs(waveform) * np.float32(_MU_FULL_SCALE), _MU_CLIP) + _MU_BIAS
    segment = np.frexp(magnitude)[1] - 6  # segments begin at 32, 64, 128, ...
    interval = np.ldexp(magnitude, -(segment + 1)).astype(np.int32) - 16
    sign = np.where(np.signbit(waveform), 0x80, 0)
    encoded: NDArray[np.uint8] = (~(sign | segment << 4 | interval)).astype(np.uint8)
    return encoded


def mu_law_decode(encoded: NDArray[np.uint8]) -> Waveform:
    """The waveform, (samples,), of G.711 mu-law, in [-8031 / 8192, 8031 / 8192]."""
    return _MU_LEVELS[encoded]


def opus(waveform: Waveform, rate: int, kbps: float) -> Waveform:
    """A waveform, (samples,), at `rate`, that went through Opus of variable bit rate for one channel.

    Args:
        waveform: what to encode.
        rate: its samples a second.
        kbps: the bit rate that the encoder aims at, in kbit/s, 6 to 256. What speech takes is near it; the Ogg file
            around it, which is thrown away, takes some 2 more.

    Raises:
        BadConfig: on another bit rate.
    """
    if not LEAST_KBPS <= kbps <= MOST_KBPS:
        raise BadConfig("opus", [f"kbps is {kbps}; {LEAST_KBPS:g} to {MOST_KBPS:g} can be used"])
    opus_rate = next((each for each in OPUS_RATES if each >= rate), OPUS_RATES[-1])
    level = (MOST_KBPS - kbps) / (MOST_KBPS - LEAST_KBPS)
    file = io.BytesIO()
    encoded = resample(waveform, rate, opus_rate)
    soundfile.write(file, encoded, opus_rate, format="OGG", subtype="OPUS", compression_level=level)
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    return _cut(resample(decoded, opus_rate, rate), len(waveform))


def _cut(waveform: Waveform, samples: int) -> Waveform:
    """A waveform cut to its length, (samples,): resampling to a rate and back can give one more or fewer."""
    return np.pad(waveform, (0, max(0, samples - len(waveform))))[:samples]


def _mu_levels() -> Waveform:
    """The value that each byte of mu-law stands for, (256,)."""
    sent = ~np.arange(256, dtype=np.uint8)
    segment, interval = (sent >> 4) & 7, sent.astype(np.int32) & 15
    magnitude = ((2 * interval + _MU_BIAS) << segment) - _MU_BIAS
    return (np.where(sent & 0x80, -magnitude, magnitude) / _MU_FULL_SCALE).astype(np.float32)


_MU_LEVELS = _mu_levels()
