"""Packages that bring models or parts, installed in a folder, and the command line in a process that finds them."""

from __future__ import annotations

import os
import subprocess
import sys


def install(folder, module, source, **entries):
    """What pip leaves behind for a package of one module: the module, and what it says about itself.

    `entries` has a line for each group of entry points: `models="gated = gated"` is in `acanet.models`.
    """
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
    groups = "".join(f"[acanet.{group}]\n{entry}\n" for group, entry in entries.items())
    (about / "entry_points.txt").write_text(groups, encoding="utf-8")
    return folder


def acanet(packages, *arguments):
    """The command line in a process of its own that finds these packages."""
    path = os.pathsep.join(filter(None, [str(packages), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "acanet", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
