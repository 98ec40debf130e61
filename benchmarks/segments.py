"""How well `acanet segments` tells who speaks when, on conversations made of a manifest's utterances.

A conversation has so many speakers, who take turns of 2 to 8 s (utterances one after the other, from the first to the
last word that the detector hears in each), with pauses, and now and then one begins before the other ends. What was
said when is known from the making: the reference is where the detector hears speech in each utterance alone.

    python benchmarks/segments.py test.jsonl
    python benchmarks/segments.py dev.jsonl --thresholds -1 0 0.5 1 --window 1.5 --hop 0.75    # to choose them
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import track

from acanet import Encoder
from acanet.audio.blocks import Waveform
from acanet.audio.recording import read_audio
from acanet.audio.resample import resample
from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.evaluation.figures.der import DiarizationError, diarization_error
from acanet.runtime.detector import find_speech
from acanet.segments.find import HOP, THRESHOLD, WINDOW, find_conversation
from acanet.segments.rttm import Turn, write_rttm

RATE = 16000
TURNS = 16
TURN_SECONDS = (2.0, 8.0)
BREATH = (0.1, 0.4)
"""Seconds between two utterances of a turn."""
PAUSE = (0.1, 1.0)
"""Seconds between two turns."""
OVERLAPPING = 0.4
"""Of the changes of speaker, the share at which the next begins before the other ends,"""
OVERLAP = (0.5, 2.0)
"""by so many seconds."""
LEVEL = -26.0
"""Of a speaker in decibels of full scale (root mean square), give or take `SPREAD`."""
SPREAD = 3.0
NOISE = -70.0
"""Level of the white noise under everything, so that no pause is digital silence."""


@dataclass(frozen=True)
class Conversation:
    """A recording of which it is known who speaks when.

    Attributes:
        waveform: (samples,) at 16 kHz.
        turns: in which the speakers really talk, apart from each other for each speaker.
    """

    waveform: Waveform
    turns: list[Turn]

    @property
    def overlapped(self) -> float:
        """Share of the time with speech in which two talk."""
        edges = sorted({time for turn in self.turns for time in turn[:2]})
        seconds = [0.0, 0.0, 0.0]
        for start, end in pairwise(edges):
            talking = sum(turn.start <= start < turn.end for turn in self.turns)
            seconds[min(talking, 2)] += end - start
        return seconds[2] / (seconds[1] + seconds[2])


class Voices:
    """The utterances of a manifest by speaker, from first to last word, and where there is speech in them."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self.by_speaker: dict[str, list[Utterance]] = {}
        for utterance in utterances:
            self.by_speaker.setdefault(utterance.speaker, []).append(utterance)
        self._read: dict[str, tuple[Waveform, list[tuple[float, float]]]] = {}

    def read(self, utterance: Utterance) -> tuple[Waveform, list[tuple[float, float]]]:
        """Its samples at 16 kHz from the first word to the last, and the stretches of speech in them."""
        if utterance.id not in self._read:
            waveform, rate = read_audio(utterance.path, start=utterance.start, duration=utterance.duration)
            waveform = resample(waveform, rate, RATE)
            segments = find_speech(waveform, RATE).segments
            first = segments[0][0] if segments else 0.0
            last = segments[-1][1] if segments else 0.0
            moved = [(start - first, end - first) for start, end in segments]
            self._read[utterance.id] = waveform[round(first * RATE) : round(last * RATE)], moved
        return self._read[utterance.id]

    def turn(self, rng: np.random.Generator, queue: list[Utterance]) -> tuple[Waveform, list[tuple[float, float]]]:
        """Utterances of a queue, which loses them, until they last as long as was drawn."""
        wanted, pieces, spoken, at = rng.uniform(*TURN_SECONDS), [], [], 0.0
        while queue and at < wanted:
            waveform, segments = self.read(queue.pop())
            if pieces:
                breath = np.zeros(round(rng.uniform(*BREATH) * RATE), np.float32)
                pieces.append(breath)
                at += len(breath) / RATE
            if at + len(waveform) / RATE > TURN_SECONDS[1] and pieces:
                break
            pieces.append(waveform)
            spoken += [(at + start, at + end) for start, end in segments]
            at += len(waveform) / RATE
        return np.concatenate(pieces), spoken


def conversation(voices: Voices, speakers: int, seed: Sequence[int]) -> Conversation:
    """Make one; the same seed, the same conversation."""
    rng = np.random.default_rng(seed)
    names = [str(name) for name in rng.choice(sorted(voices.by_speaker), speakers, replace=False)]
    queues = {
        name: [voices.by_speaker[name][i] for i in rng.permutation(len(voices.by_speaker[name]))] for name in names
    }
    gains = {name: rng.uniform(-SPREAD, SPREAD) for name in names}
    placed: list[tuple[int, Waveform]] = []
    turns: list[Turn] = []
    end, previous = 0.5, ""
    for number in range(TURNS):
        ready = [name for name in names if queues[name] and (name != previous or speakers == 1)]
        if not ready:
            break
        # Everybody comes once before anybody is drawn.
        name = names[number] if number < speakers else str(rng.choice(ready))
        waveform, spoken = voices.turn(rng, queues[name])
        over = speakers > 1 and number > 0 and rng.random() < OVERLAPPING
        gap = -min(rng.uniform(*OVERLAP), len(waveform) / RATE / 2) if over else rng.uniform(*PAUSE)
        start = max(0.0, end + gap)
        placed.append((round(start * RATE), at_level(waveform, LEVEL + gains[name])))
        turns += [Turn(start + first, start + last, name) for first, last in spoken]
        end, previous = max(end, start + len(waveform) / RATE), name
    mixed = np.zeros(round((end + 0.5) * RATE), np.float32)
    mixed += 10 ** (NOISE / 20) * rng.standard_normal(len(mixed), np.float32)
    for first, waveform in placed:
        mixed[first : first + len(waveform)] += waveform
    return Conversation(np.clip(mixed, -1, 1), turns)


def at_level(waveform: Waveform, decibels: float) -> Waveform:
    """Scaled to that root mean square, relative to 1."""
    rms = float(np.sqrt(np.mean(np.square(waveform)))) if len(waveform) else 0.0
    return waveform * np.float32(10 ** (decibels / 20) / rms) if rms else waveform


@dataclass(frozen=True)
class Answer:
    """What was found in one conversation.

    Attributes:
        speakers: in truth.
        overlapped: share of the time with speech in which two talk.
        errors: by how the number of speakers was known, and whether overlap is scored.
        found: number of speakers, by how it was known.
    """

    speakers: int
    overlapped: float
    errors: dict[tuple[str, bool], DiarizationError]
    found: dict[str, int]


def answers(encoder: Encoder, options: argparse.Namespace) -> Iterator[Answer]:
    """Make the conversations and tell who speaks when in each."""
    voices = Voices(read_manifest(options.manifest))
    for speakers in options.speakers:
        for number in range(options.conversations):
            made = conversation(voices, speakers, [options.seed, speakers, number])
            if options.keep is not None:
                name = f"{speakers}-{number}"
                soundfile.write(options.keep / f"{name}.wav", made.waveform, RATE)
                write_rttm(options.keep / f"{name}.rttm", made.turns, name)
            heard = find_conversation(encoder, made.waveform, rate=RATE, window=options.window, hop=options.hop)
            found = {"known": heard.turns(speakers=speakers)}
            found |= {f"{threshold:g}": heard.turns(threshold=threshold) for threshold in options.thresholds}
            errors = {
                (how, overlap): diarization_error(made.turns, turns, collar=options.collar, overlap=overlap)
                for how, turns in found.items()
                for overlap in (True, False)
            }
            counts = {how: len({turn.speaker for turn in turns}) for how, turns in found.items()}
            yield Answer(speakers, made.overlapped, errors, counts)


def rate_with_interval(errors: Sequence[DiarizationError], seed: int, replicates: int = 1000) -> str:
    """The rate of all together in per cent, and its 95 % interval over draws of the conversations."""
    parts = np.array([(error.miss + error.false_alarm + error.confusion, error.speech) for error in errors])
    drawn = np.random.default_rng(seed).integers(len(parts), size=(replicates, len(parts)))
    wrong, speech = parts[drawn].sum(axis=1).T
    low, high = np.quantile(wrong / speech, (0.025, 0.975))
    return f"{100 * sum(errors, DiarizationError()).rate:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def table(found: Sequence[Answer], seed: int) -> Iterator[str]:
    """A row for each number of speakers and each way to know it, and for all conversations of several speakers."""
    yield "| speakers | number | DER | missed | false alarm | confusion | DER, no overlap scored | right number |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    numbers = sorted({answer.speakers for answer in found})
    groups = {str(number): [answer for answer in found if answer.speakers == number] for number in numbers}
    several = [answer for answer in found if answer.speakers > 1]
    if len(numbers) > 1 and several:
        groups["2 or more"] = several
    for name, group in groups.items():
        for how in group[0].found:
            errors = [answer.errors[how, True] for answer in group]
            total = sum(errors, DiarizationError())
            shares = (f"{100 * part / total.speech:.1f}" for part in (total.miss, total.false_alarm, total.confusion))
            right = sum(answer.found[how] == answer.speakers for answer in group)
            alone = rate_with_interval([answer.errors[how, False] for answer in group], seed)
            told = how if how == "known" else f"threshold {how}"
            cells = (name, told, rate_with_interval(errors, seed), *shares, alone, f"{right} of {len(group)}")
            yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Read the options, listen, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="utterances to make conversations of")
    parser.add_argument("--model", default="default")
    parser.add_argument("--conversations", type=int, default=20, help="of each number of speakers")
    parser.add_argument("--speakers", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--thresholds", type=float, nargs="+", default=[THRESHOLD])
    parser.add_argument("--window", type=float, default=WINDOW, help="seconds")
    parser.add_argument("--hop", type=float, default=HOP, help="seconds")
    parser.add_argument("--collar", type=float, default=0.25, help="seconds")
    parser.add_argument("--seed", type=int, default=0, help="of conversations and bootstrap")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the conversations there, as wav and rttm")
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)

    encoder = Encoder.load(options.model)
    console = Console(stderr=True)
    total = len(options.speakers) * options.conversations
    progress = track(answers(encoder, options), "Listening", total, console=console, disable=not console.is_terminal)
    found = list(progress)
    shares = [answer.overlapped for answer in found if answer.speakers > 1] or [0.0]
    print(
        f"{encoder.name}, windows of {options.window:g} s every {options.hop:g} s; collar {options.collar:g} s; "
        f"of the time with speech, {100 * np.mean(shares):.1f} % overlapped where there are two or more speakers\n"
    )
    print("\n".join(table(found, options.seed)))


if __name__ == "__main__":
    main()
