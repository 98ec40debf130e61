"""The package as users get it: built, installed with its core dependencies only, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile

import pytest

from acanet import Encoder
from support.paths import ROOT

pytestmark = pytest.mark.slow


def run(*command, cwd, code=0):
    clean = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME"}}
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=clean, capture_output=True, text=True, timeout=900)
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT, cwd=folder)
    (path,) = folder.glob("acanet-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of the environment's programs."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=True)
    programs = home / "bin"
    run(programs / "python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel, cwd=home)
    return programs


def test_the_wheel_has_the_model_and_no_torch_weights(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        f"acanet/bundles/default/{name}" for name in ("config.json", "whole.onnx", "weights.bin", "README.md")
    } <= names
    assert not any(name.endswith(".safetensors") for name in names)
    assert wheel.stat().st_size < 20 * 2**20


def test_verify_and_embed_need_no_extra(installed, voices, tmp_path):
    one, other = voices / "s000" / "000.wav", voices / "s001" / "000.wav"
    packages = {each["name"] for each in json.loads(run(installed / "pip", "list", "--format", "json", cwd=tmp_path))}
    assert not packages & {"torch", "scipy", "scikit-learn", "lhotse", "matplotlib", "onnx", "safetensors", "PyYAML"}
    answer = json.loads(run(installed / "acanet", "verify", one, other, "--json", "--threshold", "-1", cwd=tmp_path))
    assert answer["score"] == pytest.approx(Encoder.load().verify(one, other).score, abs=1e-4)
    assert answer["fingerprint"] == Encoder.load().fingerprint
    assert "2 embeddings" in run(installed / "acanet", "embed", one, other, "-o", "out.npz", cwd=tmp_path)
    assert "largest difference" in run(installed / "acanet", "check", cwd=tmp_path)


def test_what_needs_an_extra_says_which(installed, tiny_bundle, voices, tmp_path):
    one = voices / "s000" / "000.wav"
    for command in (("verify", one, one, "--model", tiny_bundle), ("export", "default", "-o", "new")):
        done = subprocess.run(
            [installed / "acanet", *command], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 2
        assert "install acanet with the extra 'train'" in " ".join(done.stderr.split())
