"""What holds in all of the source: what is raised on purpose is an AcanetError, files are written in one way."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import ROOT

PACKAGE = ROOT / "src" / "acanet"

SPOKEN = {"IndexError", "AttributeError", "KeyboardInterrupt", "OSError", "AssertionError"}
"""What Python or the system understands: the end of an iteration over a sequence, the answer to `hasattr`, an
interrupt, an error of the system that names our file in place of a temporary one, and a line that is never reached."""
PLAIN = {name for name, found in vars(builtins).items() if isinstance(found, type) and issubclass(found, BaseException)}
PLAIN -= SPOKEN
"""All other exceptions of Python: they say nothing to a user of acanet."""
DECORATORS = {"field_validator", "model_validator"}
MARKERS = {"BeforeValidator", "AfterValidator"}
"""How pydantic knows its validators. It makes problems of the ValueErrors in them, and `Strict.parse` a BadConfig."""
HOOKS = {"check_channels", "check_mels", "check_latents"}
"""Methods of a part's config that the validator of `acanet.models.config.ExtractorConfig` calls."""

RENAMES = {("os", "replace"), ("os", "rename"), ("shutil", "move")}
RENAMES |= {("tempfile", name) for name in ("mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryDirectory")}
"""How something written elsewhere takes its place, and temporaries that stay when the program is killed."""
WRITERS = {Path("config/files.py"), Path("config/scratch.py")}


def inside_functions(tree: ast.AST, inside: tuple[str, ...] = ()) -> Iterator[tuple[ast.AST, tuple[str, ...]]]:
    """Every node, with the names of the functions that it is in, the innermost last."""
    for node in ast.iter_child_nodes(tree):
        yield node, inside
        yield from inside_functions(node, (*inside, node.name) if isinstance(node, ast.FunctionDef) else inside)


def name_of(node: ast.AST) -> str:
    """What is called or meant: the last part of a dotted name."""
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def validators(tree: ast.AST) -> set[str]:
    """The functions that pydantic calls to validate, and those of this file that they call."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    found = {name_of(argument) for call in calls if name_of(call) in MARKERS for argument in call.args}
    found |= {name for name, node in functions.items() if DECORATORS & {name_of(each) for each in node.decorator_list}}
    waiting = list(found & set(functions))
    while waiting:
        called = {name_of(node) for node in ast.walk(functions[waiting.pop()]) if isinstance(node, ast.Call)}
        waiting += (called & set(functions)) - found
        found |= called & set(functions)
    return found


def plain_errors(file: Path, source: str) -> list[str]:
    """One line for each plain exception that is raised outside of validators."""
    tree = ast.parse(source)
    allowed, wrong = validators(tree) | HOOKS, []
    for node, inside in inside_functions(tree):
        raised = name_of(node.exc) if isinstance(node, ast.Raise) and node.exc is not None else ""
        if raised in PLAIN and not allowed.intersection(inside):
            wrong.append(f"{file}:{node.lineno}: raises {raised}; raise an error of acanet.errors")
    return wrong


def renames(file: Path, source: str) -> list[str]:
    """One line for each call that moves a file into its place by hand."""
    wrong = []
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr) in RENAMES
        ):
            wrong.append(f"{file}:{node.lineno}: {node.value.id}.{node.attr}; write with acanet.config.files")
        if isinstance(node, ast.keyword) and node.arg == "dir":
            wrong.append(f"{file}:{node.value.lineno}: a temporary beside something; write with acanet.config.files")
    return wrong


@pytest.fixture(scope="module")
def sources() -> dict[Path, str]:
    return {file.relative_to(PACKAGE): file.read_text("utf-8") for file in sorted(PACKAGE.rglob("*.py"))}


def test_whatever_is_raised_on_purpose_is_an_acanet_error(sources: dict[Path, str]) -> None:
    wrong = [line for file, source in sources.items() for line in plain_errors(file, source)]
    assert not wrong, "\n".join(["errors that say nothing to a user:", *wrong])


def test_files_are_written_in_one_way(sources: dict[Path, str]) -> None:
    sources = {file: source for file, source in sources.items() if file not in WRITERS}
    wrong = [line for file, source in sources.items() for line in renames(file, source)]
    assert not wrong, "\n".join(["files that are written by hand:", *wrong])


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("raise ValueError('no')", 1),
        ("def f():\n    raise TypeError", 1),
        ("raise LookupError('no')", 1),
        ("raise SystemExit(1)", 1),
        ("def f():\n    def _plain():\n        raise RuntimeError('no') from None", 1),
        ("def f():\n    try:\n        g()\n    except KeyError:\n        raise", 0),
        ("def f():\n    raise BadArgument('a', 'no')", 0),
        ("class A:\n    @model_validator(mode='after')\n    def f(self):\n        raise ValueError('no')", 0),
        ("def f():\n    raise ValueError('no')\nA = Annotated[str, AfterValidator(f)]", 0),
        ("@model_validator\ndef f(self):\n    self.g()\ndef g(self):\n    raise ValueError('no')", 0),
        ("class A:\n    @cached_property\n    def f(self):\n        raise ValueError('no')", 1),
    ],
)
def test_plain_errors_are_found(source: str, found: int) -> None:
    assert len(plain_errors(Path("a.py"), source)) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("os.replace(one, other)", 1),
        ("move = shutil.move", 1),
        ("tempfile.TemporaryDirectory(dir=folder)", 2),
        ("tempfile.TemporaryDirectory(prefix='acanet-')", 1),
        ("tempfile.TemporaryFile()", 0),
        ("text.replace('a', 'b')", 0),
    ],
)
def test_renames_are_found(source: str, found: int) -> None:
    assert len(renames(Path("a.py"), source)) == found
