"""Scores -> log-likelihood ratios: known distortions undone, short speech cautious, nothing judged by itself."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression

from acanet.audio.recording import read_audio
from acanet.data.lists.sides import find_sides
from acanet.data.lists.trials import Trials, read_trials
from acanet.data.synthetic import write_corpus
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadArgument, BadConfig, BadTrials, MissingExtra
from acanet.evaluation import calibration as module
from acanet.evaluation import crop_pairs
from acanet.evaluation.backends import train_plda
from acanet.evaluation.calibrated_bundle import card_section
from acanet.evaluation.calibration import (
    CROPS,
    cross_validated,
    false_accept_threshold,
    length_bands,
    refit_draws,
    sample_trials,
)
from acanet.evaluation.crop_pairs import CropPairs, score_crops
from acanet.evaluation.figures.bootstrap import Speakers, ends
from acanet.evaluation.figures.metrics import cllr, min_cllr
from acanet.evaluation.one_model import evaluate_model
from acanet.runtime.bundle import BUNDLES, Bundle
from acanet.runtime.detector import find_speech
from acanet.scoring.calibrate import FalseAccepts, Ratio, fit, quality
from acanet.scoring.operating_point import OperatingPoint
from support.calibrations import calibration
from support.commands import acanet
from support.embedders import Spectrum
from support.sounds import noise

SPEAKERS = 12


def gaussian(rng, trials, mean=2.0):
    """Log-likelihood ratios as they ought to be: normal, of variance 2 mean, about mean and -mean."""
    target = np.arange(trials) % 2 == 0
    return np.where(target, mean, -mean) + np.sqrt(2 * mean) * rng.normal(size=trials), target


def spoken(rng, trials):
    """Ratios that say more the more speech there is, and cosines with another line at every length."""
    sides = np.exp(rng.uniform(0, np.log(10), size=(2, trials)))
    q = np.log(sides).mean(axis=0)
    llrs, target = gaussian(rng, trials, mean=0.5 + q)
    return llrs, target, (llrs + 1 + 2 * q) / (8 + 4 * q), sides


# Fitting


@pytest.mark.parametrize(("slope", "offset"), [(0.07, 0.4), (3.0, -2.0)])
def test_an_affine_distortion_is_undone(slope, offset):
    llrs, target = gaussian(np.random.default_rng(0), 200_000)
    ratio = fit(slope * llrs + offset, target)
    assert ratio.slope == pytest.approx(1 / slope, rel=0.02)
    assert ratio.offset == pytest.approx(-offset / slope, rel=0.02, abs=0.03)
    assert cllr(ratio.llr(slope * llrs + offset, 1, 1), target) == pytest.approx(cllr(llrs, target), abs=1e-4)


def test_a_distortion_that_depends_on_speech_is_undone():
    llrs, target, scores, sides = spoken(np.random.default_rng(0), 200_000)
    ratio = fit(scores, target, tuple(sides))
    clamped = (quality(*sides, 0, 99) == quality(*sides, ratio.shortest, ratio.longest)).nonzero()[0]
    assert len(clamped) > 190_000
    np.testing.assert_allclose(ratio.llr(scores, *sides)[clamped], llrs[clamped], atol=0.5)
    assert (ratio.slope, ratio.slope_q) == (pytest.approx(8, rel=0.05), pytest.approx(4, rel=0.05))
    assert (ratio.offset, ratio.offset_q) == (pytest.approx(-1, abs=0.1), pytest.approx(-2, abs=0.3))


def test_ratios_of_new_trials_cost_little_more_than_the_best_and_less_than_without_speech():
    rng = np.random.default_rng(1)
    _, target, scores, sides = spoken(rng, 20_000)
    with_speech, without = fit(scores, target, tuple(sides)), fit(scores, target)
    _, target, scores, sides = spoken(rng, 40_000)
    found = cllr(with_speech.llr(scores, *sides), target)
    assert found < 1.01 * min_cllr(with_speech.llr(scores, *sides), target)
    assert found < 0.97 * cllr(without.llr(scores, *sides), target)


def test_short_speech_gets_ratios_nearer_to_0():
    _, target, scores, sides = spoken(np.random.default_rng(2), 50_000)
    found = np.abs(fit(scores, target, tuple(sides)).llr(scores, *sides))
    short, long = sides.max(axis=0) < 2, sides.min(axis=0) > 5
    for side in (target, ~target):
        assert found[short & side].mean() < 0.6 * found[long & side].mean()


def test_scikit_learn_finds_the_same_weights():
    _, target, scores, sides = spoken(np.random.default_rng(3), 5_000)
    keep = (np.arange(5_000) % 10 < 2) | ~target  # classes of unlike size
    target, scores, sides = target[keep], scores[keep], sides[:, keep]
    ratio = fit(scores, target, tuple(sides))
    q = quality(*sides, ratio.shortest, ratio.longest)
    columns = np.stack([q, q * q, scores, scores * q], axis=1)
    theirs = LogisticRegression(C=1e8, class_weight="balanced", tol=1e-10, max_iter=10_000).fit(columns, target)
    ours = [ratio.offset_q, ratio.offset_qq, ratio.slope, ratio.slope_q]
    np.testing.assert_allclose(ours, theirs.coef_[0], rtol=2e-3, atol=2e-3)
    assert ratio.offset == pytest.approx(theirs.intercept_[0], abs=2e-3)


def test_a_weight_of_2_is_the_trial_twice_and_0_none():
    _, target, scores, _ = spoken(np.random.default_rng(4), 500)
    counts = np.arange(500) // 2 % 3
    several = [np.repeat(each, counts) for each in (scores, target)]
    weighed, repeated = fit(scores, target, weights=counts), fit(*several)
    assert weighed.model_dump() == pytest.approx(repeated.model_dump(), rel=1e-6)


def test_classes_that_are_apart_get_finite_ratios():
    ratio = fit([0.1, 0.2, 0.8, 0.9], [False, False, True, True])
    found = ratio.llr([0.2, 0.8], 1, 1)
    assert np.isfinite(found).all()
    assert 3 < found[1] < 15
    assert found[1] == pytest.approx(-found[0])


def test_equal_lengths_are_an_affine_calibration():
    llrs, target = gaussian(np.random.default_rng(5), 2_000)
    sides = np.full(2_000, 3.0), np.full(2_000, 3.0)
    np.testing.assert_allclose(fit(llrs, target, sides).llr(llrs, *sides), fit(llrs, target).llr(llrs, 1, 1), rtol=1e-4)


def test_scores_that_fall_are_refused():
    llrs, target = gaussian(np.random.default_rng(6), 1_000)
    speech = np.full(1_000, 2.0), np.full(1_000, 3.0)
    for given_speech in (None, speech):
        with pytest.raises(AcanetError, match="scores of target trials are not the higher ones"):
            fit(-llrs, target, given_speech)


def test_a_slope_that_would_fall_at_some_length_is_left_level():
    """Short speech with the scores the wrong way round, long speech with the right ones."""
    rng = np.random.default_rng(7)
    llrs, target = gaussian(rng, 4_000)
    seconds = np.where(np.arange(4_000) < 1_000, 1.0, 8.0)
    scores = np.where(seconds > 1, llrs, -0.2 * llrs)
    ratio = fit(scores, target, (seconds, seconds))
    assert ratio.slope > 0 == ratio.slope_q


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (([0.1, np.nan], [True, False]), "1 of 2 numbers are NaN"),
        (([0.1, 0.2], [True, True]), "calibration needs both"),
        (([0.1], [True, False]), r"shape \(1,\) for 2 labels"),
        (([0.1, 0.2], [True, False], ([1.0], [1.0, 2.0])), r"shape \(1,\)"),
        (([0.1, 0.2], [True, False], ([0.0, 0.0], [1.0, 2.0])), "leave out those without"),
    ],
)
def test_wrong_arrays(arguments, named):
    with pytest.raises(BadArgument, match=named):
        fit(*arguments)
    with pytest.raises(BadArgument, match="0 or more"):
        fit([0.1, 0.2], [True, False], weights=[1.0, -1.0])


# Ratios

seconds = st.floats(0.01, 1e4)
scores = st.floats(-1, 1)
ratios = st.builds(
    lambda offset, q, qq, low, high, short, more: Ratio(
        offset=offset,
        offset_q=q,
        offset_qq=qq,
        slope=low - (high - low) / math.log(more) * math.log(short),
        slope_q=(high - low) / math.log(more),
        shortest=short,
        longest=short * more,
    ),
    *[st.floats(-10, 10)] * 3,
    *[st.floats(0.1, 40)] * 2,
    st.floats(0.3, 3),
    st.floats(1.5, 30),
)


@given(ratios, scores, scores, seconds, seconds)
def test_a_ratio_rises_with_the_score_at_every_length(ratio, one, other, enrol, test):
    low, high = sorted((one, other))
    if high - low > 1e-6:
        assert ratio.llr(low, enrol, test) < ratio.llr(high, enrol, test)


@given(ratios, scores, seconds, seconds)
def test_sides_can_be_swapped_and_the_ratio_inverted(ratio, score, enrol, test):
    llr = ratio.llr(score, enrol, test)
    assert llr == pytest.approx(ratio.llr(score, test, enrol))
    assert ratio.score(llr, enrol, test) == pytest.approx(score, abs=1e-6)


@given(ratios, scores, seconds)
def test_lengths_that_were_not_seen_count_as_the_nearest(ratio, score, other):
    for beyond, end in ((ratio.shortest / 3, ratio.shortest), (ratio.longest * 50, ratio.longest)):
        assert ratio.llr(score, beyond, other) == ratio.llr(score, end, other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"slope": 0.0},
        {"slope": 2.0, "slope_q": -1.0, "shortest": 1.0, "longest": 10.0},
        {"slope": 1.0, "slope_q": 2.0, "shortest": 0.5, "longest": 10.0},
        {"slope": 1.0, "shortest": 3.0, "longest": 2.0},
        {"slope": float("inf")},
    ],
)
def test_a_ratio_that_does_not_rise_is_none(wrong):
    with pytest.raises(ValidationError):
        Ratio(offset=0.0, **wrong)


# Judging and thresholds


def test_a_false_accept_rate_by_hand():
    llrs, bands = np.arange(10.0), np.array([0] * 5 + [1] * 5)
    one = np.ones(10)
    assert false_accept_threshold(llrs, bands, 0.2, one) == np.nextafter(8.0, 9)  # 9 is one in five of its band
    assert false_accept_threshold(llrs, bands, 0.1, one) == np.nextafter(9.0, 10)
    assert false_accept_threshold(llrs[::-1], bands, 0.4, one) == np.nextafter(7.0, 8)
    assert false_accept_threshold(llrs, bands, 0.2, np.where(llrs == 9, 3.0, 1.0)) == np.nextafter(9.0, 10)
    assert false_accept_threshold(llrs, np.zeros(10, int), 0.2, one) == np.nextafter(7.0, 8)
    assert false_accept_threshold(np.zeros(10), bands, 0.5, one) == np.nextafter(0.0, 1)  # ties are refused together
    assert false_accept_threshold(llrs, bands, 0.2, one * (bands == 0)) == np.nextafter(3.0, 4)


def simulated(rng, speakers=15, each=400):
    enrol, test = rng.integers(speakers, size=(2, speakers * each))
    _, target, scores, sides = spoken(rng, speakers * each)
    test = np.where(target, enrol, np.where(test == enrol, (test + 1) % speakers, test))
    return CropPairs(scores, *sides, target, enrol, test)


def test_nobody_is_judged_by_weights_that_knew_them(tmp_path):
    (tmp_path / "list").write_text("1 a b\n0 a c\n")
    trials = read_trials(tmp_path / "list")
    pairs = simulated(np.random.default_rng(8))
    of_one = (pairs.enrol_speaker == 3) | (pairs.test_speaker == 3)
    spoilt = of_one & (np.arange(len(of_one)) % 2 == 0)
    other = replace(pairs, scores=pairs.scores - 0.5 * spoilt * pairs.target)
    before, after = cross_validated(pairs, 0, trials), cross_validated(other, 0, trials)
    np.testing.assert_array_equal(before[of_one & ~spoilt], after[of_one & ~spoilt])
    assert np.abs(before - after)[~of_one].max() > 0.02  # others do notice
    assert cllr(before, pairs.target) < 1.02 * min_cllr(before, pairs.target)


def test_the_interval_of_a_threshold_is_of_one_calibration_a_draw(monkeypatch):
    """At equal lengths every ratio rises with the score, so a rate has one score, whatever ratios are fitted to it."""
    pairs = simulated(np.random.default_rng(10))
    speech = np.full(len(pairs.scores), 3.0)
    llrs, _ = gaussian(np.random.default_rng(11), len(speech))
    voices = np.random.default_rng(12).normal(size=15)
    scores = (llrs * np.where(pairs.target, 1, -1) * np.where(np.arange(len(speech)) % 2 == 0, 1, -1)) / 10
    pairs = replace(pairs, scores=scores + 0.1 * voices[pairs.enrol_speaker], enrol_speech=speech, test_speech=speech)
    nontarget, everybody = ~pairs.target, np.ones(len(speech))
    drawn, refitted, redrawn = refit_draws(pairs, 50, 0, None)
    assert redrawn == 0

    def score_at(weights):
        return false_accept_threshold(pairs.scores[nontarget], np.zeros(nontarget.sum()), 0.1, weights[nontarget])

    speakers = Speakers(pairs.target, pairs.enrol_speaker, pairs.test_speaker)
    low, high = ends(
        np.array([score_at(everybody)]), np.array([[score_at(speakers.weights(each))] for each in drawn]), drawn
    )
    ratio = pairs.fit()
    in_sample = pairs.llr(ratio)  # in place of cross-validated ratios, so that the cosine is that of the scores
    goal = FalseAccepts(far=0.1)
    _, found = module._thresholds(pairs, in_sample, ratio, goal, 3.0, drawn, refitted)
    assert found.value == pytest.approx(score_at(everybody), abs=1e-6)
    assert (found.low, found.high) == pytest.approx((low[0], high[0]), abs=1e-6)
    _, moved = module._thresholds(pairs, in_sample + 0.5, ratio, goal, 3.0, drawn, refitted)
    steps = np.array([moved.value, moved.low, moved.high]) - [found.value, found.low, found.high]
    np.testing.assert_allclose(steps, np.diff(ratio.score([0.0, 0.5], 3, 3))[0], rtol=1e-3)


def wayward(rng, wrong, speakers=10):
    """CropPairs of which some speakers are the wrong way round: draws of many of them have no rising ratio."""
    pairs = simulated(rng, speakers, each=60)
    return replace(pairs, scores=np.where(pairs.enrol_speaker < wrong, 0.2 - 0.8 * pairs.scores, pairs.scores))


def test_a_draw_in_which_no_ratio_rises_is_made_again(tmp_path):
    (tmp_path / "list").write_text("1 a b\n0 a c\n")
    pairs = wayward(np.random.default_rng(13), 4)
    pairs.fit()
    drawn, ratios, redrawn = refit_draws(pairs, 40, 5, read_trials(tmp_path / "list"))
    assert 0 < redrawn < 40
    assert len(drawn) == len(ratios) == 40
    candidates = Speakers(pairs.target, pairs.enrol_speaker, pairs.test_speaker).draws(40 + redrawn, (5, 3))
    kept = [each for each in candidates if any((each == other).all() for other in drawn)]
    np.testing.assert_array_equal(kept, drawn)
    bayes = OperatingPoint(prior=0.1)
    threshold, cosine = module._thresholds(pairs, pairs.llr(pairs.fit()), pairs.fit(), bayes, 3.0, drawn, ratios)
    assert threshold.low == threshold.value == threshold.high == pytest.approx(math.log(9))
    assert cosine.low < cosine.value < cosine.high
    with pytest.raises(BadTrials, match=r"list: in \d+ of 80 draws of its speakers no ratio rises"):
        refit_draws(wayward(np.random.default_rng(13), 6), 40, 5, read_trials(tmp_path / "list"))


@pytest.mark.parametrize(
    ("trials", "bands"), [(2_900, 1), (3_000, 1), (5_900, 1), (6_000, 2), (12_000, 4), (90_000, 4)]
)
def test_every_range_of_speech_stands_on_30_errors(trials, bands):
    rng = np.random.default_rng(0)
    sides = rng.uniform(1, 10, size=(2, CROPS * trials))
    nobody = np.zeros(CROPS * trials, np.intp)
    pairs = CropPairs(nobody.astype(float), *sides, nobody > 0, nobody, nobody + 1)
    ratio = Ratio(offset=0.0, slope=1.0, shortest=1.0, longest=10.0)
    found = np.bincount(length_bands(pairs, ratio, 0.01))
    assert len(found) == bands
    assert found.max() - found.min() <= 1
    if trials >= 3_000:
        assert 0.01 * found.min() / CROPS >= 29.9


def test_of_very_many_trials_some_are_drawn(monkeypatch, tmp_path):
    numbers = np.arange(3_000)
    trials = Trials(tmp_path / "list", ["a"], numbers, numbers, numbers % 3 == 0, "")
    bayes = OperatingPoint(prior=0.5)
    assert (sample_trials(trials, bayes, 0).enrol == numbers).all()
    monkeypatch.setattr(module, "MOST_TRIALS", 150)
    for goal, nontargets in ((bayes, 150), (FalseAccepts(far=0.1), 1_200), (FalseAccepts(far=0.01), 2_000)):
        kept = sample_trials(trials, goal, 0)
        assert (kept.target.sum(), (~kept.target).sum()) == (150, nontargets)
        assert (np.diff(kept.enrol) > 0).all()
        assert (kept.enrol == kept.test).all()
        assert (kept.target == (kept.enrol % 3 == 0)).all()
        assert (kept.enrol == sample_trials(trials, goal, 0).enrol).all()
    assert (sample_trials(trials, bayes, 1).enrol != sample_trials(trials, bayes, 0).enrol).any()


# The command line


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Synthetic voices, and all pairs of their recordings as trials."""
    folder = write_corpus(tmp_path_factory.mktemp("calibration") / "voices", SPEAKERS, 3, seconds=(1.6, 2.4))
    files = [path.relative_to(folder) for path in sorted(folder.glob("*/*.wav"))]
    lines = [f"{int(a.parent == b.parent)} {a} {b}\n" for a, b in combinations(files, 2)]
    (folder / "all.trials").write_text("".join(lines))
    few = [line for line in lines if not {"s010", "s011"} & {name[:4] for name in line.split()[1:]}]
    (folder / "few.trials").write_text("".join(line for line in few if "s009" not in line))
    return folder


@pytest.fixture(scope="module")
def calibrated(corpus):
    """A copy of the model that ships, calibrated on synthetic voices, and what the command said."""
    folder = corpus.parent / "calibrated"
    answer = acanet("calibrate", "default", corpus / "all.trials", "--audio-root", corpus, "-o", folder, "--far", "0.1")
    return folder, answer


def test_calibrate_writes_what_it_found(corpus, calibrated):
    folder, answer = calibrated
    assert answer.code == 0, answer.err
    assert f"calibration in {folder / 'calibration.json'}" in answer.out
    made = Bundle.load(folder).calibration
    assert made.fingerprint == Bundle.load().fingerprint == Bundle.load(folder).fingerprint
    trials = read_trials(corpus / "all.trials")
    data = made.data
    assert (data.trial_list, data.trial_list_sha256) == ("all.trials", trials.sha256)
    assert (data.speakers, data.utterances, data.targets, data.nontargets) == (SPEAKERS, 36, 36, 594)
    assert 0 < data.pairs <= 4 * len(trials)
    assert data.warnings == ()
    assert made.goal.far == 0.1
    for estimate in (made.threshold, made.whole_threshold, *made.figures.values()):
        assert estimate.low <= estimate.value <= estimate.high
    assert float(made.ratio.score(made.threshold.value, made.whole_speech, made.whole_speech)) == pytest.approx(
        made.whole_threshold.value
    )
    assert 0 < made.figures["min_cllr"].value <= made.figures["cllr"].value < 1
    assert [path.name for path in folder.iterdir() if path.name.endswith(".part")] == []


def test_every_trial_is_scored_once_a_crop(corpus, monkeypatch):
    trials, scored = read_trials(corpus / "all.trials"), []

    class Counting(crop_pairs.Scorer):
        def __call__(self, enrol, test):
            scores = super().__call__(enrol, test)
            scored.append(len(scores))
            return scores

    monkeypatch.setattr(crop_pairs, "Scorer", Counting)
    pairs = score_crops(Spectrum(), trials, find_sides(trials, audio_root=corpus), 0).pairs
    assert sum(scored) == CROPS * len(trials)
    assert len(pairs.scores) > 0.9 * CROPS * len(trials)


def test_what_a_tenth_of_the_utterances_have_lost_is_known(tmp_path):
    """Of 20 utterances two are faint and one is clipped; crops do not count."""
    for number in range(20):
        wave = noise(12_000, number, level=1e-3 if number < 2 else 0.1)
        soundfile.write(tmp_path / f"{number}.wav", wave.clip(-0.15, 0.15) if number == 2 else wave, 8000)
    lines = [f"{int(one // 2 == other // 2)} {one}.wav {other}.wav\n" for one, other in combinations(range(20), 2)]
    (tmp_path / "all.trials").write_text("".join(lines))
    trials = read_trials(tmp_path / "all.trials")
    assert score_crops(Spectrum(), trials, find_sides(trials, audio_root=tmp_path), 0).lost == ("faint",)


def test_the_card_counts_the_draws_that_were_made_again():
    made = calibration("0123456789abcdef")
    figures = dict.fromkeys(module.FIGURES, made.threshold)
    for redrawn, told in ((3, True), (0, False)):
        data = made.data.model_copy(update={"redrawn": redrawn})
        card = card_section(made.model_copy(update={"figures": figures, "data": data}))
        assert ("Of the draws, 3 were made again" in " ".join(card.split())) is told


def test_the_card_says_what_the_calibration_is(calibrated):
    told = (calibrated[0] / "README.md").read_text("utf-8")
    before = (BUNDLES / "default" / "README.md").read_text("utf-8")
    assert "`dev.trials`" in before
    assert "dev.trials" not in told[told.index("## Calibration") :]
    assert re.findall("^## .*", told, re.MULTILINE) == re.findall("^## .*", before, re.MULTILINE)
    assert told[: told.index("## Calibration")] == before[: before.index("## Calibration")]
    assert told[told.index("## Known limits") :] == before[before.index("## Known limits") :]
    made = Bundle.load(calibrated[0]).calibration
    words = " ".join(told.split())
    assert "fitted to `all.trials`" in words
    assert "12 speakers, 36 utterances, 630 trials" in words
    assert f"a ratio of {made.threshold.value:.3f} [{made.threshold.low:.3f}, {made.threshold.high:.3f}] on" in words
    assert "at most 10 % of the nontarget trials" in words
    assert f"cross-validated | {made.figures['cllr'].value:.3f} [" in words
    assert max(map(len, told.splitlines())) < 200


def test_an_encoder_that_trims_is_refused(tiny_bundle, corpus, monkeypatch):
    trimming = Encoder.load(tiny_bundle, trim=True)
    monkeypatch.setattr(trimming, "embed_waveforms", lambda _: pytest.fail("what it embeds is not trimmed"))
    for use in (
        lambda: evaluate_model(trimming, corpus / "all.trials", audio_root=corpus),
        lambda: module.fit_calibration(trimming, corpus / "all.trials", audio_root=corpus, goal=FalseAccepts(far=0.1)),
        lambda: train_plda(trimming, [corpus / "all.jsonl"]),
    ):
        with pytest.raises(AcanetError, match="trims, but this works on recordings as they are; load it without"):
            use()


def test_scipy_is_missed_before_anything_is_read(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingExtra, match="scipy"):
        module.fit_calibration(Spectrum(), "nowhere.trials")


def test_a_calibration_repeats(corpus, calibrated, tmp_path):
    folder = shutil.copytree(calibrated[0], tmp_path / "again")
    (folder / "calibration.json").unlink()
    (folder / "README.md").write_text("# ours\n")
    answer = acanet("calibrate", folder, corpus / "all.trials", "--audio-root", corpus, "--far", "0.1")
    assert answer.code == 0, answer.err
    one, other = (Bundle.load(each).calibration.model_dump() for each in (calibrated[0], folder))
    for each in (one, other):
        each["data"].pop("date")
    assert one == other
    section = card_section(Bundle.load(folder).calibration)
    assert (folder / "README.md").read_text("utf-8") == f"# ours\n\n{section}"


def test_then_verify_decides(corpus, calibrated):
    scores = {}
    for other in ("s000/001.wav", "s004/000.wav"):
        answer = acanet("verify", corpus / "s000/000.wav", corpus / other, "-m", calibrated[0], "--json")
        found = scores[other] = json.loads(answer.out)
        assert answer.code == (0 if found["same"] else 1)
        assert found["llr_threshold"] == pytest.approx(Bundle.load(calibrated[0]).calibration.threshold.value, abs=1e-5)
    assert scores["s000/001.wav"]["llr"] > scores["s004/000.wav"]["llr"]


def test_costs_decide_by_bayes_rule(corpus, tmp_path):
    how = ["--audio-root", corpus, "-o", tmp_path / "out", "--prior", "0.2", "--cost-fa", "5", "--seed", "4"]
    answer = acanet("calibrate", "default", corpus / "all.trials", *how)
    assert answer.code == 0, answer.err
    made = Bundle.load(tmp_path / "out").calibration
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # the copy appears whole; nothing is left beside it
    assert made.threshold.value == made.threshold.low == made.threshold.high == pytest.approx(math.log(20))
    assert made.whole_threshold.low < made.whole_threshold.high
    assert (made.goal.prior, made.goal.c_miss, made.goal.c_fa, made.data.seed) == (0.2, 1.0, 5.0, 4)
    card = " ".join((tmp_path / "out" / "README.md").read_text("utf-8").split())
    assert "Bayes' rule where 20 % of the trials are of one voice, a miss costs 1 and a false accept 5." in card


@pytest.mark.parametrize(
    ("trials", "given", "named"),
    [
        ("all", [], "a false accept rate of 0.01 stands on 30 errors, for which 3,000 are needed"),
        ("few", ["--far", "0.2"], "few.trials: 9 speakers; a calibration needs at least 10"),
        ("all", ["--far", "0.2", "--prior", "0.1"], "two ways to decide"),
        ("all", ["--cost-fa", "10"], "with --prior only"),
        ("all", ["--far", "1.5"], "less than 1"),
        ("all", ["--prior", "0"], "greater than 0"),
        ("all", ["--prior", "0.1", "--cost-miss", "-1"], "greater than 0"),
        ("missing", ["--far", "0.2"], "missing.trials"),
    ],
)
def test_what_cannot_be_calibrated(corpus, tmp_path, trials, given, named):
    where = ["--audio-root", corpus, "-o", tmp_path / "out"]
    answer = acanet("calibrate", "default", corpus / f"{trials}.trials", *where, *given)
    assert (answer.code, answer.out) == (2, "")
    assert named in answer.err
    assert not (tmp_path / "out").exists()


def test_where_a_calibration_goes(corpus, tmp_path):
    for arguments, named in (
        (["default", "--audio-root", corpus], "stays as it is; name a folder for a copy with --output"),
        (["default", "--audio-root", corpus, "-o", tmp_path], "is there already"),
        (["default", "--audio-root", corpus, "-o", tmp_path / "no" / "new"], "there is no folder"),
        (["default", "-o", tmp_path / "new"], "give --audio-root or --manifest"),
    ):
        answer = acanet("calibrate", *arguments, corpus / "all.trials")
        assert (answer.code, answer.out) == (2, "")
        assert named in answer.err.replace("│ ", "")


# The file


def test_a_calibration_is_no_part_of_the_fingerprint(tiny_bundle, tmp_path):
    bundle = Bundle.load(shutil.copytree(tiny_bundle, tmp_path / "model"))
    made = calibration(bundle.fingerprint)
    again = bundle.with_calibration(made)
    assert again.calibration == Bundle.load(bundle.folder).calibration == made
    assert again.fingerprint == Bundle.load(tiny_bundle).fingerprint
    assert again.with_calibration(calibration("other")).calibration.fingerprint == "other"


def test_a_calibration_counts_for_its_own_embeddings_only(tiny_bundle, tmp_path):
    folder = shutil.copytree(tiny_bundle, tmp_path / "model")
    own = Bundle.load(folder).fingerprint
    Bundle.load(folder).with_calibration(calibration(own))
    assert Encoder.load(folder).calibration == calibration(own)
    trimming = Encoder.load(folder, trim=True)
    assert trimming.calibration is None
    Bundle.load(folder).with_calibration(calibration(trimming.fingerprint))
    assert Encoder.load(folder, trim=True).calibration is None
    Bundle.load(folder).with_calibration(calibration("0" * 16))
    assert Encoder.load(folder).calibration is None


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda text: text[:-20], r"calibration\.json: not JSON"),
        (lambda text: text.replace('"slope"', '"slop"'), "unknown key 'slop', did you mean 'slope'"),
        (lambda text: text.replace('"slope": 10.0', '"slope": -10.0'), "a ratio must rise with the score"),
        (lambda text: text.replace('"slope": 10.0', '"slope": NaN'), "NaN is no number of JSON"),
        (lambda text: text.replace('"slope": 10.0', '"slope": 1e999'), "1e999 is no number of JSON"),
        (lambda text: text.replace('"slope": 10.0', '"slope": 1e9'), "slope: "),
        (lambda text: text.replace('"slope": 10.0', '"slope": 10.1'), "it was changed, and is not as"),
        (lambda text: text.replace('"sha256": "', '"sha256": "0'), "it was changed, and is not as"),
        (lambda text: re.sub(r',\s+"sha256": "\w+"', "", text), "it was changed, and is not as"),
        (lambda text: text.replace('"value": 1.0', '"value": -1000.0'), "or any two recordings would be one voice"),
        (lambda text: text.replace('"value": 1.0', '"value": 1001.0'), "and at most 1000"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "format: "),
        (lambda text: text.replace('"far"', '"for"'), "goal"),
        (lambda text: "[]", r"calibration\.json"),
    ],
)
def test_a_damaged_calibration_is_named(tiny_bundle, tmp_path, voices, damage, named):
    folder = shutil.copytree(tiny_bundle, tmp_path / "model")
    Bundle.load(folder).with_calibration(calibration(Bundle.load(folder).fingerprint))
    path = folder / "calibration.json"
    changed = damage(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    with pytest.raises(AcanetError, match=named) as caught:
        _ = Encoder.load(folder).calibration
    assert isinstance(caught.value, BadConfig) or "JSON" in named
    answer = acanet("verify", voices / "s000/000.wav", voices / "s000/001.wav", "-m", folder, "--threshold", "-1")
    assert (answer.code, answer.out) == (2, "")
    assert "calibration.json" in answer.err


@pytest.mark.slow
def test_float32_keeps_the_calibration_and_int8_has_none(tiny_bundle, tmp_path):
    folder = shutil.copytree(tiny_bundle, tmp_path / "model")
    made = calibration(Bundle.load(folder).fingerprint)
    Bundle.load(folder).with_calibration(made)
    for precision, kept in (("float32", made), ("int8", None)):
        answer = acanet("export", folder, "-o", tmp_path / precision, "--precision", precision)
        assert answer.code == 0, answer.err
        assert Encoder.load(tmp_path / precision).calibration == kept
        assert Bundle.load(tmp_path / precision).calibration == kept


# The model that ships


@pytest.mark.speech
def test_the_shipped_calibration_is_cautious_about_short_speech(shared):
    """Ratios of the middle second of recordings are less than two thirds as far from 0 as those of 3 s of speech."""
    encoder = Encoder.load()
    trials = read_trials(shared / "protocols/speechocean762/dev.trials")
    sides = find_sides(trials, audio_root=shared / "data")
    long, speakers = [], []
    for utterance, speaker in zip(sides.utterances, sides.speakers, strict=True):
        if len(speakers) < 20 and speakers.count(speaker) < 2:
            waveform = read_audio(utterance.path)[0]
            if find_speech(waveform, encoder.rate).seconds >= 3:
                long.append(waveform)
                speakers.append(speaker)
    half = encoder.rate // 2
    short = [waveform[len(waveform) // 2 - half : len(waveform) // 2 + half] for waveform in long]
    one, other = np.triu_indices(len(long), 1)
    target = np.array(speakers)[one] == np.array(speakers)[other]
    llrs = []
    for waveforms in (short, long):
        seconds = np.array([find_speech(waveform, encoder.rate).seconds for waveform in waveforms])
        embeddings = encoder.embed_waveforms(waveforms)
        scores = np.sum(embeddings[one] * embeddings[other], axis=1)
        llrs.append(encoder.calibration.llr(scores, seconds[one], seconds[other]))
    assert target.sum() >= 8
    for side in (target, ~target):
        assert np.abs(llrs[0][side]).mean() < 2 / 3 * np.abs(llrs[1][side]).mean()


@pytest.mark.speech
def test_the_shipped_calibration_names_its_list(shared):
    data = Bundle.load(BUNDLES / "default").calibration.data
    trials = read_trials(shared / "protocols/speechocean762/dev.trials")
    assert (data.trial_list, data.trial_list_sha256) == ("dev.trials", trials.sha256)
    assert data.targets + data.nontargets == len(trials)


def test_without_two_fifths_of_the_speakers_there_must_be_both_classes(tmp_path):
    (tmp_path / "list").write_text("1 a b\n0 a c\n")
    pairs = simulated(np.random.default_rng(9), speakers=5, each=50)
    lonely = pairs.of(~pairs.target | (pairs.enrol_speaker == 0))
    with pytest.raises(BadTrials, match="without two fifths of its speakers it has one class"):
        cross_validated(lonely, 0, read_trials(tmp_path / "list"))
