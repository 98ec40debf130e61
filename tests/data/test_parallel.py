"""Processes that work for another one end when it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import os, sys, time
from acanet.data.parallel import spread

def work(number):
    print(os.getpid(), flush=True)
    time.sleep(0.05)
    return number

if __name__ == "__main__":
    for _ in spread(work, range(10_000), workers=2):
        pass
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_processes_of_a_killed_program_end(tmp_path, number):
    (tmp_path / "program.py").write_text(PROGRAM)
    program = subprocess.Popen([sys.executable, tmp_path / "program.py"], stdout=subprocess.PIPE, text=True)
    workers = set()
    while len(workers) < 2:
        workers.add(int(program.stdout.readline()))
    program.send_signal(number)
    program.wait()
    ends = time.monotonic() + 30
    while any(map(lives, workers)):
        assert time.monotonic() < ends, "they work for nobody"
        time.sleep(0.05)
    program.stdout.close()


def lives(process):
    try:
        os.kill(process, 0)
        with open(f"/proc/{process}/stat") as file:  # where a system has it: not one that has ended, and waits
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return os.path.isdir("/proc/self") is False
