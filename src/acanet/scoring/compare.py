"""Two recordings that were heard -> a verification, by the calibration of a model where it has one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from acanet.errors import ModelMismatch
from acanet.scoring.calibrate import Calibration
from acanet.scoring.decide import Verification, check_decision
from acanet.scoring.heard import Heard, check_embeddings
from acanet.scoring.operating_point import OperatingPoint


@dataclass(frozen=True, slots=True)
class Comparer:
    """What decides about recordings that an encoder heard.

    Attributes:
        fingerprint: of the encoder.
        dim: numbers in its embeddings.
        found: the calibration that its bundle has, whatever it is of.
        trims: whether the encoder cuts pauses out; calibrations are of recordings as they are.
    """

    fingerprint: str
    dim: int
    found: Calibration | None
    trims: bool

    @property
    def calibration(self) -> Calibration | None:
        """The calibration of this encoder; None where there is none."""
        if self.found is None or self.trims or self.found.fingerprint != self.fingerprint:
            return None
        return self.found

    def __call__(self, enrolment: Heard, test: Heard, threshold: float | None, prior: float | None) -> Verification:
        """Compare two recordings; arguments and errors as in `Encoder.verify`.

        Raises:
            ModelMismatch: for one that another encoder heard, or of another size.
        """
        check_decision(threshold, prior)
        for side in (enrolment, test):
            if side.fingerprint != self.fingerprint:
                raise ModelMismatch(f"an embedding of {side.fingerprint}", f"one of {self.fingerprint}, this encoder's")
            if len(side.embedding) != self.dim:
                raise ModelMismatch(f"an embedding of {len(side.embedding)} numbers", f"one of {self.dim}")
            check_embeddings(side.embedding[None])
        score = min(1.0, max(-1.0, float(enrolment.embedding @ test.embedding)))
        if self.calibration is None or enrolment.speech is None or test.speech is None:
            compared = Verification(score, threshold, undecided=self._undecided)
        else:
            chosen = None if prior is None else OperatingPoint(prior=prior).threshold
            compared = self.calibration.verification(
                score, enrolment.speech, test.speech, threshold=threshold, llr_threshold=chosen
            )
        outside = [*self._unseen("enrolment", enrolment), *self._unseen("test", test)]
        return replace(
            compared, enrolment_warnings=enrolment.warnings, test_warnings=test.warnings, outside=tuple(outside)
        )

    def _unseen(self, side: str, heard: Heard) -> Iterator[str]:
        """What of a recording the calibration has not seen."""
        if self.calibration is None or heard.speech is None:
            return
        yield from (f"{side}: {lost}" for lost in heard.warnings if lost not in self.calibration.data.warnings)
        shortest = self.calibration.ratio.shortest
        if heard.speech < shortest:
            yield f"{side}: {heard.speech:.2f} s of speech, less than {shortest:.2f} s"

    @property
    def _undecided(self) -> str | None:
        """Why there is no decision by a calibration; None for the usual reason."""
        if self.found is None:
            return None
        if self.trims:
            return "the calibration of this model is of embeddings with pauses (leave --trim out)"
        if self.calibration is None:
            return f"the calibration is of another model, {self.found.fingerprint}; this is {self.fingerprint}"
        return "speech was not counted when it was heard, as the model had no calibration then; hear it again"
