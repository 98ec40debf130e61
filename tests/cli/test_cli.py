"""The command line: what each command does, says, and answers with."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from acanet import errors
from acanet.encoder import Encoder
from acanet.errors import AcanetError
from acanet.runtime.bundle import Bundle
from support.commands import acanet, process

RATE = 16000


@pytest.fixture(scope="module")
def pair(voices):
    return voices / "s004" / "000.wav", voices / "s005" / "000.wav"


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory, voices):
    """Recordings that have no embedding."""
    folder = tmp_path_factory.mktemp("spoilt")
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE)
    soundfile.write(folder / "silence.wav", np.zeros(3 * RATE), RATE)
    soundfile.write(folder / "noise.wav", noise, RATE)
    speech, _ = soundfile.read(voices / "s000" / "000.wav")
    soundfile.write(folder / "short.wav", speech[8000:8800], RATE)
    (folder / "text.wav").write_text("this is not audio\n" * 100)
    (folder / "empty.wav").touch()
    return folder


@pytest.fixture(scope="module")
def road(tmp_path_factory, voices, tiny_recipe):
    """From recordings to a trained model by the command line, in a folder with a difficult name."""
    folder = tmp_path_factory.mktemp("road [bold]")
    prepared = acanet("prepare", "folder", voices, "-o", folder / "prepared", "--dev", "0.34", "--workers", "1")
    recipe = tiny_recipe | {
        "data": tiny_recipe["data"] | {"train": ["prepared/train.jsonl"], "cache": "cache"},
        "dev": {"manifest": "prepared/dev.jsonl"},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    trained = acanet("train", folder / "recipe.yaml", "--out", folder / "run", "--set", "steps=3")
    return folder, prepared, trained


@pytest.fixture(scope="module")
def trials(road, voices):
    """All pairs of the speakers that were kept for dev, and of two that were trained on, named by their paths."""
    folder = road[0]
    heard = Bundle.load(folder / "run").provenance.speakers
    for name, speakers in (
        ("new", [home for home in sorted(voices.iterdir()) if home.name not in heard]),
        ("old", [voices / name for name in sorted(heard)[:2]]),
    ):
        files = [file.relative_to(voices) for home in speakers for file in sorted(home.iterdir())]
        lines = [f"{int(a.parent == b.parent)} {a} {b}\n" for a, b in combinations(files, 2)]
        (folder / f"{name}.trials").write_text("".join(lines))
    return folder / "new.trials", folder / "old.trials"


# From recordings to a decision


def test_prepare_writes_manifests(road):
    folder, prepared, _ = road
    assert prepared.code == 0, prepared.err
    assert re.search(r"all\s+18\s+6\s", prepared.out)
    assert {"train.jsonl", "dev.jsonl", "report.json"} <= {path.name for path in (folder / "prepared").iterdir()}


def test_train_writes_a_model_and_says_where(road):
    folder, _, trained = road
    assert trained.code == 0, trained.err
    assert trained.out.endswith(f"at step {best_step(folder)}; the model is in {folder}/run/best\n")
    assert trained.out.startswith("dev EER ")
    assert "step 3/3: loss " in trained.err
    assert Encoder.load(folder / "run").dim == 16


def best_step(folder):
    looks = [line.split(",") for line in (folder / "run" / "dev.csv").read_text().splitlines()[1:]]
    return min(looks, key=lambda look: float(look[1]))[0]


def test_evaluate_writes_a_report(road, trials, voices):
    folder, report = road[0], road[0] / "report"
    how = ["--manifest", folder / "prepared" / "dev.jsonl", "--audio-root", voices, "--report", report, "--seed", "3"]
    answer = acanet("evaluate", folder / "run", trials[0], *how)
    assert answer.code == 0, answer.err
    assert "EER" in answer.out
    assert f"report in {report}" in answer.out
    assert {path.name for path in report.iterdir()} >= {"report.html", "card.json", "scores.txt.gz", "det.png"}
    card = json.loads((report / "card.json").read_text())
    assert card["fingerprint"] == Bundle.load(folder / "run").fingerprint
    assert (card["model"], card["seed"], card["seen"], card["scoring"]) == ("acanet-local", 3, False, "cosine")
    assert (card["counts"]["trials"], card["counts"]["targets"]) == (15, 6)
    assert 0 <= card["figures"]["eer"]["low"] <= card["figures"]["eer"]["value"] <= card["figures"]["eer"]["high"] <= 1
    assert card["versions"].keys() >= {"acanet", "torch", "numpy"}


def test_evaluate_on_what_was_trained_on_needs_to_be_told(road, trials, voices):
    folder = road[0]
    for where in (["--audio-root", voices], ["--manifest", folder / "prepared" / "train.jsonl"]):
        answer = acanet("evaluate", folder / "run", trials[1], *where)
        assert (answer.code, answer.out) == (2, "")
        assert "--seen" in answer.err
    answer = acanet("evaluate", folder / "run", trials[1], "--audio-root", voices, "--seen")
    assert answer.code == 0, answer.err
    assert "seen: the model may have been trained on these voices" in answer.out


def test_evaluate_needs_to_find_the_audio(road, trials):
    answer = acanet("evaluate", road[0] / "run", trials[0])
    assert answer.code == 2
    assert "--audio-root or --manifest" in answer.err


def test_embed_then_score(road, pair, tmp_path):
    answer = acanet("embed", *pair, "-o", tmp_path / "out.npz", "--model", road[0] / "run")
    assert (answer.code, answer.err) == (0, "")
    encoder = Encoder.load(road[0] / "run")
    with np.load(tmp_path / "out.npz") as found:
        assert found["files"].tolist() == [str(path) for path in pair]
        assert str(found["fingerprint"]) == encoder.fingerprint
        alone = [encoder.embed(path) for path in pair]
        np.testing.assert_allclose(found["embeddings"], alone, rtol=0, atol=1e-5)
        score = float(found["embeddings"][0] @ found["embeddings"][1])
    verified = acanet("verify", *pair, "--model", road[0] / "run", "--json", "--threshold", "0")
    assert json.loads(verified.out)["score"] == pytest.approx(score, abs=2e-6)


# verify


def test_verify_decides_by_the_threshold(pair, tiny_bundle):
    score = Encoder.load(tiny_bundle).verify(*pair).score
    same = acanet("verify", *pair, "-m", tiny_bundle, "--threshold", score - 0.01)
    assert (same.code, same.out.strip(), same.err) == (
        0,
        f"score {score:.4f}, threshold {score - 0.01:.4f}: same speaker",
        "",
    )
    higher = score + (1 - score) / 2
    other = acanet("verify", *pair, "-m", tiny_bundle, "--threshold", higher)
    expected = f"score {score:.4f}, threshold {higher:.4f}: not the same speaker"
    assert (other.code, other.out.strip(), other.err) == (1, expected, "")


def test_verify_without_a_threshold_has_no_decision(pair, tiny_bundle):
    answer = acanet("verify", *pair, "-m", tiny_bundle)
    assert answer.code == 4
    assert answer.out.startswith("score ")
    assert "no decision" in answer.out
    assert "--threshold" in answer.err


@pytest.mark.parametrize(("threshold", "code", "same"), [("-1", 0, True), ("1", 1, False), (None, 4, None)])
def test_verify_as_json(pair, tiny_bundle, threshold, code, same):
    given = [] if threshold is None else ["--threshold", threshold]
    answer = acanet("verify", *pair, "-m", tiny_bundle, "--json", *given)
    assert answer.code == code
    found = json.loads(answer.out)
    assert found["same"] is same
    assert found["threshold"] == (threshold and float(threshold))
    assert -1 <= found["score"] <= 1
    assert (found["enrolment"], found["test"]) == tuple(map(str, pair))
    assert (found["model"], found["fingerprint"]) == ("acanet-local", Bundle.load(tiny_bundle).fingerprint)


@pytest.mark.parametrize(
    ("name", "code", "advice"),
    [
        ("silence.wav", 3, "no speech in 3.00 s of audio; give a recording of somebody talking"),
        ("noise.wav", 3, "no speech in 3.00 s of audio"),
        ("short.wav", 3, "0.05 s of speech, at least 0.50 s are needed; give a longer recording"),
        ("text.wav", 2, ""),
        ("empty.wav", 2, ""),
        ("missing.wav", 2, ""),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_recording_without_a_voice_never_gets_a_score(pair, spoilt, tiny_bundle, name, code, advice, place):
    files = [pair[0]]
    files.insert(place, spoilt / name)
    answer = acanet("verify", *files, "-m", tiny_bundle, "--threshold", "-1")
    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith(f"error: {spoilt / name}: {advice}")
    assert len(answer.err) > len(f"error: {spoilt / name}: ") + 10
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("threshold", ["1.5", "-2", "nan", "high"])
def test_a_threshold_that_no_score_can_reach_is_refused(pair, tiny_bundle, threshold):
    answer = acanet("verify", *pair, "-m", tiny_bundle, "--threshold", threshold)
    assert (answer.code, answer.out) == (2, "")
    assert "threshold" in answer.err


def test_other_rates_and_channels_in_a_process_of_its_own(pair, tiny_bundle, tmp_path):
    """The one test of `python -m acanet`: 8 kHz against 48 kHz stereo, and a warning about the narrow one."""
    import soxr

    speech = [soundfile.read(path)[0] for path in pair]
    soundfile.write(tmp_path / "narrow.wav", soxr.resample(speech[0], RATE, 8000), 8000)
    wide = soxr.resample(speech[1], RATE, 48000)
    soundfile.write(tmp_path / "stereo.flac", np.stack([wide, 0.5 * wide], axis=1), 48000)
    files = (tmp_path / "narrow.wav", tmp_path / "stereo.flac")
    answer = process("verify", *files, "-m", tiny_bundle, "--threshold", "1", "--json")
    assert answer.code == 1
    assert -1 <= json.loads(answer.out)["score"] < 1
    assert answer.err == f"warning: {files[0]}: nothing above 4 kHz (telephone band); expect more errors"


# embed


def test_embed_writes_the_good_and_names_the_bad(pair, spoilt, tiny_bundle, tmp_path):
    answer = acanet("embed", pair[0], spoilt / "text.wav", pair[1], "-o", tmp_path / "out.npz", "-m", tiny_bundle)
    assert answer.code == 2
    assert str(spoilt / "text.wav") in answer.err
    assert "1 of 3 files could not be embedded" in answer.err
    with np.load(tmp_path / "out.npz") as found:
        assert found["files"].tolist() == [str(path) for path in pair]
        assert found["embeddings"].shape == (2, 16)
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def test_embed_with_nothing_to_write_writes_nothing(spoilt, tiny_bundle, tmp_path):
    answer = acanet("embed", spoilt / "silence.wav", "-o", tmp_path / "out.npz", "-m", tiny_bundle)
    assert answer.code == 3
    assert "1 of 1 files could not be embedded" in answer.err
    assert not list(tmp_path.iterdir())


def test_embed_follows_no_planted_link_and_leaves_nothing_behind(pair, tiny_bundle, tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "out.npz.part").symlink_to(tmp_path / "victim")
    assert acanet("embed", pair[0], "-o", tmp_path / "out.npz", "-m", tiny_bundle).code == 0
    assert (tmp_path / "victim").read_text() == "precious"
    (tmp_path / "folder.npz").mkdir()
    answer = acanet("embed", pair[0], "-o", tmp_path / "folder.npz", "-m", tiny_bundle)
    assert answer.code == 2
    assert "folder.npz: it is there already" in answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.npz", "out.npz", "out.npz.part", "victim"]


@pytest.mark.parametrize(("output", "named"), [("out.txt", ".npz"), ("nowhere/out.npz", "nowhere")])
def test_embed_says_where_it_cannot_write(pair, tiny_bundle, tmp_path, output, named):
    answer = acanet("embed", pair[0], "-o", tmp_path / output, "-m", tiny_bundle)
    assert answer.code == 2
    assert named in answer.err
    assert "Traceback" not in answer.err
    assert not list(tmp_path.iterdir())


# models


def test_models_lists_sizes():
    answer = acanet("models", "--json")
    assert answer.code == 0
    listed = {entry["name"]: entry for entry in json.loads(answer.out)}
    assert all(entry.keys() == {"name", "parameters", "macs_3s", "macs_60s"} for entry in listed.values())
    assert listed["acanet"]["parameters"] == 4_553_601
    assert listed["ecapa-512"]["parameters"] == 6_194_048
    assert listed["ecapa-1024"]["parameters"] == 20_767_552
    assert all(0 < entry["macs_3s"] < entry["macs_60s"] for entry in listed.values())


def test_models_for_people(monkeypatch):
    from acanet.models import registry

    monkeypatch.setattr(registry, "model_names", lambda: ["acanet"])
    answer = acanet("models")
    assert answer.code == 0
    assert "4,553,601" in answer.out


# train


def test_ctrl_c_saves_and_says_how_to_go_on(road, tmp_path):
    """From outside: a run of days gets SIGINT as soon as it has logged a step."""
    out = tmp_path / "run"
    arguments = ["train", road[0] / "recipe.yaml", "--out", out, "--set", "steps=1000000", "--set", "save_every=999999"]
    with (tmp_path / "stderr").open("w+") as told:
        running = subprocess.Popen(
            [sys.executable, "-m", "acanet", *map(str, arguments), "--set", "dev_every=999999"],
            stdout=subprocess.DEVNULL,
            stderr=told,
            process_group=0,
        )
        try:
            until = time.monotonic() + 240
            while not (out / "log.csv").exists() or (out / "log.csv").read_text().count("\n") < 2:
                assert running.poll() is None, "it ended by itself"
                assert time.monotonic() < until, "no step within four minutes"
                time.sleep(0.05)
            os.killpg(running.pid, signal.SIGINT)
            code = running.wait(timeout=120)
        finally:
            running.kill()
        told.seek(0)
        text = told.read()
    assert code == 130
    assert (out / "last.pt").exists()
    assert "the same command with --resume goes on" in text
    assert "Traceback" not in text


def test_train_names_the_nearest_key(road, tmp_path):
    for given, named in (
        (["--set", "stps=5"], "unknown key 'stps', did you mean 'steps'?"),
        (["--set", "augment.nois=0.5"], "augment: unknown key 'nois', did you mean 'noise'?"),
        (["--set", "model.name=acanet-locla"], "unknown model 'acanet-locla'; did you mean 'acanet-local'?"),
        (["--init", "nowhere"], "nowhere: no model there; give `default`, `small`, the folder of a bundle"),
        (["--out", road[0] / "run"], "holds a run already; add --resume"),
        (["--out", road[0] / "run", "--resume"], "steps is 4, the run has 3"),
    ):
        answer = acanet("train", road[0] / "recipe.yaml", "--out", tmp_path / "run", *given)
        assert (answer.code, answer.out) == (2, "")
        assert named in answer.err
    assert not list(tmp_path.iterdir())


def test_train_starts_from_a_model(road, tmp_path):
    folder = road[0]
    given = ["--out", tmp_path / "run", "--set", "steps=1", "--init", folder / "run"]
    answer = acanet("train", folder / "recipe.yaml", *given)
    assert answer.code == 0, answer.err
    assert "dev EER was " in answer.out
    assert f"dev EER of {folder}/run/best before training: " in answer.err


# Wrong use, and errors


@pytest.mark.parametrize(
    "arguments",
    [["verify", "a.wav", "b.wav", "--treshold", "0.5"], ["verify", "a.wav"], ["veryfy"], ["embed", "a.wav"]],
)
def test_wrong_use(arguments):
    answer = acanet(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert re.match(r"error: .*acanet.* --help tells how it is used\)$", answer.err)


@pytest.mark.parametrize("model", ["nowhere", "acanet-lcal"])
def test_an_unknown_model_says_what_can_be_given(pair, model):
    answer = acanet("verify", *pair, "-m", model)
    assert (answer.code, answer.out) == (2, "")
    assert f"{model}: no model there; give `default`, `small`, the folder of a bundle" in answer.err


def test_a_damaged_model(pair, tiny_bundle, tmp_path):
    shutil.copytree(tiny_bundle, tmp_path / "cut")
    (tmp_path / "cut" / "model.safetensors").write_bytes(b"cut off")
    answer = acanet("verify", *pair, "-m", tmp_path / "cut")
    assert answer.code == 2
    assert f"{tmp_path}/cut/model.safetensors: the model is damaged" in answer.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["evaluate", "MODEL", "missing.trials", "--audio-root", "."], "missing.trials"),
        (["prepare", "folder", "missing", "-o", "out"], "missing"),
        (["prepare", "floder", "missing", "-o", "out"], "floder"),
        (["train", "missing.yaml", "--out", "out"], "missing.yaml: no such recipe"),
        (["train", ".", "--out", "out"], "it is no regular file"),
    ],
)
def test_what_is_missing_is_named(tiny_bundle, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    answer = acanet(*[str(tiny_bundle) if argument == "MODEL" else argument for argument in arguments])
    assert (answer.code, answer.out) == (2, "")
    assert named in answer.err
    assert "Traceback" not in answer.err
    assert not list(tmp_path.iterdir())


def test_a_bug_is_an_internal_error(pair, tiny_bundle, monkeypatch):
    monkeypatch.setattr(Encoder, "verify", lambda *_, **__: 1 / 0)
    answer = acanet("verify", *pair, "-m", tiny_bundle)
    assert (answer.code, answer.out) == (70, "")
    assert "ZeroDivisionError" in answer.err
    assert answer.err.endswith("internal error: please report it with the lines above")


def test_ctrl_c_is_not_an_answer(pair, tiny_bundle, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Encoder, "verify", interrupted)
    answer = acanet("verify", *pair, "-m", tiny_bundle, "--threshold", "-1")
    assert (answer.code, answer.out) == (130, "")
    assert "Traceback" not in answer.err


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_closed_output_is_no_decision(pair, form):
    command = [sys.executable, "-m", "acanet", "verify", *map(str, pair), *form]
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (141, "")


def test_help_tells_the_commands_and_the_exit_codes():
    answer = acanet("--help")
    assert answer.code == 0
    for word in ("prepare", "train", "evaluate", "embed", "verify", "models", "demo", "no decision"):
        assert word in answer.out


KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, AcanetError)]


@pytest.mark.parametrize("kind", KINDS)
def test_errors_travel_between_processes(kind):
    """Data workers and decoding processes raise them; an error that does not pickle breaks the whole pool."""
    values = {"str": "a", "int": 3, "float": 1.5, "str | Path": Path("b"), "int | None": 3, "Iterable[str]": ["c", "d"]}
    takes = [p for p in inspect.signature(kind.__init__).parameters.values() if p.annotation in values]
    error = kind(*(values[parameter.annotation] for parameter in takes))
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is kind
    assert str(found) == str(error)
    assert vars(found) == vars(error)


@pytest.mark.parametrize("command", [("models",), ("train", "recipe.yaml", "--out", "run"), ("demo",)])
def test_what_needs_the_train_extra_says_so(command, tmp_path):
    """In a process in which its packages cannot be imported, as on a machine without them."""
    hidden = "import sys\nfor name in ('torch', 'scipy', 'yaml'):\n    sys.modules[name] = None\n"
    code = f"{hidden}from acanet.cli import main\nsys.argv = ['acanet', *{command!r}]\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert "install acanet with the extra 'train'" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
