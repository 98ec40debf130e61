"""The two-covariance model and PLDA: what is learned, what a score is, what the file holds."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from acanet.errors import AcanetError, ModelMismatch
from acanet.evaluation.figures.metrics import eer
from acanet.scoring.cosine import cosine
from acanet.scoring.pairs import all_pairs
from acanet.scoring.plda import Origin, Plda
from acanet.scoring.two_covariance import TwoCovariance, _observe, _step, fit

MODEL = "0123456789abcdef"
COVARIANCES = {
    "between": np.array([[4, 1, 0], [1, 2, -1], [0, -1, 1]], float),
    "within": np.array([[1, 0, 0.5], [0, 3, 0], [0.5, 0, 2]], float),
}
TRUTH = TwoCovariance(np.array([5.0, -3, 1]), **COVARIANCES)


def draw(generator, counts, model=TRUTH):
    """Vectors of as many speakers as there are counts, and who speaks."""
    of = np.repeat(np.arange(len(counts)), counts)
    voices = generator.multivariate_normal(model.mean, model.between, len(counts), method="eigh")
    vectors = voices[of] + generator.multivariate_normal(np.zeros(len(model.mean)), model.within, len(of))
    return vectors, [f"s{number:05d}" for number in of]


def origin(lda=None, **changes):
    return Origin(
        **{
            "fingerprint": MODEL,
            "data": ("train.jsonl",),
            "speakers": frozenset({"anna", "bo"}),
            "utterances": 5,
            "lda": lda,
            **changes,
        }
    )


def test_it_recovers_what_unbalanced_data_were_drawn_from():
    generator = np.random.default_rng(0)
    counts = np.concatenate([np.ones(2000, int), generator.integers(2, 12, 2000)])
    found = fit(*draw(generator, counts))
    np.testing.assert_allclose(found.mean, TRUTH.mean, atol=0.1)
    np.testing.assert_allclose(found.between, TRUTH.between, atol=0.15)
    np.testing.assert_allclose(found.within, TRUTH.within, atol=0.12)


def test_balanced_data_have_a_closed_form():
    """Where all have n utterances, the most likely `between` is the covariance of means less `within` / n."""
    vectors, speakers = draw(np.random.default_rng(0), np.full(1000, 4))
    means = vectors.reshape(1000, 4, 3).mean(axis=1)
    deviations = vectors - np.repeat(means, 4, axis=0)
    within = deviations.T @ deviations / 3000
    found = fit(vectors, speakers)
    np.testing.assert_allclose(found.mean, vectors.mean(axis=0), atol=1e-8)
    np.testing.assert_allclose(found.within, within, atol=0.02)
    np.testing.assert_allclose(found.between, np.cov(means, rowvar=False, bias=True) - within / 4, atol=0.02)


@given(st.integers(0, 2**32 - 1))
def test_no_step_makes_the_model_less_likely(seed):
    generator = np.random.default_rng(seed)
    seen = _observe(*draw(generator, generator.integers(1, 5, 30)))
    model = TwoCovariance(generator.normal(size=3), np.eye(3), 2 * np.eye(3))
    likelihoods = []
    for _ in range(8):
        model, likelihood = _step(model, seen)
        likelihoods.append(likelihood)
    assert min(np.diff(likelihoods)) > -1e-9


def brute_force(model, one, other):
    """Log densities of the pair under one voice and under two."""
    total, mean = model.between + model.within, np.tile(model.mean, 2)
    nothing = np.zeros_like(total)
    same = np.block([[total, model.between], [model.between, total]])
    different = np.block([[total, nothing], [nothing, total]])
    pairs = np.hstack([one, other])
    return multivariate_normal.logpdf(pairs, mean, same) - multivariate_normal.logpdf(pairs, mean, different)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_scores_are_log_likelihood_ratios(dim, rank, seed):
    generator = np.random.default_rng(seed)
    voices, noise = generator.normal(size=(dim, min(rank, dim))), generator.normal(size=(dim, dim))
    model = TwoCovariance(generator.normal(size=dim), voices @ voices.T, noise @ noise.T + 0.1 * np.eye(dim))
    vectors = generator.normal(size=(8, dim))
    ((_, _, scores),) = all_pairs(model.rows(vectors[:3]), model.rows(vectors[3:]))
    want = brute_force(model, np.repeat(vectors[:3], 5, axis=0), np.tile(vectors[3:], (3, 1)))
    np.testing.assert_allclose(scores.ravel(), want, rtol=1e-4, atol=1e-4)


def test_ratios_of_the_true_model_are_calibrated():
    """What is e^x times likelier is e^x times as frequent, so these means are one."""
    vectors, _ = draw(np.random.default_rng(0), np.full(40_000, 2))
    rows, first = TRUTH.rows(vectors), np.arange(0, 80_000, 2)
    assert np.exp(-rows.pairs(first, first + 1)).mean() == pytest.approx(1, abs=0.05)
    assert np.exp(rows.pairs(first, np.roll(first, 2))).mean() == pytest.approx(1, abs=0.05)


def people(generator, speakers, takes, within):
    voices = np.repeat(generator.normal(size=(speakers, 20)), takes, axis=0) + 3
    return (voices + generator.normal(size=voices.shape) * within).astype(np.float32)


def test_it_beats_cosine_where_some_directions_vary_within_speakers():
    generator = np.random.default_rng(0)
    within = np.where(np.arange(20) < 10, 3.0, 0.3)
    train, test = people(generator, 300, 5, within), people(generator, 30, 4, within)
    speakers = [str(row // 5) for row in range(len(train))]
    one, other = np.triu_indices(len(test), 1)
    plain = eer(cosine(test, one, other), one // 4 == other // 4)
    for lda in (None, 10):
        model = Plda.train(train, speakers, origin(lda))
        assert eer(model(test, one, other), one // 4 == other // 4) < plain / 4
    assert model.projection.shape == (10, 20)


def test_lda_keeps_the_direction_in_which_speakers_differ():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(900, 3)) * [1, 0.2, 2] + [0, 0, 30]
    vectors[:, 1] += np.repeat(generator.normal(size=300), 3)
    model = Plda.train(vectors, [str(row // 3) for row in range(900)], origin(1))
    direction = np.abs(model.projection[0]) / np.linalg.norm(model.projection[0])
    assert direction[1] > 0.99


@pytest.mark.parametrize(("speakers", "takes"), [(30, 3), (2, 2), (2, 30)])
def test_more_numbers_than_speakers_or_utterances_are_no_obstacle(speakers, takes):
    generator = np.random.default_rng(0)
    voices = np.repeat(generator.normal(size=(speakers, 100)), takes, axis=0)
    embeddings = (voices + 0.3 * generator.normal(size=voices.shape)).astype(np.float32)
    model = Plda.train(embeddings, [str(row // takes) for row in range(len(embeddings))], origin())
    one, other = np.triu_indices(len(embeddings), 1)
    scores = model(embeddings, one, other)
    assert np.isfinite(scores).all()
    assert eer(scores, one // takes == other // takes) < 0.01


@pytest.mark.parametrize(
    ("speakers", "lda", "message"),
    [
        ("aaaa", None, "1 speakers came in; how voices differ is learned from two at least"),
        ("", None, "0 speakers came in"),
        ("abcd", None, "each of the 4 speakers has one utterance"),
        ("aabc", 3, "LDA to 3 directions; from 1 to 2 are possible with 3 speakers and embeddings of 6 numbers"),
        ("aabc", 0, "LDA to 0 directions"),
    ],
)
def test_data_from_which_nothing_can_be_learned_are_refused(speakers, lda, message):
    embeddings = np.random.default_rng(0).normal(size=(len(speakers), 6))
    with pytest.raises(AcanetError, match=message):
        Plda.train(embeddings, list(speakers), origin().model_copy(update={"lda": lda}))


def test_copies_are_refused():
    apart, same = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], float), np.ones((4, 2))
    with pytest.raises(AcanetError, match="all utterances of a speaker have the same embedding"):
        Plda.train(apart, list("aabb"), origin())
    with pytest.raises(AcanetError, match="all embeddings are the same"):
        Plda.train(same, list("aabb"), origin())


@pytest.fixture(scope="module")
def trained() -> Plda:
    generator = np.random.default_rng(0)
    return Plda.train(people(generator, 20, 3, 1.0), [str(row // 3) for row in range(60)], origin(5))


def test_the_file_gives_back_what_was_trained(trained, tmp_path):
    trained.save(tmp_path / "plda.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["plda.npz"]
    read = Plda.load(tmp_path / "plda.npz", MODEL)
    assert read.origin == trained.origin
    assert str(read.origin) == "LDA to 5, 2 speakers of train.jsonl"
    embeddings = people(np.random.default_rng(1), 3, 1, 1.0)
    enrol, test = np.array([0, 1]), np.array([1, 2])
    np.testing.assert_array_equal(read(embeddings, enrol, test), trained(embeddings, enrol, test))


def test_equal_training_gives_equal_files(trained, tmp_path):
    for name in ("one.npz", "other.npz"):
        trained.save(tmp_path / name)
    one, other = (np.load(tmp_path / name)["about"] for name in ("one.npz", "other.npz"))
    assert one == other


def test_it_is_of_one_model_only(trained, tmp_path):
    trained.save(tmp_path / "plda.npz")
    with pytest.raises(ModelMismatch, match=f"plda.npz for embeddings of {MODEL}, want a PLDA for those of ffff"):
        Plda.load(tmp_path / "plda.npz", "ffff")
    with pytest.raises(AcanetError, match="embeddings of 4 numbers came in, this PLDA was trained on 20"):
        trained(np.eye(4, dtype=np.float32), np.array([0]), np.array([1]))


def rewritten(path: Path, **changes) -> None:
    """The file with other arrays; None leaves one out."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def about(**changes):
    held = origin(5).model_dump(mode="json") | changes
    return np.array(json.dumps(held))


NOT_FINITE = np.full(20, np.nan)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"about": None}, "about"),
        ({"about": np.array("{")}, "Expecting"),
        ({"about": about(speaker=["anna"])}, "did you mean 'speakers'"),
        ({"about": about(format=2)}, "format: "),
        ({"within": None}, "it holds between, centre, mean, projection; expected are centre, projection, mean"),
        ({"more": np.zeros(2)}, "it holds between, centre, mean, more"),
        ({"centre": NOT_FINITE}, r"centre is float64 of shape \(20,\); finite float64 of shape \(20,\) is expected"),
        ({"mean": np.zeros(4)}, r"projection is float64 of shape \(5, 20\)"),
        ({"mean": np.array(0.0)}, "projection is "),
        ({"within": -np.eye(5)}, "within is not positive definite"),
        ({"centre": np.array([{}] * 20)}, r"an array \(20,\) of object"),
    ],
)
def test_a_damaged_file_is_refused(trained, tmp_path, changes, message):
    path = tmp_path / "plda.npz"
    trained.save(path)
    rewritten(path, **changes)
    with pytest.raises(AcanetError, match=f"plda.npz: not a PLDA that `acanet plda` wrote, or damaged .*{message}"):
        Plda.load(path, MODEL)


def one_array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text", one_array()], ids=["empty", "cut", "text", "array"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "plda.npz").write_bytes(content)
    with pytest.raises(AcanetError, match="not a PLDA that `acanet plda` wrote"):
        Plda.load(tmp_path / "plda.npz", MODEL)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(AcanetError, match="there is no such file; `acanet plda` makes it"):
        Plda.load(tmp_path / "plda.npz", MODEL)
