"""The origin of a figure: the machine, the code and the versions that it was computed with."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from pydantic import Field

from acanet import __version__
from acanet.config.strict import Strict


class Machine(Strict):
    """A machine that computes."""

    processor: str = Field(description="its name")
    cores: int = Field(description="that the process may use")
    threads: int = Field(description="that torch works with")
    accelerator: str | None = Field(description="its name; None: there is none, or it was not used")


class Code(Strict):
    """A state of the source code."""

    commit: str = Field(description="of git")
    changed: bool = Field(description="the code of acanet differed from that of the commit")


def this_machine() -> Machine:
    """The machine that this process runs on, as it trains."""
    import torch

    cuda = torch.cuda.is_available()
    return Machine(
        processor=processor(),
        cores=cores(),
        threads=torch.get_num_threads(),
        accelerator=torch.cuda.get_device_name() if cuda else None,
    )


def processor() -> str:
    """The name of the processor: Linux tells it, elsewhere it may be the architecture only."""
    facts = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", facts.read_text(encoding="utf-8")) if facts.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def cores() -> int:
    """The number of cores that the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def these_versions() -> dict[str, str]:
    """The versions of acanet, Python and torch."""
    return {"acanet": __version__, "python": platform.python_version(), "torch": version("torch")}


def this_code() -> Code | None:
    """The commit of acanet's source, or None when it does not run from a checkout of it, or there is no git."""
    folder = Path(__file__).parents[1]
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:  # installed below a checkout of another
        return None
    commit, changes = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain", "--", ".")
    return None if commit is None else Code(commit=commit.strip(), changed=bool(changes))


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None when it fails or is not installed."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
