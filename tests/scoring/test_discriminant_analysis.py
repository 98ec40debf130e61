"""Linear discriminant analysis: what SciPy finds, what is worked out by hand, and that PLDA's LDA is this one."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from acanet.errors import AcanetError
from acanet.scoring.cosine import unit
from acanet.scoring.discriminant_analysis import (
    by_speaker,
    discriminants,
    most_directions,
    require_groups,
    ridged,
    scatter,
    upright,
)
from acanet.scoring.plda import Origin, Plda


def drawn(speakers=9, each=4, dim=5):
    rng = np.random.default_rng(3)
    means = rng.standard_normal((speakers, 1, dim)) * np.linspace(2, 0.5, dim)
    vectors = (means + rng.standard_normal((speakers, each, dim))).reshape(-1, dim)
    return vectors, np.repeat([f"s{number}" for number in range(speakers)], each)


def test_vectors_by_speaker():
    vectors = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]])
    seen = by_speaker(vectors, ["bo", "anna", "bo"])
    assert seen.of.tolist() == [1, 0, 1]
    assert seen.counts.tolist() == [1, 2]
    assert seen.sums.tolist() == [[0, 2], [4, 4]]
    assert seen.means.tolist() == [[0, 2], [2, 2]]


def test_scipy_finds_the_same():
    vectors, speakers = drawn()
    seen = by_speaker(vectors, speakers)
    within, between = scatter(vectors - seen.means[seen.of]), scatter(seen.means - seen.means.mean(axis=0))
    axes, ratios = discriminants(within, between)
    want, directions = scipy.linalg.eigh(between, within)
    np.testing.assert_allclose(ratios, want[::-1], atol=1e-12)
    np.testing.assert_allclose(upright(axes), upright(directions.T[::-1]), atol=1e-9)
    np.testing.assert_allclose(axes @ within @ axes.T, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(axes @ between @ axes.T, np.diag(ratios), atol=1e-12)


def test_a_scatter_between_that_is_singular_has_ratios_of_zero():
    axes, ratios = discriminants(np.eye(3), np.diag([0.0, 4.0, 0.0]))
    assert ratios.tolist() == [4, 0, 0]
    np.testing.assert_array_equal(np.abs(axes[0]), [0, 1, 0])


def test_the_ridge_is_a_share_of_the_mean_variance():
    assert ridged(np.diag([1.0, 3.0]), 0.5).tolist() == [[2, 0], [0, 4]]
    with pytest.raises(AcanetError, match="all utterances of a speaker have the same embedding"):
        ridged(np.zeros((2, 2)), 0.5)


def test_as_many_directions_as_speakers_less_one():
    assert most_directions([1, 2, 2, 5], 10) == 2
    assert most_directions(["a", "b", "c"], 1) == 1


def test_groups_are_required():
    require_groups(["a", "a", "b"])
    for speakers, message in (([], "0 speakers"), (["a", "a"], "1 speakers"), (["a", "b"], "each of the 2 speakers")):
        with pytest.raises(AcanetError, match=message):
            require_groups(speakers)


def test_plda_keeps_the_directions_that_the_analysis_of_all_finds():
    """Within plus between is all: the directions that are best for one ratio are best for the other."""
    vectors, speakers = drawn(speakers=40, each=10)
    about = {"fingerprint": "f", "data": (), "speakers": frozenset(speakers), "utterances": len(vectors)}
    whole, kept = (Plda.train(vectors, speakers.tolist(), Origin(**about, lda=lda)) for lda in (None, 2))
    white = (unit(vectors) - whole.centre) @ whole.projection.T
    seen = by_speaker(white, speakers)
    found, _ = discriminants(np.eye(5), scatter(seen.means))
    np.testing.assert_allclose(upright(kept.projection), upright(found[:2] @ whole.projection), atol=1e-9)
