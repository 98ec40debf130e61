from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import det_curve

from acanet.evaluation import metrics
from acanet.evaluation.metrics import (
    Interval,
    bootstrap,
    eer,
    eer_difference,
    eer_threshold,
    error_rates,
    min_dcf,
)
from acanet.scoring import cosine as cosine_module
from acanet.scoring.cosine import BLOCK, cosine


def test_the_examples_in_the_docstrings() -> None:
    for module in (metrics, cosine_module):
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


TRIALS = st.lists(st.tuples(st.integers(-50, 50), st.booleans()), min_size=2, max_size=40).filter(
    lambda trials: len({label for _, label in trials}) == 2
)


@given(TRIALS, st.randoms(use_true_random=False))
def test_order_means_nothing(trials: list[tuple[int, bool]], random: Any) -> None:
    shuffled = random.sample(trials, len(trials))
    for measure in (eer, lambda *trials: min_dcf(*trials, 0.05)):
        assert measure(*zip(*trials, strict=True)) == measure(*zip(*shuffled, strict=True))


@given(TRIALS)
def test_only_the_order_of_scores_counts(trials: list[tuple[int, bool]]) -> None:
    scores, target = map(np.array, zip(*trials, strict=True))
    for moved in (np.exp(scores / 10), 3.0 * scores - 7):
        assert eer(moved, target) == eer(scores, target)
        assert min_dcf(moved, target, 0.01) == min_dcf(scores, target, 0.01)


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
    for measure in (error_rates, eer, eer_threshold):
        with pytest.raises(ValueError, match=words):
            measure(*arguments)


@pytest.mark.parametrize("change", [{"prior": 0}, {"prior": 1}, {"prior": 0.5, "c_fa": 0}])
def test_impossible_costs_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"expected|above 0"):
        min_dcf([0.1, 0.2], [1, 0], **change)


def all_pairs(speakers: int, each: int, noise: float, seed: int = 0) -> tuple[np.ndarray[Any, Any], ...]:
    """Scores, labels and speakers of all pairs of utterances; a speaker's voice is a point on a line."""
    generator = np.random.default_rng(seed)
    who = np.repeat(np.arange(speakers), each)
    voice = np.repeat(generator.normal(size=speakers), each) + noise * generator.normal(size=len(who))
    first, second = np.triu_indices(len(who), 1)
    return -np.abs(voice[first] - voice[second]), who[first] == who[second], who[first], who[second]


def test_the_bootstrap_equals_resampling_speakers_for_real() -> None:
    scores, target, enrol, test = all_pairs(6, 3, 0.5)
    got = bootstrap(scores, target, enrol, test, replicates=40, seed=3, priors=(0.1,))

    generator = np.random.default_rng(3)
    figures = []
    for _ in range(40):
        drawn = generator.integers(6, size=6).tolist()
        copies = [
            row
            for row in range(len(scores))
            for one in drawn
            for other in ([None] if target[row] else drawn)
            if one == enrol[row] and other in (None, test[row])
        ]
        assert len(set(drawn)) > 1  # else the replicate would have been drawn again
        figures.append((eer(scores[copies], target[copies]), min_dcf(scores[copies], target[copies], 0.1)))
    low, high = np.percentile(figures, [2.5, 97.5], axis=0)
    assert got.eer == Interval(pytest.approx(low[0]), pytest.approx(high[0]))
    assert got.min_dcf == {0.1: Interval(pytest.approx(low[1]), pytest.approx(high[1]))}


def test_the_interval_holds_the_estimate_and_narrows_with_more_speakers() -> None:
    widths = []
    for speakers in (10, 60):
        trials = all_pairs(speakers, 4, 0.3)
        interval = bootstrap(*trials, replicates=300).eer
        assert interval.low < eer(*trials[:2]) < interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] < 0.6 * widths[0]


def test_the_same_seed_gives_the_same_intervals() -> None:
    trials = all_pairs(8, 3, 0.5)
    assert bootstrap(*trials, replicates=50, seed=1) == bootstrap(*trials, replicates=50, seed=1)
    assert bootstrap(*trials, replicates=50, seed=1) != bootstrap(*trials, replicates=50, seed=2)


def test_replicates_without_both_classes_are_drawn_again() -> None:
    # Of two speakers, half of the draws have one of them only, and so no nontarget trial.
    enrol, test = np.array(["a", "b", "a"]), np.array(["a", "b", "b"])
    intervals = bootstrap([0.9, 0.8, 0.1], [1, 1, 0], enrol, test, replicates=100)
    assert intervals.eer == Interval(0, 0)


def test_a_system_does_not_differ_from_itself() -> None:
    scores, *others = all_pairs(8, 3, 0.5)
    assert eer_difference(scores, 2 * scores - 1, *others, replicates=50) == (0.0, Interval(0.0, 0.0))


def test_the_paired_difference_is_that_of_the_same_draws() -> None:
    one, target, enrol, test = all_pairs(8, 3, 0.8)
    other = one + np.random.default_rng(5).normal(size=len(one))
    difference, interval = eer_difference(one, other, target, enrol, test, replicates=30, seed=2)
    assert difference == eer(one, target) - eer(other, target)
    generator = np.random.default_rng(2)
    figures = []
    for _ in range(30):
        drawn = np.bincount(generator.integers(8, size=8), minlength=8)
        weights = drawn[enrol] * np.where(target, 1, drawn[test])
        figures.append(eer(one, target, weights) - eer(other, target, weights))
    assert interval == Interval(*np.percentile(figures, [2.5, 97.5]))


def test_pairing_sees_what_overlapping_intervals_hide() -> None:
    """One system is a little worse than the other on every draw of the speakers."""
    better, target, enrol, test = all_pairs(30, 4, 0.5)
    worse = better - 0.2 * target
    intervals = [bootstrap(scores, target, enrol, test, replicates=200).eer for scores in (better, worse)]
    assert intervals[1].low < intervals[0].high
    difference, interval = eer_difference(worse, better, target, enrol, test, replicates=200)
    assert 0 < interval.low < difference < interval.high


def test_a_target_trial_of_two_speakers_is_refused() -> None:
    with pytest.raises(ValueError, match="two speakers"):
        bootstrap([0.9, 0.1], [1, 0], ["a", "a"], ["b", "b"])
    with pytest.raises(ValueError, match="1 pairs of speakers for 2 scores"):
        bootstrap([0.9, 0.1], [1, 0], ["a"], ["a"])
    with pytest.raises(ValueError, match="replicates is 0"):
        bootstrap([0.9, 0.1], [1, 0], ["a", "a"], ["a", "b"], replicates=0)


def test_cosine_by_hand_and_across_blocks() -> None:
    embeddings = np.array([[2, 0], [3, 4], [-1, 0], [0, 5]], np.float32)
    enrol, test = np.zeros(4, np.intp), np.arange(4)
    want = np.array([1, 0.6, -1, 0], np.float32)
    np.testing.assert_allclose(cosine(embeddings, enrol, test), want, atol=1e-7)
    many = BLOCK // 2 + 1
    scores = cosine(embeddings, np.tile(test, many), np.tile(enrol, many))
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, np.tile(cosine(embeddings, test, enrol), many))


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_cosine_refuses_embeddings_without_direction(bad: float) -> None:
    embeddings = np.array([[1, 0], [bad, 0]], np.float32)
    with pytest.raises(ValueError, match="first row 1"):
        cosine(embeddings, np.array([0]), np.array([1]))
