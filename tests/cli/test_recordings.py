"""Commands that take recordings: pipes, channels, limits, and names and consoles of every kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acanet.audio.recording import read_audio
from support.commands import acanet, process

RATE = 16000
ODD = [b"bad\xff.wav", "声.wav".encode(), b"two\nlines.wav", b"$x^$_{.wav", b"[bold]a.wav", b"-.wav"]


@pytest.fixture(scope="module")
def call(voices: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Two people, and a call with one on each side."""
    folder = tmp_path_factory.mktemp("call")
    one, two = (read_audio(voices / name / "000.wav")[0] for name in ("s001", "s002"))
    size = min(len(one), len(two))
    paths = folder / "one.wav", folder / "two.wav", folder / "call.wav"
    for path, samples in zip(paths, (one[:size], two[:size], np.c_[one[:size], two[:size]]), strict=True):
        soundfile.write(path, samples, RATE, subtype="FLOAT")
    return paths


def score(bundle: Path, *arguments: object) -> float:
    answer = acanet("verify", *arguments, "--threshold", "0.5", "--json", "-m", bundle)
    assert answer.code in (0, 1), answer.err
    return float(json.loads(answer.out)["score"])


# Channels


def test_verify_hears_a_side_of_a_call(tiny_bundle: Path, call: tuple[Path, Path, Path]) -> None:
    one, two, both = call
    strangers = score(tiny_bundle, one, two)
    assert score(tiny_bundle, both, both, "--channel", "1") == pytest.approx(1.0, abs=1e-5)
    assert score(tiny_bundle, both, both, "--channel", "0,1") == pytest.approx(strangers, abs=1e-6)
    assert score(tiny_bundle, one, both, "--channel", "all,1") == pytest.approx(strangers, abs=1e-6)
    answer = acanet("verify", one, both, "--channel", "1", "--threshold", "0.5", "-m", tiny_bundle)
    assert answer.code == 2
    assert f"{one}: there is no channel 1; it has one channel, 0" in answer.err


@pytest.mark.parametrize("channel", ["x", "-1", "1,2,3", "", "0,", "1.5", "99999"])
def test_what_is_no_channel(channel: str, call: tuple[Path, Path, Path]) -> None:
    answer = acanet("verify", call[0], call[2], "--channel", channel)
    assert answer.code == 2
    assert "with a comma, not" in answer.err


def test_embed_hears_a_side_of_a_call(tiny_bundle: Path, call: tuple[Path, Path, Path], tmp_path: Path) -> None:
    one, two, both = call
    for channel, alone in (("0", one), ("1", two)):
        for windows in ([], ["--windows", "1"]):
            for path, more in ((both, ["--channel", channel]), (alone, [])):
                answer = acanet(
                    "embed", path, "-o", tmp_path / f"{path.stem}.npz", "--force", "-m", tiny_bundle, *more, *windows
                )
                assert answer.code == 0, answer.err
            found, want = (np.load(tmp_path / f"{path.stem}.npz")["embeddings"] for path in (both, alone))
            np.testing.assert_allclose(found, want, atol=1e-6)
    answer = acanet("embed", both, one, "-o", tmp_path / "x.npz", "-m", tiny_bundle, "--channel", "1")
    assert answer.code == 2
    assert "1 of 2 files could not be embedded" in answer.err


# Limits


@pytest.mark.parametrize("command", ["verify", "embed", "segments", "explain"])
def test_longer_recordings_are_refused(
    command: str, tiny_bundle: Path, call: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    one, _, _ = call
    ending = {"embed": ".npz", "segments": ".rttm", "explain": ".png"}.get(command)
    more = [one, "--threshold", "0.5"] if ending is None else ["-o", tmp_path / f"out{ending}"]
    more += ["--speakers", "1"] if command == "segments" else []
    answer = acanet(command, one, *more, "-m", tiny_bundle, "--max-seconds", "0.7")
    assert answer.code == 2
    assert "s of audio, at most 0.7 s can be embedded: max_seconds is 0.7" in answer.err
    assert not list(tmp_path.iterdir())
    answer = acanet(command, one, *more, "-m", tiny_bundle, "--max-seconds", "0")
    assert answer.code == 2
    assert "seconds above 0" in answer.err


# Pipes


@pytest.mark.skipif(os.name != "posix", reason="pipes have no names")
def test_a_pipe_is_a_recording(tiny_bundle: Path, call: tuple[Path, Path, Path], tmp_path: Path) -> None:
    one, _, _ = call
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(one.read_bytes()))
    writer.start()
    assert score(tiny_bundle, one, pipe) == pytest.approx(1.0, abs=1e-5)
    writer.join()
    command = [sys.executable, "-m", "acanet", "verify", one, "/dev/stdin", "--threshold", "0.5", "-m", tiny_bundle]
    done = subprocess.run(
        list(map(str, command)), input=one.read_bytes(), capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


# Names and consoles


@pytest.mark.filterwarnings("ignore:Glyph")  # of a picture, in a font that does not have it
@pytest.mark.parametrize("name", ODD, ids=repr)
def test_odd_names_break_nothing(name: bytes, tiny_bundle: Path, call: tuple[Path, Path, Path], tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(call[0].read_bytes())
    odd = str(path)
    for command in (
        ["verify", odd, odd, "--threshold", "0.5"],
        ["verify", odd, odd, "--threshold", "0.5", "--json"],
        ["embed", odd, "-o", odd.replace(".wav", ".npz")],
        ["segments", odd, "-o", odd.replace(".wav", ".rttm"), "--plot", odd.replace(".wav", ".png"), "--speakers", "1"],
    ):
        answer = acanet(*command, "-m", tiny_bundle)
        assert answer.code == 0, answer.err
    turns = Path(odd.replace(".wav", ".rttm")).read_text("utf-8")
    assert all(len(line.split()) == 10 for line in turns.splitlines())
    missing = acanet("verify", odd, odd + ".missing", "--threshold", "0.5", "-m", tiny_bundle)
    assert missing.code == 2
    assert "there is no such file" in missing.err


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_odd_consoles_break_nothing(
    encoding: str, tiny_bundle: Path, call: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    how = {"env": os.environ | {"PYTHONIOENCODING": encoding}, "encoding": encoding}
    output = tmp_path / "声.rttm"
    answer = process("segments", call[0], "-o", output, "--speakers", "1", "-m", tiny_bundle, **how)
    assert answer.code == 0, answer.err
    assert output.exists()
    assert "\\u58f0.rttm" in answer.out


def test_one_file_that_cannot_be_read_costs_only_itself(
    tiny_bundle: Path, call: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    one, two, _ = call
    locked, gone = tmp_path / "locked.wav", tmp_path / "gone.wav"
    locked.write_bytes(one.read_bytes())
    locked.chmod(0)
    bad = [gone, tmp_path, os.devnull, *(["/proc/self/mem"] if Path("/proc/self/mem").exists() else [])]
    bad += [] if os.access(locked, os.R_OK) else [locked]
    answer = acanet("embed", one, *bad, two, "-o", tmp_path / "out.npz", "-m", tiny_bundle)
    assert answer.code == 2
    assert list(np.load(tmp_path / "out.npz")["files"]) == [str(one), str(two)]
    for path in bad:
        assert f"error: {path}: " in answer.err
    assert f"{len(bad)} of {len(bad) + 2} files could not be embedded" in answer.err
