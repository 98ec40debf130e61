"""Trials a second, once embeddings exist: lists and all against all, by each back-end.

Every back-end works once on each embedding (`prepare`), then on pairs. Before anything is timed, both ways of scoring
pairs must give the scores that the formula of the back-end gives in float64.

    python benchmarks/scoring.py                                  # a list of 10 million trials
    python benchmarks/scoring.py --trials 1000000 --rounds 3 --threads 1
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable

DIM, TRAINING, TOP, SEED = 192, 2000, 200, 0
LEAST_RATE, MOST_BYTES = 1e6, 100e6
CHECKED, TOLERANCE = 2000, 1e-3


def main() -> None:
    """Read the options, check, time, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", type=int, default=10_000, help="that the list and the matrix compare")
    parser.add_argument("--trials", type=int, default=10_000_000, help="of the list")
    parser.add_argument("--cohort", type=int, default=4_000, help="entries")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median counts")
    parser.add_argument("--threads", type=int, default=2, help="of matrix products")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)  # before numpy is loaded
    run(options)


def run(options: argparse.Namespace) -> None:
    import numpy as np

    from acanet.scoring.cosine import cosine_rows
    from acanet.scoring.normalise import SNorm
    from acanet.scoring.pairs import all_pairs
    from acanet.scoring.plda import Origin, Plda

    generator = np.random.default_rng(SEED)

    def embeddings(rows: int, takes: int = 1) -> np.ndarray:
        voices = np.repeat(generator.standard_normal((rows // takes, DIM)), takes, axis=0)
        return (voices + 0.5 * generator.standard_normal(voices.shape)).astype(np.float32)

    held, cohort = embeddings(options.embeddings), embeddings(options.cohort)
    speakers = [str(row // 5) for row in range(TRAINING)]
    origin = Origin(fingerprint="0", data=("drawn",), speakers=frozenset(speakers), utterances=TRAINING)
    backends: dict[str, Callable] = {
        "cosine": cosine_rows,
        "snorm": SNorm(cohort).rows,
        "asnorm": SNorm(cohort, TOP).rows,
        "plda": Plda.train(embeddings(TRAINING, 5), speakers, origin).rows,
    }
    enrol, test = generator.integers(0, len(held), (2, options.trials))
    print(
        f"{len(held):,} embeddings, {options.trials:,} trials, {options.threads} threads, medians of {options.rounds}"
    )
    slow = []
    for name, prepare in backends.items():
        rows = prepare(held)
        check(name, rows, all_pairs)
        prepared = seconds(lambda prepare=prepare: prepare(held), options.rounds)
        before = peak()
        listed = options.trials / seconds(lambda rows=rows: rows.pairs(enrol, test), options.rounds)
        beyond = max(0, peak() - before - 4 * options.trials)
        matrix = len(held) ** 2 / seconds(lambda rows=rows: [None for _ in all_pairs(rows, rows)], options.rounds)
        print(
            f"{name:7} prepare {prepared:6.2f} s; list {listed / 1e6:6.1f} million trials a second, "
            f"{beyond / 1e6:.0f} MB beyond the scores; all against all {matrix / 1e6:6.0f} million a second"
        )
        if min(listed, matrix) < LEAST_RATE or beyond > MOST_BYTES:
            slow.append(name)
    if slow:
        sys.exit(f"less than a million trials a second, or more than {MOST_BYTES / 1e6:.0f} MB: {', '.join(slow)}")


def check(name: str, rows, all_pairs: Callable) -> None:
    """Both ways of scoring pairs give what the terms of `rows` say in float64."""
    import numpy as np

    some = rows[: int(CHECKED**0.5)]
    vectors, gains, offsets = (part.astype(np.float64) for part in (some.vectors, some.gains, some.offsets))
    want = (gains[:, None] + gains) * (vectors @ vectors.T) + offsets[:, None] + offsets
    one, other = np.indices(want.shape).reshape(2, -1)
    listed = some.pairs(one, other).reshape(want.shape)
    matrix = np.empty_like(want)
    for down, across, scores in all_pairs(some, some, 16):
        matrix[down, across] = scores
    difference = max(abs(listed - want).max(), abs(matrix - want).max())
    if not difference < TOLERANCE:
        sys.exit(f"{name}: scores differ by {difference:.1e} from the formula")


def seconds(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def peak() -> int:
    """The most memory that the process has held, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


if __name__ == "__main__":
    main()
