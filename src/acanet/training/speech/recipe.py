"""Everything that decides how the network that finds speech is taught."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from acanet.config.strict import ConfigPath, Strict
from acanet.data.augment.effects import Augment, Share


class SpeechRecipe(Strict):
    """Everything that decides how the network that finds speech is taught."""

    speech: tuple[ConfigPath, ...] = Field(
        min_length=1, description="manifests of people talking; speakers are not read"
    )
    noise: ConfigPath | None = Field(
        None, description="manifest of recordings without speech; None: generated sounds only"
    )
    cache: ConfigPath = Field(Path("cache"), validate_default=True, description="folder of decoded audio and of rooms")
    augment: Augment = Field(Augment(), description="what happens to speech and sounds alike")
    sounds: Share = Field(0.35, description="of the crops that nobody speaks in")
    batch: PositiveInt = Field(24, description="crops in a batch")
    crop_seconds: PositiveFloat = 6.0
    steps: PositiveInt = 1500
    rate: PositiveFloat = Field(3e-3, description="the highest; it rises for a tenth of the steps, and falls to zero")
    weight_decay: float = Field(0.01, ge=0)
    workers: NonNegativeInt = Field(1, description="processes that make batches")
    seed: NonNegativeInt = 0
