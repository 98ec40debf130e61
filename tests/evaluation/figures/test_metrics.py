from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.metrics import det_curve, roc_auc_score, roc_curve

from acanet.errors import BadArgument, BadConfig
from acanet.evaluation.figures import metrics
from acanet.evaluation.figures.metrics import (
    act_dcf,
    auc,
    cllr,
    convex_hull,
    eer,
    eer_hull,
    eer_threshold,
    error_rates,
    fnmr_at,
    min_cllr,
    min_dcf,
)
from acanet.scoring import operating_point


def test_the_examples_in_the_docstrings() -> None:
    for module in (metrics, operating_point):
        result = doctest.testmod(module, extraglobs={"np": np})
        assert result.attempted
        assert not result.failed


# scores, target, EER, minDCF at prior 0.5 (there it is the least FMR + FNMR)
WORKED: dict[str, tuple[list[float], list[int], float, float]] = {
    "perfect": ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 0.0, 0.0),
    "inverted": ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], 1.0, 1.0),
    "all tied": ([0.3, 0.3, 0.3, 0.3], [1, 0, 1, 0], 0.5, 1.0),
    "all tied, other order": ([0.3, 0.3, 0.3, 0.3], [0, 0, 1, 1], 0.5, 1.0),
    "all tied, few targets": ([0.3, 0.3, 0.3, 0.3], [1, 0, 0, 0], 0.5, 1.0),
    "one of each, right": ([0.9, 0.1], [1, 0], 0.0, 0.0),
    "one of each, wrong": ([0.1, 0.9], [1, 0], 1.0, 1.0),
    "one of each, tied": ([0.5, 0.5], [1, 0], 0.5, 1.0),
    "one pair swapped of three": ([0.9, 0.8, 0.3, 0.5, 0.2, 0.1], [1, 1, 1, 0, 0, 0], 1 / 3, 1 / 3),
    # Points (FMR, FNMR): (1, 0), (1/2, 0), (0, 1/2), (0, 1); the crossing is half-way between the middle two.
    "a tie across the classes": ([0.9, 0.4, 0.4, 0.1], [1, 1, 0, 0], 0.25, 0.5),
    # (1, 0), (1/3, 0), (1/3, 1/2), (0, 1/2), (0, 1): crossed on the way up from (1/3, 0) to (1/3, 1/2).
    "two targets, three nontargets": ([0.9, 0.3, 0.5, 0.2, 0.1], [1, 1, 0, 0, 0], 1 / 3, 1 / 3),
}


@pytest.mark.parametrize(("scores", "target", "rate", "cost"), WORKED.values(), ids=WORKED)
def test_worked_by_hand(scores: list[float], target: list[int], rate: float, cost: float) -> None:
    assert eer(scores, target) == pytest.approx(rate, abs=1e-12)
    assert min_dcf(scores, target, prior=0.5) == pytest.approx(cost, abs=1e-12)


def test_min_dcf_weighs_by_prior_and_cost() -> None:
    scores, target = [0.9, 0.3, 0.5, 0.2, 0.1], [1, 1, 0, 0, 0]
    # At (0, 1/2) the cost is prior / 2; at (1/3, 0) it is (1 - prior) / 3.
    assert min_dcf(scores, target, prior=0.01) == pytest.approx(0.5)
    assert min_dcf(scores, target, prior=0.9) == pytest.approx(1 / 3)
    # Ten times the cost of a miss: min(10 * 0.1 / 2, 0.9 / 3) / min(10 * 0.1, 0.9)
    assert min_dcf(scores, target, prior=0.1, c_miss=10) == pytest.approx(1 / 3)
    # min(0.5 / 2, 3 * 0.5 / 3) / min(0.5, 1.5)
    assert min_dcf(scores, target, prior=0.5, c_fa=3) == pytest.approx(0.5)


def test_threshold_of_the_eer_is_a_score_where_the_rates_are_closest() -> None:
    assert eer_threshold([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0]) == 0.8
    assert eer_threshold([0.3, 0.3], [1, 0]) == 0.3
    assert eer_threshold([0.1, 0.9], [1, 0]) == 0.9


def test_weights_are_repeated_trials() -> None:
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 8, 60) / 8
    target = generator.random(60) < 0.4
    weights = generator.integers(0, 4, 60)
    repeated = np.repeat(scores, weights), np.repeat(target, weights)
    assert eer(scores, target, weights) == pytest.approx(eer(*repeated), abs=1e-12)
    assert min_dcf(scores, target, 0.05, weights=weights) == pytest.approx(min_dcf(*repeated, 0.05), abs=1e-12)
    assert eer(scores, target, weights) != eer(scores, target)


@pytest.mark.parametrize("decimals", [1, 6])
def test_the_curve_is_that_of_scikit_learn(decimals: int) -> None:
    generator = np.random.default_rng(1)
    target = generator.random(500) < 0.3
    scores = np.round(generator.normal(size=500) + target, decimals)
    weights = generator.random(500)
    thresholds, fmr, fnmr = error_rates(scores, target, weights)
    want_fmr, want_fnmr, want_thresholds = det_curve(target, scores, sample_weight=weights)
    finite = np.isfinite(want_thresholds)
    at = np.searchsorted(thresholds, want_thresholds[finite])
    assert finite.sum() > 20
    np.testing.assert_array_equal(thresholds[at], want_thresholds[finite])
    np.testing.assert_allclose(fmr[at], want_fmr[finite], atol=1e-12)
    np.testing.assert_allclose(fnmr[at], want_fnmr[finite], atol=1e-12)


def roc(seed: int, decimals: int) -> tuple[Any, Any, Any]:
    """Scores, labels and weights of 500 random trials."""
    generator = np.random.default_rng(seed)
    target = generator.random(500) < 0.3
    return np.round(generator.normal(size=500) + target, decimals), target, generator.random(500)


@pytest.mark.parametrize("decimals", [1, 6])
def test_area_and_rates_are_those_of_scikit_learn(decimals: int) -> None:
    scores, target, weights = roc(2, decimals)
    assert auc(scores, target) == pytest.approx(roc_auc_score(target, scores), abs=1e-12)
    assert auc(scores, target, weights) == pytest.approx(
        roc_auc_score(target, scores, sample_weight=weights), abs=1e-12
    )
    fmr, hits, _ = roc_curve(target, scores, drop_intermediate=False)
    for most in (0, 0.01, 0.1, 0.5, 1):
        assert fnmr_at(scores, target, most) == pytest.approx(1 - hits[fmr <= most].max(), abs=1e-12)


SWAPPED = [0.9, 0.8, 0.3, 0.5, 0.2, 0.1]
# scores, target, EER on the hull, AUC, minCllr, FNMR at FMR 0.01 and at 1/2
SHAPES: dict[str, tuple[list[float], list[int], float, float, float, float, float]] = {
    "perfect": ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 0, 1, 0, 0, 0),
    "inverted": ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], 0.5, 0, 1, 1, 1),
    "all tied": ([0.3, 0.3, 0.3, 0.3], [1, 0, 1, 0], 0.5, 0.5, 1, 1, 1),
    "all tied, few targets": ([0.3, 0.3, 0.3, 0.3], [0, 0, 0, 1], 0.5, 0.5, 1, 1, 1),
    "one of each, right": ([0.9, 0.1], [1, 0], 0, 1, 0, 0, 0),
    "one of each, wrong": ([0.1, 0.9], [1, 0], 0.5, 0, 1, 1, 1),
    "one of each, tied": ([0.5, 0.5], [1, 0], 0.5, 0.5, 1, 1, 1),
    # The hull goes from (1, 0) over (1/2, 0) and (0, 1/2) to (0, 1); its middle edge, with half of both classes, costs
    # half a bit. Of the four pairs three are in order, one is tied.
    "a tie across the classes": ([0.9, 0.4, 0.4, 0.1], [1, 1, 0, 0], 0.25, 0.875, 0.5, 0.5, 0),
    # The hull: (1, 0), (1/3, 0), (0, 1/3), (0, 1). Eight of nine pairs are in order.
    "one pair swapped of three": (SWAPPED, [1, 1, 1, 0, 0, 0], 1 / 6, 8 / 9, 1 / 3, 1 / 3, 0),
    "the same, every trial twice": (SWAPPED * 2, [1, 1, 1, 0, 0, 0] * 2, 1 / 6, 8 / 9, 1 / 3, 1 / 3, 0),
}  # fmt: skip


@pytest.mark.parametrize(("scores", "target", "hull", "area", "bits", "strict", "half"), SHAPES.values(), ids=SHAPES)
def test_shapes_worked_by_hand(scores, target, hull, area, bits, strict, half) -> None:  # type: ignore[no-untyped-def]
    assert eer_hull(scores, target) == pytest.approx(hull, abs=1e-12)
    assert auc(scores, target) == pytest.approx(area, abs=1e-12)
    assert min_cllr(scores, target) == pytest.approx(bits, abs=1e-12)
    assert fnmr_at(scores, target, 0.01) == pytest.approx(strict, abs=1e-12)
    assert fnmr_at(scores, target, 0.5) == pytest.approx(half, abs=1e-12)


def test_fnmr_is_taken_where_just_enough_nontargets_pass() -> None:
    """One of 100 nontarget trials may pass at 1 %, none at 0.1 %."""
    scores, target = np.append(np.arange(100), [98.5, 97.5, 99.5]), np.repeat([0, 1], [100, 3])
    assert [fnmr_at(scores, target, most) for most in (0.02, 0.01, 0.001)] == [0, 1 / 3, 2 / 3]


def test_cllr_by_hand() -> None:
    # Odds of 3 to 1 for the truth: log2(4 / 3) bits each; against it: log2(4) = 2 bits.
    odds = float(np.log(3))
    assert cllr([odds, -odds], [1, 0]) == pytest.approx(np.log2(4 / 3))
    assert cllr([-odds, odds], [1, 0]) == pytest.approx(2)
    assert cllr([odds, -odds, odds], [1, 1, 0]) == pytest.approx((np.log2(4 / 3) / 2 + 1 + 2) / 2)
    assert cllr([odds, -odds, odds], [1, 1, 0], [3, 1, 5]) == pytest.approx((0.75 * np.log2(4 / 3) + 0.5 + 2) / 2)
    assert cllr([1e4, -1e4], [1, 0]) == 0
    assert np.isfinite(cllr([-1e4, 1e4], [1, 0]))


def test_act_dcf_by_hand() -> None:
    llrs, target = [6.0, 4.0, 5.0, -3.0, -9.0, -9.0], [1, 1, 0, 0, 0, 0]
    # The threshold is ln(99) = 4.595: half of the targets are refused, a quarter of the nontargets accepted.
    assert act_dcf(llrs, target, 0.01) == pytest.approx(0.5 + 99 / 4)
    # 0.1 * 10 against 0.9: the threshold is ln(0.9) < 0, and accepting all costs least of what does not listen.
    assert act_dcf(llrs, target, 0.1, c_miss=10) == pytest.approx(0.25)
    # At the threshold is accepted.
    assert act_dcf([0.0, 0.0], [1, 0], 0.5) == 1
    assert act_dcf([0.0, -1.0], [1, 0], 0.5) == 0
    assert act_dcf(llrs, target, 0.01, weights=[1, 3, 0, 1, 1, 1]) == pytest.approx(0.75)


@pytest.mark.parametrize("distance", [1.0, 2.0, 3.5])
def test_cllr_of_calibrated_gaussian_scores_is_its_expectation(distance: float) -> None:
    """Scores of N(d, 1) and N(0, 1) have the log-likelihood ratio d x - d^2 / 2."""

    def bits(score: float, mean: float) -> float:
        sign = 1 if mean else -1
        return float(np.logaddexp(0, -sign * (distance * score - distance**2 / 2)) / np.log(2) * norm.pdf(score, mean))

    want = sum(quad(bits, mean - 10, mean + 10, args=(mean,))[0] for mean in (distance, 0.0)) / 2
    generator = np.random.default_rng(0)
    target = np.repeat([True, False], 200_000)
    scores = generator.normal(size=400_000) + distance * target
    llrs = distance * scores - distance**2 / 2
    assert cllr(llrs, target) == pytest.approx(want, rel=0.01)
    assert min_cllr(llrs, target) == pytest.approx(want, rel=0.01)
    assert cllr(2 * llrs, target) > 1.02 * want
    assert eer(scores, target) == pytest.approx(norm.cdf(-distance / 2), rel=0.01)
    assert auc(scores, target) == pytest.approx(norm.cdf(distance / np.sqrt(2)), rel=0.01)
    assert act_dcf(llrs, target, 0.05) == pytest.approx(min_dcf(scores, target, 0.05), rel=0.02)


def test_a_point_knows_its_threshold_and_its_name() -> None:
    assert operating_point.OperatingPoint(prior=0.5).threshold == 0
    assert operating_point.OperatingPoint(prior=0.5, c_fa=np.e).threshold == pytest.approx(1)
    assert operating_point.OperatingPoint(prior=0.2, c_miss=4).threshold == pytest.approx(0)
    assert operating_point.OperatingPoint(prior=0.05).name == "0.05"
    assert operating_point.OperatingPoint(prior=0.001, c_fa=2.5).name == "0.001,1,2.5"


TRIALS = st.lists(st.tuples(st.integers(-50, 50), st.booleans()), min_size=2, max_size=40).filter(
    lambda trials: len({label for _, label in trials}) == 2
)


FIGURES = (eer, eer_hull, auc, min_cllr, lambda *trials: min_dcf(*trials, 0.05), lambda *trials: fnmr_at(*trials, 0.1))


@given(TRIALS, st.randoms(use_true_random=False))
def test_order_means_nothing(trials: list[tuple[int, bool]], random: Any) -> None:
    shuffled = random.sample(trials, len(trials))
    for figure in FIGURES:
        assert figure(*zip(*trials, strict=True)) == figure(*zip(*shuffled, strict=True))


@given(TRIALS)
def test_only_the_order_of_scores_counts(trials: list[tuple[int, bool]]) -> None:
    scores, target = map(np.array, zip(*trials, strict=True))
    for moved in (np.exp(scores / 10), 3.0 * scores - 7):
        for figure in FIGURES:
            assert figure(moved, target) == figure(scores, target)


@given(TRIALS)
def test_rates_are_rates_and_turn_round_with_the_scores(trials: list[tuple[int, bool]]) -> None:
    scores, target = map(np.array, zip(*trials, strict=True))
    _, fmr, fnmr = error_rates(scores, target)
    assert (fmr[0], fnmr[0], fmr[-1], fnmr[-1]) == (1, 0, 0, 1)
    assert (np.diff(fmr) <= 0).all()
    assert (np.diff(fnmr) >= 0).all()
    assert 0 <= min_dcf(scores, target, 0.01) <= 1
    assert eer(-scores, target) == pytest.approx(1 - eer(scores, target), abs=1e-12)
    assert eer(-scores, ~target) == pytest.approx(eer(scores, target), abs=1e-12)


@given(TRIALS)
def test_figures_keep_to_each_other(trials: list[tuple[int, bool]]) -> None:
    scores, target = map(np.array, zip(*trials, strict=True))
    _, fmr, fnmr = error_rates(scores, target)
    hull = convex_hull(fmr, fnmr)
    assert eer_hull(scores, target) <= min(0.5, eer(scores, target)) + 1e-12
    assert auc(-scores, target) == pytest.approx(1 - auc(scores, target), abs=1e-12)
    for llrs in (scores / 10, -scores / 10, scores * 0.0):
        assert min_cllr(llrs, target) <= cllr(llrs, target) + 1e-12
        for prior in (0.01, 0.5, 0.9):
            assert min_dcf(llrs, target, prior) <= act_dcf(llrs, target, prior) + 1e-12
    right, up = -np.diff(hull[0]), np.diff(hull[1])
    assert (up[1:] * right[:-1] - up[:-1] * right[1:] >= -1e-12).all()  # ever steeper
    below = np.interp(fmr[::-1], hull[0][::-1], hull[1][::-1])[::-1]
    assert (below <= fnmr + 1e-12).all()
    for prior in (0.01, 0.5, 0.9):
        point = operating_point.OperatingPoint(prior=prior)
        assert metrics.least_cost(*hull, point) == pytest.approx(min_dcf(scores, target, prior), abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0.1, float("nan")], [1, 0]), "1 of 2 scores are NaN or infinite"),
        (([0.1, float("inf")], [1, 0]), "NaN or infinite"),
        (([0.1, 0.2], [1, 1]), "2 target and 0 nontarget"),
        (([0.1, 0.2], [0, 0]), "0 target and 2 nontarget"),
        (([], []), "0 target and 0 nontarget"),
        (([0.1, 0.2, 0.3], [1, 0]), "3 scores for 2 labels"),
        (([[0.1], [0.2]], [1, 0]), "shape"),
        (([0.1, 0.2], [1, 0], [1]), "1 weights for 2 scores"),
        (([0.1, 0.2], [1, 0], [1, -1]), "weights must be"),
        (([0.1, 0.2], [1, 0], [1, 0]), "all weights of a class are zero"),
    ],
)
def test_bad_input_is_refused(arguments: Any, words: str) -> None:
    for figure in (error_rates, eer, eer_threshold, eer_hull, auc, cllr, min_cllr):
        with pytest.raises(BadArgument, match=words):
            figure(*arguments)


@pytest.mark.parametrize("change", [{"prior": 0}, {"prior": 1}, {"prior": 0.5, "c_fa": 0}])
def test_impossible_costs_are_refused(change: dict[str, float]) -> None:
    for figure in (min_dcf, act_dcf):
        with pytest.raises(BadConfig, match=r"greater than 0|less than 1"):
            figure([0.1, 0.2], [1, 0], **change)
