"""How a waveform becomes features: what a bundle tells of its front end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, PositiveFloat

from acanet.config.strict import Strict


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

    @classmethod
    def of_bundle(cls, front_end: Mapping[str, Any], source: str | Path) -> Self:
        """Read what a bundle's config says of its front end; keys that only the kind knows are passed over.

        Raises:
            BadConfig: with one line for each wrong value.
        """
        return cls.parse({key: value for key, value in front_end.items() if key in cls.model_fields}, source)

    @property
    def window(self) -> int:
        """Samples in a window."""
        return round(self.rate * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """Samples from one window to the next."""
        return round(self.rate * self.hop_ms / 1000)
