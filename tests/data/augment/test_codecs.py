"""What lines do to speech: the band and levels of a telephone against G.711, the bit rate of Opus, and both in time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.data.augment import codecs
from acanet.data.augment.codecs import OPUS_RATES, mu_law_decode, mu_law_encode, opus, telephone
from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.errors import BadConfig

RATES = (8000, 11025, 16000, 44100, 48000)

# From ITU-T G.711, table 2a: the ends of the segments on the scale of 8192, and the outputs next to them.
SEGMENT_ENDS = (31, 95, 223, 479, 991, 2015, 4063)
OUTPUTS_BELOW, OUTPUTS_ABOVE = (30, 93, 219, 471, 975, 1983, 3999), (33, 99, 231, 495, 1023, 2079, 4191)


@pytest.fixture(scope="module")
def speech():
    """Two seconds at 16 kHz."""
    return synthesise(SyntheticVoice.draw(0, 1), 2.0, seed=2)


def gain_db(hz, rate=16000):
    """What a telephone does to a tone, away from its ends."""
    seconds = np.arange(2 * rate) / rate
    heard = telephone((0.5 * np.sin(2 * np.pi * hz * seconds)).astype(np.float32), rate)
    middle = slice(rate // 2, 3 * rate // 2)
    amplitude = 2 * np.abs(heard[middle] @ np.exp(-2j * np.pi * hz * seconds[middle])) / rate
    return 20 * np.log10(max(amplitude, 1e-9) / 0.5)


def delay(heard, original):
    """Samples by which what is heard comes later."""
    size = 2 * len(original)
    likeness = np.fft.irfft(np.fft.rfft(heard, size) * np.fft.rfft(original, size).conj())
    best = int(np.argmax(likeness))
    return best if best < len(original) else best - size


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_telephone_passes_its_band(rate):
    for edge in (300, 3400):
        assert -3 < gain_db(edge, rate) < -0.3
    for hz in (400, 1000, 2000, 3200):
        assert abs(gain_db(hz, rate)) < 0.3


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_telephone_stops_what_is_outside_its_band(rate):
    for hz in (50, 100, 150, 3650, 3900, 4100, 6000):
        if hz < rate / 2:
            assert gain_db(hz, rate) < -40


def test_nothing_is_heard_above_half_the_rate_of_a_telephone(speech):
    spectrum = np.abs(np.fft.rfft(telephone(speech, 16000) * np.hanning(len(speech)))) ** 2
    hz = np.fft.rfftfreq(len(speech), 1 / 16000)
    assert spectrum[hz > 4100].sum() < 1e-6 * spectrum.sum()


def test_mu_law_has_the_levels_of_the_standard():
    """The magnitudes are 2 k to 30, then 16 in each segment, twice as far apart as in the one before."""
    magnitudes = set(range(0, 31, 2))
    for segment, first in enumerate(OUTPUTS_ABOVE):
        magnitudes |= {first + interval * 2 ** (segment + 2) for interval in range(16)}
    decoded = np.rint(mu_law_decode(np.arange(256, dtype=np.uint8)) * 8192)
    assert set(decoded[128:].astype(int)) == magnitudes
    np.testing.assert_array_equal(decoded[:128], -decoded[128:])
    assert max(magnitudes) == 8031


@pytest.mark.parametrize(
    ("value", "byte", "level"),
    [
        (0, 0xFF, 0),
        (0.9, 0xFF, 0),
        (1, 0xFE, 2),
        (-1, 0x7E, -2),
        (2.9, 0xFE, 2),
        (3, 0xFD, 4),
        (-31, 0x6F, -33),
        (1000, 0xAF, 1023),
        (4063, 0x8F, 4191),
        (7903, 0x80, 8031),
        (8192, 0x80, 8031),
        (-8192, 0x00, -8031),
        (-20000, 0x00, -8031),
    ],
)
def test_mu_law_of_values_worked_by_hand(value, byte, level):
    encoded = mu_law_encode(np.array([value / 8192], dtype=np.float32))
    assert encoded.dtype == np.uint8
    assert encoded[0] == byte
    assert mu_law_decode(encoded)[0] * 8192 == pytest.approx(level, abs=1e-3)


@pytest.mark.parametrize(("end", "below", "above"), list(zip(SEGMENT_ENDS, OUTPUTS_BELOW, OUTPUTS_ABOVE, strict=True)))
def test_mu_law_segments_end_where_the_standard_says(end, below, above):
    values = np.array([end - 0.01, end], dtype=np.float32) / 8192
    np.testing.assert_array_equal(np.rint(mu_law_decode(mu_law_encode(values)) * 8192), [below, above])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=50))
def test_mu_law_is_off_by_no_more_than_half_an_interval(values):
    waveform = np.array(values, dtype=np.float32)
    decoded = mu_law_decode(mu_law_encode(waveform))
    magnitude = np.abs(decoded) * 8192 + 33
    half = 2 ** (np.floor(np.log2(magnitude)) - 5)
    clipped = np.clip(waveform, -8159 / 8192, 8159 / 8192)
    assert (np.abs(decoded - clipped) * 8192 <= half + 0.01).all()


def test_every_byte_of_mu_law_encodes_its_own_level():
    sent = np.arange(256, dtype=np.uint8)
    again = mu_law_encode(mu_law_decode(sent))
    np.testing.assert_array_equal(again[sent != 0x7F], sent[sent != 0x7F])
    assert again[0x7F] == 0xFF  # minus nothing is nothing


@pytest.mark.parametrize("kbps", [6, 8, 12, 24, 64])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_opus_takes_the_bits_that_were_asked(rate, kbps, monkeypatch):
    """Measured on the second half of a file, so without its headers."""
    sizes, write = [], codecs.soundfile.write

    def measured(file, *args, **options):
        write(file, *args, **options)
        sizes.append(len(file.getvalue()))

    monkeypatch.setattr(codecs.soundfile, "write", measured)
    voice = synthesise(SyntheticVoice.draw(0, 1), 2.0, seed=2, rate=rate)
    for waveform in (voice, np.concatenate([voice, voice])):
        opus(waveform, rate, kbps)
    assert 8 * (sizes[1] - sizes[0]) / 2.0 / 1000 == pytest.approx(kbps, rel=0.15)


def test_more_bits_sound_more_like_the_original(speech):
    errors = [np.mean((opus(speech, 16000, kbps) - speech) ** 2) for kbps in (6, 16, 64, 256)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01 * np.mean(speech**2)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    "line", [telephone, lambda waveform, rate: opus(waveform, rate, 24)], ids=["telephone", "opus"]
)
def test_a_line_keeps_time_length_and_polarity(line, rate):
    voice = synthesise(SyntheticVoice.draw(0, 1), 1.0, seed=2, rate=rate)[: rate - 7]
    heard = line(voice, rate)
    assert heard.dtype == np.float32
    assert heard.shape == voice.shape
    assert abs(delay(heard, voice)) <= rate / 10000  # 0.1 ms
    np.testing.assert_array_equal(heard, line(voice, rate))


@pytest.mark.parametrize("rate", OPUS_RATES)
@pytest.mark.parametrize("samples", [1, 7, 500])
def test_lines_take_the_shortest_crops(rate, samples):
    crop = np.full(samples, 0.1, dtype=np.float32)
    assert telephone(crop, rate).shape == (samples,)
    assert opus(crop, rate, 16).shape == (samples,)


def test_silence_comes_out_as_silence():
    silence = np.zeros(8000, dtype=np.float32)
    assert np.abs(telephone(silence, 16000)).max() < 1e-3
    assert np.abs(opus(silence, 16000, 16)).max() < 1e-3


@pytest.mark.parametrize("kbps", [5.9, 257, -1, float("nan")])
def test_a_bit_rate_that_opus_has_not_is_refused(kbps, speech):
    with pytest.raises(BadConfig, match=f"kbps is {kbps}; 6 to 256"):
        opus(speech, 16000, kbps)
