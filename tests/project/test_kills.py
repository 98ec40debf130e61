"""A kill at any thing that is done to a file leaves nothing half, and the same command then does all of it.

Random moments, and more of them, are in tests/soak/test_kills.py.
"""

from __future__ import annotations

import signal

import pytest

from support.killed import COMMANDS, Killed, make_world
from support.kills import Programs

pytestmark = pytest.mark.slow

MOST = 6
"""Kills of a command, evenly over all things that it does."""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    with Programs(tmp_path_factory.mktemp("killed")) as programs:
        yield programs


@pytest.fixture(scope="module")
def world(programs, tiny_bundle):
    return make_world(programs.place / "world", tiny_bundle, programs)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_killed_at_a_file_can_be_repeated(programs, world, name):
    killed = Killed(programs, world, COMMANDS[name])
    try:
        places = sorted({1 + round(place * (killed.things - 1) / (MOST - 1)) for place in range(MOST)})
        for count, place in enumerate(places):
            number = (signal.SIGKILL, signal.SIGTERM)[count % 2]
            assert killed.kill(at=place, number=number), f"{place} of {killed.things}"
    finally:
        killed.clear()
