"""Training: a run that was stopped in any way and resumed is the run that was not."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import signal
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console

from acanet.audio.recording import read_audio
from acanet.data.augment.effects import Augment
from acanet.data.feed import cache
from acanet.data.feed.cache import LeftOutWarning
from acanet.data.prepare.manifests import prepare
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadAudio, BadConfig, BadManifest, ModelMismatch, UnknownModel
from acanet.models.config import ExtractorConfig
from acanet.runtime.bundle import Bundle, Provenance
from acanet.training import checkpoint, loop
from acanet.training.checkpoint import State, load_state, save_state
from acanet.training.corpus import crop_phases, load_banks
from acanet.training.interrupt import interrupts
from acanet.training.progress import DevResult
from acanet.training.read_recipe import read_recipe
from acanet.training.recipe import Data, Recipe, recipe_yaml
from acanet.training.run import train
from support.disk import full_disk

STEPS, DEV_EVERY, SAVE_EVERY = 10, 3, 4

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def everything(tiny_recipe):
    """Dropout, sub-centres, a rising margin, every effect, two phases, a moving average, and two data workers."""
    return tiny_recipe | {
        "data": tiny_recipe["data"] | {"workers": 2},
        "augment": {
            "speed": 0.5,
            "room": {"probability": 0.5, "count": 3, "t60": [0.2, 0.3]},
            "babble": {"probability": 0.5, "speakers": [1, 2]},
            "music": 0.5,
            "noise": 0.5,
            "clip": 0.5,
            "level": 0.5,
            "telephone": 0.3,
            "opus": 0.2,
            "spec": 0.7,
        },
        "loss": {"sub_centres": 2, "margin_rise": [0.1, 0.6]},
        "steps": STEPS - 4,
        "large_margin": {"steps": 4, "batch": 6, "crop_seconds": [0.8, 1.0]},
        "average": {"kind": "ema", "decay": 0.9},
        "dev_every": DEV_EVERY,
        "save_every": SAVE_EVERY,
    }


@pytest.fixture(scope="module")
def uninterrupted(everything, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "uninterrupted"
    assert run(everything, out).finished
    return out


def run(recipe, out, text=None, **how):
    """Train by that recipe, silently, or telling `text`."""
    return train(Recipe.parse(recipe, "the test's recipe"), out, console=Console(file=text or io.StringIO()), **how)


def write_yaml(recipe, path):
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def learnt(out):
    """What a run's log says of each step that does not depend on the clock."""
    return [tuple(row[key] for key in ("step", "loss", "accuracy", "rate", "margin")) for row in rows(out / "log.csv")]


def differences(one, other, where="last.pt"):
    """Where two nested states differ, tensors bit by bit."""
    if isinstance(one, torch.Tensor):
        return [] if one.dtype == other.dtype and torch.equal(one, other) else [where]
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        return [found for key in one for found in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list):
        assert len(one) == len(other), where
        return [
            found
            for i, pair in enumerate(zip(one, other, strict=True))
            for found in differences(*pair, f"{where}[{i}]")
        ]
    return [] if one == other else [where]


def assert_same_run(one, other):
    states = [vars(load_state(out / "last.pt")) for out in (one, other)]
    assert not differences(*states)
    assert states[0]["optimizer"]["state"], "the optimizer's state is part of it"
    for name in ("dev.csv", "best/model.safetensors", "best/config.json", "best/provenance.json", "best/README.md"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert learnt(one) == learnt(other)


# The command line, with a signal that comes at a chosen moment of a run: arguments are the moment (a method of Log,
# after which it comes), the step, the signal, and what `acanet` takes.
DISTURBED = """
import os, signal, sys
from acanet.cli import main
from acanet.training.log import Log

moment, step, name = sys.argv.pop(1), int(sys.argv.pop(1)), sys.argv.pop(1)
undisturbed = getattr(Log, moment)

def disturbed(self, *arguments):
    undisturbed(self, *arguments)
    if self._step == step:
        os.kill(0 if name == "SIGINT" else os.getpid(), signal.Signals[name])

setattr(Log, moment, disturbed)
main()
"""


@pytest.mark.parametrize(
    ("moment", "step", "name", "saved"),
    [
        pytest.param("step", 5, "SIGINT", 5, id="Ctrl-C, which reaches the data workers too"),
        pytest.param("step", 7, "SIGKILL", 4, id="killed in mid-epoch"),
        pytest.param("dev", 6, "SIGKILL", 4, id="killed between the best model and its checkpoint"),
        pytest.param("step", 2, "SIGKILL", None, id="killed before the first checkpoint"),
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one(everything, uninterrupted, tmp_path, moment, step, name, saved):
    out = tmp_path / "run"
    arguments = ["train", write_yaml(everything, tmp_path / "recipe.yaml"), "--out", out]
    with (tmp_path / "stderr").open("w+") as told:  # not a pipe, which orphaned workers would keep open
        stopped = subprocess.run(
            [sys.executable, "-c", DISTURBED, moment, str(step), name, *map(str, arguments)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=told,
            process_group=0,
            timeout=300,
            check=False,
        )
        told.seek(0)
        text = told.read()
    assert stopped.returncode == (130 if name == "SIGINT" else -signal.SIGKILL), text
    assert "Traceback" not in text
    assert (load_state(out / "last.pt").step if (out / "last.pt").exists() else None) == saved
    assert len(rows(out / "log.csv")) == step
    if name == "SIGINT":
        assert "stopped and saved after step 5" in text
    outcome = run(everything, out, resume=True)
    assert (outcome.finished, outcome.step) == (True, STEPS)
    assert_same_run(out, uninterrupted)


def test_a_run_resumed_at_its_end_changes_nothing(everything, uninterrupted):
    files = {path: path.read_bytes() for path in uninterrupted.rglob("*.*") if "tensorboard" not in path.parts}
    outcome = run(everything, uninterrupted, resume=True)
    assert outcome.finished
    assert {path: path.read_bytes() for path in files} == files


@pytest.mark.parametrize("workers", [0, 1])
def test_the_number_of_workers_changes_nothing(everything, uninterrupted, tmp_path, workers):
    out = tmp_path / "run"
    run(everything | {"data": everything["data"] | {"workers": workers}}, out)
    states = [vars(load_state(folder / "last.pt")) for folder in (out, uninterrupted)]
    assert not differences(*states)
    assert learnt(out) == learnt(uninterrupted)


def test_another_seed_is_another_run(tiny_recipe, tmp_path):
    for seed in (0, 1):
        run(tiny_recipe | {"steps": 1, "seed": seed}, tmp_path / str(seed))
    one, other = (load_state(tmp_path / seed / "last.pt").model for seed in ("0", "1"))
    assert not torch.equal(one["aggregator.latents"], other["aggregator.latents"])


def test_what_a_run_leaves(everything, uninterrupted):
    recipe = Recipe.parse(everything, "everything")
    assert read_recipe(uninterrupted / "recipe.yaml") == recipe
    assert [row["step"] for row in rows(uninterrupted / "log.csv")] == [str(step) for step in range(1, STEPS + 1)]
    evaluations = {int(row["step"]): float(row["eer"]) for row in rows(uninterrupted / "dev.csv")}
    assert list(evaluations) == [3, 6, 9, 10]
    assert all(0 <= value <= 1 for value in evaluations.values())
    assert list((uninterrupted / "tensorboard").iterdir())
    assert not list(uninterrupted.rglob("*.part"))
    bundle = Bundle.load(uninterrupted)
    assert bundle.provenance.speakers == {"s000", "s001", "s002", "s003"}
    assert bundle.provenance.data == ("train.jsonl",)
    assert len(bundle.provenance.audio) == 12
    assert bundle.config.licence == "Apache-2.0"
    card = (bundle.folder / "README.md").read_text()
    assert "4 speakers, 12 utterances" in card
    assert "Licence: Apache-2.0" in card
    best = min(evaluations, key=evaluations.get)
    assert f"The moving average of the weights, chosen at step {best} of {STEPS}: EER {evaluations[best]:.2%}" in card
    if best == STEPS:  # then the last average is the best one
        weights = bundle.weights()
        for name, value in load_state(uninterrupted / "last.pt").average.items():
            if name != "n_averaged":
                np.testing.assert_array_equal(weights[name.removeprefix("module.")], value.numpy())


def test_the_best_model_gives_the_eer_that_chose_it(everything, uninterrupted, voices):
    """The dev EER, worked out by itself: all pairs of the two held-out voices, by the bundle as users load it."""
    from sklearn.metrics import roc_curve

    files = [file for speaker in ("s004", "s005") for file in sorted((voices / speaker).glob("*.wav"))]
    encoder = Encoder.load(uninterrupted)
    embeddings = np.stack([encoder.embed(file) for file in files])
    first, second = np.triu_indices(6, 1)
    fmr, tmr, _ = roc_curve((first // 3) == (second // 3), np.einsum("nd,nd->n", embeddings[first], embeddings[second]))
    nearest = np.argmin(np.abs(fmr - (1 - tmr)))
    best = min(float(row["eer"]) for row in rows(uninterrupted / "dev.csv"))
    assert best == pytest.approx((fmr[nearest] + 1 - tmr[nearest]) / 2, abs=0.12)  # 6 targets and 9 nontargets


def test_the_loss_falls(tiny_recipe, tmp_path):
    run(tiny_recipe | {"steps": 30, "loss": {"margin": 0.0, "scale": 15.0}}, tmp_path / "run")
    losses = [float(row["loss"]) for row in rows(tmp_path / "run" / "log.csv")]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_progress_is_told_in_lines_where_there_is_no_terminal(tiny_recipe, tmp_path):
    text = io.StringIO()
    outcome = run(tiny_recipe | {"log_every": 2}, tmp_path / "run", text)
    lines = text.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == ["step 2/4", "step 4/4", "step 4"]
    for word in ("loss ", "accuracy ", "utterances/s", "waiting for data", " left"):
        assert word in lines[0]
    assert f"dev EER {outcome.best.eer:.2%}" in lines[-1]


# What is refused


def test_a_folder_that_holds_a_run_is_refused(everything, uninterrupted):
    before = (uninterrupted / "last.pt").read_bytes()
    with pytest.raises(AcanetError, match=r"uninterrupted holds a run already; add --resume .* or choose another"):
        run(everything, uninterrupted)
    assert (uninterrupted / "last.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"steps": 99}, "steps is 99, the run has 6"),
        ({"augment": {"noise": 0.25}}, r"augment\.noise\.probability is 0\.25, the run has 0\.5"),
        ({"model": {"change": {"head": {"dim": 32}}}}, r"model\.change\.head\.dim is 32, the run has 16"),
    ],
)
def test_resuming_with_another_recipe_names_what_changed(everything, uninterrupted, change, named):
    """What is no part of the weights beside it is not named."""
    recipe = deepcopy(everything)
    for key, value in change.items():
        recipe[key] = recipe[key] | value if isinstance(value, dict) else value
    recipe |= {"data": recipe["data"] | {"workers": 7}, "save_every": 77}
    with pytest.raises(BadConfig, match=named) as caught:
        run(recipe, uninterrupted, resume=True)
    assert not [problem for problem in caught.value.problems if "workers" in problem or "save_every" in problem]


def test_a_run_goes_on_with_other_workers_caches_decoding_and_logs(everything, uninterrupted, tmp_path):
    """On another machine, or after this one ran out of memory: none of it is in the weights."""
    out = tmp_path / "run"
    prepare("folder", Path(everything["data"]["train"][0]).parent / "voices", tmp_path / "prepared", dev=0.0)
    recipe = write_yaml(everything, tmp_path / "recipe.yaml")
    command = [sys.executable, "-c", DISTURBED, "step", "5", "SIGINT", "train", str(recipe), "--out", str(out)]
    stopped = subprocess.run(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        process_group=0,
        timeout=300,
        check=False,
    )
    assert stopped.returncode == 130
    data = everything["data"] | {"workers": 0, "cache": str(tmp_path / "other cache")}
    other = everything | {"data": data, "save_every": 1, "log_every": 1}
    assert run(other, out, resume=True).finished
    assert_same_weights(out, uninterrupted)
    assert read_recipe(out / "recipe.yaml") == Recipe.parse(everything, "as it was started")


def assert_same_weights(one, other):
    states = [vars(load_state(out / "last.pt")) for out in (one, other)]
    assert not differences(*states)
    assert (one / "best/model.safetensors").read_bytes() == (other / "best/model.safetensors").read_bytes()


def test_a_run_goes_on_where_crops_are_decoded_when_they_are_needed(tiny_recipe, voices, tmp_path, monkeypatch):
    prepare("folder", voices, tmp_path / "prepared", dev=0.0)
    recipe = {key: value for key, value in tiny_recipe.items() if key != "dev"} | {"save_every": 2}
    recipe["data"] = recipe["data"] | {"train": [str(tmp_path / "prepared" / "train.jsonl")]}
    always = recipe | {"data": recipe["data"] | {"decode": "always"}}
    run(recipe, tmp_path / "whole")
    save_run = loop.save_run

    def stops(setup, progress):
        save_run(setup, progress)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_run", stops)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "run")
    monkeypatch.undo()
    assert load_state(tmp_path / "run" / "last.pt").step == 2
    assert run(always, tmp_path / "run", resume=True).finished
    assert_same_weights(tmp_path / "run", tmp_path / "whole")


def test_a_run_does_not_go_on_with_other_recordings(tiny_recipe, voices, tmp_path):
    lines = Path(tiny_recipe["data"]["train"][0]).read_text().splitlines(keepends=True)
    (tmp_path / "train.jsonl").write_text("".join(lines))
    recipe = tiny_recipe | {"data": tiny_recipe["data"] | {"train": [str(tmp_path / "train.jsonl")]}}
    run(recipe, tmp_path / "run")
    (tmp_path / "train.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(BadConfig, match="are not those of the run"):
        run(recipe, tmp_path / "run", resume=True)
    (tmp_path / "train.jsonl").write_text("".join(lines))
    assert run(recipe, tmp_path / "run", resume=True).finished


# Recordings that cannot be read


def test_training_goes_on_without_a_recording_that_cannot_be_read(tiny_recipe, voices, tmp_path):
    lines = Path(tiny_recipe["data"]["train"][0]).read_text()
    broken = tmp_path / "broken\udcff.wav"
    broken.write_bytes(b"RIFF, and nothing else")
    entry = json.dumps({"path": str(broken), "speaker": "s000", "id": "broken"}) + "\n"
    (tmp_path / "train.jsonl").write_text(entry + lines)
    data = tiny_recipe["data"] | {"train": [str(tmp_path / "train.jsonl")], "cache": str(tmp_path / "cache")}
    with pytest.warns(LeftOutWarning, match=r"1 of 13 recordings cannot be read, and are left out: .*broken"):
        run(tiny_recipe | {"data": data}, tmp_path / "run")
    run(tiny_recipe, tmp_path / "whole")
    assert_same_weights(tmp_path / "run", tmp_path / "whole")
    assert len(Bundle.load(tmp_path / "run").provenance.audio) == 12


def test_a_dev_set_needs_all_of_its_recordings(tiny_recipe, tmp_path):
    manifest = tmp_path / "dev.jsonl"
    manifest.write_text(Path(tiny_recipe["dev"]["manifest"]).read_text() + '{"path": "gone.wav", "speaker": "s004"}\n')
    with pytest.raises(BadAudio, match=r"gone\.wav: there is no such file"):
        run(tiny_recipe | {"dev": {"manifest": str(manifest)}}, tmp_path / "run")


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), ValueError("odd"), None])
def test_a_recording_that_fails_on_the_way_loses_nothing(tiny_recipe, voices, tmp_path, monkeypatch, workers, error):
    """Crops are decoded as they are needed; the disk fails in the middle of the run, and comes back."""
    prepare("folder", voices, tmp_path / "prepared", dev=0.0)
    recipe = {key: value for key, value in tiny_recipe.items() if key != "dev"} | {"steps": 6, "save_every": 100}
    train = [str(tmp_path / "prepared" / "train.jsonl")]
    recipe["data"] = recipe["data"] | {"train": train, "decode": "always", "workers": workers}
    read, count = cache.read_audio, []

    def failing(path, **how):
        count.append(path)
        if len(count) > 30:
            if error is None:
                return read(tmp_path / "gone.wav")
            raise error
        return read(path, **how)

    monkeypatch.setattr(cache, "read_audio", failing)
    with pytest.raises(BadAudio, match=r"the run is saved after step 3, --resume goes on when it can be read"):
        run(recipe, tmp_path / "run")
    monkeypatch.undo()
    assert load_state(tmp_path / "run" / "last.pt").step == 3
    assert run(recipe, tmp_path / "run", resume=True).finished
    run(recipe, tmp_path / "whole")
    assert_same_weights(tmp_path / "run", tmp_path / "whole")


def test_dev_speakers_are_not_trained_on(tiny_recipe, tmp_path):
    recipe = tiny_recipe | {"dev": {"manifest": tiny_recipe["data"]["train"][0]}}
    with pytest.raises(BadManifest, match=r"train\.jsonl: 4 dev speakers are trained on too \(s000, s001, s002\)"):
        run(recipe, tmp_path / "run")


def test_one_speaker_is_too_few(tiny_recipe, voices, tmp_path):
    lines = Path(tiny_recipe["data"]["train"][0]).read_text().splitlines()[:3]
    (tmp_path / "one.jsonl").write_text("\n".join(lines))
    with pytest.raises(BadManifest, match="only one speaker"):
        run(tiny_recipe | {"data": tiny_recipe["data"] | {"train": [str(tmp_path / "one.jsonl")]}}, tmp_path / "run")


def test_a_start_that_failed_does_not_take_the_folder(tiny_recipe, tmp_path):
    with pytest.raises(UnknownModel, match="did you mean 'acanet-local'"):
        run(tiny_recipe | {"model": {"name": "acanet-locl"}}, tmp_path / "run")
    assert run(tiny_recipe | {"steps": 1}, tmp_path / "run").finished


# Starting from a trained model


def test_init_starts_from_the_weights_given(tiny_recipe, tiny_bundle, tmp_path):
    start = Bundle.load(tiny_bundle)
    optimizer = {"rate": 1e-3, "init_rate": 0.01, "warm_up": 0.0, "weight_decay": 0.0}
    recipe = tiny_recipe | {"steps": 1, "optimizer": optimizer}
    text = io.StringIO()
    outcome = run(recipe, tmp_path / "run", text, init=start)
    before, after = start.weights(), Bundle.load(tmp_path / "run").weights()
    statistics = [name for name in before if "running" in name or "batches" in name]
    for name in before.keys() - set(statistics):
        np.testing.assert_allclose(after[name], before[name], rtol=0, atol=1.01e-5)  # AdamW moves by the rate at most
    assert max(np.abs(after[name] - before[name]).max() for name in before.keys() - set(statistics)) > 1e-6
    assert f"dev EER of {tiny_bundle} before training: {outcome.before:.2%}" in text.getvalue().replace("\n", "")
    assert 0 <= outcome.before <= 1
    assert outcome.best.step == 1


def test_init_adds_to_what_the_model_saw(tiny_recipe, tiny_bundle, tmp_path):
    run(tiny_recipe | {"steps": 1}, tmp_path / "run", init=Bundle.load(tiny_bundle))
    provenance = Bundle.load(tmp_path / "run").provenance
    assert provenance.data == ("old.jsonl", "train.jsonl")
    assert provenance.speakers == {"zoe", "s000", "s001", "s002", "s003"}
    assert "00ff" in provenance.audio
    assert len(provenance.audio) == 13


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ({"name": "acanet"}, "have model acanet-local to start from, want acanet"),
        ({"name": "acanet-local"}, r"frames\.channels 16, .*aggregator\.latents 4, .* want frames\.channels 256"),
    ],
)
def test_init_with_another_architecture_is_refused(tiny_recipe, tiny_bundle, tmp_path, model, named):
    """Before anything is decoded."""
    data = tiny_recipe["data"] | {"cache": str(tmp_path / "cache")}
    with pytest.raises(ModelMismatch, match=named):
        run(tiny_recipe | {"model": model, "data": data}, tmp_path / "run", init=Bundle.load(tiny_bundle))
    assert not (tmp_path / "cache").exists()


def test_resuming_goes_on_from_the_same_start(tiny_recipe, tiny_bundle, tmp_path):
    """Otherwise the model that comes out would not say what it was trained on before."""
    run(tiny_recipe | {"steps": 2}, tmp_path / "run", init=Bundle.load(tiny_bundle))
    with pytest.raises(AcanetError, match="--init"):
        run(tiny_recipe | {"steps": 2}, tmp_path / "run", resume=True)
    assert run(tiny_recipe | {"steps": 2}, tmp_path / "run", resume=True, init=Bundle.load(tiny_bundle)).finished


# Recipes


def test_a_recipe_reads_back(everything, tmp_path):
    recipe = Recipe.parse(everything, "everything")
    (tmp_path / "recipe.yaml").write_text(recipe_yaml(recipe))
    assert read_recipe(tmp_path / "recipe.yaml") == recipe


# Phases, averages, and runs without a dev set


def test_the_second_phase_has_longer_crops_a_larger_margin_and_no_other_speeds(everything, uninterrupted):
    recipe = Recipe.parse(everything, "everything")
    first, second = crop_phases(recipe, 16000)
    assert (first.steps, first.batch, first.crop_samples) == (6, 8, (8000, 12800))
    assert (second.steps, second.batch, second.crop_samples) == (4, 6, (12800, 16000))
    assert second.augment.speed.probability == 0
    assert second.augment.model_copy(update={"speed": recipe.augment.speed}) == first.augment
    margins = [float(row["margin"]) for row in rows(uninterrupted / "log.csv")]
    assert max(margins[:6]) <= 0.2
    assert margins[6:] == [0.5] * 4
    state = load_state(uninterrupted / "last.pt")
    assert state.loss["speakers.centres"].shape[0] == 2 * 4 * 3  # sub-centres of four speakers at three speeds


def test_without_a_dev_set_the_last_weights_are_the_model(tiny_recipe, tmp_path):
    text = io.StringIO()
    outcome = run({key: value for key, value in tiny_recipe.items() if key != "dev"}, tmp_path / "run", text)
    assert (outcome.finished, outcome.best) == (True, None)
    assert "no dev set: nothing is chosen, the last weights are the model" in text.getvalue()
    bundle, last = Bundle.load(tmp_path / "run"), load_state(tmp_path / "run" / "last.pt")
    for name, value in last.model.items():
        np.testing.assert_array_equal(bundle.weights()[name], value.numpy())
    assert "The weights after step 4, the last; no dev set chose it." in (bundle.folder / "README.md").read_text()
    assert not (tmp_path / "run" / "dev.csv").exists()


def test_the_last_checkpoints_are_averaged(tiny_recipe, tmp_path):
    """Against the mean of what a run of each length ends with, which is what the long one has at that step."""
    recipe = {key: value for key, value in tiny_recipe.items() if key != "dev"}
    recipe["optimizer"] = {"rate": 0.01, "final_rate": 0.01, "warm_up": 0.0}  # does not depend on the length
    recipe["loss"] = {"margin_rise": [0.0, 0.0]}
    ends = []
    for steps in (2, 4):
        run(recipe | {"steps": steps}, tmp_path / str(steps))
        ends.append(load_state(tmp_path / str(steps) / "last.pt").model)
    average = {"kind": "last", "checkpoints": 2, "every": 2}
    run(recipe | {"steps": 4, "average": average}, tmp_path / "averaged")
    weights = Bundle.load(tmp_path / "averaged").weights()
    for name, value in weights.items():
        if "batches" not in name:
            np.testing.assert_allclose(value, (ends[0][name] + ends[1][name]).numpy() / 2, rtol=1e-5, atol=1e-7)
    assert any(not np.array_equal(value, ends[1][name].numpy()) for name, value in weights.items())


def test_crops_may_be_decoded_when_they_are_needed(tiny_recipe, voices, tmp_path):
    prepare("folder", voices, tmp_path / "prepared", dev=0.0)
    data = tiny_recipe["data"] | {"train": [str(tmp_path / "prepared" / "train.jsonl")]}
    recipe = {key: value for key, value in tiny_recipe.items() if key != "dev"}
    for when in ("once", "always"):
        data |= {"decode": when, "cache": str(tmp_path / when)}
        run(recipe | {"data": data}, tmp_path / f"run-{when}")
    assert list((tmp_path / "once").iterdir())
    assert not (tmp_path / "always").exists()
    assert learnt(tmp_path / "run-once") == learnt(tmp_path / "run-always")
    provenances = [Bundle.load(tmp_path / f"run-{when}").provenance for when in ("once", "always")]
    assert provenances[0] == provenances[1]


def test_a_folder_of_noise_without_recordings_is_named(tiny_recipe, tmp_path):
    (tmp_path / "noise").mkdir()
    augment = {"noise": {"probability": 0.5, "folder": str(tmp_path / "noise")}}
    with pytest.raises(BadConfig, match=r"augment\.noise\.folder: no recordings in .*noise; name a folder"):
        run(tiny_recipe | {"augment": augment}, tmp_path / "run")


def test_noise_and_music_come_from_their_folders(tiny_recipe, voices, tmp_path):
    folder = str(voices / "s005")
    effects = {name: {"probability": 1.0, "folder": folder, "snr_db": [0, 0]} for name in ("noise", "music")}
    banks = load_banks(Augment.parse(effects, "effects"), Data.parse(tiny_recipe["data"], "data"), 16000, seed=0)
    assert len(banks.noise) == len(banks.music) == 3
    assert banks.rooms is None
    first = sorted((voices / "s005").glob("*.wav"))[0]
    np.testing.assert_allclose(banks.noise.read(0, 0, 8000), read_audio(first)[0][:8000], atol=2e-5)


@pytest.mark.slow
def test_two_processes_train_one_model(everything, tmp_path):
    """As torchrun starts them: each makes its rows of every batch, one of them writes."""
    recipe = write_yaml(everything, tmp_path / "recipe.yaml")
    command = ["-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "acanet", "train", recipe, "--out"]
    done = subprocess.run(
        [sys.executable, *map(str, command), str(tmp_path / "run")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:6000]
    assert [row["step"] for row in rows(tmp_path / "run" / "log.csv")] == [str(step) for step in range(1, STEPS + 1)]
    assert load_state(tmp_path / "run" / "last.pt").step == STEPS
    assert Encoder.load(tmp_path / "run").dim == 16
    assert not list((tmp_path / "run").rglob("*.part"))


# Checkpoints


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    old = State(3, {"w": torch.ones(2)}, {"c": torch.zeros(1)}, {"state": {}}, [DevResult(step=3, eer=0.25)])
    save_state(old, path)

    def half_written(_, file):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", half_written)
    with pytest.raises(OSError, match="no space"):
        save_state(State(4, {}, {}, {}), path)
    found = load_state(path)
    assert (found.step, found.history) == (3, [DevResult(step=3, eer=0.25)])
    assert torch.equal(found.model["w"], torch.ones(2))


def test_ctrl_c_in_a_save_is_ctrl_c(tmp_path, monkeypatch):
    """torch's archive writer is closed half-way then, and fails in a way of its own."""
    path = tmp_path / "last.pt"
    save_state(State(3, {}, {}, {}), path)

    class Interrupting:
        def __reduce__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_state(State(4, {"a": torch.ones(2), "b": Interrupting()}, {}, {}), path)

    def half_written(_, file):
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(checkpoint.torch, "save", half_written)
    with pytest.raises(KeyboardInterrupt):
        save_state(State(4, {}, {}, {}), path)
    assert load_state(path).step == 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_on_a_full_disk_is_an_error_that_names_it(tmp_path):
    """torch's archive writer, which is closed half-way, makes an internal error of it."""
    path = tmp_path / "last.pt"
    save_state(State(3, {}, {}, {}), path)
    with full_disk(10_000), pytest.raises(OSError, match=rf"File too large: '{path}'"):
        save_state(State(4, {"w": torch.ones(100_000)}, {}, {}), path)
    assert load_state(path).step == 3
    assert list(tmp_path.iterdir()) == [path]


def test_the_tiny_model_is_what_it_says(tiny_bundle):
    """The other tests stand on this: dropout is on, and there is an ACA in it."""
    config = ExtractorConfig.parse(dict(Bundle.load(tiny_bundle).config.model), "tiny")
    assert config.aggregator.kind == "aca-statistics"
    assert config.aggregator.dropout > 0


def test_a_dev_speaker_of_the_model_it_starts_from_is_refused(tiny_recipe, tiny_bundle, tmp_path):
    start = Bundle.load(tiny_bundle)
    vars(start)["provenance"] = Provenance(speakers=frozenset({"s004"}))
    with pytest.raises(BadManifest, match="s004"):
        run(tiny_recipe, tmp_path / "run", init=start)
    assert not (tmp_path / "run").exists()


def test_a_model_that_was_tuned_says_what_it_started_from(tiny_recipe, tiny_bundle, tmp_path):
    start = Bundle.load(tiny_bundle)
    run(tiny_recipe | {"steps": 1}, tmp_path / "run", init=start)
    assert start.fingerprint in (tmp_path / "run/best/README.md").read_text("utf-8")


def test_a_first_ctrl_c_is_noted_and_a_second_interrupts(capfd):
    with interrupts() as caught:
        os.kill(os.getpid(), signal.SIGINT)
        assert caught
        assert "stopping after this step" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_runs_of_one_process_may_differ_in_precision(tiny_recipe, tmp_path):
    """In bfloat16 the losses are nearly those in float32, and the weights are kept in float32."""
    for precision in ("float32", "bfloat16", "float32"):
        assert run(
            tiny_recipe | {"precision": precision}, tmp_path / f"{precision}-{len(list(tmp_path.iterdir()))}"
        ).finished
    exact, rough, again = (
        [float(row["loss"]) for row in rows(out / "log.csv")]
        for out in sorted(tmp_path.iterdir(), key=lambda path: path.name[-1])
    )
    assert exact == again
    assert rough != exact
    assert rough[0] == pytest.approx(exact[0], rel=0.02)
    state = load_state(tmp_path / "bfloat16-1" / "last.pt")
    assert {value.dtype for value in state.model.values() if value.is_floating_point()} == {torch.float32}
