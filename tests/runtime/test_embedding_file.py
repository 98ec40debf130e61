"""Many recordings in one file of embeddings, from Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acanet.encoder import Encoder
from acanet.errors import AcanetError
from acanet.runtime.embedding_file import write_embeddings


@pytest.fixture(scope="module")
def encoder(tiny_bundle: Path) -> Encoder:
    return Encoder.load(tiny_bundle)


@pytest.fixture
def files(voices: Path, tmp_path: Path) -> list[Path]:
    """Two recordings, and between them one that is none."""
    (tmp_path / "text.wav").write_text("not audio\n" * 100)
    return [voices / "s000" / "000.wav", tmp_path / "text.wav", voices / "s001" / "000.wav"]


@pytest.mark.parametrize("window", [None, 1.0])
def test_the_good_are_written_and_the_bad_are_told(
    encoder: Encoder, files: list[Path], tmp_path: Path, window: float | None
) -> None:
    told: list[AcanetError] = []
    done: list[float] = []
    output = tmp_path / "out.npz"
    written = write_embeddings(encoder, files, output, window=window, tell=told.append, progress=done.append)
    good = [str(files[0]), str(files[2])]
    assert (written.asked, written.embedded, written.failures) == (3, tuple(good), tuple(told))
    assert [str(error).partition(":")[0] for error in told] == [str(files[1])]
    assert done == sorted(done)
    assert done[-1] == 3
    with np.load(output) as found:
        assert str(found["fingerprint"]) == encoder.fingerprint
        if window is None:
            assert found["files"].tolist() == good
            np.testing.assert_allclose(found["embeddings"][1], encoder.embed(files[2]), atol=1e-5)
            assert written.summary() == [f"2 embeddings of {encoder.dim} numbers in {output}"]
        else:
            there = encoder.embed_windows(files[2], 1.0, 0.5)
            np.testing.assert_array_equal(found["embeddings"][-len(there) :], there.embeddings)
            assert written.windows == len(found["starts"]) == len(found["files"])
            assert written.summary()[0] == f"{written.windows} windows of 2 files in {output}"


def test_nothing_good_is_no_file(encoder: Encoder, files: list[Path], tmp_path: Path) -> None:
    for window in (None, 1.0):
        written = write_embeddings(encoder, files[1:2], tmp_path / "out.npz", window=window)
        assert (written.embedded, len(written.failures), written.summary()) == ((), 1, [])
    assert [path.name for path in tmp_path.iterdir()] == ["text.wav"]


@pytest.mark.parametrize(
    ("output", "how", "named"),
    [
        ("out.txt", {}, "does not end in .npz"),
        ("no/out.npz", {}, "there is no folder"),
        ("out.npz", {"hop": 1.0}, "give the length of the windows"),
        ("out.npz", {"window": 1.0, "hop": 2.0}, "the hop is 2 s"),
        ("out.npz", {"window": 0.1}, "the window is 0.1 s"),
    ],
)
def test_what_cannot_be_is_known_first(
    encoder: Encoder, tmp_path: Path, output: str, how: dict[str, float], named: str
) -> None:
    with pytest.raises(AcanetError, match=named):
        write_embeddings(encoder, [tmp_path / "nowhere.wav"], tmp_path / output, **how)
