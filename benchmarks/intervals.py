"""Intervals of every figure of a trial list: 1,000 draws of the speakers.

The scores are normally distributed, those of target trials three deviations above the others; the log-likelihood ratios
are in another order than the scores, as a calibration with quality terms has them. Prints the seconds and the peak of
the process's memory; the last line fails beyond 10 s for a list of up to 100,000 trials, or 1,000 replicates.

    python benchmarks/intervals.py
    python benchmarks/intervals.py --trials 10000000 --speakers 1000 --replicates 20
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time

import numpy as np

from acanet.evaluation.figures.intervals import measure

DISTANCE, TARGET_SHARE = 3.0, 0.1
MOST_SECONDS, MOST_TRIALS, MOST_REPLICATES = 10.0, 100_000, 1000


def peak() -> int:
    """The most memory that the process has held, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def main() -> None:
    """Time the intervals of a system without and with a calibration."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=88_000)
    parser.add_argument("--speakers", type=int, default=125)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    target = rng.random(chosen.trials) < TARGET_SHARE
    enrol = rng.integers(chosen.speakers, size=chosen.trials)
    others = (enrol + rng.integers(1, chosen.speakers, size=chosen.trials)) % chosen.speakers
    test = np.where(target, enrol, others)
    scores = rng.normal(size=chosen.trials) + DISTANCE * target
    llrs = DISTANCE * (scores + 0.1 * rng.normal(size=chosen.trials)) - DISTANCE**2 / 2
    print(f"{chosen.trials:,} trials, {np.count_nonzero(target):,} target: peak {peak() / 1e9:.2f} GB")
    slowest = 0.0
    for name, ratios in (("scores alone", None), ("scores and ratios", llrs)):
        times = []
        for _ in range(chosen.rounds):
            begin = time.perf_counter()
            figures = measure(scores, target, enrol, test, llrs=ratios, replicates=chosen.replicates)
            times.append(time.perf_counter() - begin)
        median = statistics.median(times)
        each = 1000 * median / chosen.replicates
        print(f"{name}: {len(figures)} figures, {median:.2f} s, {each:.2f} ms a draw, peak {peak() / 1e9:.2f} GB")
        slowest = max(slowest, median)
    bound = chosen.trials <= MOST_TRIALS and chosen.replicates <= MOST_REPLICATES
    if bound and slowest > MOST_SECONDS:
        sys.exit(f"more than {MOST_SECONDS:g} s")


if __name__ == "__main__":
    main()
