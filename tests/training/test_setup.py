"""Training that starts from a model which hears all, with a front end that listens for speech."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console

from acanet.errors import BadConfig, ModelMismatch
from acanet.models.speech import Taught
from acanet.runtime.bundle import SHIPPED, Bundle, BundleConfig, Provenance, write_bundle
from acanet.training.read_recipe import read_recipe
from acanet.training.recipe import Recipe, recipe_yaml
from acanet.training.run import train
from support.networks import small

pytestmark = pytest.mark.usefixtures("one_thread")

DEAF = {"floor_db": None, "speech_only": False}
OTHERS = {"mels": 40}


def saved(folder, **front_end):
    """A small model with this front end as a bundle, and what a recipe changes to have the same sizes."""
    model = small("acanet2-small", front_end=front_end)
    plain = model.config.model_dump(mode="json")
    weights = {name: np.ascontiguousarray(value.numpy()) for name, value in model.state_dict().items()}
    config = BundleConfig(name="acanet2-small", model=plain, licence="none")
    write_bundle(folder, config, weights, Provenance(), "# small\n")
    return {key: plain[key] for key in ("frames", "aggregator", "head")}


def run(recipe, out, **how):
    return train(Recipe.parse(recipe, "test"), out, console=Console(file=io.StringIO()), **how)


def recipe_of(tiny_recipe, sizes, **model):
    choice = {"name": "acanet2-small", "change": sizes | model.pop("change", {}), **model}
    optimizer = {"rate": 1e-3, "init_rate": 0.01, "warm_up": 0.0, "weight_decay": 0.0}
    without = {key: value for key, value in tiny_recipe.items() if key != "dev"}
    return without | {"model": choice, "steps": 1, "optimizer": optimizer}


def trained_weights(weights):
    names = ("running", "batches", "front_end.speech")
    return {name: value for name, value in weights.items() if not any(each in name for each in names)}


@pytest.mark.parametrize("told", ["by the recipe", "beside it"])
def test_a_model_that_hears_all_goes_on_hearing_speech_alone(tiny_recipe, tmp_path, told):
    recipe = recipe_of(tiny_recipe, saved(tmp_path / "before", **DEAF))
    start = Bundle.load(tmp_path / "before")
    if told == "by the recipe":
        recipe["model"]["init"] = str(tmp_path / "before")
        run(recipe, tmp_path / "run")
    else:
        run(recipe, tmp_path / "run", init=start)
    done = Bundle.load(tmp_path / "run")
    before, after = trained_weights(start.weights()), trained_weights(done.weights())
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=0, atol=1.01e-5)
    assert done.config.model["front_end"]["speech_only"]
    taught = {f"front_end.speech.{name}": value.numpy() for name, value in Taught().state_dict().items()}
    assert not taught.keys() & start.weights().keys()
    for name, value in taught.items():
        np.testing.assert_array_equal(done.weights()[name], value)


def test_an_average_of_a_model_that_hears_speech_alone_finds_it_as_taught(tiny_recipe, tmp_path):
    recipe = recipe_of(tiny_recipe, saved(tmp_path / "before")) | {"steps": 3}
    run(recipe | {"average": {"kind": "ema", "decay": 0.9}}, tmp_path / "run", init=Bundle.load(tmp_path / "before"))
    weights = Bundle.load(tmp_path / "run").weights()
    for name, value in Taught().state_dict().items():
        np.testing.assert_array_equal(weights[f"front_end.speech.{name}"], value.numpy())


def test_a_model_that_hears_all_of_other_features_goes_on_as_it_was(tiny_recipe, tmp_path):
    """The registered front end of today could not have them."""
    sizes = saved(tmp_path / "before", **DEAF, **OTHERS)
    start = Bundle.load(tmp_path / "before")
    run(recipe_of(tiny_recipe, sizes, change={"front_end": DEAF | OTHERS}), tmp_path / "run", init=start)
    assert not any("speech" in name for name in Bundle.load(tmp_path / "run").weights())
    with pytest.raises(ModelMismatch, match=r"front_end\.mels 40 to start from, want front_end\.mels 80"):
        run(recipe_of(tiny_recipe, sizes), tmp_path / "other", init=start)


def test_the_path_of_the_model_counts_from_the_recipe(tiny_recipe, tmp_path):
    (tmp_path / "recipes").mkdir()
    path = tmp_path / "recipes" / "recipe.yaml"
    path.write_text(yaml.safe_dump(tiny_recipe | {"model": {"name": "acanet2", "init": "../before"}}))
    assert read_recipe(path).model.init == tmp_path / "recipes/../before"
    path.write_text(yaml.safe_dump(tiny_recipe))
    assert read_recipe(path).model.init is None


def test_a_model_that_ships_is_named_as_it_is(tiny_recipe, tmp_path):
    path = tmp_path / "recipe.yaml"
    for name in SHIPPED:
        path.write_text(yaml.safe_dump(tiny_recipe | {"model": {"name": "acanet2", "init": name}}))
        init = read_recipe(path).model.init
        assert Bundle.load(init).fingerprint == Bundle.load(name).fingerprint
        path.write_text(recipe_yaml(read_recipe(path)))
        assert read_recipe(path).model.init == init
    assert read_recipe(path, ["model.init=default"]).model.init == Path("default")


def test_a_recipe_and_the_command_line_do_not_name_two_models(tiny_recipe, tiny_bundle, tmp_path):
    named = tiny_recipe["model"] | {"init": str(tiny_bundle)}
    with pytest.raises(BadConfig, match=r"the recipe names model \w{16} to start from, --init \w{16}; give one"):
        run(tiny_recipe | {"model": named}, tmp_path / "run", init=Bundle.load("small"))
    assert not (tmp_path / "run").exists()
    run(tiny_recipe | {"model": named, "steps": 1}, tmp_path / "run", init=Bundle.load(tiny_bundle))
