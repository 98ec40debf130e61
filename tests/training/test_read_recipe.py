"""Recipes: strict, and helpful about what is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from acanet.data.augment.effects import Noise, Range
from acanet.models.registry import model_config
from acanet.training.read_recipe import read_experiment, read_recipe
from acanet.training.recipe import Recipe, recipe_yaml
from support.configs import changed, problem
from support.paths import ROOT

SMALLEST = {"data": {"train": ["train.jsonl"]}, "dev": {"manifest": "dev.jsonl"}}


@pytest.fixture
def recipe_file(tmp_path):
    """Writes a recipe and gives its path."""

    def write(data=SMALLEST):
        path = tmp_path / "recipe.yaml"
        path.write_text(data if isinstance(data, str) else yaml.safe_dump(data), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    "path",
    sorted(set((ROOT / "recipes").glob("*.yaml")) - {ROOT / "recipes" / "speech.yaml"}),
    ids=lambda path: path.stem,
)
def test_recipes_of_the_repository(path):
    recipe = read_recipe(path)
    assert model_config(recipe.model.name, recipe.model.change)
    assert all(path.is_absolute() for path in (*recipe.data.train, recipe.data.cache))
    assert recipe.dev is None or recipe.dev.manifest.is_absolute()


def test_there_are_recipes():
    assert list((ROOT / "recipes").glob("*.yaml"))


def test_paths_count_from_the_recipe(recipe_file, tmp_path):
    data = changed(changed(SMALLEST, "dev.trials", "/lists/dev.trials"), "data.train", ["a.jsonl", "../b.jsonl"])
    recipe = read_recipe(recipe_file(data))
    assert recipe.data.train == (tmp_path / "a.jsonl", tmp_path / "../b.jsonl")
    assert recipe.data.cache == tmp_path / "cache"
    assert recipe.dev.manifest == tmp_path / "dev.jsonl"
    assert recipe.dev.trials == Path("/lists/dev.trials")


def test_no_trials_stay_none(recipe_file):
    assert read_recipe(recipe_file()).dev.trials is None


def test_paths_in_settings_count_from_the_working_directory(recipe_file, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = ("data.train=[x.jsonl, /y.jsonl]", "dev.manifest=z.jsonl", "data.cache=/tmp/c", "dev.trials=null")
    recipe = read_recipe(recipe_file(), settings)
    assert recipe.data.train == (tmp_path / "elsewhere/x.jsonl", Path("/y.jsonl"))
    assert recipe.data.cache == Path("/tmp/c")
    assert recipe.dev.manifest == tmp_path / "elsewhere/z.jsonl"
    assert recipe.dev.trials is None


def test_settings_lie_over_the_recipe(recipe_file):
    settings = (
        "steps=7",
        "model.name=acanet",
        "model.change.aggregator.positions=none",
        "optimizer.rate=1e-3",
        "augment.noise.snr_db=[0, 5]",
        "steps=8",
    )
    recipe = read_recipe(recipe_file(changed(SMALLEST, "steps", 3)), settings)
    assert recipe.steps == 8
    assert recipe.model.name == "acanet"
    assert recipe.model.change == {"aggregator": {"positions": "none"}}
    assert recipe.optimizer.rate == 0.001
    assert recipe.augment.noise.snr_db == Range(low=0, high=5)


def test_a_setting_below_the_short_form_of_an_effect(recipe_file):
    recipe = read_recipe(recipe_file(changed(SMALLEST, "augment.noise", 0.3)), ("augment.noise.snr_db=[0, 5]",))
    assert recipe.augment.noise == Noise(probability=0.3, snr_db=Range(low=0, high=5))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("systems.one.modl={}", "--set unknown key 'modl', did you mean 'model'?"),
        ("average.knd=ema", "--set average.ema: unknown key 'knd', did you mean 'kind'?"),
        ("large_margn.steps=3", "--set unknown key 'large_margn', did you mean 'large_margin'?"),
        ("systems.one.model.change.agregator=3", "--set model.change: unknown key 'agregator', did you mean"),
        ("optimizer.rate=-1", "--set optimizer.rate: Input should be greater than 0"),
    ],
)
def test_a_wrong_setting_is_not_blamed_on_the_file(recipe_file, setting, message):
    file = recipe_file(SMALLEST | {"systems": {"one": {"model": {"name": "acanet"}}}, "average": {"kind": "ema"}})
    assert problem(read_recipe, file, (setting,)).startswith(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"average": {"kind": "emma"}}, "average: unknown kind 'emma', did you mean 'ema'?"),
        ({"average": {"decay": 0.9}}, "average: no 'kind' that says which of them it is"),
        ({"data": {"train": ["a"], "crop_seconds": [0.01, 0.02]}}, "data.crop_seconds: from 0.01 to 0.02 leaves what"),
        ({"systems": {"../a": {}}}, "'../a' names a folder; letters, digits"),
        ({"test": {"a/b": {"trials": "t", "audio_root": "."}}}, "'a/b' names a folder; letters, digits"),
    ],
)
def test_what_a_recipe_cannot_say(recipe_file, change, message):
    assert message in problem(read_recipe, recipe_file(SMALLEST | change))


def test_a_key_that_stands_twice(recipe_file):
    text = "data: {train: [a]}\nsteps: 15000\nseed: 1\nsteps: 2\n"
    assert problem(read_recipe, recipe_file(text)) == "line 4: 'steps' has a value already, on line 2"
    text = "data:\n  train: [a]\n  batch: 3\n  batch: 4\n"
    assert problem(read_recipe, recipe_file(text)) == "line 4: 'batch' has a value already, on line 3"


def test_a_folder_is_no_recipe(tmp_path):
    assert problem(read_recipe, tmp_path) == "it is no regular file"


def test_systems_of_an_experiment(recipe_file, tmp_path):
    data = SMALLEST | {
        "model": {"name": "acanet", "change": {"front_end": {"rate": 8000}}},
        "test": {"own": {"trials": "own.trials", "audio_root": "audio"}},
        "systems": {"plain": {}, "ecapa": {"model": {"name": "ecapa-512"}, "data": {"train": ["other.jsonl"]}}},
    }
    found = read_experiment(recipe_file(data), ("steps=7",))
    assert set(found.recipes) == {"plain", "ecapa"}
    assert found.recipes["plain"] == read_recipe(recipe_file(data), ("steps=7",))
    ecapa = found.recipes["ecapa"]
    assert (ecapa.model.name, ecapa.model.change, ecapa.steps) == ("ecapa-512", {"front_end": {"rate": 8000}}, 7)
    assert ecapa.data.train == (tmp_path / "other.jsonl",)
    assert found.test["own"].trials == tmp_path / "own.trials"
    assert found.test["own"].audio_root == tmp_path / "audio"


def test_an_experiment_without_systems_is_the_recipe(recipe_file):
    file = recipe_file(SMALLEST | {"test": {"own": {"trials": "own.trials", "manifest": "test.jsonl"}}})
    assert read_experiment(file).recipes == {"recipe": read_recipe(file)}


def test_an_experiment_needs_a_test(recipe_file):
    assert problem(read_experiment, recipe_file()).startswith("no 'test'; an experiment needs a trial list")


def test_a_recipe_spelt_out_reads_back(recipe_file, tmp_path):
    recipe = read_recipe(
        recipe_file(), ("augment.speed.speeds=[0.8]", "model.change={head: {dim: 64}}", "loss.margin=0.3")
    )
    again = tmp_path / "elsewhere.yaml"
    again.write_text(recipe_yaml(recipe), encoding="utf-8")
    assert read_recipe(again) == recipe
    assert set(yaml.safe_load(recipe_yaml(recipe))) == set(Recipe.model_fields)


TYPOS = [
    ("stepz", "unknown key 'stepz', did you mean 'steps'?"),
    ("model.nam", "model: unknown key 'nam', did you mean 'name'?"),
    ("data.crop_second", "data: unknown key 'crop_second', did you mean 'crop_seconds'?"),
    ("data.crop_seconds.hihg", "data.crop_seconds: unknown key 'hihg', did you mean 'high'?"),
    ("dev.trial", "dev: unknown key 'trial', did you mean 'trials'?"),
    ("augment.nois", "augment: unknown key 'nois', did you mean 'noise'?"),
    ("augment.level.bd", "augment.level: unknown key 'bd', did you mean 'db'?"),
    ("augment.level.db.lo", "augment.level.db: unknown key 'lo', did you mean 'low'?"),
    ("loss.margn", "loss: unknown key 'margn', did you mean 'margin'?"),
    ("optimizer.weight_dekay", "optimizer: unknown key 'weight_dekay', did you mean 'weight_decay'?"),
]


WITH_RANGES = changed(
    changed(SMALLEST, "data.crop_seconds", {"low": 1, "high": 2}), "augment.level.db", {"low": 0, "high": 6}
)


def line_of(key, file):
    """The line, from 1, of a recipe on which a key stands."""
    (line,) = [n for n, text in enumerate(file.read_text().splitlines(), 1) if text.strip().startswith(f"{key}:")]
    return line


@pytest.mark.parametrize(("path", "message"), TYPOS)
def test_a_typo_in_a_recipe_gets_the_nearest_and_its_line(recipe_file, path, message):
    file = recipe_file(changed(WITH_RANGES, path, 1))
    assert problem(read_recipe, file) == f"line {line_of(path.split('.')[-1], file)}: {message}"


@pytest.mark.parametrize(("path", "message"), TYPOS)
def test_a_typo_in_a_setting_gets_the_nearest(recipe_file, path, message):
    assert problem(read_recipe, recipe_file(WITH_RANGES), (f"{path}=1",)) == f"--set {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model: {name: acanet}\ndata:\n  train:\n  - a\n  batch: x",
            "line 5: data.batch: Input should be a valid integer",
        ),
        ("data:\n  train: [a]\nmodel:\n  name: acanet-locl", "line 4: model.name: unknown model 'acanet-locl'"),
        (
            "data: {train: [a]}\nmodel:\n  change:\n    frames: {chanels: 3}\n",
            "line 4: model.change: frames.spectral: unknown key 'chanels', did you mean 'channels'?",
        ),
        (
            "data: {train: [a]}\naverage: {kind: ema,\n  decai: 0.9}",
            "line 3: average.ema: unknown key 'decai', did you",
        ),
        ("data: {train: [a]}\naverage:\n  kind: emma", "line 2: average: "),
        ("steps: 3\ndata:\n  batch: 3", "line 2: data.train: Field required"),
        (
            "data: {train: [a]}\nsystems:\n  one: {}\n  two:\n    loss: {margn: 0.1}",
            "line 5: loss: unknown key 'margn', did you mean 'margin'?",
        ),
        ("data: {train: [a]}\nsystems:\n  one:\n    steps: 0", "line 4: steps: Input should be greater than 0"),
        ("data: {train: [a]}\ntest:\n  x: {trails: t}", "line 3: test.x: unknown key 'trails', did you mean 'trials'?"),
    ],
)
def test_the_line_of_what_is_wrong(recipe_file, text, message):
    assert problem(read_recipe, recipe_file(text)).startswith(message)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("steps", 0, "steps: "),
        ("steps", "some", "steps: "),
        ("augment.noise", 1.5, "augment.noise.probability: "),
        ("augment.noise.snr_db", [9, 3], "augment.noise.snr_db: from 9.0 to 3.0 is the wrong way round"),
        ("data.train", [], "data.train: "),
        ("data.batch", -1, "data.batch: "),
        ("data.crop_seconds", [1, 2, 3], "data.crop_seconds: "),
        ("loss.margin", float("inf"), "loss.margin: "),
        ("loss.margin_rise", [0.4, 0.1], "loss"),
        ("optimizer.clip", 0, "optimizer.clip: "),
        ("dev", "dev.jsonl", "dev: "),
    ],
)
def test_a_wrong_value_in_a_recipe_is_named(recipe_file, path, value, message):
    found = problem(read_recipe, recipe_file(changed(SMALLEST, path, value)))
    assert re.sub(r"^line \d+: ", "", found).startswith(message)


def test_what_a_recipe_lacks_is_named(recipe_file):
    assert problem(read_recipe, recipe_file({"steps": 3})) == "data: Field required"


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "a mapping"), ("- steps", "a mapping"), ("steps: [1", "not YAML"), ("steps: \t1\n\t2", "not YAML")],
)
def test_what_is_not_a_recipe(recipe_file, text, message):
    assert message in problem(read_recipe, recipe_file(text))


def test_no_such_recipe(tmp_path):
    assert problem(read_recipe, tmp_path / "none.yaml") == "no such recipe"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps", "'steps' is not key=value"),
        ("data.train.first=3", "'train' holds a value, it has no 'first'"),
        ("steps=[1", "not YAML"),
    ],
)
def test_a_setting_that_cannot_be_laid_over(recipe_file, setting, message):
    assert message in problem(read_recipe, recipe_file(), (setting,))
