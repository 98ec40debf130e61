"""The parity gate: an export gives the embeddings of the original, in every way it is run, or it is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.audio.recording import load
from acanet.audio.sources import Source
from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.errors import ExportMismatch
from acanet.runtime.batching import pad
from acanet.runtime.bundle import ALLOWED
from acanet.runtime.check import embed_in_pieces, largest_difference
from acanet.runtime.golden import to_16_bit
from acanet.runtime.onnx import OnnxNetwork

LENGTHS = tuple(round(0.5 * 120 ** (i / 9), 3) for i in range(10))
"""Seconds of the recordings that torch and ONNX are compared on: ten from 0.5 to 60."""
_ROWS = 3  # of a padded batch


class Parity(NamedTuple):
    """The largest difference of any number of an embedding from what torch gives each recording alone.

    Attributes:
        alone: of each recording alone, whole.
        padded: in padded batches; for a model that padding changes, in batches of equal lengths.
        in_pieces: of each recording in small pieces; None: the model only takes it whole.
    """

    alone: float
    padded: float
    in_pieces: float | None = None

    @property
    def worst(self) -> float:
        """The largest of them."""
        return max(self.alone, self.padded, self.in_pieces or 0.0)


def recordings_of_all_lengths(given: Sequence[Source], rate: int) -> list[Waveform]:
    """What torch and ONNX are compared on: two synthetic voices and the given recordings, each at every length.

    Args:
        given: cut, or repeated, to each of `LENGTHS`.
        rate: samples a second.

    Returns:
        (samples,) each, the synthetic ones first.

    Raises:
        BadAudio: when a recording cannot be read.
    """
    return [*_synthetic(rate), *(_of_length(load(each, rate), s, rate) for each in given for s in LENGTHS)]


def compare(network: OnnxNetwork, waveforms: Sequence[Waveform], expected: NDArray[np.float32]) -> Parity:
    """The parity of an export with its original, each recording alone, in padded batches, and in small pieces.

    Args:
        network: what was exported.
        waveforms: (samples,) each.
        expected: (waveforms, dim), what torch gives each alone.

    Raises:
        ExportMismatch: when a difference is larger than 1e-4 or not finite.
    """
    singles = [[number] for number in range(len(waveforms))]
    ways = [("alone", _whole, singles), ("in batches", _whole, _batches(network, waveforms))]
    if network.bundle.graphs.pieces is not None:
        ways.append(("in pieces", _in_pieces, singles))
    found = []
    for how, embed, batches in ways:
        differences = [0.0]
        for batch in batches:
            together = [waveforms[number] for number in batch]
            differences.append(largest_difference(embed(network, together), expected[batch]))
            if not differences[-1] <= ALLOWED:
                seconds = ", ".join(f"{len(waveform) / network.rate:.2f} s" for waveform in together)
                raise ExportMismatch(f"recordings of {seconds}, {how}", differences[-1], ALLOWED)
        found.append(max(differences))
    return Parity(*found)


def _whole(network: OnnxNetwork, waveforms: Sequence[Waveform]) -> NDArray[np.float32]:
    """The embeddings of one padded batch, (waveforms, dim)."""
    padded, lengths = pad(waveforms)
    embeddings, *_ = network.run("whole", waveforms=padded, lengths=lengths)
    return embeddings


def _in_pieces(network: OnnxNetwork, waveforms: Sequence[Waveform]) -> NDArray[np.float32]:
    """The embeddings of recordings in small pieces, (waveforms, dim)."""
    return np.stack([embed_in_pieces(network, waveform) for waveform in waveforms])


def _batches(network: OnnxNetwork, waveforms: Sequence[Waveform]) -> list[list[int]]:
    """Batches of neighbours in length; of equal lengths where padding changes the model's embeddings."""
    order = sorted(range(len(waveforms)), key=lambda i: len(waveforms[i]))
    if network.bundle.graphs.exact_when_padded:
        return [order[first : first + _ROWS] for first in range(len(order) - _ROWS + 1)]
    lengths = {len(waveform) for waveform in waveforms}
    return [[i for i in order if len(waveforms[i]) == length] for length in sorted(lengths)]


def _synthetic(rate: int) -> Iterator[Waveform]:
    """Two synthetic voices at all lengths."""
    for speaker in range(2):
        voice = SyntheticVoice.draw(0, speaker)
        speech = synthesise(voice, 15.0, (0, speaker), rate)
        for number, seconds in enumerate(LENGTHS):
            yield to_16_bit(_of_length(np.roll(speech, -number * rate), seconds, rate))


def _of_length(waveform: Waveform, seconds: float, rate: int) -> Waveform:
    return np.resize(waveform, round(seconds * rate))
