"""Where training finds its audio: decoded once into one file that is mapped into memory, or each crop in its file."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from acanet.audio.blocks import Waveform
from acanet.audio.recording import content_hash, read_audio
from acanet.audio.resample import resample
from acanet.config.files import write_text, written
from acanet.config.scratch import sweep
from acanet.data.lists.manifest import Utterance
from acanet.data.lists.recording import errors_of, read_utterance
from acanet.data.parallel import spread
from acanet.errors import AcanetError, BadAudio, few

_SCALE = 32768.0


class LeftOutWarning(UserWarning):
    """Recordings that cannot be read, and that training goes on without."""


class Audio(Protocol):
    """Utterances by number, at one rate."""

    @property
    def hashes(self) -> tuple[str, ...]:
        """The content hash of every utterance."""
        ...

    def __len__(self) -> int:
        """The number of utterances."""
        ...

    def samples(self, utterance: int) -> int:
        """The length of an utterance in samples."""
        ...

    def read(self, utterance: int, start: int, samples: int) -> Waveform:
        """The samples from `start` on, (samples,) float32 in [-1, 1]; an utterance that ends earlier begins again."""
        ...


@dataclass(frozen=True)
class AudioCache:
    """Decoded utterances, 16 bit, in the order of the manifests that the cache was made from.

    Attributes:
        path: of the samples.
        offsets: of every utterance, and the end of the last one, in samples.
        hashes: content hash of every utterance.
        failures: place in the manifests, and the reason, of each utterance that is not here: it cannot be read.
    """

    path: Path
    offsets: tuple[int, ...]
    hashes: tuple[str, ...]
    failures: tuple[tuple[int, str], ...] = ()

    @property
    def kept(self) -> list[int]:
        """The places in the manifests of the utterances that are here."""
        lost = {place for place, _ in self.failures}
        return [place for place in range(len(self) + len(lost)) if place not in lost]

    def __len__(self) -> int:
        return len(self.hashes)

    def samples(self, utterance: int) -> int:
        """The length of an utterance in samples."""
        return self.offsets[utterance + 1] - self.offsets[utterance]

    def read(self, utterance: int, start: int, samples: int) -> Waveform:
        """The samples from `start` on, (samples,) float32 in [-1, 1]; an utterance that ends earlier begins again."""
        length = self.samples(utterance)
        first = self.offsets[utterance]
        if start + samples <= length:
            pcm = self._pcm[first + start : first + start + samples]
        else:
            pcm = self._pcm[first + np.arange(start, start + samples) % length]
        return _from_pcm(pcm)

    @cached_property
    def _pcm(self) -> NDArray[np.int16]:
        return np.memmap(self.path, dtype="<i2", mode="r")


@dataclass(frozen=True)
class AudioFiles:
    """Utterances in their files, of which each crop is decoded when it is asked for."""

    utterances: tuple[Utterance, ...]
    lengths: tuple[int, ...]  # in samples
    hashes: tuple[str, ...]
    rate: int

    def __len__(self) -> int:
        return len(self.hashes)

    def samples(self, utterance: int) -> int:
        """The length of an utterance in samples."""
        return self.lengths[utterance]

    def read(self, utterance: int, start: int, samples: int) -> Waveform:
        """The samples from `start` on, (samples,) float32 in [-1, 1]; an utterance that ends earlier begins again.

        Raises:
            BadAudio: when the file cannot be decoded.
        """
        whole, length = self.utterances[utterance], self.lengths[utterance]
        first, count = (start, samples) if start + samples <= length else (0, length)
        with errors_of(whole.path):
            waveform, have = read_audio(whole.path, start=whole.start + first / self.rate, duration=count / self.rate)
        # Rounding to the file's own samples may lose the last one.
        piece: Waveform = np.resize(_from_pcm(_to_pcm(resample(waveform, have, self.rate))), count)
        return piece if count == samples else piece[np.arange(start, start + samples) % length]


def open_files(utterances: Sequence[Utterance], rate: int) -> AudioFiles:
    """Utterances of prepared manifests, which tell their lengths and hashes, without touching the audio.

    Raises:
        AcanetError: for an utterance without them.
    """
    for utterance in utterances:
        if utterance.duration is None or "audio_hash" not in utterance.fields:
            raise AcanetError(
                f"{utterance.id}: its manifest does not tell its duration and hash; write it with `acanet prepare`, or "
                "decode everything once (data.decode: once)"
            )
    lengths = tuple(int((utterance.duration or 0.0) * rate) for utterance in utterances)
    hashes = tuple(str(utterance.fields["audio_hash"]) for utterance in utterances)
    return AudioFiles(tuple(utterances), lengths, hashes, rate)


def build_cache(utterances: Sequence[Utterance], folder: Path, rate: int, workers: int) -> AudioCache:
    """Decode utterances into one file in `folder`, or find the file that an earlier call made of the same ones.

    What cannot be read is left out, told in `failures`, and tried again by the next call.

    Args:
        utterances: what to read.
        folder: where caches live; each is named by a hash of what is in it.
        rate: samples a second to keep.
        workers: processes that read; 0 or 1: this one.

    Raises:
        BadAudio: when no file can be decoded; nothing is left behind.
        AcanetError: when a process dies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    base = folder / _key(utterances, rate)
    audio, index = base.with_suffix(".i16"), base.with_suffix(".json")
    found = _found(audio, index)
    if found is None or any(not isinstance(_decode(utterances[place], rate), str) for place, _ in found.failures):
        index.unlink(missing_ok=True)  # before the samples that it is of
        _decode_all(utterances, rate, workers, audio, index)
        found = _found(audio, index)
    assert found is not None
    return found


def warn_of_failures(cache: AudioCache, utterances: Sequence[Utterance]) -> None:
    """Tell of the utterances that a cache was to be made from, and that it goes on without.

    Warns:
        LeftOutWarning: naming some, with what is wrong.
    """
    if cache.failures:
        some = few([f"{utterances[place].path} ({reason})" for place, reason in cache.failures])
        count = f"{len(cache.failures):,} of {len(utterances):,} recordings"
        warnings.warn(f"{count} cannot be read, and are left out: {some}", LeftOutWarning, stacklevel=2)


def _found(audio: Path, index: Path) -> AudioCache | None:
    """The cache with that index; None where there is none."""
    if not index.exists():
        return None
    stored = json.loads(index.read_text(encoding="utf-8"))
    failures = tuple((place, reason) for place, reason in stored.get("failures", ()))
    return AudioCache(audio, tuple(stored["offsets"]), tuple(stored["hashes"]), failures)


def _decode_all(utterances: Sequence[Utterance], rate: int, workers: int, audio: Path, index: Path) -> None:
    offsets, hashes, failures = [0], [], []
    rates = [rate] * len(utterances)
    decoded = spread(_decode, utterances, rates, workers=workers)
    with written(audio) as file:
        for place, found in enumerate(track(decoded, "Decoding", len(utterances), console=Console(stderr=True))):
            if isinstance(found, str):
                failures.append((place, found))
                continue
            pcm, content = found
            file.write(pcm.tobytes())
            offsets.append(offsets[-1] + len(pcm))
            hashes.append(content)
        if not hashes:
            raise BadAudio(
                str(utterances[0].path), f"{failures[0][1]}; none of {len(failures):,} recordings can be read"
            )
    write_text(index, json.dumps({"offsets": offsets, "hashes": hashes, "failures": failures}))


def _decode(utterance: Utterance, rate: int) -> tuple[NDArray[np.int16], str] | str:
    """The samples of an utterance in 16 bit, (samples,), and its content hash; or why it cannot be read."""
    try:
        waveform, have = read_utterance(utterance)
    except BadAudio as error:
        return error.reason
    except AcanetError as error:
        return str(error)
    return _to_pcm(resample(waveform, have, rate)), content_hash(waveform)


def _to_pcm(waveform: Waveform) -> NDArray[np.int16]:
    pcm: NDArray[np.int16] = np.clip(np.rint(waveform * _SCALE), -_SCALE, _SCALE - 1).astype("<i2")
    return pcm


def _from_pcm(pcm: NDArray[np.int16]) -> Waveform:
    return pcm.astype(np.float32) / np.float32(_SCALE)


def _key(utterances: Sequence[Utterance], rate: int) -> str:
    """The name of a cache: a hash of the files' paths, sizes and times, so that changed audio is decoded anew."""
    digest = hashlib.sha256(str(rate).encode())
    for utterance in utterances:
        try:
            facts = utterance.path.stat()
            file = facts.st_size, facts.st_mtime_ns
        except (OSError, ValueError):  # which reading it will tell
            file = None
        digest.update(repr((str(utterance.path), utterance.start, utterance.duration, file)).encode())
    return digest.hexdigest()[:16]
