"""The bank of rooms: its decays measured, its places, and that it is the same however it is made."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from acanet.data.augment import rooms
from acanet.data.augment.functions import reverberate
from acanet.data.augment.rooms import RoomBank, build_rooms, decay_time
from acanet.errors import BadConfig, MissingExtra

COUNT, T60 = 12, (0.15, 0.9)


@pytest.fixture(scope="module", params=[8000, 16000])
def rate(request):
    return request.param


@pytest.fixture(scope="module")
def bank(rate, tmp_path_factory) -> RoomBank:
    pytest.importorskip("pyroomacoustics")
    return build_rooms(tmp_path_factory.mktemp("rooms"), rate, count=COUNT, t60=T60, seed=3, workers=0)


def build(folder, rate=8000, *, count=3, t60=(0.15, 0.25), seed=0, workers=0):
    return build_rooms(folder, rate, count=count, t60=t60, seed=seed, workers=workers)


def files(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def decibels_left(response):
    """Of the energy from each tap on."""
    energy = np.square(response, dtype=np.float64)
    return 10 * np.log10(energy[::-1].cumsum()[::-1] / energy.sum())


@pytest.mark.parametrize("lowest", [-25, -35])
def test_every_decay_takes_the_time_that_was_asked(bank, rate, lowest):
    for response, asked in zip(bank, bank.t60, strict=True):
        left = decibels_left(response)
        start, end = np.argmax(left <= -5), np.argmax(left <= lowest)
        slope = np.polyfit(np.arange(start, end) / rate, left[start:end], 1)[0]
        assert -60 / slope == pytest.approx(asked, rel=0.15)


def test_decay_times_are_drawn_from_the_whole_range(bank):
    assert all(T60[0] <= asked <= T60[1] for asked in bank.t60)
    assert min(bank.t60) < 0.3
    assert max(bank.t60) > 0.7


def test_responses_have_energy_one_and_begin_with_the_direct_sound(bank):
    assert len(bank) == COUNT
    for response in bank:
        assert response.dtype == np.float32
        assert np.square(response, dtype=np.float64).sum() == pytest.approx(1.0, abs=1e-4)
        assert response[0] > 5 * np.abs(response[1:3]).max()  # a single tap; walls are farther than one sample


def test_near_and_far_mouths_are_in_the_bank(bank):
    direct_db = [10 * np.log10(response[0] ** 2 / np.square(response[1:]).sum()) for response in bank]
    assert min(direct_db) < -6
    assert max(direct_db) > 0


def test_what_is_heard_in_a_room_comes_in_time(bank, rate):
    nearest = max(bank, key=lambda response: response[0])
    dry = np.random.default_rng(0).standard_normal(rate).astype(np.float32)
    likeness = np.fft.irfft(np.fft.rfft(reverberate(dry, nearest), 2 * rate) * np.fft.rfft(dry, 2 * rate).conj())
    assert np.argmax(np.abs(likeness)) == 0


def test_the_decay_time_of_an_exponential_is_its_own():
    response = 10 ** (-3 * np.arange(32000) / 16000 / 0.4)
    assert decay_time(response, 16000, 20.0) == pytest.approx(0.4, rel=1e-3)
    assert decay_time(response, 16000, 30.0) == pytest.approx(0.4, rel=1e-3)


def test_a_direct_sound_alone_has_no_decay():
    assert decay_time(np.eye(1, 1000)[0], 16000) == 0.0


def test_any_number_of_workers_makes_the_same_bank(tmp_path):
    pytest.importorskip("pyroomacoustics")
    for workers in (0, 2):
        build(tmp_path / str(workers), count=17, workers=workers)
    assert files(tmp_path / "0") == files(tmp_path / "2")


def test_a_larger_bank_begins_with_the_smaller_one(tmp_path):
    pytest.importorskip("pyroomacoustics")
    small, large = build(tmp_path, count=2), build(tmp_path, count=3)
    assert large.t60[:2] == small.t60
    for room in range(2):
        np.testing.assert_array_equal(large[room], small[room])


def test_another_seed_gives_other_rooms(tmp_path):
    pytest.importorskip("pyroomacoustics")
    assert set(build(tmp_path, seed=0).t60).isdisjoint(build(tmp_path, seed=1).t60)


def test_a_bank_is_made_once_and_then_needs_no_simulator(tmp_path, monkeypatch):
    pytest.importorskip("pyroomacoustics")
    made = build(tmp_path)
    before = files(tmp_path)
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    found = build(tmp_path)
    assert found == made
    np.testing.assert_array_equal(found[2], made[2])
    with pytest.raises(MissingExtra, match="'train'"):
        build(tmp_path, seed=1)
    assert files(tmp_path) == before


def test_nothing_is_left_of_a_bank_that_failed(tmp_path, monkeypatch):
    pytest.importorskip("pyroomacoustics")

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(rooms, "_response", fail)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path)
    assert files(tmp_path) == {}


def test_a_bank_knows_where_it_ends(bank):
    for wrong in (COUNT, -1):
        with pytest.raises(IndexError, match=f"room {wrong} of a bank of {COUNT}"):
            bank[wrong]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"t60": (0.05, 0.5)}, r"t60 is \[0.05, 0.5\]"),
        ({"t60": (0.5, 0.2)}, r"t60 is \[0.5, 0.2\]"),
        ({"t60": (0.5, 9.0)}, r"t60 is \[0.5, 9.0\]"),
        ({"t60": (float("nan"), 0.5)}, r"t60 is \[nan, 0.5\]"),
        ({"count": 0}, "count is 0"),
        ({"rate": 100}, "rate is 100"),
    ],
    ids=str,
)
def test_what_no_room_has_is_refused(tmp_path, wrong, said):
    with pytest.raises(BadConfig, match=said):
        build(tmp_path, **wrong)
