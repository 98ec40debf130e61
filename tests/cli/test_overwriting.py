"""What is there is replaced only when somebody says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import acanet

COMMANDS = {
    "embed": ("embed", "ONE", "-o", "out.npz"),
    "windows": ("embed", "ONE", "-o", "out.npz", "--windows", "1"),
    "segments": ("segments", "ONE", "-o", "out.rttm"),
    "plot": ("segments", "ONE", "-o", "other.rttm", "--plot", "out.png"),
    "explain": ("explain", "ONE", "-o", "out.png"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("there", ["a file", "a folder", "a link to nowhere"])
def test_an_output_that_is_there_stays(
    command: str, there: str, voices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [str(voices / "s004" / "000.wav") if word == "ONE" else word for word in COMMANDS[command]]
    output = next(tmp_path / word for word in words if word.startswith("out."))
    if there == "a file":
        output.write_text("precious")
    elif there == "a folder":
        output.mkdir()
    else:
        output.symlink_to("nowhere")
    answer = acanet(*words, "-m", "small")
    assert (answer.code, answer.out) == (2, "")
    assert f"{output.name}: it is there already; name another file, or give --force to replace it" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == [output.name]
    if there == "a file":
        assert output.read_text() == "precious"


@pytest.mark.parametrize("command", ["embed", "segments"])
def test_force_replaces_a_file(command: str, voices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [str(voices / "s004" / "000.wav") if word == "ONE" else word for word in COMMANDS[command]]
    output = next(tmp_path / word for word in words if word.startswith("out."))
    output.write_text("old")
    assert acanet(*words, "-m", "small", "--force").code == 0
    assert output.read_bytes() != b"old"


def test_a_page_of_results_replaces_no_other_page(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine")
    answer = acanet("results", tmp_path, "-o", tmp_path / "README.md")
    assert (answer.code, "is no page of results" in answer.err) == (2, True)
    assert (tmp_path / "README.md").read_text() == "# Mine"
