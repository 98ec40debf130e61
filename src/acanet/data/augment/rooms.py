"""A bank of room responses: shoebox rooms simulated by pyroomacoustics once, then mapped from one file.

    seed, number -> room, places, absorption -> image sources and ray tracing -> decay adjusted to the T60 asked -> file

Image sources alone cost with the third power of T60, 0.5 to 2 s for 0.9 s, so they serve the first reflections, and
ray tracing the rest. With the absorption that Eyring's formula asks for, measured T60 is 0.8 to 1.7 times what was
asked (1.1 to 1.9 times with image sources alone), so each response is weighted with the exponential that makes its
decay right, and drawn again where none does.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from acanet.audio.blocks import HIGHEST_RATE, LOWEST_RATE, Waveform
from acanet.config.files import write_text, written
from acanet.data.parallel import spread
from acanet.errors import BadConfig, MissingExtra

Floats = NDArray[np.float64]

SHORTEST_T60, LONGEST_T60 = 0.1, 3.0

_EDITION = 1  # of the code that draws rooms, to be raised when the same arguments give others
_SMALLEST, _LARGEST = (2.5, 2.0, 2.2), (10.0, 8.0, 4.0)  # length, width and height in metres
_MOST_ABSORBENT = 0.6  # share of the energy that walls take: more would be a booth
_STEEPEST = 0.15  # walls take up to 2**0.15 times as much in each higher octave
_SCATTERED = 0.2  # share of the energy that walls reflect in all directions
_NEAR_WALL, _LOWEST, _NEAR_CEILING = 0.3, 0.8, 0.4  # metres that mouth and microphone keep from each
_NEAREST, _FARTHEST = 0.4, 4.0  # metres between mouth and microphone
_ORDER = 3  # of reflections by image sources
_RAYS = 1000
_TOLERANCE = 0.1  # of T20 and of T30


@dataclass(frozen=True)
class RoomBank:
    """Room responses by number, in one file that is mapped into memory."""

    path: Path
    offsets: tuple[int, ...]  # of every response, and the end of the last one, in taps
    t60: tuple[float, ...]  # asked of every response, in seconds

    def __len__(self) -> int:
        return len(self.t60)

    def __getitem__(self, room: int) -> Waveform:
        """The response of a room, (taps,) float32 of energy 1, from the direct sound to where 60 dB have decayed."""
        if not 0 <= room < len(self):
            raise IndexError(f"room {room} of a bank of {len(self)}")
        return self._taps[self.offsets[room] : self.offsets[room + 1]]

    @cached_property
    def _taps(self) -> Waveform:
        return np.memmap(self.path, dtype="<f4", mode="r")


def build_rooms(folder: Path, rate: int, *, count: int, t60: tuple[float, float], seed: int, workers: int) -> RoomBank:
    """Simulate rooms into one file in `folder`, or find the file that an earlier call made with the same arguments.

    Room number i depends on `seed`, i, `rate` and `t60` alone: any number of workers gives the same bank, and a larger
    bank begins with the smaller one.

    Args:
        folder: where banks live; each is named by a hash of the other arguments.
        rate: samples a second of the responses.
        count: how many rooms.
        t60: shortest and longest reverberation time in seconds, between which each room's is drawn evenly. What
            Schroeder integration measures over 20 and over 30 dB lies within 10 % of it.
        seed: of everything that is drawn. pyroomacoustics' own generators are seeded from it, room by room.
        workers: processes to simulate in; 0 or 1: this one, in which pyroomacoustics is then left with one thread.

    Raises:
        BadConfig: on arguments that no room has.
        MissingExtra: when the bank has to be made, and pyroomacoustics is not installed.
        AcanetError: when a process dies; nothing is left behind.
    """
    _check(rate, count, t60)
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / f"rooms-{_key(rate, count, t60, seed)}"
    taps, index = base.with_suffix(".f32"), base.with_suffix(".json")
    if not index.exists():
        _simulate_all(rate, count, t60, seed, workers, taps, index)
    stored = json.loads(index.read_text(encoding="utf-8"))
    return RoomBank(taps, tuple(stored["offsets"]), tuple(stored["t60"]))


def decay_time(response: NDArray[Any], rate: int, decibels: float = 30.0) -> float:
    """T60 of a room response, (taps,), in seconds: a line fitted to its decay from -5 to -5 - `decibels` dB.

    0.0 where no two taps lie in that range, as in a response that is the direct sound alone.

    Source: Schroeder, "New Method of Measuring Reverberation Time", JASA 1965; the range as in ISO 3382-2 (T20, T30).
    """
    decay = _decay_db(response)
    fitted = np.flatnonzero((decay <= -5.0) & (decay >= -5.0 - decibels))
    if len(fitted) < 2:
        return 0.0
    return float(-60.0 / np.polyfit(fitted / rate, decay[fitted], 1)[0])


def _check(rate: int, count: int, t60: tuple[float, float]) -> None:
    problems = []
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        problems.append(f"rate is {rate}; {LOWEST_RATE} to {HIGHEST_RATE} can be used")
    if count < 1:
        problems.append(f"count is {count}; a bank needs at least one room")
    if not SHORTEST_T60 <= t60[0] <= t60[1] <= LONGEST_T60:
        problems.append(f"t60 is {list(t60)}; give [shortest, longest] within {SHORTEST_T60} and {LONGEST_T60} s")
    if problems:
        raise BadConfig("rooms", problems)


def _key(*arguments: object) -> str:
    return hashlib.sha256(repr((_EDITION, *arguments)).encode()).hexdigest()[:16]


def _simulate_all(
    rate: int, count: int, t60: tuple[float, float], seed: int, workers: int, taps: Path, index: Path
) -> None:
    _pyroomacoustics()
    offsets, asked = [0], []
    same = [[value] * count for value in (rate, t60, seed)]
    simulated = spread(_simulate, *same, range(count), workers=workers)
    with written(taps) as file:
        for response, seconds in track(simulated, "Simulating rooms", count, console=Console(stderr=True)):
            file.write(response.tobytes())
            offsets.append(offsets[-1] + len(response))
            asked.append(seconds)
    write_text(index, json.dumps({"offsets": offsets, "t60": asked}))


def _pyroomacoustics() -> Any:
    """pyroomacoustics with one thread: sums in several would differ in their last bits."""
    try:
        import pyroomacoustics
    except ModuleNotFoundError:
        raise MissingExtra("pyroomacoustics", "train") from None
    pyroomacoustics.constants.set("num_threads", 1)
    return pyroomacoustics


def _simulate(rate: int, t60: tuple[float, float], seed: int, number: int) -> tuple[Waveform, float]:
    """Response, (taps,), and asked T60 of room `number` of a bank."""
    rng = np.random.default_rng((seed, number))
    asked = float(rng.uniform(*t60))
    while True:
        response = _adjusted(_response(_draw_room(rng, asked, rate), asked, rate, rng), asked, rate)
        if response is not None:
            return response, asked


class _Room(NamedTuple):
    size: Floats  # (3,) metres
    absorption: float  # share of the energy, the mean over all directions of sound
    mouth: Floats  # (3,) metres
    microphone: Floats  # (3,) metres
    distance: int  # between them, in samples that sound takes


def _draw_room(rng: np.random.Generator, t60: float, rate: int) -> _Room:
    """A room that can have this T60, by Eyring's formula, with two places in it."""
    speed = _pyroomacoustics().constants.get("c")
    while True:
        size = rng.uniform(_SMALLEST, _LARGEST)
        surface = 2 * (size.prod() / size).sum()
        absorption = 1 - np.exp(-24 * np.log(10) * size.prod() / (speed * surface * t60))
        if absorption <= _MOST_ABSORBENT:
            break
    lowest, highest = (_NEAR_WALL, _NEAR_WALL, _LOWEST), size - (_NEAR_WALL, _NEAR_WALL, _NEAR_CEILING)
    gap = 0.0
    while gap < _NEAREST:
        mouth, beyond = rng.uniform(lowest, highest, (2, 3))
        gap = float(np.linalg.norm(beyond - mouth))
    # A whole number of samples, so that the direct sound is a single tap.
    distance = int(rng.uniform(_NEAREST, min(gap, _FARTHEST)) * rate / speed)
    microphone = mouth + (beyond - mouth) * (distance * speed / rate / gap)
    return _Room(size, float(absorption), mouth, microphone, distance)


def _response(room: _Room, t60: float, rate: int, rng: np.random.Generator) -> Floats:
    """The response from the direct sound on, (taps,), longer than `t60`."""
    acoustics = _pyroomacoustics()
    acoustics.random.seed(numpy=int(rng.integers(2**62)), libroom=int(rng.integers(2**62)))
    octaves = np.arange(int(np.log2(rate / 250)))  # from 125 Hz to what the rate holds
    coefficients = np.clip(room.absorption * 2 ** (rng.uniform(0.0, _STEEPEST) * (octaves - 3)), 0.01, 0.95)
    walls = {"coeffs": coefficients.tolist(), "center_freqs": (125.0 * 2.0**octaves).tolist()}
    shoebox = acoustics.ShoeBox(
        room.size,
        fs=rate,
        materials=acoustics.Material(walls, _SCATTERED),
        max_order=_ORDER,
        ray_tracing=True,
    )
    shoebox.set_ray_tracing(n_rays=_RAYS, energy_thres=1e-7, time_thres=1.1 * t60 + 0.05)
    shoebox.add_source(room.mouth)
    shoebox.add_microphone(room.microphone)
    shoebox.compute_rir()
    direct = acoustics.constants.get("frac_delay_length") // 2 + room.distance
    response: Floats = np.asarray(shoebox.rir[0][0], dtype=np.float64)[direct:]
    return response


def _adjusted(response: Floats, t60: float, rate: int) -> Waveform | None:
    """The response, (taps,), under the exponential that gives it this T60, cut and of energy 1; None: there is none."""
    seconds = np.arange(len(response)) / rate
    for _ in range(5):
        measured = _t20_and_t30(response, rate)
        if measured.min() < 0.5 * measured.max():
            return None  # no exponential mends a decay in two steps, such as that of a voice at the microphone
        if (np.abs(measured / t60 - 1) < _TOLERANCE / 2).all():
            break
        response = response * 10 ** (3 * seconds * (np.mean(1 / measured) - 1 / t60))
    response = response[_decay_db(response) > -60.0]
    if not (np.abs(_t20_and_t30(response, rate) / t60 - 1) < _TOLERANCE).all():
        return None
    return (response / np.linalg.norm(response)).astype("<f4")


def _t20_and_t30(response: Floats, rate: int) -> Floats:
    return np.array([decay_time(response, rate, 20.0), decay_time(response, rate, 30.0)])


def _decay_db(response: NDArray[Any]) -> Floats:
    """Schroeder's decay curve, (taps,): the energy from each tap on, in dB of all of it."""
    left = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    decay: Floats = 10 * np.log10(np.maximum(left / left[0], 1e-20))
    return decay
