"""Score -> decision."""

from __future__ import annotations

from dataclasses import dataclass

from acanet.errors import NotCalibrated


@dataclass(frozen=True, slots=True)
class Verification:
    """Two recordings compared.

    Attributes:
        score: cosine of their embeddings, -1 to 1; higher is more alike. It has no meaning of its own.
        threshold: the score from which on the voices count as the same; None when nobody chose one.
    """

    score: float
    threshold: float | None = None

    @property
    def same(self) -> bool:
        """Whether it is the same speaker.

        Raises:
            NotCalibrated: without a threshold there is no decision.
        """
        if self.threshold is None:
            raise NotCalibrated
        return self.score >= self.threshold
