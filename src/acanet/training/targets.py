"""What a teacher says of the training speech: of whole utterances, computed once and kept, or of each crop."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from acanet.config.files import written
from acanet.config.scratch import sweep
from acanet.data.augment.voices import Voice
from acanet.data.feed.batches import Batch
from acanet.data.feed.cache import Audio
from acanet.data.feed.whole import whole_in
from acanet.data.parallel import spread
from acanet.errors import BadConfig
from acanet.runtime.bundle import Bundle
from acanet.runtime.load import load_network
from acanet.runtime.network import Network

_SHARD = 64
"""Utterances whose targets are computed, written and found together."""

Targets = NDArray[np.float32]


class Teacher(Protocol):
    """A model that tells what the embeddings of a batch should be."""

    @property
    def dim(self) -> int:
        """Numbers in an embedding of it."""
        ...

    def targets(self, batch: Batch) -> Targets:
        """Its embeddings for the crops of a batch, (rows, dim)."""
        ...


class CropTeacher:
    """A teacher that hears each crop before its effects.

    Args:
        network: the teacher.
    """

    def __init__(self, network: Network) -> None:
        self.network, self.dim = network, network.dim

    def targets(self, batch: Batch) -> Targets:
        """See `Teacher.targets`; the batch has to hold its crops clean."""
        assert batch.clean is not None
        return self.network.embed_waveforms(list(batch.clean))


class UtteranceTeacher:
    """A teacher that heard each utterance once, whole, in every voice.

    Args:
        table: (utterances, voices, dim), see `utterance_targets`.
    """

    def __init__(self, table: Targets) -> None:
        self.table, self.dim = table, table.shape[2]

    def targets(self, batch: Batch) -> Targets:
        """See `Teacher.targets`."""
        chosen: Targets = self.table[batch.utterances, batch.voices]
        return chosen


def open_teacher(bundle: Bundle, rate: int) -> Network:
    """A teacher that is ready to run, on one thread.

    Args:
        bundle: the model.
        rate: samples a second of the training speech.

    Raises:
        BadConfig: for a teacher that hears another rate.
        AcanetError: as `load_network`.
    """
    network = load_network(bundle)
    if network.rate != rate:
        problem = f"the teacher hears {network.rate:,} Hz, the model that learns {rate:,} Hz; both need the same rate"
        raise BadConfig("teacher.bundle", [problem])
    return network


def utterance_targets(bundle: Bundle, audio: Audio, voices: Sequence[Voice], folder: Path, workers: int) -> Targets:
    """The embeddings that a teacher gives for whole utterances, computed, or found where an earlier call left them.

    Every shard of utterances is a file of its own, written as it is done, so what was interrupted goes on there, and a
    list that grew at its end keeps what there is.

    Args:
        bundle: the teacher.
        audio: the utterances, at its rate.
        voices: beside their own, in which it hears them.
        folder: where the targets are kept, each shard under a name that tells of the teacher, the voices and the audio.
        workers: processes that compute; 0 or 1: this one.

    Returns:
        (utterances, 1 + voices, dim), of unit length, that of their own voice first.

    Raises:
        AcanetError: as `load_network`, and when a process dies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    shards = [range(first, min(first + _SHARD, len(audio))) for first in range(0, len(audio), _SHARD)]
    paths = [folder / f"{_key(bundle, audio, shard, voices)}.npy" for shard in shards]
    missing = [
        _Shard(bundle.folder, audio, shards[i], tuple(voices), path)
        for i, path in enumerate(paths)
        if not path.exists()
    ]
    if missing:
        done = spread(_write, missing, workers=workers)
        for _ in track(done, "What the teacher says", len(missing), console=Console(stderr=True)):
            pass
    return np.concatenate([np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) for path in paths])


@dataclass(frozen=True)
class _Shard:
    teacher: Path
    audio: Audio
    utterances: range
    voices: tuple[Voice, ...]
    path: Path


def _write(shard: _Shard) -> None:
    """Compute the targets of a shard, and write them."""
    network = _network(shard.teacher)
    heard = [
        waveform
        for utterance in shard.utterances
        for waveform in whole_in(shard.audio, utterance, network.rate, shard.voices)
    ]
    said = network.embed_waveforms(heard).reshape(len(shard.utterances), 1 + len(shard.voices), network.dim)
    with written(shard.path) as file:
        np.save(file, said, allow_pickle=False)


@lru_cache(maxsize=1)
def _network(folder: Path) -> Network:
    return load_network(Bundle.load(folder))


def _key(bundle: Bundle, audio: Audio, shard: range, voices: Sequence[Voice]) -> str:
    """The name of a shard: a hash of all that its targets depend on."""
    hashes = [audio.hashes[utterance] for utterance in shard]
    told = repr((bundle.fingerprint, [tuple(voice) for voice in voices], hashes))
    return hashlib.sha256(told.encode()).hexdigest()[:24]
