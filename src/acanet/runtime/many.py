"""Recordings that go through the network together, each of which has its embedding or its error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.errors import AcanetError
from acanet.runtime.ahead import in_groups
from acanet.runtime.network import Hearing, Network
from acanet.runtime.stream import RecordedStream
from acanet.speech.steps import speech_in

_SECONDS, _FILES = 120.0, 64
"""What is sorted by length at a time."""


class Waiting(NamedTuple):
    """A recording that goes through the network with others.

    Attributes:
        waveform: (samples,) at the model's rate.
        seconds: how long it is.
        name: what errors call it.
    """

    waveform: Waveform
    seconds: float
    name: str

    @classmethod
    def of(cls, recording: RecordedStream) -> Waiting:
        """A recording that is long enough.

        Raises:
            TooShort: when it is not.
        """
        recording.require_length()
        return cls(recording.waveform, recording.seconds, recording.name)

    def checked(self, heard: Hearing, needed: float) -> NDArray[np.float32] | AcanetError:
        """The embedding that was heard, or the error when there is too little speech in it."""
        try:
            speech_in(heard.speech, self.seconds).require(needed, self.seconds, self.name)
        except AcanetError as error:
            return error
        return heard.embedding


Outcome = Waiting | NDArray[np.float32] | AcanetError
"""What there is of a recording before the others are looked at."""


def embed_together(
    outcomes: Iterable[Outcome], network: Network, needed: float
) -> Iterator[NDArray[np.float32] | AcanetError]:
    """The embeddings of recordings, or their errors, in their order.

    Args:
        outcomes: those that wait, and those that have their embedding or error.
        network: the model.
        needed: seconds of speech without which there is no embedding.
    """
    for group in in_groups(outcomes, _size, most_size=_SECONDS, most_items=_FILES):
        heard = iter(network.hear([item.waveform for item in group if isinstance(item, Waiting)]))
        for item in group:
            yield item.checked(next(heard), needed) if isinstance(item, Waiting) else item


def _size(item: Outcome) -> float:
    return item.seconds if isinstance(item, Waiting) else 0.0
