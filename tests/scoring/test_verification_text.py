"""A verification in words and as JSON."""

from __future__ import annotations

import pytest

from acanet.scoring.decide import Verification
from acanet.scoring.verification_text import as_json, decided, lines, sentence
from support.calibrations import calibration

NUMBERS = ("score", "threshold", "llr", "llr_threshold", "enrolment_speech", "test_speech")


@pytest.mark.parametrize(
    ("threshold", "same", "words"),
    [
        (None, None, "score 0.7123: no decision"),
        (0.7, True, "score 0.7123, threshold 0.7000: same speaker"),
        (0.8, False, "score 0.7123, threshold 0.8000: not the same speaker"),
        (
            1.2,
            False,
            "score 0.7123, threshold above 1, which recordings of this length cannot reach: not the same speaker",
        ),
    ],
)
def test_the_verdict(threshold: float | None, same: bool | None, words: str) -> None:
    result = Verification(0.71234567, threshold)
    assert decided(result) is same
    assert sentence(result) == words
    assert list(lines(result, None)) == [words]
    told = as_json(result)
    assert list(told) == [*NUMBERS, "same", "enrolment_warnings", "test_warnings", "outside"]
    assert (told["score"], told["same"], told["llr"]) == (0.712346, same, None)


def test_a_calibrated_one_tells_ratio_meaning_and_speech() -> None:
    result = Verification(0.9, 0.8, llr=3.15, llr_threshold=1.0, enrolment_speech=2.04, test_speech=9.0)
    _, ratio, heard = lines(result, calibration("model"))
    assert ratio == "log-likelihood ratio 3.15, threshold 1.00: 23 times likelier if it is one voice than if it is two"
    assert heard == "speech: 2.0 s and 9.0 s"


def test_what_the_calibration_has_not_seen_is_told_last() -> None:
    unseen = ("enrolment: faint", "test: telephone")
    result = Verification(0.9, 0.8, llr=3.15, llr_threshold=1.0, enrolment_speech=2.0, test_speech=9.0, outside=unseen)
    *_, told = lines(result, calibration("model"))
    reason = "outside of what the calibration has seen, so take the ratio with care"
    assert told == f"{reason}: enrolment: faint; test: telephone"
    assert as_json(result)["outside"] == list(unseen)
