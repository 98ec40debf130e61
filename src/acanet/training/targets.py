"""What a teacher says of the training speech: of whole utterances, computed once and kept, or of each crop."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from acanet.config.files import written
from acanet.config.scratch import sweep
from acanet.data.feed.batches import Batch
from acanet.data.feed.cache import Audio
from acanet.data.feed.whole import whole_at
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
        return self.network.embed_waveforms(list(np.asarray(batch.clean)))


class UtteranceTeacher:
    """A teacher that heard each utterance once, whole, at every speed.

    Args:
        table: (utterances, speeds, dim), see `utterance_targets`.
    """

    def __init__(self, table: Targets) -> None:
        self.table, self.dim = table, table.shape[2]

    def targets(self, batch: Batch) -> Targets:
        """See `Teacher.targets`."""
        chosen: Targets = self.table[np.asarray(batch.utterances), np.asarray(batch.speeds)]
        return chosen


def open_teacher(bundle: Bundle, rate: int, threads: int) -> Network:
    """A teacher that is ready to run.

    Args:
        bundle: the model.
        rate: samples a second of the training speech.
        threads: that work on one recording.

    Raises:
        BadConfig: for a teacher that hears another rate.
        AcanetError: as `load_network`.
    """
    network = load_network(bundle, threads=threads)
    if network.rate != rate:
        problem = f"the teacher hears {network.rate:,} Hz, the model that learns {rate:,} Hz; both need the same rate"
        raise BadConfig("teacher.bundle", [problem])
    return network


def utterance_targets(
    network: Network, fingerprint: str, audio: Audio, speeds: Sequence[float], folder: Path
) -> Targets:
    """The embeddings that a teacher gives for whole utterances, computed, or found where an earlier call left them.

    Every shard of utterances is a file of its own, written as it is done, so what was interrupted goes on there, and a
    list that grew at its end keeps what there is.

    Args:
        network: the teacher.
        fingerprint: of its model.
        audio: the utterances.
        speeds: beside their own, at which it hears them.
        folder: where the targets are kept, each shard under a name that tells of the teacher, the speeds and the audio.

    Returns:
        (utterances, 1 + speeds, dim), of unit length, own speed first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    shards = [range(first, min(first + _SHARD, len(audio))) for first in range(0, len(audio), _SHARD)]
    paths = [folder / f"{_key(fingerprint, audio, shard, speeds, network)}.npy" for shard in shards]
    missing = [place for place, path in enumerate(paths) if not path.exists()]
    for place in track(missing, "What the teacher says", console=Console(stderr=True)) if missing else ():
        heard = [wave for utterance in shards[place] for wave in whole_at(audio, utterance, network.rate, speeds)]
        said = network.embed_waveforms(heard).reshape(len(shards[place]), 1 + len(speeds), network.dim)
        with written(paths[place]) as file:
            np.save(file, said, allow_pickle=False)
    return np.concatenate([np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) for path in paths])


def _key(fingerprint: str, audio: Audio, shard: range, speeds: Sequence[float], network: Network) -> str:
    told = repr((fingerprint, network.rate, tuple(speeds), [audio.hashes[utterance] for utterance in shard]))
    return hashlib.sha256(told.encode()).hexdigest()[:24]
