"""Somebody else's front end, in one file: the energies of cosines, under a root of the user's choice."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from acanet.models.base import FrontEnd, FrontEndPart, register_front_end


@register_front_end
class CosineFrontEnd(FrontEndPart):
    kind: Literal["cosine"] = "cosine"
    root: PositiveFloat = 4.0
    local = True
    exact_when_padded = True

    def build(self) -> Cosine:
        return Cosine(self)


class Cosine(FrontEnd):
    cosines: Tensor  # (window, mels)

    def __init__(self, config: CosineFrontEnd) -> None:
        super().__init__(config)
        self.root = config.root
        time, number = torch.arange(config.window) + 0.5, torch.arange(config.mels) + 1
        cosines = torch.outer(time, number * (math.pi / config.window)).cos() * config.window**-0.5
        self.register_buffer("cosines", cosines, persistent=False)

    def frames(self, samples: Any) -> Any:
        return (samples - self.config.window) // self.config.hop + 1

    def features(self, waveforms: Tensor) -> Tensor:
        energies = (waveforms.unfold(1, self.config.window, self.config.hop) @ self.cosines).square()
        return (energies + 1e-8) ** (1 / self.root)
