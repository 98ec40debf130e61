"""`acanet evaluate` from end to end, on synthetic voices and a tiny model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from acanet.runtime.bundle import Bundle
from support.calibrations import calibration
from support.commands import acanet


@pytest.fixture(scope="module")
def place(tmp_path_factory, voices, tiny_bundle) -> Path:
    """A manifest of six voices, three of them men, a list of all pairs, and a calibrated model."""
    folder = tmp_path_factory.mktemp("evaluate")
    entries = [
        {"path": str(file), "id": f"{file.parent.name}/{file.stem}", "speaker": file.parent.name, "gender": gender}
        for file, gender in (
            (file, "m" if file.parent.name < "s003" else "f") for file in sorted(voices.glob("*/*.wav"))
        )
    ]
    (folder / "all.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    assert acanet("trials", folder / "all.jsonl", "-o", folder / "all.trials", "--all").code == 0
    shutil.copytree(tiny_bundle, folder / "calibrated")
    model = Bundle.load(folder / "calibrated")
    model.with_calibration(calibration(model.fingerprint))
    return folder


def evaluate(place, *arguments, trials="all.trials", model="calibrated"):
    return acanet("evaluate", place / model, place / trials, "--manifest", place / "all.jsonl", *arguments)


def test_an_expectation_decides_the_exit_code(place):
    kept = evaluate(place, "--expect", "eer<=1", "--expect", "cllr>=0")
    assert (kept.code, kept.out.count("as expected")) == (0, 2)
    missed = evaluate(place, "--expect", "eer<=1", "--expect", "eer<0")
    assert missed.code == 1
    assert missed.out.splitlines()[-1].endswith("not as expected: < 0")


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        ("err<=0.1", "did you mean 'eer'?"),
        ("eer=0.1", "cannot read the expectation"),
        ("min_dcf(0.2)<=1", "min_dcf(0.0"),
    ],
)
def test_an_expectation_that_cannot_be_met_is_named_first(place, tmp_path, expectation, message):
    answer = evaluate(place, "--expect", expectation, "--report", tmp_path / "report")
    assert answer.code == 2
    assert message in answer.err
    assert not (tmp_path / "report").exists()


def test_costs_at_points_of_ones_own(place):
    answer = evaluate(place, "--point", "0.2", "--point", "0.5,10,1", "--expect", "act_dcf(0.5,10,1)<=100")
    assert answer.code == 0, answer.err
    for figure in ("min_dcf(0.2)", "act_dcf(0.2)", "min_dcf(0.5,10,1)"):
        assert f"  {figure} " in answer.out
    assert "min_dcf(0.01)" not in answer.out
    wrong = evaluate(place, "--point", "0.2,1")
    assert (wrong.code, "PRIOR,C_MISS,C_FA is expected" in wrong.err) == (2, True)


@pytest.mark.parametrize("bound", ["6", "-0.1", "1.01"])
def test_a_rate_is_a_share(place, bound):
    answer = evaluate(place, "--expect", f"eer<={bound}")
    assert (answer.code, "rates are shares from 0 to 1" in answer.err) == (2, True)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (["--by", "gendre"], "did you mean 'gender'?"),
        (["--by", "snr"], "give their manifest (--babble)"),
        (["--report", "all.jsonl"], "is a file"),
    ],
)
def test_wrong_options_are_told_before_the_list_is_read(place, how, message, monkeypatch):
    monkeypatch.chdir(place)
    answer = evaluate(place, *how, trials="there-is-no-such.trials")
    assert (answer.code, message in answer.err) == (2, True)


@pytest.mark.filterwarnings("always::UserWarning:acanet")
def test_speakers_that_nobody_names_are_warned_of(place, voices):
    pairs = "1 s000/000.wav s000/001.wav\n0 s000/000.wav s001/000.wav\n0 s000/001.wav s001/001.wav\n"
    (place / "sparse.trials").write_text(pairs, encoding="utf-8")
    answer = acanet("evaluate", place / "calibrated", place / "sparse.trials", "--audio-root", voices)
    assert answer.code == 0
    assert "warning: 2 of 4 names are in no target trial" in answer.err


def test_two_models_on_one_list(place, tiny_bundle, tmp_path):
    answer = evaluate(place, "--against", tiny_bundle, "--report", tmp_path / "report")
    assert answer.code == 0, answer.err
    assert "against acanet-local" in answer.out
    lines = answer.out.splitlines()
    assert next(line for line in lines if line.startswith("  eer ")).endswith("0.00 % [0.00, 0.00]")  # the same weights
    assert "min_cllr" not in answer.out.partition("against")[2]  # that of the ratios has none beside it
    assert "Beside other systems" in (tmp_path / "report" / "report.html").read_text("utf-8")


def test_conditions_are_told_and_kept(place, tmp_path):
    answer = evaluate(place, "--by", "gender,crop,gate", "--report", tmp_path / "report")
    assert answer.code == 0, answer.err
    assert "| gender | f |" in answer.out
    kept = json.loads((tmp_path / "report" / "conditions.json").read_text())
    assert [condition["name"] for condition in kept["conditions"]] == ["gender", "crop", "gate"]
    for row in kept["rows"]:
        decided = {name for name in ("false_accepts", "false_rejects", "refused") if row[name] is not None}
        assert len(decided) == (0 if row["name"] == "gender" else 3)
    wrong = evaluate(place, "--by", "gendre")
    assert (wrong.code, "did you mean 'gender'?" in wrong.err) == (2, True)
    assert evaluate(place, "--babble", place / "all.jsonl").code == 2


def test_enrolment_with_several_utterances(place, tmp_path):
    made = acanet("trials", place / "all.jsonl", "-o", place / "models.trials", "--all", "--enrol", "2")
    assert made.code == 0, made.err
    models = place / "models.trials.enrol"
    for way in ("embeddings", "scores"):
        answer = evaluate(
            place, "--enrolments", models, "--enrol-by", way, "--report", tmp_path / way, trials="models.trials"
        )
        assert answer.code == 0, answer.err
        card = json.loads((tmp_path / way / "card.json").read_text())
        assert card["enrolments"] == f"mean of {way} of the models in models.trials.enrol"
    assert "give" in evaluate(place, trials="models.trials").err  # without the models, their names are unknown


def test_figures_of_a_decision_are_not_expected_of_enrolment_models(place, tmp_path):
    answer = evaluate(place, "--enrolments", tmp_path / "none", "--expect", "cllr<=1", trials="there-is-no-such.trials")
    assert (answer.code, "no figure 'cllr'" in answer.err) == (2, True)


def test_a_back_end_has_its_place_in_the_card(place, tmp_path, voices):
    cohort = place / "cohort.jsonl"
    others = [{"path": str(voices / "s000" / "000.wav"), "speaker": "somebody else", "id": "other"}]
    cohort.write_text("".join(json.dumps(entry) + "\n" for entry in others), encoding="utf-8")
    shared = evaluate(place, "--scoring", "snorm", "--cohort", cohort)
    assert (shared.code, "in the trial list too" in shared.err) == (2, True)
    needs = evaluate(place, "--scoring", "asnorm")
    assert (needs.code, "give --cohort" in needs.err) == (2, True)
    trained = acanet("plda", place / "calibrated", place / "all.jsonl", "-o", tmp_path / "plda.npz")
    assert trained.code == 0, trained.err
    how = ["--scoring", "plda", "--plda", tmp_path / "plda.npz"]
    assert "was trained on" in evaluate(place, *how).err
    answer = evaluate(place, *how, "--seen", "--report", tmp_path / "report")
    assert answer.code == 0, answer.err
    card = json.loads((tmp_path / "report" / "card.json").read_text())
    assert card["scoring"] == "plda, 6 speakers of all.jsonl"
    assert "cllr" not in card["figures"]  # the calibration is of cosines
