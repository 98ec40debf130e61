"""How a waveform becomes features: what a bundle tells of its front end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, PositiveFloat, SerializerFunctionWrapHandler, model_serializer

from acanet.config.strict import Strict
from acanet.speech.steps import STEP

DECIBEL = math.log(10) / 10
"""The logarithm of a power ratio of one decibel."""
_LATER: Mapping[str, Any] = {"floor_db": None, "speech_only": False}
"""Keys that came after models had fingerprints, and what they are where they are not there."""


class FrontEndConfig(Strict):
    """What every front end has, of whatever kind: all that the run time needs to know of it.

    The kinds themselves, some with further keys, are parts of a model (`acanet.models.base.FrontEndPart`).
    """

    kind: str = "kaldi"
    rate: Annotated[int, Field(gt=0, le=1_000_000, description="samples a second")] = 16000
    window_ms: Annotated[float, Field(gt=0, le=10_000)] = 25.0
    hop_ms: Annotated[float, Field(gt=0, le=10_000)] = 10.0
    mels: Annotated[int, Field(gt=0, le=10_000, description="features of each frame")] = 80
    low_hz: Annotated[float, Field(ge=0)] = 20.0
    high_hz: PositiveFloat | None = Field(None, description="None: half the rate")
    remove_mean: bool = Field(True, description="subtract the utterance's mean of each bin")
    floor_db: PositiveFloat | None = Field(
        None,
        description="decibels below the mean power of speech, under which no feature falls; None: there is no floor",
    )
    speech_only: bool = Field(False, description="the mean, and what is attended to, are of frames with speech")

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later and is not there, so that a model without it keeps its fingerprint."""
        plain: dict[str, Any] = serialise(self)
        return {key: value for key, value in plain.items() if _LATER.get(key, ...) != value}

    @classmethod
    def of_bundle(cls, front_end: Mapping[str, Any], source: str | Path) -> Self:
        """Read what a bundle's config says of its front end; keys that only the kind knows are passed over.

        Raises:
            BadConfig: with one line for each wrong value.
        """
        return cls.parse({key: value for key, value in front_end.items() if key in cls.model_fields}, source)

    @property
    def hears_speech(self) -> bool:
        """Whether the features depend on where somebody talks, which the front end then finds."""
        return self.floor_db is not None or self.speech_only

    def steps(self, samples: int) -> int:
        """The number of steps in which speech is found, in so many samples, a window or more."""
        frames = (samples - self.window) // self.hop + 1
        return -(-frames // STEP)

    @property
    def window(self) -> int:
        """Samples in a window."""
        return round(self.rate * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """Samples from one window to the next."""
        return round(self.rate * self.hop_ms / 1000)
