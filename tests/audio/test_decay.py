"""How fast sounds die away: rooms are noticed, dry speech and steady noise are not."""

from __future__ import annotations

import numpy as np
import pytest

from acanet.audio.decay import Decay
from acanet.audio.quality import AudioWarning
from acanet.audio.recording import load


def bursts(t60: float, rate: int = 16000, seconds: int = 6, floor: float = 1e-4) -> np.ndarray:
    """A burst of noise every half second, each dying away by 60 dB in so many seconds, over faint noise."""
    rng = np.random.default_rng(0)
    time = np.arange(rate // 2) / rate
    one = 10 ** (-3 * np.maximum(0, time - 0.1) / t60)
    levels = 0.3 * np.tile(one, 2 * seconds)
    sound = levels * rng.standard_normal(len(levels)) + floor * rng.standard_normal(len(levels))
    return sound.astype(np.float32)


def slow(waveform: np.ndarray, rate: int = 16000, pieces: int = 1) -> bool:
    decay = Decay(rate)
    for block in np.array_split(waveform, pieces):
        decay.feed(block)
    return decay.slow


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
@pytest.mark.parametrize(("t60", "told"), [(0.1, False), (0.2, False), (0.3, False), (0.5, True), (0.7, True)])
def test_rooms_are_told_by_their_reverberation_time(t60: float, told: bool, rate: int) -> None:
    assert slow(bursts(t60, rate), rate) is told


@pytest.mark.parametrize("pieces", [2, 7, 1000])
def test_blocks_of_any_size_tell_the_same(pieces: int) -> None:
    for t60 in (0.3, 0.5):
        assert slow(bursts(t60), pieces=pieces) is slow(bursts(t60))


def test_what_has_no_pauses_or_is_short_tells_nothing() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(64000)).astype(np.float32)
    assert not slow(noise)
    assert not slow(np.zeros(64000, np.float32))
    assert not slow(bursts(0.7, floor=0.1))
    assert not slow(bursts(0.7)[:16000])
    assert not slow(np.zeros(1, np.float32))


def test_minutes_after_the_fifth_take_no_memory() -> None:
    decay = Decay(8000)
    for _ in range(400):
        decay.feed(np.zeros(8000, np.float32))
    assert sum(map(len, decay._powers)) == 30_000


def test_it_is_warned_of() -> None:
    with pytest.warns(AudioWarning, match="die away slowly"):
        load(bursts(0.6), 16000, source_rate=16000)
