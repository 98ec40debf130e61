"""A manifest of 100,000 synthetic entries: written, read and sampled, without any audio.

Sampling draws what training draws (speaker, utterance, crop) for 1,000 batches of 128; the crops themselves are zeros.
Each line gives the seconds and the peak of the process's memory so far; the last one fails beyond 60 s or 2 GB.

    python benchmarks/manifest.py
    python benchmarks/manifest.py --utterances 1200000 --speakers 7000
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acanet.data.augment.effects import Augment
from acanet.data.feed.batches import Phase, TrainingBatches
from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.data.prepare.cuts import write_manifest
from acanet.data.prepare.measure import Measured

RATE, BATCHES, BATCH, CROP_SECONDS = 16000, 1000, 128, (2.0, 3.0)
MOST_SECONDS, MOST_BYTES = 60.0, 2e9


@dataclass(frozen=True)
class Silence:
    """Audio of known lengths in which nothing is heard."""

    lengths: Sequence[int]
    hashes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lengths)

    def samples(self, utterance: int) -> int:
        """Length of an utterance in samples."""
        return self.lengths[utterance]

    def read(self, utterance: int, start: int, samples: int) -> NDArray[np.float32]:
        """(samples,) zeros."""
        return np.zeros(samples, np.float32)


def entries(utterances: int, speakers: int) -> Iterator[tuple[Utterance, Measured]]:
    """Entries such as a corpus has: 4 to 12 s long, with gender, age and session."""
    rng = np.random.default_rng(0)
    for index, samples in enumerate(rng.integers(4 * RATE, 12 * RATE, utterances).tolist()):
        speaker, session = f"s{index % speakers:05d}", f"{index // speakers % 5:02d}"
        name = f"{speaker}/{session}/{index:07d}.flac"
        fields = {"gender": "fm"[index % 2], "age": 20 + index % 50, "session": session}
        measured = Measured(RATE, samples, 1, 0, samples, f"{index:016x}")
        yield Utterance(name, Path("/corpus", name), speaker, name, fields=fields), measured


def sample(utterances: Sequence[Utterance]) -> None:
    """Draw 1,000 batches."""
    number = {name: index for index, name in enumerate(sorted({utterance.speaker for utterance in utterances}))}
    lengths = [round((utterance.duration or 0) * RATE) for utterance in utterances]
    low, high = (round(seconds * RATE) for seconds in CROP_SECONDS)
    phase = Phase(BATCHES, BATCH, (low, high), Augment())
    speakers = [number[utterance.speaker] for utterance in utterances]
    batches = TrainingBatches(Silence(lengths), speakers, [phase], seed=0, rate=RATE)
    for step in range(BATCHES):
        batches[step]


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block takes, and the peak of memory after it."""
    begin = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - begin:.1f} s, peak {peak() / 1e9:.2f} GB")


def peak() -> int:
    """The most memory that the process has held, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def main() -> None:
    """Time the three steps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--utterances", type=int, default=100_000)
    parser.add_argument("--speakers", type=int, default=5_000)
    chosen = parser.parse_args()
    begin = time.perf_counter()
    print(f"at the start: peak {peak() / 1e9:.2f} GB")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.jsonl")
        with timed(f"write {chosen.utterances:,} entries"):
            write_manifest(path, entries(chosen.utterances, chosen.speakers))
        print(f"  a file of {path.stat().st_size / 1e6:.0f} MB")
        with timed("read them"):
            utterances = read_manifest(path)
    with timed(f"sample {BATCHES:,} batches of {BATCH}"):
        sample(utterances)
    seconds = time.perf_counter() - begin
    print(f"all: {seconds:.1f} s, peak {peak() / 1e9:.2f} GB")
    if seconds > MOST_SECONDS or peak() > MOST_BYTES:
        sys.exit(f"more than {MOST_SECONDS:g} s or {MOST_BYTES / 1e9:g} GB")


if __name__ == "__main__":
    main()
