"""Utterances -> embeddings, each utterance once, while the next ones are being decoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from acanet.audio.blocks import Waveform
from acanet.audio.recording import content_hash
from acanet.audio.resample import resample
from acanet.data.lists.manifest import Utterance
from acanet.data.lists.recording import read_utterance
from acanet.encoder import Encoder
from acanet.errors import AcanetError, SeenInTraining, few
from acanet.runtime.ahead import ahead
from acanet.speech.speech import require_length
from acanet.speech.steps import speech_in

BATCH_SECONDS = 120.0
DECODE_AHEAD = 16  # utterances

Change = Callable[[Waveform, int], Waveform]
"""What happens to an utterance before it is embedded: (samples,) at the model's rate and its place among the
utterances -> (samples,)."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """Utterances as a model sees them.

    Attributes:
        embeddings: (utterances, dim) of unit length.
        seconds: (utterances,) of audio.
        speech: (utterances,) seconds of speech; None where nobody asked for them.
        hashes: `content_hash` of each as it was recorded.
    """

    embeddings: NDArray[np.float32]
    seconds: NDArray[np.float64]
    speech: NDArray[np.float64] | None
    hashes: tuple[str, ...]


def embed_utterances(
    encoder: Encoder,
    utterances: Sequence[Utterance],
    *,
    forbidden: frozenset[str] = frozenset(),
    change: Change | None = None,
    measure_speech: bool = False,
    label: str = "embedding",
) -> Embedded:
    """Embed utterances whole: there is no speech detection, so that every one has an embedding.

    Args:
        encoder: the model.
        utterances: what to embed.
        forbidden: `content_hash` of recordings that it must not have been trained on.
        change: what happens to each before; it runs in a thread of its own.
        measure_speech: find out how many seconds of speech there are, after the change.
        label: of the progress bar.

    Raises:
        BadAudio: for a recording that cannot be read, with its path.
        TooShort: for a recording shorter than the model needs.
        SeenInTraining: for a forbidden recording.
    """
    order = sorted(range(len(utterances)), key=lambda index: _length_hint(utterances[index]))
    seconds = np.empty(len(utterances))
    speech = np.empty(len(utterances)) if measure_speech else None
    hashes = [""] * len(utterances)

    def read(index: int) -> Waveform:
        utterance = utterances[index]
        waveform, rate = read_utterance(utterance)
        hashes[index] = content_hash(waveform)
        if hashes[index] in forbidden:
            raise SeenInTraining(f"{encoder.name} was trained on {utterance.path}")
        waveform = resample(waveform, rate, encoder.rate)
        if change is not None:
            waveform = change(waveform, index)
        seconds[index] = len(waveform) / encoder.rate
        require_length(seconds[index], encoder.needed_seconds, str(utterance.path))
        return waveform

    parts = []
    heard = iter(order)
    with _progress() as progress:
        task = progress.add_task(label, total=len(order))
        for batch in _batches(ahead(read, order, workers=1, most=DECODE_AHEAD), round(BATCH_SECONDS * encoder.rate)):
            if speech is None:
                parts.append(encoder.embed_waveforms(batch))
            else:
                found = encoder.network.hear(batch)
                parts.append(np.stack([each.embedding for each in found]))
                for each, index in zip(found, heard, strict=False):
                    speech[index] = speech_in(each.speech, seconds[index]).seconds
            progress.advance(task, len(batch))
    embeddings = np.concatenate(parts)
    restored = np.empty_like(embeddings)
    restored[order] = embeddings
    return Embedded(restored, seconds, speech, tuple(hashes))


def refuse_known_speakers(encoder: Encoder, utterances: Sequence[Utterance]) -> None:
    """See that nobody is evaluated whom the model heard in training, as far as names tell.

    Raises:
        SeenInTraining: naming some of those who were.
    """
    known = sorted({utterance.speaker for utterance in utterances} & encoder.training_speakers)
    if known:
        heard = f"{len(known)} speakers ({few(known)})"
        raise SeenInTraining(f"{encoder.name} was trained on {heard} of this trial list")


def refuse_trimming(encoder: Encoder) -> None:
    """See that an encoder embeds whole recordings, as evaluation does.

    Raises:
        AcanetError: when it cuts out pauses: its fingerprint would stand for embeddings that are not trimmed.
    """
    if encoder.trims:
        raise AcanetError(f"{encoder.name} trims, but this works on recordings as they are; load it without trim=True")


def _length_hint(utterance: Utterance) -> tuple[float, int]:
    """A key that sorts utterances by length as far as it is known without decoding: seconds, else bytes."""
    if utterance.duration is not None:
        return utterance.duration, 0
    try:
        return 0.0, os.path.getsize(utterance.path)
    except (OSError, ValueError):  # which reading it will tell
        return 0.0, 0


def _batches(waveforms: Iterable[Waveform], most: int) -> Iterator[list[Waveform]]:
    """Batches of waveforms in order, up to `most` samples together; a longer waveform goes alone."""
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
