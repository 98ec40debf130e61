"""What a decision says of recordings that its calibration has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from acanet.errors import ModelMismatch
from acanet.scoring.compare import Comparer
from acanet.scoring.heard import Heard
from support.calibrations import RATIO, calibration

MODEL = "0123456789abcdef"
UNIT = np.eye(1, 8, dtype=np.float32)[0]


def heard(*lost: str, speech: float | None = 2.0, model: str = MODEL) -> Heard:
    return Heard(UNIT, speech, model, lost)


def outside(enrolment: Heard, test: Heard, *, seen: tuple[str, ...] = (), trims: bool = False) -> tuple[str, ...]:
    found = Comparer(MODEL, len(UNIT), calibration(MODEL, warnings=seen), trims)(enrolment, test, None, None)
    assert (found.enrolment_warnings, found.test_warnings) == (enrolment.warnings, test.warnings)
    return found.outside


def test_what_the_calibration_has_seen_is_inside() -> None:
    assert outside(heard(), heard()) == ()
    assert outside(heard("telephone"), heard("telephone", "faint"), seen=("faint", "telephone")) == ()


def test_each_loss_that_it_has_not_seen_is_named_with_its_side() -> None:
    found = outside(heard("telephone", "clipped"), heard("faint", "telephone"), seen=("telephone",))
    assert found == ("enrolment: clipped", "test: faint")


@pytest.mark.parametrize(
    ("speech", "told"),
    [
        (RATIO.shortest, ()),
        (RATIO.shortest - 0.01, ("test: 0.49 s of speech, less than 0.50 s",)),
        (RATIO.longest + 100, ()),  # more is no harder than what was seen
    ],
)
def test_less_speech_than_it_has_seen_is_told(speech: float, told: tuple[str, ...]) -> None:
    assert outside(heard(), heard(speech=speech)) == told


def test_without_a_calibration_of_these_embeddings_nothing_is_outside() -> None:
    both = heard("clipped", speech=0.1), heard("faint")
    assert outside(*both, trims=True) == ()
    for found in (None, calibration("fedcba9876543210")):
        assert Comparer(MODEL, len(UNIT), found, trims=False)(*both, 0.5, None).outside == ()
    assert outside(heard("clipped", speech=None), heard(speech=None)) == ()


def test_recordings_of_another_model_are_not_compared() -> None:
    for sides in ((heard(), heard(model="f" * 16)), (heard(model="f" * 16), heard())):
        with pytest.raises(ModelMismatch):
            outside(*sides)


def test_recordings_of_another_size_are_not_compared() -> None:
    short = Heard(np.ones(1, np.float32), 2.0, MODEL)
    for sides in ((short, short), (short, heard()), (heard(), short)):
        with pytest.raises(ModelMismatch, match=r"1 numbers.*one of 8"):
            outside(*sides)
