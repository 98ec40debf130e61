"""What a recording lost: telephone band, clipping and a low level are noticed, and only they."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from acanet.audio.quality import AudioWarning, Losses
from acanet.audio.recording import load
from acanet.audio.resample import resample


def noise(samples: int, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


def lost(waveform: np.ndarray, rate: int) -> Losses:
    losses = Losses(rate)
    losses.feed(waveform)
    return losses


def test_telephone_band_is_noticed() -> None:
    telephone = resample(resample(noise(32000), 16000, 8000), 8000, 16000)
    assert lost(telephone, 16000).narrow
    assert lost(resample(telephone, 16000, 48000), 48000).narrow
    assert lost(noise(8000), 8000).narrow
    assert not lost(noise(32000), 16000).narrow
    assert not lost(np.zeros(32000, np.float32), 16000).narrow
    assert not lost(telephone[:100], 16000).narrow
    for source, rate in ((telephone, 16000), (noise(8000), 8000)):
        with pytest.warns(AudioWarning, match=r"<array .*above 4 kHz"):
            load(source, 16000, source_rate=rate)


def test_a_telephone_model_wants_telephone_speech() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(noise(8000), 8000, source_rate=8000)


def test_clipping_is_noticed() -> None:
    wide = noise(16000, level=0.2)
    clipped = wide.clip(-0.3, 0.3)
    assert lost(wide, 16000).clipped == 0
    assert lost(np.zeros(100, np.float32), 16000).clipped == 0
    with pytest.warns(AudioWarning, match="clipped"):
        load(clipped, 16000, source_rate=16000)


def test_the_clipped_share_counts_whole_runs() -> None:
    waveform = np.zeros(100, np.float32)
    waveform[0:5] = 0.9
    waveform[30:33] = -0.9
    waveform[50:52] = 0.9
    assert lost(waveform, 16000).clipped == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("peak", "faint"), [(1.0, False), (0.0101, False), (0.0099, True), (1e-3, True), (2.0**-15, True), (0.0, False)]
)
def test_a_low_level_is_noticed(peak: float, faint: bool) -> None:
    """From 40 dB below full scale on; digital silence is no speech at a low level."""
    waveform = noise(32000)
    losses = lost((waveform * np.float32(peak) / np.abs(waveform).max()).astype(np.float32), 16000)
    assert losses.found(16000) == (("faint",) if faint else ())


def test_one_loud_block_is_enough() -> None:
    losses = Losses(16000)
    found = []
    for level in (1e-4, 0.1, 1e-4):
        losses.feed(noise(1600, level))
        found.append(losses.found(16000))
    assert found == [("faint",), (), ()]


def test_a_recording_can_have_lost_more_than_one_thing() -> None:
    telephone = resample(resample(noise(32000, 1e-3), 16000, 8000), 8000, 16000)
    assert lost(telephone, 16000).found(16000) == ("telephone", "faint")
    with pytest.warns(AudioWarning) as told:
        load(telephone, 16000, source_rate=16000)
    assert [str(each.message).split(": ")[1].split(" ")[0] for each in told] == ["nothing", "its"]
