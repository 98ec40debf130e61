"""What an exported bundle is checked by: recordings, and the embeddings that they have to have."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acanet.config.arrays import read_npz
from acanet.config.reading import MEGABYTE
from acanet.errors import AcanetError
from acanet.runtime.bundle import Bundle

GOLDEN = "golden.npz"
MOST_BYTES = 256 * MEGABYTE
_FULL_SCALE = 2**15


@dataclass(frozen=True)
class Golden:
    """Recordings and the embeddings that the original model gave them; in int8 or fp16, those that the export gave.

    Attributes:
        waveforms: (samples,) each, float32 with values of 16 bits.
        embeddings: (waveforms, dim) float32.
    """

    waveforms: Sequence[NDArray[np.float32]]
    embeddings: NDArray[np.float32]

    @classmethod
    def load(cls, bundle: Bundle) -> Golden:
        """The golden recordings of an exported bundle.

        Raises:
            AcanetError: when the file is missing or damaged.
        """
        path = bundle.folder / GOLDEN
        try:
            arrays = read_npz(path, MOST_BYTES)
            embeddings = arrays["embeddings"]
            waveforms = [_from_16_bit(arrays[f"waveform_{i}"]) for i in range(len(embeddings))]
        except (AcanetError, KeyError, TypeError) as error:
            raise bundle.damaged(path, error) from None
        return cls(waveforms, embeddings)

    def as_npz(self) -> bytes:
        """The content of the file."""
        stream = io.BytesIO()
        pcm = {f"waveform_{i}": np.rint(w * _FULL_SCALE).astype(np.int16) for i, w in enumerate(self.waveforms)}
        np.savez_compressed(stream, embeddings=self.embeddings, **pcm)  # type: ignore[arg-type]
        return stream.getvalue()


def to_16_bit(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """A waveform rounded to the values of 16 bits, so that a golden file keeps it exactly."""
    rounded = np.rint(waveform * _FULL_SCALE).clip(-_FULL_SCALE, _FULL_SCALE - 1)
    return _from_16_bit(rounded.astype(np.int16))


def _from_16_bit(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    return pcm.astype(np.float32) / np.float32(_FULL_SCALE)
