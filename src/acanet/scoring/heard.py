"""What is kept of a recording to compare it later: its embedding, and which model it is of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from acanet.config.arrays import read_npz
from acanet.config.files import written
from acanet.config.reading import MEGABYTE, json_text, parse_json
from acanet.config.strict import Strict
from acanet.errors import AcanetError, BadArgument

TOLERANCE = 1e-3
"""By how much the length of an embedding may differ from 1, in any precision that models have."""
_ABOUT, _EMBEDDING = "about", "embedding"


class _About(Strict):
    """What the file of a `Heard` says besides the embedding."""

    format: int = Field(1, ge=1, le=1, description="version of the file's layout")
    fingerprint: str
    speech: Annotated[float, Field(ge=0)] | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Heard:
    """A recording as `Encoder.hear` heard it, which `Encoder.compare` compares.

    Attributes:
        embedding: (dim,) float32, of unit length; a copy of what is given, which cannot be written to.
        speech: seconds of speech; None: in a file of before acanet counted it of every recording.
        fingerprint: of the encoder: embeddings of two models are never compared.
        warnings: what the recording has lost: `telephone` (nothing above 4 kHz), `clipped`, `faint`, `interrupted`,
            `reverberant`.

    Raises:
        BadArgument: for an embedding that is not of this form, or speech that is no number of seconds.
    """

    embedding: NDArray[np.float32]
    speech: float | None
    fingerprint: str
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        embedding = np.array(self.embedding)
        check_embeddings(embedding[None])
        embedding.setflags(write=False)
        object.__setattr__(self, "embedding", embedding)
        if self.speech is not None and not 0 <= self.speech < np.inf:
            raise BadArgument("speech", f"speech is {self.speech}; seconds, 0 or more, are expected")

    def __setstate__(self, state: list[Any]) -> None:
        """What a pickle holds is looked at as what is given is."""
        self.__init__(*state)  # type: ignore[misc]

    def save(self, path: str | Path) -> None:
        """Write an `.npz` file; it appears whole, or what is there stays.

        Raises:
            OSError: naming the file, when it cannot be written.
        """
        about = _About(fingerprint=self.fingerprint, speech=self.speech, warnings=self.warnings)
        with written(Path(path)) as file:
            np.savez(file, about=np.array(json_text(about.model_dump(mode="json"))), embedding=self.embedding)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; whether it is of the same model, `Encoder.compare` looks.

        Raises:
            AcanetError: when it is no such file, or a damaged one.
        """
        path = Path(path)
        arrays = read_npz(path, MEGABYTE, links=True)
        try:
            about = _About.parse(parse_json(str(arrays[_ABOUT])), path)
            return cls(arrays[_EMBEDDING], about.speech, about.fingerprint, about.warnings)
        except (AcanetError, KeyError) as error:
            raise AcanetError(f"{path}: not what `Heard.save` wrote, or damaged ({error})") from None


def check_embeddings(embeddings: NDArray[np.floating]) -> None:
    """See that embeddings, (rows, dim), are float32, finite and of unit length.

    Raises:
        BadArgument: when they are not.
    """
    if embeddings.ndim != 2 or embeddings.dtype != np.float32 or not embeddings.shape[1]:
        told = f"{embeddings.dtype} of shape {embeddings.shape[1:]}"
        raise BadArgument("embedding", f"an embedding is {told}; float32 of shape (dim,) is expected")
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(embeddings, axis=1)
        bad = np.flatnonzero(~(np.abs(lengths - 1) <= TOLERANCE))
    if bad.size:
        told = f"an embedding of length {lengths[bad[0]]:g}; finite numbers, of length 1, are expected"
        raise BadArgument("embedding", told)
