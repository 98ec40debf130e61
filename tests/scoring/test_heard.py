"""What was heard of a recording: kept in a file, and nothing in it that is no embedding."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acanet import AcanetError, BadArgument, Heard, NotCalibrated, Verification, all_pairs, cosine_rows

UNIT = np.eye(1, 8, dtype=np.float32)[0]


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    for speech in (None, 3.5):
        heard = Heard(UNIT, speech, "0123456789abcdef", ("telephone", "clipped"))
        heard.save(tmp_path / "anna.npz")
        found = Heard.load(tmp_path / "anna.npz")
        assert np.array_equal(found.embedding, UNIT)
        assert found.embedding.dtype == np.float32
        assert (found.speech, found.fingerprint, found.warnings) == (speech, heard.fingerprint, heard.warnings)
    assert [path.name for path in tmp_path.iterdir()] == ["anna.npz"]


NO_EMBEDDINGS: dict[str, Any] = {
    "NaN": np.full(8, np.nan, np.float32),
    "one NaN": np.where(np.arange(8) == 3, np.nan, UNIT).astype(np.float32),
    "infinite": np.full(8, np.inf, np.float32),
    "zero": np.zeros(8, np.float32),
    "long": 2 * UNIT,
    "short": 0.5 * UNIT,
    "huge": np.full(8, 3e38, np.float32),
    "empty": np.empty(0, np.float32),
    "a matrix": UNIT[None],
    "a number": np.float32(1.0),
    "in double precision": UNIT.astype(np.float64),
    "of integers": UNIT.astype(np.int64),
    "complex": UNIT.astype(np.complex64),
    "a text": np.array(["x"]),
}


@pytest.mark.parametrize("embedding", NO_EMBEDDINGS.values(), ids=NO_EMBEDDINGS)
def test_what_is_no_embedding_is_refused(embedding: Any, tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match=r"is expected|are expected"):
        Heard(embedding, None, "0" * 16)
    Heard(UNIT, 1.0, "0" * 16).save(tmp_path / "a.npz")
    about = np.load(tmp_path / "a.npz")["about"]
    np.savez(tmp_path / "a.npz", about=about, embedding=embedding)
    with pytest.raises(AcanetError, match=r"a\.npz: not what `Heard\.save` wrote, or damaged"):
        Heard.load(tmp_path / "a.npz")


@pytest.mark.parametrize("speech", [np.nan, np.inf, -1.0])
def test_speech_is_a_number_of_seconds(speech: float) -> None:
    with pytest.raises(BadArgument, match="seconds, 0 or more, are expected"):
        Heard(UNIT, speech, "0" * 16)


@pytest.mark.parametrize(
    "about",
    [
        "{}",
        "[",
        "[1]",
        '{"format": 2, "fingerprint": "0", "speech": 1}',
        '{"fingerprint": "0", "speech": NaN}',
        "[" * 999,
    ],
)
def test_a_file_that_says_something_else_is_refused(about: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", about=np.array(about), embedding=UNIT)
    with pytest.raises(AcanetError, match=r"a\.npz"):
        Heard.load(tmp_path / "a.npz")


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"no file of ours")
    for name in ("a.npz", "none.npz", "."):
        with pytest.raises(AcanetError, match=r"no \.npz file|no such file|no regular file"):
            Heard.load(tmp_path / name)


# A verification


@pytest.mark.parametrize("score", [0.9, 0.1])
def test_the_truth_of_a_verification_is_its_decision(score: float) -> None:
    result = Verification(score, 0.5)
    assert bool(result) is result.same is (score >= 0.5)


def test_there_is_no_truth_without_a_decision() -> None:
    result = Verification(0.9)
    for asked in (
        bool,
        lambda each: not each,
        lambda each: each and 1,
        lambda each: 1 if each else 0,
        lambda each: any([each]),
    ):
        with pytest.raises(NotCalibrated):
            asked(result)


@pytest.mark.parametrize("name", ["score", "threshold", "llr", "llr_threshold", "enrolment_speech", "test_speech"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nothing_is_decided_of_numbers_that_are_none(name: str, value: float) -> None:
    with pytest.raises(BadArgument, match=f"{name} is "):
        Verification(**{"score": 0.5, name: value})


# Rows of numbers


MATRICES: dict[str, Any] = {
    "a row": UNIT,
    "a cube": UNIT[None, None],
    "a number": 1.0,
    "texts": np.array([["a"]]),
    "objects": np.array([[{}]]),
    "complex": UNIT[None].astype(np.complex64),
    "NaN": np.full((2, 8), np.nan, np.float32),
    "infinite": np.full((2, 8), np.inf),
    "zero": np.zeros((2, 8)),
}


@pytest.mark.parametrize("embeddings", MATRICES.values(), ids=MATRICES)
def test_what_is_no_matrix_of_embeddings_has_no_scores(embeddings: Any) -> None:
    with pytest.raises(BadArgument, match="embeddings"):
        cosine_rows(embeddings)


def test_rows_of_two_sizes_are_not_compared() -> None:
    with pytest.raises(BadArgument, match="rows of 8 and of 4 numbers; they are of two models"):
        list(all_pairs(cosine_rows(UNIT[None]), cosine_rows(np.eye(4, dtype=np.float32))))


def test_what_was_heard_stays_what_it_was() -> None:
    given = UNIT.copy()
    heard = Heard(given, 2.0, "0123456789abcdef")
    given[:] = np.nan
    np.testing.assert_array_equal(heard.embedding, UNIT)
    with pytest.raises(ValueError, match="read-only"):
        heard.embedding[:] *= 1000


def test_a_pickle_is_looked_at_as_what_is_given_is() -> None:
    heard = pickle.loads(pickle.dumps(Heard(UNIT, 2.0, "0123456789abcdef", ("faint",))))
    assert (heard.speech, heard.warnings) == (2.0, ("faint",))
    assert not heard.embedding.flags.writeable
    with pytest.raises(BadArgument, match="length 2"):
        heard.__setstate__([2 * UNIT, 2.0, "0123456789abcdef", ()])
