"""S-norm and adaptive S-norm of cosines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acanet.errors import AcanetError
from acanet.evaluation.figures.metrics import eer
from acanet.scoring import normalise
from acanet.scoring.cosine import cosine, unit
from acanet.scoring.normalise import SNorm
from acanet.scoring.pairs import all_pairs

PAIR = np.array([[1, 0], [0.6, 0.8]], np.float32)


def test_by_hand() -> None:
    """Cosines of the first to the cohort: 1 and 0; of the second: 0.6 and 0.8; of the two: 0.6."""
    cohort = np.eye(2, dtype=np.float32)
    want = ((0.6 - 0.5) / 0.5 + (0.6 - 0.7) / 0.1) / 2
    enrol, test = np.array([0, 1]), np.array([1, 0])
    np.testing.assert_allclose(SNorm(cohort)(PAIR, enrol, test), [want, want], atol=1e-5)
    np.testing.assert_allclose(SNorm(3 * cohort)(2 * PAIR, enrol, test), [want, want], atol=1e-5)


def test_each_side_has_its_own_nearest() -> None:
    cohort = np.array([[0.8, -0.6], [1, 0], [0.6, 0.8], [0, 1]], np.float32)
    # Nearest to (1, 0) are the first two: 0.8 and 1, mean 0.9, spread 0.1; to (0.6, 0.8) the others: 1 and 0.8.
    (score,) = SNorm(cohort, 2)(PAIR, np.array([0]), np.array([1]))
    assert score == pytest.approx((0.6 - 0.9) / 0.1, abs=1e-4)


@given(st.integers(4, 12), st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_equals_the_formula_trial_by_trial(top: int, seed: int, block: int) -> None:
    generator = np.random.default_rng(seed)
    cohort = unit(generator.normal(size=(12, 4)).astype(np.float32))
    embeddings = unit(generator.normal(size=(6, 4)).astype(np.float32))
    enrol, test = generator.integers(0, 6, (2, 10))
    nearest = np.sort(embeddings @ cohort.T, axis=1)[:, ::-1][:, :top].astype(np.float64)
    means, spreads = nearest.mean(axis=1), nearest.std(axis=1)
    raw = cosine(embeddings, enrol, test)
    want = ((raw - means[enrol]) / spreads[enrol] + (raw - means[test]) / spreads[test]) / 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normalise, "BLOCK_COSINES", block)
        scores = SNorm(cohort, top)(embeddings, enrol, test)
    tolerance = 1e-5 / spreads.min()
    np.testing.assert_allclose(scores, want, rtol=1e-3, atol=tolerance)
    if top == len(cohort):
        np.testing.assert_allclose(SNorm(cohort)(embeddings, enrol, test), scores, rtol=1e-3, atol=tolerance)


def test_all_against_all_gives_the_same() -> None:
    generator = np.random.default_rng(0)
    cohort, embeddings = (generator.normal(size=(count, 8)).astype(np.float32) for count in (50, 7))
    scoring = SNorm(cohort, 10)
    rows = scoring.rows(embeddings)
    ((_, _, scores),) = all_pairs(rows[:3], rows[3:])
    want = scoring(embeddings, np.repeat([0, 1, 2], 4), np.tile([3, 4, 5, 6], 3))
    np.testing.assert_allclose(scores.ravel(), want, atol=1e-4)


def test_it_undoes_what_a_channel_does_to_all_of_its_voices() -> None:
    """Half of the people speak through a channel that makes them alike; a cohort in which half do tells."""
    generator = np.random.default_rng(2)
    channel = 3 * generator.normal(size=16)

    def voices(speakers, takes):
        centres = generator.normal(size=(speakers, 1, 16)) + channel * (np.arange(speakers) % 2)[:, None, None]
        return (centres + 0.4 * generator.normal(size=(speakers, takes, 16))).reshape(-1, 16).astype(np.float32)

    embeddings, cohort = voices(40, 4), voices(100, 1)
    enrol, test = np.triu_indices(160, 1)
    plain, symmetric, adaptive = (
        eer(scoring(embeddings, enrol, test), enrol // 4 == test // 4)
        for scoring in (cosine, SNorm(cohort), SNorm(cohort, 40))
    )
    assert plain > 2 * symmetric > 4 * adaptive


@pytest.mark.parametrize(
    ("entries", "top", "message"),
    [
        (1, None, "a cohort of 1 entries has no spread; give two or more"),
        (0, None, "a cohort of 0 entries"),
        (5, 1, "top is 1, of a cohort of 5 entries; from 2 to 5 are possible"),
        (5, 6, "top is 6, of a cohort of 5 entries"),
    ],
)
def test_a_cohort_that_is_too_small_is_refused(entries: int, top: int | None, message: str) -> None:
    with pytest.raises(AcanetError, match=message):
        SNorm(np.eye(5, dtype=np.float32)[:entries], top)


def test_a_cohort_of_copies_has_no_scale() -> None:
    cohort = np.array([[1, 0], [1, 0], [2, 0], [0, 1]], np.float32)
    with pytest.raises(AcanetError, match=r"equally near to 1 embeddings throughout \(first row 1\)"):
        SNorm(cohort, 3)(np.array([[0, 1], [1, 0.1]], np.float32), np.array([0]), np.array([1]))
