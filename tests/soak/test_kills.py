"""Commands that are killed at random moments while they write, and at every thing that they do to a file.

`make soak` runs this and prints its figures.
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from support.killed import COMMANDS, Killed, make_world
from support.kills import Programs

pytestmark = pytest.mark.soak

SEED, KILLS = 17, 20


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    with Programs(tmp_path_factory.mktemp("killed")) as programs:
        yield programs


@pytest.fixture(scope="module")
def world(programs, tiny_bundle):
    return make_world(programs.place / "world", tiny_bundle, programs)


@pytest.fixture
def killed(programs, world, request):
    killed = Killed(programs, world, COMMANDS[request.param])
    yield killed
    killed.clear()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("killed", COMMANDS, indirect=True)
def test_killed_at_random_moments_while_it_writes(killed, number, request, capsys):
    moments = random.Random(f"{SEED} {request.node.name}")
    killed.renew()
    began = []
    killed.programs.run(
        killed.command.arguments, killed.folder, number=0, when=lambda process: began.append(first(killed, process))
    )
    span = time.monotonic() - began[0]

    def later(process):
        first(killed, process)
        time.sleep(moments.uniform(0, span))

    hits = tries = 0
    while hits < KILLS and tries < 3 * KILLS:
        tries += 1
        hits += killed.kill(number=number, when=later)
    with capsys.disabled():
        print(f"\n{request.node.name}: killed {hits} times in {tries} runs, within {span:.2f} s of its first file")
    assert hits == KILLS


def first(killed, process):
    """Wait for the first thing that a process writes, or its end; the moment."""
    before = written(killed)
    while written(killed) == before and os.path.exists(f"/proc/{process}/exe"):
        time.sleep(0.002)
    return time.monotonic()


def written(killed):
    """What there is below a few folders, with its time."""
    found = set()
    below = [killed.folder / name for name in ("out", "run", "cache")]
    for folder in (killed.folder, killed.programs.temporary, *below):
        if folder.is_dir():
            found |= {(folder / name, time_of(folder / name)) for name in os.listdir(folder)}
    return found


def time_of(path):
    """When a file was written; nothing where it is gone again."""
    try:
        return path.lstat().st_mtime_ns
    except FileNotFoundError:
        return None


@pytest.mark.parametrize("killed", COMMANDS, indirect=True)
def test_killed_at_everything_that_it_does_to_a_file(killed, request, capsys):
    for place in range(1, killed.things + 1):
        assert killed.kill(at=place), f"{place} of {killed.things}"
    with capsys.disabled():
        print(f"\n{request.node.name}: killed at each of {killed.things} things done to a file")
