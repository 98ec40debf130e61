"""Arrays in files of strangers: no more than is there, whatever is claimed, and no objects."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from acanet.config.arrays import read_npz
from acanet.errors import AcanetError


def npz(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(array: np.ndarray, **header: object) -> bytes:
    stream = io.BytesIO()
    about = np.lib.format.header_data_from_array_1_0(array) | header
    np.lib.format.write_array_header_1_0(stream, about)  # type: ignore[arg-type]
    return stream.getvalue() + array.tobytes()


def test_arrays_are_those_that_numpy_wrote(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": np.array("text"),
        "c": np.asfortranarray(np.eye(3)),
        "d": np.array(3),
    }
    np.savez(tmp_path / "plain.npz", **arrays)  # type: ignore[arg-type]
    np.savez_compressed(tmp_path / "packed.npz", **arrays)  # type: ignore[arg-type]
    for name in ("plain", "packed"):
        found = read_npz(tmp_path / f"{name}.npz", 10_000)
        assert set(found) == set(arrays)
        assert all(
            np.array_equal(found[key], value) and found[key].dtype == value.dtype for key, value in arrays.items()
        )


@pytest.mark.parametrize(
    "content",
    [
        npy(np.zeros(3), shape=(10**15,)),
        npy(np.zeros(3), shape=(10**30, 10**30)),
        npy(np.zeros(3), shape=(2,)),
        npy(np.zeros(3), shape=(-1,)),
        npy(np.zeros(3), descr="|O"),
        npy(np.zeros(3), descr="<f99"),
        npy(np.zeros(3))[:20],
        b"",
        b"\x93NUMPY\x09\x00",
        b"no array",
    ],
    ids=["terabytes", "beyond numbers", "fewer", "negative", "objects", "no type", "cut", "empty", "version", "other"],
)
def test_what_claims_to_be_more_than_it_is_is_refused(content: bytes, tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", a=content)
    with pytest.raises(AcanetError, match=r"a\.npz: no \.npz file, or a damaged one"):
        read_npz(path, 10_000)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", a=npy(np.zeros(10**6)))
    assert path.stat().st_size < 100_000
    with pytest.raises(AcanetError, match="its arrays have more than 100,000 bytes"):
        read_npz(path, 100_000)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", a=npy(np.arange(1000.0)))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(whole)
        for position in rng.integers(0, len(whole), 4):
            broken[position] ^= int(rng.integers(1, 256))
        path.write_bytes(broken[: rng.integers(len(whole) // 2, len(whole) + 1)])
        try:
            read_npz(path, 100_000)
        except AcanetError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017
