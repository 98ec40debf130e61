"""Errors of processes that make batches are told as what they are, and nobody waits for what never comes."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

from acanet.errors import BadAudio
from acanet.training.loader import load_items
from support.kills import await_no_process_in, processes_in


class Batches:
    def __init__(self, size=10, last=None):
        self.size, self.last = size, last

    def __getitem__(self, number):
        if self.last is not None and number == 3:
            self.last()
        return np.full(self.size, number, np.float32), np.array([number])


def raises(error):
    def now():
        raise error

    return now


@pytest.mark.parametrize("workers", [0, 2])
def test_items_come_in_their_order(workers):
    items = list(load_items(Batches(), range(2, 7), workers))
    assert [number.item() for _, number in items] == [2, 3, 4, 5, 6]
    assert all(waveforms.dtype == np.float32 and (waveforms == number).all() for waveforms, number in items)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_comes_as_it_was(workers):
    loaded = load_items(Batches(last=raises(BadAudio("a.wav", "is odd"))), range(9), workers)
    for _ in range(3):
        next(loaded)
    with pytest.raises(BadAudio, match=r"^a\.wav: is odd$") as caught:
        next(loaded)
    assert caught.value.source == "a.wav"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_mistake_of_the_program_is_one(workers):
    with pytest.raises(ZeroDivisionError):
        list(load_items(Batches(last=raises(ZeroDivisionError())), range(9), workers))


DYING = """
import os, signal
from acanet.cli import main
from acanet.data.feed.batches import TrainingBatches

making = TrainingBatches.__getitem__

def dying(self, step):
    if step == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return making(self, step)

TrainingBatches.__getitem__ = dying
main()
"""


def test_a_process_that_dies_is_told_with_what_to_do(tiny_recipe, tmp_path):
    recipe = tiny_recipe | {"data": tiny_recipe["data"] | {"workers": 1}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-c", DYING, "train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2, done.stderr
    assert "error: a process that makes batches died" in done.stderr
    assert "fewer data.workers" in done.stderr
    assert "Traceback" not in done.stderr


def test_batches_take_no_shared_memory():
    """So a container's 64 MB of it are enough; what fails here would make a file in it, or a socket for its number."""
    before = set(os.listdir("/dev/shm"))
    seen = []
    for waveforms, _ in load_items(Batches(size=1_000_000), range(9), 2):
        seen.append(waveforms.nbytes)
        assert not set(os.listdir("/dev/shm")) - before
    assert seen == [4_000_000] * 9


ORPHANED = """
import os, sys, time
import numpy as np
from acanet.training.loader import load_items

class Batches:
    def __getitem__(self, number):
        return np.full(1_000_000, number, np.float32)

items = load_items(Batches(), range(100), 2)
next(items)
print("made", flush=True)
time.sleep(60)
"""


def test_processes_end_with_their_parent_in_the_middle_of_a_batch(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", ORPHANED], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert parent.stdout.readline() == "made\n"
    assert len(processes_in(tmp_path)) == 3
    parent.kill()
    parent.wait()
    parent.stdout.close()
    await_no_process_in(tmp_path)
