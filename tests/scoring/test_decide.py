"""From a score to a decision: with and without a calibration, a threshold, a prior."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest

from acanet.config.reading import parse_json
from acanet.encoder import Encoder
from acanet.errors import AcanetError, NoSpeech, NotCalibrated
from acanet.runtime.bundle import Bundle
from acanet.runtime.detector import find_speech
from acanet.scoring.calibrate import Ratio
from acanet.scoring.decide import Verification, in_words
from support.calibrations import RATIO, calibration
from support.commands import acanet

RATE = 16000
SURE = Ratio(offset=50.0, slope=60.0)
NEVER = Ratio(offset=-100.0, slope=1.0)


@pytest.fixture(scope="module")
def pair(voices):
    return voices / "s004" / "000.wav", voices / "s005" / "000.wav"


@pytest.fixture(scope="module")
def models(tiny_bundle, tmp_path_factory):
    """The tiny model without a calibration, with three of its own, and with that of another model."""
    folder = tmp_path_factory.mktemp("calibrated")
    own = Bundle.load(tiny_bundle).fingerprint
    made = {
        "calibrated": calibration(own),
        "sure": calibration(own, ratio=SURE),
        "never": calibration(own, ratio=NEVER),
        "foreign": calibration("0123456789abcdef"),
    }
    for name, each in made.items():
        Bundle.load(shutil.copytree(tiny_bundle, folder / name)).with_calibration(each)
    return {"plain": tiny_bundle} | {name: folder / name for name in made}


@pytest.mark.parametrize(
    ("model", "given", "code"),
    [
        ("plain", [], 4),
        ("plain", ["--threshold", "-1"], 0),
        ("plain", ["--threshold", "1"], 1),
        ("plain", ["--prior", "0.5"], 4),
        ("foreign", [], 4),
        ("foreign", ["--threshold", "-1"], 0),
        ("foreign", ["--threshold", "1"], 1),
        ("foreign", ["--prior", "0.5"], 4),
        ("sure", [], 0),
        ("sure", ["--threshold", "-1"], 0),
        ("sure", ["--threshold", "1"], 1),
        ("sure", ["--prior", "0.5"], 0),
        ("sure", ["--prior", "1e-50"], 1),  # odds of e^115 against
        ("sure", ["--trim"], 4),
        ("sure", ["--trim", "--threshold", "-1"], 0),
        ("never", [], 1),
        ("never", ["--threshold", "-1"], 0),
        ("never", ["--prior", "0.5"], 1),
        ("sure", ["--threshold", "0", "--prior", "0.5"], 2),
        ("sure", ["--prior", "0"], 2),
        ("sure", ["--prior", "nan"], 2),
        ("plain", ["--prior", "1.5"], 2),
    ],
    ids=str,
)
def test_exit_codes_of_verify(models, pair, model, given, code):
    answer = acanet("verify", *pair, "-m", models[model], "--json", *given)
    assert answer.code == code
    if code == 2:
        assert answer.out == ""
    else:
        assert json.loads(answer.out)["same"] is {0: True, 1: False, 4: None}[code]


@pytest.mark.parametrize("prior", ["1e-320", "5e-324", "1e-300", "0.5", "0.9999999999999999"])
def test_json_is_json_at_any_prior(models, pair, prior):
    answer = acanet("verify", *pair, "-m", models["calibrated"], "--json", "--prior", prior)
    assert answer.code in (0, 1)
    found = parse_json(answer.out)
    assert found["same"] is (answer.code == 0)
    assert found["llr_threshold"] == pytest.approx(np.log1p(-float(prior)) - np.log(float(prior)), abs=1e-5)


@pytest.mark.parametrize("given", [("--threshold", value) for value in ("nan", "inf", "-inf", "1.5", "-2")])
def test_a_threshold_that_is_none_decides_nothing(models, pair, given):
    answer = acanet("verify", *pair, "-m", models["calibrated"], *given)
    assert (answer.code, answer.out) == (2, "")


@pytest.mark.parametrize(
    ("model", "given", "named"),
    [
        ("plain", [], "this model has no calibration (`acanet calibrate` makes one)"),
        ("foreign", [], "the calibration is of another model, 0123456789abcdef"),
        ("calibrated", ["--trim"], "of embeddings with pauses (leave --trim out)"),
    ],
)
def test_why_there_is_no_decision(models, pair, model, given, named):
    answer = acanet("verify", *pair, "-m", models[model], *given)
    assert answer.code == 4
    assert answer.out.endswith(": no decision\n")
    assert answer.err.startswith("error: no decision: ")
    assert named in answer.err
    assert "--threshold" in answer.err


def test_verify_tells_score_ratio_meaning_and_threshold(models, pair):
    encoder = Encoder.load(models["calibrated"])
    result = encoder.verify(*pair)
    answer = acanet("verify", *pair, "-m", models["calibrated"])
    lines = answer.out.splitlines()
    verdict = "same speaker" if result.same else "not the same speaker"
    assert lines[0] == f"score {result.score:.4f}, threshold {result.threshold:.4f}: {verdict}"
    assert lines[1] == f"log-likelihood ratio {result.llr:.2f}, threshold 1.00: {in_words(result.llr)}"
    assert lines[2] == f"speech: {result.enrolment_speech:.1f} s and {result.test_speech:.1f} s"
    found = json.loads(acanet("verify", *pair, "-m", models["calibrated"], "--json").out)
    for name in ("score", "threshold", "llr", "llr_threshold", "enrolment_speech", "test_speech"):
        assert found[name] == pytest.approx(getattr(result, name), abs=1e-6)
    assert found["meaning"] == in_words(result.llr)


def test_score_and_ratio_decide_alike(models, pair):
    result = Encoder.load(models["calibrated"]).verify(*pair)
    speech = result.enrolment_speech, result.test_speech
    assert result.llr == pytest.approx(float(RATIO.llr(result.score, *speech)))
    assert float(RATIO.llr(result.threshold, *speech)) == pytest.approx(result.llr_threshold) == pytest.approx(1.0)
    assert result.same is (result.llr >= result.llr_threshold)


def test_speech_is_measured_on_both_sides(models, pair):
    import soundfile

    result = Encoder.load(models["calibrated"]).verify(*pair)
    measured = [find_speech(soundfile.read(path, dtype="float32")[0], RATE).seconds for path in pair]
    assert [result.enrolment_speech, result.test_speech] == pytest.approx(measured)
    turned = Encoder.load(models["calibrated"]).verify(*pair[::-1])
    assert (turned.llr, turned.threshold) == pytest.approx((result.llr, result.threshold))


def test_a_prior_decides_by_bayes_rule(models, pair):
    encoder = Encoder.load(models["calibrated"])
    llr = encoder.verify(*pair).llr
    odds = encoder.verify(*pair, prior=0.1)
    assert odds.llr_threshold == pytest.approx(math.log(9))
    assert odds.llr == llr
    just = 1 / (1 + math.exp(llr))  # the prior at which both decisions cost the same
    assert encoder.verify(*pair, prior=just * 1.01).same
    assert not encoder.verify(*pair, prior=just * 0.99).same


def test_a_threshold_has_its_ratio(models, pair):
    result = Encoder.load(models["calibrated"]).verify(*pair, threshold=0.25)
    expected = RATIO.llr(0.25, result.enrolment_speech, result.test_speech)
    assert (result.threshold, result.llr_threshold) == (0.25, pytest.approx(float(expected)))


def test_without_a_calibration_there_is_no_ratio(models, pair):
    result = Encoder.load(models["plain"]).verify(*pair, threshold=0.0)
    assert (result.llr, result.meaning, result.enrolment_speech, result.test_speech) == (None, None, None, None)


def test_a_calibration_of_shorter_speech_than_is_needed_refuses_nothing(tiny_bundle, tmp_path, pair):
    bundle = Bundle.load(shutil.copytree(tiny_bundle, tmp_path / "model"))
    shorter = RATIO.model_copy(update={"shortest": 0.1, "longest": 0.2})
    bundle.with_calibration(calibration(bundle.fingerprint, ratio=shorter))
    result = Encoder.load(bundle.folder).verify(*pair)
    assert min(result.enrolment_speech, result.test_speech) >= 0.5
    assert result.llr == pytest.approx(float(shorter.llr(result.score, 0.2, 0.2)))


def test_a_calibration_gives_silence_no_score(models, pair):
    silence = np.zeros(2 * RATE, np.float32)
    for sides in ((silence, pair[0]), (pair[0], silence)):
        with pytest.raises(NoSpeech):
            Encoder.load(models["sure"]).verify(*sides)


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ({"prior": 0.0}, "prior is 0.0; a share between 0 and 1"),
        ({"prior": float("nan")}, "prior is nan"),
        ({"prior": 0.5, "threshold": 0.5}, "two ways to decide"),
    ],
)
def test_impossible_ways_to_decide(models, pair, how, named):
    with pytest.raises(AcanetError, match=named):
        Encoder.load(models["plain"]).verify(*pair, **how)


def test_no_threshold_no_decision():
    with pytest.raises(NotCalibrated, match=r"no decision: for a reason; give --threshold"):
        _ = Verification(0.9, undecided="for a reason").same
    assert Verification(0.9, 0.9).same
    assert not Verification(0.9, 0.90001).same


@pytest.mark.parametrize(
    ("llr", "words"),
    [
        (math.log(253), "250 times likelier if it is one voice than if it is two"),
        (-math.log(23.4), "23 times likelier if it is two voices than if it is one"),
        (math.log(999), "1,000 times likelier if it is one voice"),
        (-40.0, "over 1,000 times likelier if it is two voices"),
        (math.log(1.04), "as likely if it is one voice as if it is two"),
        (-0.0, "as likely"),
        (math.log(1.06), "1.1 times likelier if it is one voice"),
    ],
)
def test_ratios_in_words(llr, words):
    assert in_words(llr).startswith(words)
