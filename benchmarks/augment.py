"""What each effect on a training crop costs: milliseconds on one core, and what a simulated room takes.

The effects take turns, so that noise on the machine meets all of them. The crop is a synthetic voice.

    python benchmarks/augment.py                         # 3 s at 16 kHz
    python benchmarks/augment.py --rate 8000 --rooms 0   # at 8 kHz; simulates no rooms
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in each process that makes batches

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from acanet.audio.blocks import Waveform
from acanet.data.augment import functions as augment
from acanet.data.augment.codecs import opus, telephone
from acanet.data.augment.music import music
from acanet.data.augment.rooms import build_rooms
from acanet.data.augment.voices import Voice, as_voice, move_formants
from acanet.data.synthetic import SyntheticVoice, synthesise

SPEED, VOICES, T60, SEED = 1.1, 5, 0.5, 0


def effects(seconds: float, rate: int) -> dict[str, Callable[[], object]]:
    """Every effect by name, ready to run on a crop; where noise or music is generated, that is part of it."""
    rng = np.random.default_rng(SEED)
    samples = round(seconds * rate)
    longer = synthesise(SyntheticVoice.draw(SEED, 0), seconds * SPEED + 1, SEED, rate)
    crop = longer[:samples]
    others = [synthesise(SyntheticVoice.draw(SEED, i + 1), seconds, SEED, rate) for i in range(VOICES)]
    taps = np.arange(round(T60 * rate))
    response = (rng.standard_normal(len(taps)) * 10 ** (-3 * taps / len(taps))).astype(np.float32)

    def with_added(noise: Callable[[], Waveform]) -> Callable[[], object]:
        return lambda: augment.add_at_snr(crop, noise(), 10.0)

    faster = Voice(SPEED)
    return {
        "speed": lambda: as_voice(longer[: faster.samples_needed(samples)], faster, samples, rate),
        "formants": lambda: move_formants(crop, 1.15, rate),
        f"room, T60 {T60} s": lambda: augment.reverberate(crop, response),
        f"babble of {VOICES}": with_added(lambda: augment.babble(others)),
        "music, generated": with_added(lambda: music(rng, samples, rate)),
        "noise, generated": with_added(lambda: augment.coloured_noise(rng, samples)),
        "clipping": lambda: augment.clip(crop, 0.02),
        "level": lambda: augment.change_level(crop, -6.0),
        "telephone": lambda: telephone(crop, rate),
        "Opus, 8 kbit/s": lambda: opus(crop, rate, 8),
        "Opus, 16 kbit/s": lambda: opus(crop, rate, 16),
        "Opus, 32 kbit/s": lambda: opus(crop, rate, 32),
    }


def milliseconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - begin)


def time_rooms(count: int, rate: int, workers: int) -> float:
    """Seconds that a bank takes, T60 from 0.15 to 0.9 s."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        build_rooms(Path(folder), rate, count=count, t60=(0.15, 0.9), seed=SEED, workers=workers)
        return time.perf_counter() - begin


def main() -> None:
    """Read the options, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of the crop; at least 1")
    parser.add_argument("--rate", type=int, default=16000, help="samples a second; at least 8000")
    parser.add_argument("--rounds", type=int, default=21, help="times that each effect is timed; their median counts")
    parser.add_argument("--rooms", type=int, default=40, help="rooms to simulate, after the effects; 0: none")
    parser.add_argument("--workers", type=int, default=2, help="processes that simulate them")
    options = parser.parse_args()

    chain = effects(options.seconds, options.rate)
    times: dict[str, list[float]] = {name: [] for name in chain}
    for run in chain.values():
        run()  # warms up
    for _ in range(options.rounds):
        for name, run in chain.items():
            times[name].append(milliseconds(run))
    print(f"a crop of {options.seconds:g} s at {options.rate} Hz, one thread, median of {options.rounds}")
    for name, values in times.items():
        print(f"{name:18} {statistics.median(values):7.2f} ms   ({min(values):.2f} to {max(values):.2f})")
    if options.rooms:
        seconds = time_rooms(options.rooms, options.rate, options.workers)
        each = f"{1000 * seconds / options.rooms:.0f} ms a room"
        print(f"{options.rooms} rooms in {options.workers} processes: {seconds:.1f} s, {each}")


if __name__ == "__main__":
    main()
