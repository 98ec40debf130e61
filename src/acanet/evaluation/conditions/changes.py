"""A list whose utterances are embedded again, made worse: in noise, over a line, in a room, cut short, with silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from acanet.data.augment.degrade import (
    VOICES,
    Degradation,
    babble,
    babble_voices,
    crop,
    hiss,
    lost_packets,
    low_level,
    low_pass,
    noise_gate,
    one_room,
    opus_line,
    overdriven,
    room,
    telephone_line,
    white_noise,
    zeros,
)
from acanet.data.augment.rooms import build_rooms
from acanet.data.augment.silence import Place
from acanet.data.lists.manifest import Utterance
from acanet.encoder import Encoder
from acanet.errors import BadConfig
from acanet.evaluation.conditions.rows import Bootstrap, Pairs, Resampled, bare_row, measured_row
from acanet.evaluation.conditions.tables import Row
from acanet.evaluation.embedding import Change, Embedded, embed_utterances
from acanet.evaluation.scorer import Scorer
from acanet.scoring.calibrate import Calibration
from acanet.scoring.measure import Measure
from acanet.scoring.pairs import Floats

SNRS = (20.0, 10.0, 5.0, 0.0)  # dB
CROPS = (5.0, 3.0, 2.0, 1.0)  # seconds
KBPS = 8.0
ROOMS = 20  # of each band
T60 = ((0.2, 0.4), (0.5, 0.7), (0.9, 1.2))  # seconds
ZEROS: tuple[tuple[float, Place], ...] = (
    (0.3, "before"),
    (1.0, "before"),
    (5.0, "before"),
    (30.0, "before"),
    (2.0, "inside"),
    (2.0, "after"),
    (30.0, "after"),
)
HISS: tuple[tuple[float, Place], ...] = (
    (1.0, "before"),
    (5.0, "before"),
    (30.0, "before"),
    (2.0, "inside"),
    (5.0, "after"),
)
HISS_DBFS = (-70.0, -60.0, -50.0)
GATES_DB = (-40.0, -30.0, -20.0)
PACKETS = ((0.05, 0.02), (0.1, 0.05), (0.3, 0.05))  # share, seconds
LEVEL_DBFS = -60.0
OVERDRIVE = 100.0
LOW_PASS_HZ = 2000.0
NO_BABBLE = "babble is made of the voices of training speakers; give their manifest (--babble), or leave it out"

SIDES: tuple[Literal["test", "both"], ...] = ("test", "both")


class Workshop(NamedTuple):
    """The means that degradations are made with.

    Attributes:
        utterances: to be made worse.
        rate: their samples a second.
        seed: of everything that is drawn.
        folder: for banks of rooms and voices.
        babble: manifest of the speakers to make babble of, if there is one.
    """

    utterances: Sequence[Utterance]
    rate: int
    seed: int
    folder: Path
    babble: Path | None


class Made(NamedTuple):
    """A condition that is made, in words, and how."""

    about: str
    degradations: Callable[[Workshop], list[Degradation]]


def _noise(_: Workshop) -> list[Degradation]:
    return [white_noise(snr) for snr in SNRS]


def _babble(shop: Workshop) -> list[Degradation]:
    if shop.babble is None:
        raise BadConfig("conditions", [NO_BABBLE])
    voices = babble_voices(shop.babble, shop.folder, shop.rate, seed=shop.seed, without=shop.utterances)
    return [babble(voices, snr) for snr in SNRS]


def _telephone(shop: Workshop) -> list[Degradation]:
    return [telephone_line(shop.rate)]


def _opus(shop: Workshop) -> list[Degradation]:
    return [opus_line(shop.rate, KBPS)]


def _crop(shop: Workshop) -> list[Degradation]:
    return [crop(shop.rate, seconds) for seconds in CROPS]


def _room(shop: Workshop) -> list[Degradation]:
    banks = [build_rooms(shop.folder, shop.rate, count=ROOMS, t60=t60, seed=shop.seed, workers=1) for t60 in T60]
    return [room(bank, f"T60 {low:g} to {high:g} s") for bank, (low, high) in zip(banks, T60, strict=True)]


def _zeros(shop: Workshop) -> list[Degradation]:
    return [zeros(shop.rate, seconds, place) for seconds, place in ZEROS]


def _hiss(shop: Workshop) -> list[Degradation]:
    return [hiss(shop.rate, seconds, dbfs, place) for seconds, place in HISS for dbfs in HISS_DBFS]


def _gate(shop: Workshop) -> list[Degradation]:
    return [noise_gate(shop.rate, threshold) for threshold in GATES_DB]


def _packets(shop: Workshop) -> list[Degradation]:
    return [lost_packets(shop.rate, share, seconds) for share, seconds in PACKETS]


def _level(_: Workshop) -> list[Degradation]:
    return [low_level(LEVEL_DBFS)]


def _overdrive(_: Workshop) -> list[Degradation]:
    return [overdriven(OVERDRIVE)]


def _low_pass(shop: Workshop) -> list[Degradation]:
    return [low_pass(shop.rate, LOW_PASS_HZ)]


def _one_room(shop: Workshop) -> list[Degradation]:
    return [one_room(build_rooms(shop.folder, shop.rate, count=1, t60=T60[1], seed=shop.seed, workers=1))]


MADE: Mapping[str, Made] = {
    "noise": Made("white noise; signal-to-noise ratio of mean powers over the whole utterance", _noise),
    "babble": Made(f"{VOICES} other voices at once; signal-to-noise ratio of mean powers over the utterance", _babble),
    "telephone": Made("300 to 3,400 Hz, 8 kHz, mu-law of 8 bit", _telephone),
    "opus": Made(f"Opus at {KBPS:g} kbit/s", _opus),
    "crop": Made("so many seconds from anywhere in the utterance", _crop),
    "zeros": Made("digital silence before, inside or after the utterance", _zeros),
    "hiss": Made("white noise before, inside or after the utterance; level of full scale", _hiss),
    "gate": Made("zeros where 20 ms lie so far below the loudest tenth", _gate),
    "packets": Made("zeros for a share of the packets", _packets),
    "level": Made("a low root mean square, in 16 bit", _level),
    "overdrive": Made("amplified, and clipped at full scale", _overdrive),
    "low-pass": Made("nothing above a frequency", _low_pass),
    "one-room": Made("one simulated room for all utterances", _one_room),
    "room": Made(f"simulated rooms, {ROOMS} of each band, one drawn for each utterance", _room),
}
"""By name, what `--by` can make itself of the utterances of any list."""


@dataclass(frozen=True, eq=False)
class Remeasure:
    """Measures a list again, its utterances made worse.

    Attributes:
        encoder: the model.
        embedded: the utterances as they are.
        scorer: of the list.
        pairs: its trials.
        clean: its EER as it is.
        bootstrap: of the intervals: the one of `clean`, for the ratios.
        calibration: by which `verify` decides; None: it does not.
        seed: of what is drawn for the utterances.
    """

    encoder: Encoder
    embedded: Embedded
    scorer: Scorer
    pairs: Pairs
    clean: Resampled
    bootstrap: Bootstrap
    calibration: Calibration | None
    seed: int

    def __call__(self, degradation: Degradation) -> list[Row]:
        """The rows of the list with its test side made worse, and with both: two from one embedding.

        A severity that leaves less than the model needs has no figure.
        """
        keeps, name, group = degradation.keeps, degradation.kind, degradation.severity
        if keeps is not None and keeps < self.encoder.needed_seconds:
            lack = f"the model needs {self.encoder.needed_seconds:g} s"
            return [bare_row(name, group, side, self.pairs, lack) for side in SIDES]
        again = embed_utterances(
            self.encoder,
            self.scorer.sides.utterances,
            change=self._change(degradation),
            measure_speech=self.calibration is not None,
            label=f"{name} {group}",
        )
        shorter = 0 if keeps is None else int(np.count_nonzero(self.embedded.seconds <= keeps))
        note = f"{shorter} utterances are not longer, taken whole" if shorter else ""
        rows = []
        for side, enrolled in zip(SIDES, (self.embedded, again), strict=True):
            scores = self.scorer(enrolled.embeddings, again.embeddings)
            row = measured_row(name, group, side, self.pairs, scores, self.bootstrap, clean=self.clean, note=note)
            rows.append(row.model_copy(update=self._decided(scores, enrolled, again)))
        return rows

    def _decided(self, scores: Floats, enrolled: Embedded, tested: Embedded) -> dict[str, Measure | float]:
        """What `verify` would do with the trials, where there is a calibration: the rates of a row, by name."""
        if self.pairs.lack or self.calibration is None or enrolled.speech is None or tested.speech is None:
            return {}
        speech = self.scorer.speech(enrolled.speech)[0], self.scorer.speech(tested.speech)[1]
        refused = np.minimum(*speech) < self.encoder.needed_seconds
        accepted = self.calibration.llr(scores, *speech) >= self.calibration.threshold.value
        return self.bootstrap.decisions(accepted, refused, self.pairs)

    def _change(self, degradation: Degradation) -> Change:
        ids = [utterance.id for utterance in self.scorer.sides.utterances]
        return lambda waveform, place: degradation(waveform, self.seed, ids[place])
