"""EER by length of the test: utterances of a speaker joined, against an enrolment of fixed length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from acanet.audio.blocks import Waveform
from acanet.audio.resample import resample
from acanet.data.augment.degrade import generator
from acanet.data.lists.manifest import Utterance
from acanet.data.lists.recording import read_utterance
from acanet.data.lists.sides import Sides
from acanet.encoder import Encoder
from acanet.evaluation.conditions.rows import FEWEST_SPEAKERS, Bootstrap, Pairs, bare_row, measured_row
from acanet.evaluation.conditions.tables import Condition, Row
from acanet.evaluation.embedding import Embedded
from acanet.evaluation.scorer import Scoring

NAME = "length"
ENROLMENT = 10.0  # seconds
LENGTHS = (1.0, 3.0, 10.0, 60.0)  # seconds of the test
ORDERS = 8

Embeddings = NDArray[np.float32]


@dataclass(frozen=True)
class Order:
    """One way to join a speaker's utterances; both are rows of `Sides.utterances`.

    Attributes:
        enrol: for the enrolment.
        test: all others.
        left: samples of the test; 0 where the enrolment takes all, or is not complete.
    """

    enrol: tuple[int, ...]
    test: tuple[int, ...]
    left: int


def measure_lengths(
    encoder: Encoder, sides: Sides, embedded: Embedded, *, scoring: Scoring, bootstrap: Bootstrap
) -> tuple[Condition, list[Row]]:
    """The EER of tests of 1, 3, 10 and 60 s against enrolments of 10 s.

    The utterances of a speaker are joined in the order of their names, eight times, each time begun with another one
    (drawn by the seed; those of a speaker with fewer utterances are repeated). The first that make up 10 s, cut there,
    are the enrolment; what follows is cut at each length. So enrolment and test share no utterance, the tests of an
    order begin with the same words, and pauses stay. A trial takes two speakers, or one, in one order, so every length
    has the same trials. That takes speakers with enough audio for the longest: a length for which fewer than five have
    enough has no figure, and the others do without it.

    Args:
        encoder: the model.
        sides: whose utterances are joined.
        embedded: how long these are.
        scoring: compares embeddings.
        bootstrap: of the intervals; its seed also draws the orders.

    Raises:
        BadAudio: for a recording that cannot be read.
    """
    samples = np.rint(embedded.seconds * encoder.rate).astype(np.intp)
    need = round(ENROLMENT * encoder.rate)
    speakers = [orders(rows, sides.utterances, samples, need, bootstrap.seed) for rows in utterances_by_speaker(sides)]
    fitting = {
        length: [held for ways in speakers if (held := _leaving(round(length * encoder.rate), ways))]
        for length in LENGTHS
    }
    lack = {length: _lack(length, len(fitting[length]), encoder) for length in LENGTHS}
    possible = [length for length in LENGTHS if not lack[length]]
    chosen = fitting[possible[-1]] if possible else []
    about = (
        f"{ENROLMENT:g} s against other utterances of that length, both joined; {ORDERS} orders each of {len(chosen)} "
        f"speakers, the other {len(speakers) - len(chosen)} have too little audio"
    )
    pairs, enrol, test = _trials(len(chosen))
    enrolled, tested = _embed(encoder, sides.utterances, chosen, possible)
    rows = []
    for length in LENGTHS:
        group = f"{length:g} s"
        if lack[length]:
            rows.append(bare_row(NAME, group, "test", pairs[np.zeros(len(enrol), np.bool_)], lack[length]))
        else:
            embeddings = np.concatenate([*enrolled, *tested[length]])
            scores = scoring(embeddings, enrol, len(embeddings) // 2 + test)
            rows.append(measured_row(NAME, group, "test", pairs, scores, bootstrap))
    return Condition(name=NAME, kind="length", about=about), rows


def utterances_by_speaker(sides: Sides) -> list[list[int]]:
    """Rows of `sides.utterances` of each speaker, in the order of their ids; the speakers too.

    Of utterances that overlap in one file, the first is taken.
    """
    held: dict[int, set[int]] = {}
    for speaker, members in zip(sides.speakers.tolist(), sides.members, strict=True):
        held.setdefault(speaker, set()).update(members.tolist())
    ids = [utterance.id for utterance in sides.utterances]
    ordered = [sorted(rows, key=ids.__getitem__) for rows in held.values()]
    return [_apart(rows, sides.utterances) for rows in sorted(ordered, key=lambda rows: ids[rows[0]])]


def orders(
    rows: Sequence[int], utterances: Sequence[Utterance], samples: NDArray[np.intp], need: int, seed: int
) -> list[Order]:
    """The ways in which a speaker's utterances can be joined, in the order of a draw: one begins with each.

    Args:
        rows: of the speaker.
        utterances: all of them.
        samples: (utterances,) length of each.
        need: samples of the enrolment.
        seed: of the draw.
    """
    ways = []
    for first in generator(seed, NAME, utterances[rows[0]].id).permutation(len(rows)).tolist():
        order = (*rows[first:], *rows[:first])
        end = int(np.searchsorted(np.cumsum(samples[list(order)]), need)) + 1
        ways.append(Order(order[:end], order[end:], int(samples[list(order[end:])].sum())))
    return ways


def _leaving(samples: int, ways: Sequence[Order]) -> list[Order]:
    """The first eight ways that leave so many samples for the test; none where too few do."""
    fit = [order for order in ways if order.left >= samples]
    return [fit[number % len(fit)] for number in range(ORDERS)] if len(fit) >= min(ORDERS, len(ways)) else []


def _apart(rows: Sequence[int], utterances: Sequence[Utterance]) -> list[int]:
    spans: dict[str, list[tuple[float, float]]] = {}
    kept = []
    for row in rows:
        utterance = utterances[row]
        start = utterance.start
        end = np.inf if utterance.duration is None else start + utterance.duration
        taken = spans.setdefault(str(utterance.path), [])
        if all(end <= low or high <= start for low, high in taken):
            taken.append((start, end))
            kept.append(row)
    return kept


def _lack(length: float, speakers: int, encoder: Encoder) -> str:
    """The reason why a length has no figure; empty: it has one."""
    if length < encoder.needed_seconds:
        return f"the model needs {encoder.needed_seconds:g} s"
    return f"{speakers} speakers have enough audio, {FEWEST_SPEAKERS} are needed" if speakers < FEWEST_SPEAKERS else ""


def _trials(speakers: int) -> tuple[Pairs, NDArray[np.intp], NDArray[np.intp]]:
    """Trials of every two speakers, and everybody with himself, in every order; rows of both sides, (trials,) each."""
    enrol, test, order = np.indices((speakers, speakers, ORDERS)).reshape(3, -1)
    return Pairs(enrol == test, enrol, test), enrol * ORDERS + order, test * ORDERS + order


def _embed(
    encoder: Encoder, utterances: Sequence[Utterance], speakers: Sequence[Sequence[Order]], lengths: Sequence[float]
) -> tuple[list[Embeddings], dict[float, list[Embeddings]]]:
    """Embeddings of each speaker's enrolments, (orders, dim), and of the tests by length."""
    console = Console(stderr=True)
    enrolled: list[Embeddings] = []
    tested: dict[float, list[Embeddings]] = {length: [] for length in lengths}
    for held in track(speakers, NAME, console=console, transient=True, disable=not console.is_terminal):
        waveforms = {row: _read(utterances[row], encoder.rate) for row in held[0].enrol + held[0].test}
        enrolments = [np.concatenate([waveforms[row] for row in order.enrol]) for order in held]
        tests = [np.concatenate([waveforms[row] for row in order.test]) for order in held]
        enrolled.append(encoder.embed_waveforms(_cut(enrolments, ENROLMENT, encoder.rate)))
        for length in lengths:
            tested[length].append(encoder.embed_waveforms(_cut(tests, length, encoder.rate)))
    return enrolled, tested


def _read(utterance: Utterance, rate: int) -> Waveform:
    return resample(*read_utterance(utterance), rate)


def _cut(waveforms: Sequence[Waveform], seconds: float, rate: int) -> list[Waveform]:
    return [waveform[: round(seconds * rate)] for waveform in waveforms]
