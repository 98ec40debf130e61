"""Embeddings -> scores: cosine, lists and matrices of pairs, several utterances behind a name."""

from __future__ import annotations

import doctest
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acanet.data.lists.manifest import Utterance
from acanet.data.lists.sides import Sides
from acanet.data.lists.trials import read_trials
from acanet.errors import BadArgument
from acanet.evaluation.scorer import Scorer
from acanet.scoring import cosine as cosine_module
from acanet.scoring import enrolment
from acanet.scoring.cosine import cosine, cosine_rows, unit
from acanet.scoring.enrolment import mean_embeddings, mean_scores
from acanet.scoring.pairs import BLOCK, Rows, all_pairs


def random_rows(generator: np.random.Generator, rows: int, dim: int = 3) -> Rows:
    return Rows(*(generator.normal(size=size).astype(np.float32) for size in ((rows, dim), rows, rows)))


def test_the_example_in_the_docstring() -> None:
    result = doctest.testmod(cosine_module, extraglobs={"np": np})
    assert result.attempted
    assert not result.failed


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
    with pytest.raises(BadArgument, match="first row 1"):
        cosine(embeddings, np.array([0]), np.array([1]))


def test_a_score_is_a_product_and_terms_of_each_side() -> None:
    rows = Rows(*(np.array(part, np.float32) for part in ([[1, 2], [3, -1]], [2, 0.5], [10, 100])))
    # (2 + 0.5) (1 3 - 2 1) + 10 + 100, and (2 + 2) (1 + 4) + 10 + 10
    assert rows.pairs(np.array([0, 0]), np.array([1, 0])).tolist() == [112.5, 40.0]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 10), st.integers(0, 2**32 - 1))
def test_all_against_all_is_the_list_of_all_pairs(enrol: int, test: int, side: int, seed: int) -> None:
    both = random_rows(np.random.default_rng(seed), enrol + test)
    found = np.full((enrol, test), np.nan, np.float32)
    for down, across, scores in all_pairs(both[:enrol], both[enrol:], side):
        assert max(scores.shape) <= side
        assert np.isnan(found[down, across]).all()
        found[down, across] = scores
    rows, columns = np.indices(found.shape)
    want = both.pairs(rows.ravel(), enrol + columns.ravel()).reshape(found.shape)
    np.testing.assert_allclose(found, want, atol=1e-5)


def test_memory_beyond_the_scores_does_not_grow_with_the_list() -> None:
    generator = np.random.default_rng(0)
    rows = cosine_rows(generator.normal(size=(100, 64)).astype(np.float32))
    beyond = []
    for trials in (20_000, 200_000):
        enrol, test = generator.integers(0, 100, (2, trials))
        tracemalloc.start()
        scores = rows.pairs(enrol, test)
        beyond.append(tracemalloc.get_traced_memory()[1] - scores.nbytes)
        tracemalloc.stop()
    assert max(beyond) < 1e6
    assert beyond[1] == pytest.approx(beyond[0], rel=0.1)


def test_the_mean_of_embeddings_by_hand() -> None:
    embeddings = np.array([[2, 0], [0, 0.5], [3, 4]], np.float32)
    members = [np.array([0, 1]), np.array([2]), np.array([2, 0, 2])]
    # Each counts as long as one: (1, 0), (0, 1), (0.6, 0.8).
    want = [[0.5, 0.5], [0.6, 0.8], [2.2 / 3, 1.6 / 3]]
    np.testing.assert_allclose(mean_embeddings(embeddings, members), want, atol=1e-7)


def test_the_mean_of_scores_by_hand() -> None:
    embeddings = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], np.float32)
    members = [np.array([0, 1]), np.array([2]), np.array([2, 3])]

    def score(one, other):
        return cosine(embeddings, one, other)

    scores = mean_scores(score, members, np.array([0, 0, 1]), np.array([1, 2, 1]))
    # (0.6 + 0.8) / 2; (0.6 - 1 + 0.8 + 0) / 4; 1
    np.testing.assert_allclose(scores, [0.7, 0.1, 1.0], atol=1e-6)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_mean_of_scores_is_the_mean_over_all_pairs(counts: list[int], most: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    table = generator.normal(size=(7, 7)).astype(np.float32)  # not symmetric: sides are not exchanged
    members = [generator.integers(0, 7, count) for count in counts]
    enrol, test = generator.integers(0, len(counts), (2, 9))
    asked = []

    def score(one, other):
        asked.append(len(one))
        return table[one, other]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(enrolment, "MOST_PAIRS", most)
        means = mean_scores(score, members, enrol, test)
    want = [table[np.ix_(members[one], members[other])].mean() for one, other in zip(enrol, test, strict=True)]
    np.testing.assert_allclose(means, want, atol=1e-5)
    largest = max(len(members[one]) * len(members[other]) for one, other in zip(enrol, test, strict=True))
    assert max(asked) <= max(most, largest)


def test_a_name_without_utterances_is_refused() -> None:
    embeddings = np.eye(2, dtype=np.float32)
    with pytest.raises(BadArgument, match="name 1 has no utterances"):
        mean_embeddings(embeddings, [np.array([0]), np.array([], np.intp)])


@pytest.fixture
def scorers(tmp_path: Path) -> dict[str, Scorer]:
    """A model of two utterances against a third and a fourth, compared both ways."""
    (tmp_path / "list").write_text("model same target\nmodel other nontarget\n")
    trials = read_trials(tmp_path / "list")
    utterances = [Utterance(name, Path(name), "", name) for name in "abcd"]
    members = [np.array([0, 1]), np.array([2]), np.array([3])]
    sides = Sides(utterances, members, np.array([0, 0, 1]), "manifest")
    return {way: Scorer(trials, sides, enrol_by=way) for way in ("embeddings", "scores")}


EMBEDDED = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], np.float32)


def test_a_model_of_two_utterances(scorers: dict[str, Scorer]) -> None:
    half = np.sqrt(0.5)
    np.testing.assert_allclose(scorers["embeddings"](EMBEDDED, EMBEDDED), [1.4 * half, -half], atol=1e-6)
    np.testing.assert_allclose(scorers["scores"](EMBEDDED, EMBEDDED), [0.7, -0.5], atol=1e-6)


@pytest.mark.parametrize("way", ["embeddings", "scores"])
def test_enrolment_and_test_each_under_their_condition(scorers: dict[str, Scorer], way: str) -> None:
    """Turning the test side by a quarter leaves what is enrolled where it is."""
    turned = EMBEDDED @ np.array([[0, 1], [-1, 0]], np.float32)
    want = {"embeddings": np.array([-0.2, -1]) * np.sqrt(0.5), "scores": np.array([-0.1, -0.5])}[way]
    np.testing.assert_allclose(scorers[way](EMBEDDED, turned), want, atol=1e-6)
    np.testing.assert_allclose(scorers[way](EMBEDDED, EMBEDDED.copy()), scorers[way](EMBEDDED, EMBEDDED), atol=1e-7)


def test_where_nothing_differs_every_embedding_is_looked_at_once(scorers: dict[str, Scorer]) -> None:
    sizes = []

    def spy(embeddings, enrol, test):
        sizes.append(len(embeddings))
        return cosine(embeddings, enrol, test)

    for scorer in scorers.values():
        Scorer(scorer.trials, scorer.sides, spy, scorer.enrol_by)(EMBEDDED, EMBEDDED)
    assert sizes == [3, 4]


def test_unit_keeps_the_precision() -> None:
    for kind in (np.float32, np.float64):
        assert unit(np.array([[3, 4]], kind)).dtype == kind
