"""Rows that go to a temporary file when they are many."""

import numpy as np
import pytest

from acanet.errors import AcanetError
from acanet.runtime.spill import MEMORY, Spill

resource = pytest.importorskip("resource", reason="limits the size of files")


@pytest.mark.parametrize("memory", [1, MEMORY])
def test_rows_are_those_that_were_appended(memory):
    rows = np.random.default_rng(0).random((150_000, 3)).astype(np.float32)
    with Spill(memory=memory) as spill:
        for part in (rows[:7], rows[:0], rows[7:100_000], np.asfortranarray(rows[100_000:])):
            spill.append(part)
        assert spill.count == len(rows)
        np.testing.assert_array_equal(spill.read(5, 120_000), rows[5:120_000])
        assert spill.read(9, 9).shape == (0, 3)
        assert [len(block) for block in spill.blocks(70_000)] == [70_000, 70_000, 10_000]
        np.testing.assert_array_equal(np.concatenate([*spill.blocks(70_000)]), rows)


def test_rows_after_a_cut_follow_what_was_kept():
    with Spill(memory=1) as spill:
        spill.append(np.arange(5, dtype=np.float32))
        spill.truncate(2)
        spill.append(np.full(1, 9, np.float32))
        np.testing.assert_array_equal(spill.read(0, spill.count), [0, 1, 9])


@pytest.mark.parametrize("missing", [1, 100, 4000, 8192, 70_000])
def test_a_file_that_cannot_take_the_last_bytes_is_told(missing):
    """However few they are: buffers of the file are emptied where the error is expected."""
    rows = np.ones(100_000, np.float32)
    allowed, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Spill(memory=1) as spill:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (rows.nbytes - missing, most))
            with pytest.raises(AcanetError, match="TMPDIR"):
                spill.append(rows)
            spill.close()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, most))
