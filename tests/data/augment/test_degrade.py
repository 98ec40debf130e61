"""Recordings with silence put in, and damaged ones: what is left of the samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acanet.data.augment.degrade import (
    Degradation,
    hiss,
    lost_packets,
    low_level,
    low_pass,
    noise_gate,
    one_room,
    overdriven,
    zeros,
)
from acanet.data.augment.rooms import build_rooms
from support.sounds import noise, tone

RATE = 8000


def level(waveform: np.ndarray) -> float:
    """The root mean square, in decibels below 1."""
    return float(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64))))


@pytest.mark.parametrize(
    ("degradation", "named"),
    [
        (zeros(RATE, 0.3, "before"), ("zeros", "0.3 s before")),
        (hiss(RATE, 5.0, -60.0, "inside"), ("hiss", "5 s at -60 dBFS inside")),
        (noise_gate(RATE, -40.0), ("gate", "-40 dB")),
        (lost_packets(RATE, 0.05, 0.02), ("packets", "5% of 20 ms")),
        (low_level(-60.0), ("level", "-60 dBFS, 16 bit")),
        (overdriven(100.0), ("overdrive", "gain 100")),
        (low_pass(RATE, 2000.0), ("low-pass", "2000 Hz")),
    ],
    ids=lambda each: each.kind if isinstance(each, Degradation) else "",
)
def test_each_has_its_name_and_repeats(degradation: Degradation, named: tuple[str, str]) -> None:
    assert (degradation.kind, degradation.severity) == named
    assert degradation.keeps is None
    made = degradation(noise(4000), 0, "a")
    assert made.dtype == np.float32
    np.testing.assert_array_equal(degradation(noise(4000), 0, "a"), made)


def test_zeros_leave_the_utterance_as_it_is() -> None:
    sound = noise(4000)
    for place, at in (("before", 2400), ("after", 0)):
        longer = zeros(RATE, 0.3, place)(sound, 0, "a")  # type: ignore[arg-type]
        assert len(longer) == 6400
        np.testing.assert_array_equal(longer[at : at + 4000], sound)
        assert np.count_nonzero(longer) == np.count_nonzero(sound)


def test_hiss_is_as_loud_as_it_says_and_its_levels_share_their_draws() -> None:
    sound = noise(4000)
    faint, loud = (hiss(RATE, 2.0, dbfs, "after")(sound, 0, "a") for dbfs in (-70.0, -50.0))
    np.testing.assert_array_equal(faint[:4000], sound)
    assert level(faint[4000:]) == pytest.approx(-70, abs=0.2)
    np.testing.assert_allclose(10 * faint[4000:], loud[4000:], rtol=1e-5)
    other = hiss(RATE, 2.0, -50.0, "after")(sound, 0, "b")
    assert not np.array_equal(other, loud)


def test_lost_packets_are_those_of_the_utterance() -> None:
    sound = np.ones(80_000, np.float32)
    left = lost_packets(RATE, 0.1, 0.05)(sound, 0, "a")
    assert np.isin(left.reshape(-1, 400).sum(axis=1), (0, 400)).all()
    assert left.mean() == pytest.approx(0.9, abs=0.05)
    assert not np.array_equal(left, lost_packets(RATE, 0.1, 0.05)(sound, 0, "b"))


@pytest.mark.parametrize("before", [0.01, 0.5])
def test_a_low_level_is_reached_in_16_bit(before: float) -> None:
    quiet = low_level(-60.0)(tone(300, RATE, level=before), 0, "a")
    assert level(quiet) == pytest.approx(-60, abs=0.1)
    np.testing.assert_array_equal(quiet * 32768, np.rint(quiet * 32768))
    silence = np.zeros(100, np.float32)
    np.testing.assert_array_equal(low_level(-60.0)(silence, 0, "a"), silence)


def test_overdriven_samples_are_clipped() -> None:
    waveform = np.array([0.001, -0.004, 0.01, 0.5, -0.5], np.float32)
    np.testing.assert_allclose(overdriven(100.0)(waveform, 0, "a"), [0.1, -0.4, 1, 1, -1], rtol=1e-6)


@pytest.mark.parametrize(("hertz", "gain"), [(500, 1.0), (1500, 1.0), (2500, 0.0), (3500, 0.0)])
def test_nothing_above_the_frequency_is_left(hertz: float, gain: float) -> None:
    sound = tone(hertz, RATE)
    left = low_pass(RATE, 2000.0)(sound, 0, "a")
    assert len(left) == len(sound)
    np.testing.assert_allclose(left[300:-300], gain * sound[300:-300], atol=2e-3)


def test_one_room_is_the_same_for_all(tmp_path: Path) -> None:
    pytest.importorskip("pyroomacoustics")
    bank = build_rooms(tmp_path, RATE, count=1, t60=(0.2, 0.3), seed=0, workers=1)
    click = np.zeros(2000, np.float32)
    click[0] = 1
    heard = {one_room(bank)(click, seed, name).tobytes() for seed in (0, 1) for name in "abc"}
    assert len(heard) == 1
    assert click.tobytes() not in heard
