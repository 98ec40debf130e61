from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.signal import spectrogram

from acanet.data.synthetic import SyntheticVoice, _resonator, synthesise, write_corpus
from acanet.errors import BadConfig
from acanet.runtime.detector import find_speech


def test_same_seed_same_voice_and_recording() -> None:
    voice = SyntheticVoice.draw(3, 7)
    assert voice == SyntheticVoice.draw(3, 7)
    assert len({SyntheticVoice.draw(seed, speaker) for seed in range(3) for speaker in range(20)}) == 60
    first, again, other = (synthesise(voice, 1.5, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@settings(max_examples=12, deadline=None)
@given(
    speaker=st.integers(0, 10_000),
    seed=st.integers(0, 2**32),
    seconds=st.floats(1.0, 1.5),
    rate=st.sampled_from([8000, 16000, 44100]),
)
def test_a_waveform_whatever_the_voice(speaker: int, seed: int, seconds: float, rate: int) -> None:
    waveform = synthesise(SyntheticVoice.draw(0, speaker), seconds, seed, rate)
    assert waveform.shape == (round(seconds * rate),)
    assert waveform.dtype == np.float32
    assert np.isfinite(waveform).all()
    assert 0.02 < np.abs(waveform).max() <= 1.0
    assert -33 < 20 * np.log10(np.sqrt(np.mean(waveform.astype(float) ** 2))) < -17


@pytest.mark.parametrize(("seconds", "rate"), [(0.9, 16000), (2.0, 4000)])
def test_too_short_or_too_low_a_rate(seconds: float, rate: int) -> None:
    with pytest.raises(BadConfig, match="at least 1 s and 8000"):
        synthesise(SyntheticVoice.draw(0, 0), seconds, 0, rate)


def test_resonator_peaks_at_its_frequency_and_passes_a_constant() -> None:
    numerator, denominator = _resonator(np.array(1000.0), np.array(80.0), 16000)
    z = np.exp(-2j * np.pi * np.arange(8000) / 16000)
    gain = np.abs(np.polyval(numerator[::-1], z) / np.polyval(denominator[::-1], z))
    assert gain[0] == pytest.approx(1.0)
    assert int(gain.argmax()) == pytest.approx(1000, abs=2)
    half_power = np.flatnonzero(gain > gain.max() / np.sqrt(2))
    assert half_power[-1] - half_power[0] == pytest.approx(80, abs=3)


def test_pitch_is_that_of_the_voice() -> None:
    for speaker in range(6):
        voice = SyntheticVoice.draw(0, speaker)
        waveform = synthesise(voice, 3.0, 5).astype(float)
        power = np.abs(np.fft.rfft(waveform, 2 * len(waveform))) ** 2
        correlation = np.fft.irfft(power)
        lags = np.arange(round(16000 / (1.6 * voice.f0)), round(16000 / (0.63 * voice.f0)))
        assert 16000 / lags[correlation[lags].argmax()] == pytest.approx(voice.f0, rel=0.25)


def cepstrum(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean cepstrum of the louder half of the frames, (15,), from 40 bands up to 8 kHz."""
    power = spectrogram(waveform.astype(float), nperseg=400, noverlap=240, nfft=512)[2]
    edges = np.round(512 / 16000 * 700 * (np.exp(np.linspace(0, np.log1p(8000 / 700), 41)) - 1)).astype(int)
    edges = np.maximum(edges, np.arange(41))
    bands = np.log(np.add.reduceat(power, edges[:-1], axis=0) + 1e-12)
    energy = bands.mean(axis=0)
    return dct(bands[:, energy > np.median(energy)].mean(axis=1), norm="ortho")[1:16]


def test_recordings_of_a_speaker_are_more_alike_but_not_the_same() -> None:
    speakers, utterances = 12, 4
    features = np.array(
        [
            cepstrum(synthesise(SyntheticVoice.draw(0, speaker), 3.0, (speaker, utterance)))
            for speaker in range(speakers)
            for utterance in range(utterances)
        ]
    )
    features /= features.std(axis=0)
    distances = np.linalg.norm(features[:, None] - features, axis=-1)
    who = np.repeat(np.arange(speakers), utterances)
    upper = np.triu_indices(len(who), 1)
    target = (who[:, None] == who)[upper]
    same, different = distances[upper][target], distances[upper][~target]
    assert same.mean() < 0.8 * different.mean()
    assert same.min() > 0.1 * different.mean()
    assert same.max() > different.min()


def test_room_and_level_vary() -> None:
    voice = SyntheticVoice.draw(0, 1)
    levels = [20 * np.log10(np.std(synthesise(voice, 1.5, seed))) for seed in range(8)]
    assert np.ptp(levels) > 4


def test_there_are_pauses_and_speech() -> None:
    waveform = synthesise(SyntheticVoice.draw(0, 2), 4.0, 0)
    frames = waveform[: len(waveform) // 160 * 160].reshape(-1, 160).std(axis=1)
    loud = frames > 0.1 * frames.max()
    assert 0.5 < loud.mean() < 0.97
    assert not loud[:3].any()


def test_the_speech_detector_hears_speech() -> None:
    for speaker in range(8):
        waveform = synthesise(SyntheticVoice.draw(1, speaker), 3.0, speaker)
        assert 1.8 < find_speech(waveform, 16000).seconds <= 3.0


def test_faster_than_real_time() -> None:
    voice = SyntheticVoice.draw(0, 0)
    synthesise(voice, 1.0, 0)
    begin = time.process_time()
    synthesise(voice, 10.0, 1)
    assert 10.0 / (time.process_time() - begin) > 10


def test_corpus(tmp_path: Path) -> None:
    folders = [write_corpus(tmp_path / name, 2, 3, seconds=(1.0, 1.5), seed=4) for name in ("one", "two")]
    files = [sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*")) for folder in folders]
    assert files[0] == files[1] == [f"s{s:03d}/{n:03d}.wav" for s in range(2) for n in range(3)]
    for name in files[0]:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
        info = soundfile.info(folders[0] / name)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert 1.0 <= info.duration <= 1.5
    assert len({(folders[0] / name).read_bytes() for name in files[0]}) == 6
