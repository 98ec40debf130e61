"""What a new Python process loads."""

from __future__ import annotations

import subprocess
import sys


def loaded_by(*arguments: str) -> set[str]:
    """The top-level packages that a new Python with these arguments loads."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = done.stderr.splitlines()
    assert done.returncode == 0, "\n".join(line for line in lines if not line.startswith("import time:"))
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines if line.startswith("import time:")}
