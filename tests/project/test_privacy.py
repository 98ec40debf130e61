"""Nothing of a voice, a file or a machine is told to anybody, and nothing is left behind."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.paths import ROOT

PYTHON = """
import sys
from acanet import Encoder
encoder = Encoder.load("small")
encoder.verify(*sys.argv[1:3], threshold=0.0)
list(encoder.embed_many(sys.argv[1:3]))
"""
ROADS = {
    "verify": ("-m", "acanet", "verify", "ONE", "OTHER", "--threshold", "-1"),
    "json": ("-m", "acanet", "verify", "ONE", "OTHER", "--threshold", "-1", "--json"),
    "embed": ("-m", "acanet", "embed", "ONE", "OTHER", "-o", "OUT.npz"),
    "check": ("-m", "acanet", "check", "small"),
    "Encoder": ("-c", PYTHON, "ONE", "OTHER"),
    "quantization": ("-c", "import acanet.export.precision"),
}
NO_SOCKETS = """
import socket, sys
def refuse(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        sys.stderr.write(f"A SOCKET: {event} {arguments}\\n")
sys.addaudithook(refuse)
"""
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")


@pytest.fixture
def words(voices: Path, tmp_path: Path) -> dict[str, str]:
    return {
        "ONE": str(voices / "s004" / "000.wav"),
        "OTHER": str(voices / "s004" / "001.wav"),
        "OUT.npz": str(tmp_path / "out.npz"),
    }


def alone(folder: Path, switch: str | None) -> dict[str, str]:
    """An environment with a home of its own, and what somebody else has set of the switch."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ORT_", "HF_", "XDG_"))}
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    environment |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    return environment | ({} if switch is None else {"ORT_DISABLE_TELEMETRY": switch})


def left_in(folder: Path) -> list[Path]:
    return [path for name in ("home", "tmp") for path in (folder / name).rglob("*")]


@pytest.mark.parametrize("switch", [None, "0"])
@pytest.mark.parametrize("road", ROADS)
def test_no_road_leaves_a_file_or_opens_a_socket(
    road: str, switch: str | None, words: dict[str, str], tmp_path: Path
) -> None:
    environment = alone(tmp_path, switch)
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(NO_SOCKETS)
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "hook"), *sys.path])
    command = [sys.executable, *(words.get(word, word) for word in ROADS[road])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "A SOCKET" in done.stderr) == (0, False), done.stderr
    assert left_in(tmp_path) == []


@needs_strace
@pytest.mark.parametrize("road", ROADS)
def test_the_system_sees_no_socket_and_no_file_of_others(road: str, words: dict[str, str], tmp_path: Path) -> None:
    """As the system sees it: libraries in C do not ask Python."""
    command = [sys.executable, *(words.get(word, word) for word in ROADS[road])]
    traced = ["strace", "-f", "-qq", "-e", "trace=network,openat,creat,mkdir", "-o", str(tmp_path / "trace"), *command]
    done = subprocess.run(traced, env=alone(tmp_path, None), capture_output=True, text=True, timeout=300, check=False)
    if "ptrace" in done.stderr:
        pytest.skip("strace is not allowed here")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "trace").read_text("utf-8", "replace").splitlines()
    assert [line for line in lines if re.search(r"\b(socket|connect|sendto)\(.*(AF_INET|AF_NETLINK)", line)] == []
    made = [line for line in lines if re.search(r"O_CREAT|creat\(|mkdir\(", line) and " = -1 " not in line]
    allowed = (str(tmp_path / "out.npz"), f"{tmp_path}/.acanet-", "/dev/null", "/dev/shm")
    assert [line for line in made if not any(place in line for place in allowed)] == []


def test_onnxruntime_is_never_imported_before_acanet() -> None:
    """Its telemetry begins as it is imported."""
    for file in [*(ROOT / "benchmarks").glob("*.py"), ROOT / "tests" / "conftest.py"]:
        first: dict[str, int] = {}
        for node in ast.parse(file.read_text("utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                first.setdefault(name.partition(".")[0], node.lineno)
        if "onnxruntime" in file.read_text("utf-8"):
            assert first.get("acanet", 10**6) < first.get("onnxruntime", 10**6), file
