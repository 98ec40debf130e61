"""How much of a recording is missing: gaps of zeros between samples count, silence at the ends and pauses do not."""

from __future__ import annotations

import numpy as np
import pytest

from acanet.audio.gaps import Gaps
from acanet.audio.quality import AudioWarning, Losses
from acanet.audio.recording import load

RATE = 16000
SOUND = (0.1 * np.random.default_rng(0).standard_normal(4 * RATE)).astype(np.float32)


def interrupted(on: float, off: float, rate: int = RATE) -> np.ndarray:
    """So many milliseconds of sound, then so many of zeros, over and over, up to a last sound."""
    place = 1000 * np.arange(len(SOUND)) / rate % (on + off)
    return np.append(np.where(place < on, SOUND, np.float32(0)), SOUND[:1])


def share(waveform: np.ndarray, rate: int = RATE, pieces: int = 1) -> float:
    gaps = Gaps(rate)
    for block in np.array_split(waveform, pieces):
        gaps.feed(block)
    return gaps.share


@pytest.mark.parametrize(
    ("on", "off", "missing"),
    [(20, 20, 0.5), (5, 5, 0.5), (40, 20, 1 / 3), (300, 100, 0.25), (20, 2, 0), (400, 400, 0)],
)
@pytest.mark.parametrize("pieces", [1, 3, 1000])
def test_gaps_are_counted_in_blocks_of_any_size(on: float, off: float, missing: float, pieces: int) -> None:
    assert share(interrupted(on, off), pieces=pieces) == pytest.approx(missing, abs=0.01)
    assert share(interrupted(on, off, 8000), 8000, pieces) == pytest.approx(missing, abs=0.02)


def test_blocks_without_a_gap_are_passed_over_and_no_gap_is() -> None:
    """Against the runs of zeros counted one by one, wherever blocks end; 4 to 200 samples are a gap here."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        lengths = rng.integers(1, 300, 12)
        lengths[1::2] = rng.choice([1, 3, 4, 5, 40, 200, 201, 250], 6)
        runs = [np.full(length, place % 2 == 0, np.float32) for place, length in enumerate(lengths)]
        waveform = np.concatenate([*runs, np.ones(1, np.float32)])
        gaps = sum(int(each) for each in lengths[1::2] if 4 <= each <= 200)
        pauses = sum(int(each) for each in lengths[1::2] if each > 200)
        found = share(waveform, 1000, pieces=int(rng.integers(1, 40)))
        assert found == pytest.approx(gaps / (len(waveform) - pauses))


def test_by_hand() -> None:
    waveform = np.ones(20, np.float32)
    waveform[[0, 1, 5, 6, 7, 8, 12, 18, 19]] = 0  # at 1000 a second: a gap of four, one zero, and both ends
    assert share(waveform, 1000) == 4 / 16
    assert share(waveform, 1000, pieces=20) == 4 / 16


def test_zeros_at_the_ends_and_pauses_are_none() -> None:
    assert share(np.zeros(RATE, np.float32)) == 0
    assert share(np.pad(SOUND, RATE // 10)) == 0
    assert share(np.concatenate([SOUND, np.zeros(RATE, np.float32), SOUND])) == 0


@pytest.mark.parametrize(("on", "off", "told"), [(20, 20, True), (60, 20, True), (90, 20, False), (300, 300, False)])
def test_a_fifth_is_warned_of(on: float, off: float, told: bool) -> None:
    losses = Losses(RATE)
    losses.feed(interrupted(on, off))
    assert ("interrupted" in losses.found(RATE)) is told
    if told:
        with pytest.warns(AudioWarning, match=r"is zeros between samples, as lost packets leave them"):
            load(interrupted(on, off), RATE, source_rate=RATE)


def test_what_is_too_faint_for_16_bits_is_called_faint() -> None:
    losses = Losses(RATE)
    losses.feed(0.02 * interrupted(20, 20))
    assert losses.found(RATE) == ("faint",)
