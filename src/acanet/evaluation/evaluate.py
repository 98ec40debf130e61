"""A model on a trial list: audio -> embeddings -> cosines -> error rates."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from acanet import __version__
from acanet.audio import Waveform, content_hash, decode, resample
from acanet.data.manifest import Utterance, read_manifest
from acanet.data.trials import Trials, check_labels, read_trials, resolve, speakers_from_targets
from acanet.errors import SeenInTraining, TooShort
from acanet.evaluation.metrics import Interval, bootstrap, eer, eer_threshold, min_dcf
from acanet.evaluation.report import Card, Counts, Measure, Result
from acanet.scoring.cosine import cosine

BATCH_SECONDS = 120.0
DECODE_AHEAD = 16  # utterances
SHOWN = 3

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Embedder(Protocol):
    """What can be evaluated."""

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    @property
    def rate(self) -> int:
        """Samples a second that it wants."""
        ...

    @property
    def needed_seconds(self) -> float:
        """Recordings shorter than this have no embedding."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of all that its embeddings depend on."""
        ...

    @property
    def training_speakers(self) -> frozenset[str]:
        """Whom it heard in training, as manifests name them."""
        ...

    @property
    def training_audio(self) -> frozenset[str]:
        """`content_hash` of each recording that it was trained on."""
        ...

    def embed_waveforms(self, waveforms: list[Waveform]) -> NDArray[np.float32]:
        """(samples,) each, of any lengths -> (waveforms, dim), unit length."""
        ...


def evaluate(
    encoder: Embedder,
    trials_path: str | Path,
    *,
    manifest: Path | None = None,
    audio_root: Path | None = None,
    seen: bool = False,
    seed: int = 0,
    replicates: int = 1000,
) -> Result:
    """Score every trial of a list and measure the errors.

    Each utterance is embedded once, whole: there is no speech detection, so that every trial has a score, as
    published figures have it.

    Args:
        encoder: the model.
        trials_path: see `read_trials`.
        manifest: names the speakers, and resolves the names in the list.
        audio_root: where paths in the list start; with a manifest, None is the manifest's own folder.
        seen: report figures on speakers or recordings of the training, too; the card will say so.
        seed: of the bootstrap.
        replicates: of the bootstrap.

    Raises:
        BadTrials, BadManifest: for a list or manifest that cannot be used, or that contradict each other.
        BadAudio: for a recording that cannot be read, with its path.
        TooShort: for a recording shorter than the model needs.
        SeenInTraining: for training data, unless `seen`; speakers are looked at before anything is decoded.
        ValueError: with neither a manifest nor an audio root, or for embeddings that are not finite.
    """
    began = time.perf_counter()
    trials = read_trials(trials_path)
    utterances, speakers = who_speaks(trials, manifest, audio_root)
    if not seen:
        _refuse_known_speakers(encoder, utterances)
    embeddings, seconds = _embed(encoder, utterances, frozenset() if seen else encoder.training_audio)
    scores = cosine(embeddings, trials.enrol, trials.test)
    target = trials.target
    intervals = bootstrap(
        scores, target, speakers[trials.enrol], speakers[trials.test], replicates=replicates, seed=seed
    )
    card = Card(
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        trial_list=trials.path.name,
        trial_list_sha256=trials.sha256,
        counts=_counts(trials, speakers),
        speakers_from="target trials" if manifest is None else "manifest",
        eer=_measure(eer(scores, target), intervals.eer),
        min_dcf_001=_measure(min_dcf(scores, target, 0.01), intervals.min_dcf[0.01]),
        min_dcf_005=_measure(min_dcf(scores, target, 0.05), intervals.min_dcf[0.05]),
        eer_threshold=eer_threshold(scores, target),
        replicates=replicates,
        seed=seed,
        seen=seen,
        audio_hours=seconds / 3600,
        wall_seconds=time.perf_counter() - began,
        versions=_versions(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return Result(card, trials, speakers, scores)


def who_speaks(
    trials: Trials, manifest: Path | None, audio_root: Path | None
) -> tuple[list[Utterance], NDArray[np.intp]]:
    """The utterance of each name of a list, and its speaker as a number, (names,).

    Args:
        trials: the list.
        manifest, audio_root: as in `evaluate`.

    Raises:
        BadTrials, BadManifest: for a list or manifest that cannot be used, or that contradict each other.
        ValueError: with neither a manifest nor an audio root.
    """
    if manifest is None:
        utterances = resolve(trials, audio_root=audio_root)
        speakers = speakers_from_targets(trials)
    else:
        utterances = resolve(trials, manifest=read_manifest(manifest), audio_root=audio_root or manifest.parent)
        speakers = np.unique([utterance.speaker for utterance in utterances], return_inverse=True)[1]
    check_labels(trials, speakers)
    return utterances, speakers


def _refuse_known_speakers(encoder: Embedder, utterances: Sequence[Utterance]) -> None:
    known = sorted({utterance.speaker for utterance in utterances} & encoder.training_speakers)
    if known:
        more = ", ..." if len(known) > SHOWN else ""
        heard = f"{len(known)} speakers ({', '.join(known[:SHOWN])}{more})"
        raise SeenInTraining(f"{encoder.name} was trained on {heard} of this trial list")


def _embed(
    encoder: Embedder, utterances: Sequence[Utterance], forbidden: frozenset[str]
) -> tuple[NDArray[np.float32], float]:
    """Embeddings, (utterances, dim), and how many seconds of audio there were."""
    order = sorted(range(len(utterances)), key=lambda index: _length_hint(utterances[index]))

    def read(index: int) -> Waveform:
        utterance = utterances[index]
        waveform, rate = decode(utterance.path, start=utterance.start, duration=utterance.duration)
        if forbidden and content_hash(waveform) in forbidden:
            raise SeenInTraining(f"{encoder.name} was trained on {utterance.path}")
        if len(waveform) < encoder.needed_seconds * rate:
            raise TooShort(str(utterance.path), len(waveform) / rate, encoder.needed_seconds)
        return resample(waveform, rate, encoder.rate)

    parts = []
    samples = 0
    with _progress() as progress:
        task = progress.add_task("embedding", total=len(order))
        for batch in _batches(_ahead(read, order), round(BATCH_SECONDS * encoder.rate)):
            parts.append(encoder.embed_waveforms(batch))
            samples += sum(map(len, batch))
            progress.advance(task, len(batch))
    embeddings = np.concatenate(parts)
    restored = np.empty_like(embeddings)
    restored[order] = embeddings
    return restored, samples / encoder.rate


def _length_hint(utterance: Utterance) -> tuple[float, int]:
    """Sorts utterances by length as far as it is known without decoding: seconds, else bytes."""
    if utterance.duration is not None:
        return utterance.duration, 0
    return 0.0, os.path.getsize(utterance.path) if utterance.path.is_file() else 0


def _ahead(function: Callable[[Item], Outcome], items: Iterable[Item]) -> Iterator[Outcome]:
    """`map` in a thread of its own, which works up to `DECODE_AHEAD` items ahead."""
    pending: deque[Future[Outcome]] = deque()
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > DECODE_AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(waveforms: Iterable[Waveform], most: int) -> Iterator[list[Waveform]]:
    """In order, up to `most` samples together; a longer waveform goes alone."""
    batch: list[Waveform] = []
    samples = 0
    for waveform in waveforms:
        if batch and samples + len(waveform) > most:
            yield batch
            batch, samples = [], 0
        batch.append(waveform)
        samples += len(waveform)
    if batch:
        yield batch


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _counts(trials: Trials, speakers: NDArray[np.intp]) -> Counts:
    targets = int(trials.target.sum())
    return Counts(
        trials=len(trials),
        targets=targets,
        nontargets=len(trials) - targets,
        utterances=len(trials.names),
        speakers=len(np.unique(speakers)),
    )


def _measure(value: float, interval: Interval) -> Measure:
    return Measure(value=value, low=interval.low, high=interval.high)


def _versions() -> dict[str, str]:
    """Of acanet, Python and what the figures were computed with, as far as it was loaded."""
    packages = [name for name in ("numpy", "soundfile", "soxr", "torch", "onnxruntime") if name in sys.modules]
    return {
        "acanet": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
