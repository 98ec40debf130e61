"""How a waveform becomes features: what a bundle tells of its front end."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from acanet.config.strict import Strict


class FrontEndConfig(Strict):
    """How a waveform becomes log-mel features.

    `kaldi` is Kaldi's fbank (povey window, pre-emphasis 0.97, samples scaled to 16 bit, natural logarithm);
    `speechbrain` is what SpeechBrain's ECAPA weights were trained on (Hamming window, centred, decibels, top 80 dB).
    """

    kind: Literal["kaldi", "speechbrain"] = "kaldi"
    rate: PositiveInt = Field(16000, description="samples a second")
    window_ms: PositiveFloat = 25.0
    hop_ms: PositiveFloat = 10.0
    mels: PositiveInt = 80
    low_hz: Annotated[float, Field(ge=0)] = 20.0
    high_hz: PositiveFloat | None = Field(None, description="None: half the rate")
    remove_mean: bool = Field(True, description="subtract the utterance's mean of each bin")

    @property
    def window(self) -> int:
        """Samples in a window."""
        return round(self.rate * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """Samples from one window to the next."""
        return round(self.rate * self.hop_ms / 1000)
