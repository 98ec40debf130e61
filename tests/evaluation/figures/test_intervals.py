from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats

from acanet.errors import BadArgument
from acanet.evaluation.figures import curve, intervals
from acanet.evaluation.figures.bootstrap import Speakers, ends
from acanet.evaluation.figures.intervals import differences, figure_names, measure, pairwise
from acanet.evaluation.figures.metrics import act_dcf, auc, cllr, eer, eer_hull, fnmr_at, min_cllr, min_dcf
from acanet.scoring.measure import Measure
from acanet.scoring.operating_point import OperatingPoint

Array = np.ndarray[Any, Any]
POINTS = (OperatingPoint(prior=0.1), OperatingPoint(prior=0.3, c_fa=5))


def all_pairs(speakers: int, each: int, noise: float, seed: int = 0) -> tuple[Array, Array, Array, Array]:
    """Scores, labels and speakers of all pairs of utterances; a speaker's voice is a point on a line."""
    generator = np.random.default_rng(seed)
    who = np.repeat(np.arange(speakers), each)
    voice = np.repeat(generator.normal(size=speakers), each) + noise * generator.normal(size=len(who))
    first, second = np.triu_indices(len(who), 1)
    return -np.abs(voice[first] - voice[second]), who[first] == who[second], who[first], who[second]


def one_by_one(scores: Array, llrs: Array, target: Array) -> dict[str, float]:
    """What `measure` gives, each figure by its own function."""
    costs = [(point.name, (point.prior, point.c_miss, point.c_fa)) for point in POINTS]
    return {
        "eer": eer(scores, target),
        "eer_hull": eer_hull(scores, target),
        "auc": auc(scores, target),
        **{f"min_dcf({name})": min_dcf(scores, target, *point) for name, point in costs},
        **{f"act_dcf({name})": act_dcf(llrs, target, *point) for name, point in costs},
        "cllr": cllr(llrs, target),
        "min_cllr": min_cllr(llrs, target),
        **{f"fnmr({rate:g})": fnmr_at(scores, target, rate) for rate in (1e-2, 1e-3, 1e-4)},
    }


@pytest.mark.parametrize("decimals", [0, 1, 9], ids=["many ties", "some ties", "no ties"])
@pytest.mark.parametrize("block", [7, 1 << 15])
def test_a_draw_weighs_as_its_speakers_repeated_for_real(
    decimals: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve, "_BLOCK", block)
    scores, target, enrol, test = all_pairs(6, 3, 0.5)
    scores = np.round(scores, decimals)
    llrs = 2 * scores + 1 + np.where(enrol == 2, 0.5, 0)  # in another order than the scores
    speakers = Speakers(target, enrol, test)
    system = intervals._System(scores, llrs, speakers, POINTS)
    for drawn in speakers.draws(10, seed=3):
        copies = np.repeat(np.arange(len(scores)), (drawn[enrol] * np.where(target, 1, drawn[test])).astype(int))
        want = one_by_one(scores[copies], llrs[copies], target[copies])
        assert system.figures(drawn) == pytest.approx(want, abs=1e-12)


def test_every_figure_has_its_value_and_an_interval_around_it() -> None:
    scores, target, enrol, test = all_pairs(12, 4, 0.3)
    llrs = 5 * scores + 3
    found = measure(scores, target, enrol, test, llrs=llrs, points=POINTS, replicates=100)
    assert {name: figure.value for name, figure in found.items()} == pytest.approx(one_by_one(scores, llrs, target))
    assert list(found) == list(one_by_one(scores, llrs, target))
    for figure in found.values():
        assert figure.low <= figure.value <= figure.high
        assert figure.low < figure.high
    assert found["cllr"].high < found["cllr"].value * 2
    assert 0 <= found["eer"].low < found["eer"].high <= 1


def test_without_llrs_there_is_nothing_that_needs_a_calibration() -> None:
    scores, target, *speakers = all_pairs(6, 3, 0.5)
    found = measure(scores, target, *speakers, replicates=10)
    assert list(found) == [
        *("eer", "eer_hull", "auc", "min_dcf(0.01)", "min_dcf(0.05)", "min_cllr"),
        *("fnmr(0.01)", "fnmr(0.001)", "fnmr(0.0001)"),
    ]
    assert found["min_cllr"].value == pytest.approx(min_cllr(scores, target))


def test_intervals_narrow_with_more_speakers() -> None:
    widths = []
    for speakers in (10, 60):
        rate = measure(*all_pairs(speakers, 4, 0.3), replicates=300)["eer"]
        widths.append(rate.high - rate.low)
    assert widths[1] < 0.6 * widths[0]


def test_the_same_seed_gives_the_same_intervals_in_any_order_of_the_trials() -> None:
    trials = all_pairs(8, 3, 0.5)
    first = measure(*trials, replicates=50, seed=1)
    order = np.random.default_rng(0).permutation(len(trials[0]))
    assert measure(*(part[order] for part in trials), replicates=50, seed=1) == first
    assert measure(*trials, replicates=50, seed=2)["eer"] != first["eer"]


def test_speakers_may_have_any_names() -> None:
    scores, target, enrol, test = all_pairs(8, 3, 0.5)
    names = np.array([f"s{number}" for number in range(8)])
    assert measure(scores, target, names[enrol], names[test], replicates=20) == measure(
        scores, target, enrol, test, replicates=20
    )


def test_replicates_without_both_classes_are_drawn_again() -> None:
    # Of two speakers, half of the draws have one of them only, and so no nontarget trial.
    found = measure([0.9, 0.3, 0.5], [1, 1, 0], ["a", "b", "a"], ["a", "b", "b"], replicates=100)
    # The others are the list itself. Two speakers say next to nothing: 1 - 0.025^(1/2) = 0.842 may be of other kinds.
    assert found["eer"].value == 0.5
    assert (found["eer"].low, found["eer"].high) == pytest.approx((0.158 * 0.5, 0.158 * 0.5 + 0.842), abs=1e-3)


@pytest.mark.parametrize("speakers", [2, 10, 40])
def test_no_errors_say_little_of_few_speakers(speakers: int) -> None:
    """One speaker in k who always fails stays away from a list of n with a probability of (1 - 1/k)^n."""
    who = np.arange(speakers)
    target = np.repeat([True, False], speakers)
    scores = np.where(target, 1.0, 0.0)
    found = measure(scores, target, np.tile(who, 2), np.append(who, np.roll(who, 1)), replicates=20)
    high = found["eer"].high
    assert found["eer"] == Measure(value=0, low=0, high=high)
    assert (1 - high) ** speakers == pytest.approx(0.025)
    assert found["auc"] == Measure(value=1, low=1 - high, high=1)
    assert found["min_dcf(0.01)"].high == found["fnmr(0.0001)"].high == high


def means(values: Array, replicates: int, seed: int = 0) -> tuple[Array, Array]:
    """The bootstrap of a mean over speakers: (replicates, 1) and how often each was drawn."""
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(len(values), np.full(len(values), 1 / len(values)), size=replicates).astype(float)
    return drawn @ values[:, np.newaxis] / len(values), drawn


def test_of_normal_values_the_interval_is_that_of_student() -> None:
    values = scipy.stats.norm.ppf((np.arange(30) + 0.5) / 30)
    found, drawn = means(values, 20_000)
    low, high = ends(np.array([values.mean()]), found, drawn, paired=False)
    reach = scipy.stats.t.ppf(0.975, 29) * values.std(ddof=1) / np.sqrt(30)
    assert [low[0], high[0]] == pytest.approx([-reach, reach], rel=0.03)


def test_of_skewed_values_the_interval_is_bca_and_wider() -> None:
    """As that of SciPy, whose acceleration is from a jackknife, but for the few speakers."""
    values = scipy.stats.expon.ppf((np.arange(40) + 0.5) / 40)
    found, drawn = means(values, 20_000)
    low, high = ends(np.array([values.mean()]), found, drawn, paired=False)
    want = scipy.stats.bootstrap((values,), np.mean, n_resamples=20_000, rng=0).confidence_interval
    plain = np.quantile(found, [0.025, 0.975])
    assert 0.9 * want.low < low[0] < want.low
    assert want.high < high[0] < 1.1 * want.high
    assert plain[0] < want.low
    assert plain[1] < want.high < high[0]


def test_of_differences_the_interval_is_not_moved() -> None:
    values = scipy.stats.expon.ppf((np.arange(40) + 0.5) / 40)
    found, drawn = means(values, 20_000)
    low, high = ends(np.array([values.mean()]), found, drawn, paired=True)
    plain = np.quantile(found, [0.025, 0.975])
    rates = [np.mean(found < low), np.mean(found > high)]
    assert rates[0] == pytest.approx(rates[1], abs=1e-3)
    assert low[0] < plain[0] < plain[1] < high[0]


def test_one_speaker_who_makes_all_the_errors_leaves_much_open() -> None:
    values = np.eye(40)[0]
    found, drawn = means(values, 4000)
    low, high = ends(np.array([1 / 40]), found, drawn, paired=False)
    assert low[0] == 0
    assert np.quantile(found, 0.975) < high[0] <= found.max()


def test_a_system_does_not_differ_from_itself() -> None:
    scores, *others = all_pairs(8, 3, 0.5)
    found = differences(scores, 2 * scores - 1, *others, replicates=50)
    assert found["eer"] == found["auc"] == Measure(value=0, low=0, high=0)


def test_a_decision_by_hand() -> None:
    """Three of four targets reach 1.0, one of four nontargets does."""
    llrs = [3.0, 2.0, 1.0, 0.9, 1.0, 0.5, -1.0, -2.0]
    target = [True] * 4 + [False] * 4
    trials = llrs, target, list("abcdabcd"), list("abcdbcda")
    found = measure(*trials, llrs=llrs, decision=1.0, replicates=20)
    assert (found["false_accepts"].value, found["false_rejects"].value) == (0.25, 0.25)
    assert not {"false_accepts", "false_rejects"} & set(measure(*trials, llrs=llrs, replicates=20))
    assert list(found) == figure_names(calibrated=True)
    assert list(measure(*trials, replicates=20)) == figure_names(calibrated=False)


def test_the_paired_difference_is_that_of_the_same_draws() -> None:
    one, target, enrol, test = all_pairs(8, 3, 0.8)
    other = one + np.random.default_rng(5).normal(size=len(one))
    arguments = {"points": POINTS, "replicates": 30, "seed": 2}
    found = differences(one, other, target, enrol, test, llrs=one, other_llrs=other, **arguments)
    ours, theirs = (measure(scores, target, enrol, test, llrs=scores, **arguments) for scores in (one, other))
    assert list(found) == list(ours)
    for name, difference in found.items():
        assert difference.value == pytest.approx(ours[name].value - theirs[name].value)
        assert difference.low <= difference.value <= difference.high
    assert found["eer"].high - found["eer"].low > 0
    swapped = differences(other, one, target, enrol, test, replicates=30, seed=2)
    assert swapped["eer"].value == -found["eer"].value
    assert "cllr" not in swapped
    assert "cllr" not in differences(one, other, target, enrol, test, llrs=one, replicates=5)


def test_many_systems_are_compared_as_two_are() -> None:
    one, target, enrol, test = all_pairs(8, 3, 0.8)
    generator = np.random.default_rng(5)
    scores = {"a": one, "b": one + generator.normal(size=len(one)), "c": one + generator.normal(size=len(one))}
    found = pairwise(scores, target, enrol, test, points=POINTS, replicates=30, seed=2)
    assert set(found) == {(first, other) for first in "abc" for other in "abc" if first != other}
    for (first, other), paired in found.items():
        arguments = {"points": POINTS, "replicates": 30, "seed": 2}
        alone = differences(scores[first], scores[other], target, enrol, test, **arguments)
        assert {name: each.difference for name, each in paired.items()} == alone


def test_a_ratio_by_hand() -> None:
    """Of four targets one system misses two, the other one; of four nontargets they accept two and one.

    Every speaker has the same errors, so whoever is drawn, the one EER is 1/2 and the other 1/4.
    """
    target = [True] * 8 + [False] * 8
    speakers = list("aaaabbbb") + list("aaaabbbb"), list("aaaabbbb") + list("bbbbaaaa")
    worse, better = [1, 1, -1, -1] * 2 + [1, 1, -1, -1] * 2, [1, 1, 1, -1] * 2 + [1, -1, -1, -1] * 2
    found = pairwise({"worse": worse, "better": better}, target, *speakers, replicates=20)
    ratio = found["worse", "better"]["eer"].ratio
    assert ratio is not None
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2.0, 2.0, 2.0))
    inverse = found["better", "worse"]["eer"]
    assert inverse.ratio is not None
    assert (inverse.ratio.value, inverse.difference.value) == pytest.approx((0.5, -0.25))


def test_a_ratio_is_of_the_same_draws() -> None:
    """A system of half the errors of every speaker has half the EER in every draw, however much that varies."""
    generator = np.random.default_rng(0)
    speakers, each = 12, 40
    who = np.repeat(np.arange(speakers), each)
    misses = np.concatenate([np.arange(each) < 2 * count for count in generator.integers(1, 10, speakers)])
    half = np.concatenate([np.arange(each) < mine.sum() // 2 for mine in misses.reshape(speakers, each)])
    target = np.append(np.ones(len(who), bool), np.zeros(len(who), bool))
    sides = np.tile(who, 2), np.append(who, (who + 1) % speakers)
    worse, better = (np.append(-wrong.astype(float), wrong - 1.0) for wrong in (misses, half))
    found = pairwise({"better": better, "worse": worse}, target, *sides, replicates=100)["better", "worse"]["eer"]
    assert found.difference.high - found.difference.low > 0.02
    assert found.ratio is not None
    assert found.ratio.low < 0.5 < found.ratio.high
    assert found.ratio.high - found.ratio.low < 0.1


def test_a_group_has_the_means_of_its_systems() -> None:
    """Their mean in each draw, not a mean of their intervals."""
    one, target, enrol, test = all_pairs(8, 3, 0.8)
    generator = np.random.default_rng(5)
    scores = {name: one + generator.normal(size=len(one)) for name in "abc"}
    groups = {"first two": ["a", "b"], "last": ["c"], "last again": ["c"]}
    found = pairwise(scores, target, enrol, test, groups=groups, points=POINTS, replicates=30, seed=2)
    assert found["last", "last again"]["eer"].difference == Measure(value=0, low=0, high=0)
    apart = [found[name, "c"]["eer"].difference for name in "ab"]
    together = found["first two", "last"]["eer"].difference
    assert together.value == pytest.approx(sum(each.value for each in apart) / 2)
    assert together.high - together.low < max(each.high - each.low for each in apart)


def test_there_is_no_ratio_to_nothing() -> None:
    scores, target, *speakers = all_pairs(8, 3, 0.5)
    perfect = np.where(target, 1.0, 0.0)
    found = pairwise({"some": scores, "none": perfect}, target, *speakers, replicates=20)
    assert found["some", "none"]["eer"].ratio is None
    nothing = found["none", "some"]["eer"].ratio
    assert nothing == Measure(value=0, low=0, high=0)
    assert found["some", "none"]["eer"].difference.value > 0


def test_pairing_sees_what_overlapping_intervals_hide() -> None:
    """One system is a little worse than the other on every draw of the speakers."""
    better, target, enrol, test = all_pairs(30, 4, 0.5)
    worse = better - 0.2 * target
    rates = [measure(scores, target, enrol, test, replicates=200)["eer"] for scores in (better, worse)]
    assert rates[1].low < rates[0].high
    difference = differences(worse, better, target, enrol, test, replicates=200)["eer"]
    assert 0 < difference.low < difference.value < difference.high


@pytest.mark.parametrize(
    ("enrol", "test", "replicates", "words"),
    [
        (["a", "a"], ["b", "b"], 9, "a target trial has two speakers"),
        (["a", "a"], ["a", "a"], 9, "a nontarget trial has one speaker"),
        (["a"], ["a"], 9, "1 and 1 speakers for 2 labels"),
        (["a", "a"], ["a", "b"], 0, "replicates is 0"),
        ([["a", "a"]], ["a", "b"], 9, "shape"),
    ],
)
def test_bad_input_is_refused(enrol: Any, test: Any, replicates: int, words: str) -> None:
    with pytest.raises(BadArgument, match=words):
        measure([0.9, 0.1], [1, 0], enrol, test, replicates=replicates)
    with pytest.raises(BadArgument, match=words):
        differences([0.9, 0.1], [0.8, 0.2], [1, 0], enrol, test, replicates=replicates)


def test_wrong_scores_are_refused() -> None:
    with pytest.raises(BadArgument, match="3 scores for 2 labels"):
        measure([0.9, 0.1, 0.2], [1, 0], ["a", "a"], ["a", "b"])
    with pytest.raises(BadArgument, match="NaN"):
        measure([0.9, 0.1], [1, 0], ["a", "a"], ["a", "b"], llrs=[1.0, float("nan")])


def population(generator: np.random.Generator, distance: float) -> tuple[Array, Array, Array, Array]:
    """A list of 40 speakers with 5 utterances each: all target trials, and 4,000 of the nontarget trials.

    Both kinds of scores are normal with variance 1 over the speakers and utterances that there could be, `distance`
    apart. Of the variance of target scores 0.3 is the speaker's; of that of nontarget scores 0.15 is the two
    speakers', 0.2 the pair's; 0.1 is the two utterances', which all their trials share.
    """
    who = np.repeat(np.arange(40), 5)
    first, second = np.triu_indices(200, 1)
    target = who[first] == who[second]
    kept = np.append(np.flatnonzero(target), generator.choice(np.flatnonzero(~target), 4000, replace=False))
    first, second, target = first[kept], second[kept], target[kept]
    enrol, test = who[first], who[second]
    own, among, pair, utterance = (
        generator.normal(0, np.sqrt(share), size)
        for share, size in ((0.3, 40), (0.15 / 2, 40), (0.2, (40, 40)), (0.1 / 2, 200))
    )
    rest = generator.normal(size=len(kept)) * np.sqrt(np.where(target, 0.6, 0.55))
    voices = np.where(target, distance + own[enrol], among[enrol] + among[test] + pair[enrol, test])
    return voices + utterance[first] + utterance[second] + rest, target, enrol, test


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.02, 0.1])
def test_the_interval_covers_the_true_rate(rate: float) -> None:
    distance = -2 * scipy.stats.norm.ppf(rate)
    held = []
    for seed in range(1000):
        trials = population(np.random.default_rng(seed), distance)
        found = measure(*trials, points=(), replicates=200, seed=seed)["eer"]
        held.append(found.low <= rate <= found.high)
    assert 0.92 <= np.mean(held) <= 0.98
