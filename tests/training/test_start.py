"""What a run starts with: ACA in the place of a trained model's pooling, and parts that stay as they are."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import torch
from rich.console import Console

from acanet.errors import BadConfig, ModelMismatch
from acanet.models.inference import embed_waveforms, load_model
from acanet.models.registry import model_config
from acanet.runtime.bundle import Bundle, BundleConfig, Provenance, write_bundle
from acanet.training.corpus import check_inputs
from acanet.training.recipe import Recipe
from acanet.training.run import train
from acanet.training.setup import set_up
from acanet.training.start import freeze, learning, starting_network
from support.networks import small, waveforms
from support.runs import interrupted_after, state_bytes

pytestmark = pytest.mark.usefixtures("one_thread")

ACA = {"latents": 3, "aca_heads": 4, "keys": 8}


def saved(folder, name="campplus", **changes):
    """A small model with random weights and statistics, as a bundle."""
    model = small(name, **changes)
    weights = {key: np.ascontiguousarray(value.numpy()) for key, value in model.state_dict().items()}
    config = BundleConfig(name=name, model=model.config.model_dump(mode="json"), licence="none")
    return write_bundle(folder, config, weights, Provenance(speakers=frozenset({"zoe"})), "# small\n")


@pytest.fixture
def pooled(tmp_path):
    return saved(tmp_path / "pooled")


@pytest.fixture
def recipe(tiny_recipe, pooled):
    """A short run of a small `campplus-aca` from a small `campplus`, with all of its frames as they are."""
    sizes = {key: pooled.config.model[key] for key in ("frames", "head")}
    model = {"name": "campplus-aca", "change": sizes | {"aggregator": ACA}, "init": str(pooled.folder)}
    return {key: value for key, value in tiny_recipe.items() if key != "dev"} | {
        "model": model | {"freeze": ["frames", "head.norm"]},
        "augment": {"noise": 0.5},
        "optimizer": {"rate": 0.01, "warm_up": 0.0},
        "steps": 6,
        "save_every": 2,
    }


def run(recipe, out, **how):
    return train(Recipe.parse(recipe, "test"), out, console=Console(file=io.StringIO()), **how)


def config_of(recipe):
    return model_config(recipe["model"]["name"], recipe["model"]["change"])


def test_a_run_starts_as_the_model_with_the_pooling(recipe, pooled):
    model = starting_network("campplus-aca", config_of(recipe), pooled)
    teacher = load_model(pooled.name, pooled.config.model, pooled.weights())
    utterances = waveforms((16000, 4567, 30000, 1040))
    expected = embed_waveforms(teacher, utterances)
    np.testing.assert_allclose(embed_waveforms(model.eval(), utterances), expected, rtol=0, atol=1e-5)
    learning(model, freeze(model, ["frames", "head.norm"]))  # as it hears in training, too
    with torch.no_grad():
        np.testing.assert_allclose(embed_waveforms(model, utterances), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "average", [None, {"kind": "ema", "decay": 0.9}, {"kind": "last", "checkpoints": 2, "every": 2}]
)
def test_what_is_frozen_does_not_change_by_a_bit_and_the_rest_learns(recipe, pooled, tmp_path, average):
    run(recipe | {"average": average, "optimizer": recipe["optimizer"] | {"weight_decay": 0.1}}, tmp_path / "run")
    before, after = pooled.weights(), Bundle.load(tmp_path / "run").weights()
    frozen = [name for name in before if name.startswith(("frames.", "head.norm."))]
    assert any(name.endswith("num_batches_tracked") for name in frozen)
    assert frozen
    for name in frozen:
        assert after[name].tobytes() == before[name].tobytes(), name
    features = before["head.linear.weight"].shape[1]
    assert np.abs(after["head.linear.weight"][:, :features] - before["head.linear.weight"]).max() > 0
    others = after["head.linear.weight"][:, features:].reshape(len(after["head.linear.weight"]), 2, features)
    assert (np.abs(others).max(axis=(0, 2)) > 0).all()
    queries = after["aggregator.own_queries"].reshape(4, 3, -1)  # heads, latents
    assert np.abs(queries[:, 0]).min() > 0
    assert Bundle.load(tmp_path / "run").provenance.speakers > {"zoe"}


def test_no_gradient_is_taken_to_what_is_frozen(recipe, tmp_path):
    setup = set_up(Recipe.parse(recipe, "test"), tmp_path / "run", Bundle.load(recipe["model"]["init"]))
    learning(setup.model, setup.frozen)
    features, _ = setup.weights.front_end(torch.from_numpy(np.stack(waveforms((9000, 9000)))))
    frames, _ = setup.weights.frames(features, None)
    assert not frames.requires_grad
    assert setup.weights(features).requires_grad
    learns = {name for name, parameter in setup.weights.named_parameters() if parameter.requires_grad}
    assert {name.split(".")[0] for name in learns} == {"aggregator", "head"}
    assert setup.weights.aggregator.training
    assert not any(module.training for part in setup.frozen for module in part.modules())


def test_what_is_new_learns_at_the_full_rate(recipe, tmp_path):
    setup = set_up(Recipe.parse(recipe, "test"), tmp_path / "run", Bundle.load(recipe["model"]["init"]))
    by_share = {group["share"]: {id(each) for each in group["params"]} for group in setup.optimizer.param_groups}
    assert set(by_share) == {0.1, 1.0}
    new = [*setup.weights.aggregator.parameters(), *setup.loss.parameters()]
    assert by_share[1.0] == {id(parameter) for parameter in new}
    assert by_share[0.1] == {id(parameter) for parameter in setup.weights.parameters()} - by_share[1.0]


def test_a_resumed_run_equals_an_uninterrupted_one(recipe, tmp_path):
    run(recipe, tmp_path / "whole")
    with interrupted_after(3):
        assert not run(recipe, tmp_path / "stopped").finished
    assert run(recipe, tmp_path / "stopped", resume=True).finished
    assert state_bytes(tmp_path / "stopped") == state_bytes(tmp_path / "whole")


def test_a_run_goes_on_from_what_it_became(recipe, tmp_path):
    run(recipe, tmp_path / "first")
    first = Bundle.load(tmp_path / "first")
    model = starting_network("campplus-aca", config_of(recipe), first)
    weights = first.weights()
    for name, value in model.state_dict().items():
        assert value.numpy().tobytes() == weights[name].tobytes(), name
    with pytest.raises(BadConfig, match=r"model\.freeze is .*, the run has"):
        run(recipe | {"model": recipe["model"] | {"freeze": []}}, tmp_path / "first", resume=True)


def test_a_model_of_which_all_is_frozen_comes_out_as_it_was(recipe, pooled, tmp_path):
    """So that an experiment can compare others with it."""
    sizes = {key: pooled.config.model[key] for key in ("frames", "head")}
    model = {"name": "campplus", "change": sizes, "init": str(pooled.folder), "freeze": ["frames", "head"]}
    run(recipe | {"model": model, "steps": 1}, tmp_path / "run")
    assert Bundle.load(tmp_path / "run").fingerprint == pooled.fingerprint


def test_a_model_that_is_taught_by_what_it_starts_as_has_nothing_to_learn_of_what_that_heard(recipe, pooled, tmp_path):
    """Until it hears something else: the loss is none where the crop is what the teacher heard, and small otherwise."""
    alone = {"loss": None, "teacher": {"bundle": str(pooled.folder), "kind": "direct", "targets": "crop"}, "steps": 1}
    losses = []
    for name, augment in (("clean", {}), ("noisy", {"noise": 1.0})):
        run(recipe | alone | {"augment": augment}, tmp_path / name)
        losses.append(float(next(csv.DictReader((tmp_path / name / "log.csv").open()))["teacher"]))
    assert losses[0] == pytest.approx(0.0, abs=1e-5)
    assert losses[1] > 1e-4


# What is refused


def test_embeddings_of_other_lengths_are_not_compared_directly(recipe, tiny_recipe, tmp_path):
    other = saved(tmp_path / "other", head={"dim": 24})
    taught = {"teacher": {"bundle": str(other.folder), "kind": "direct", "targets": "crop"}}
    with pytest.raises(
        BadConfig, match=r"teacher\.kind: direct compares .* of 16 numbers with 24 of the teacher; take"
    ):
        run(recipe | taught, tmp_path / "run")


def test_a_run_in_which_nothing_could_learn_is_refused(recipe, pooled, tmp_path):
    everything = recipe["model"] | {"freeze": ["frames", "aggregator", "head"]}
    alone = {"loss": None, "teacher": {"bundle": str(pooled.folder), "kind": "direct"}}
    with pytest.raises(BadConfig, match=r"model\.freeze: nothing is left that could learn"):
        run(recipe | alone | {"model": everything}, tmp_path / "run")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["frame"], "no part 'frame' in campplus-aca; did you mean 'frames'?"),
        (["head.nrom"], r"no part 'head\.nrom' in campplus-aca; did you mean 'head\.norm'?"),
        (["", "zzz"], "no part '' in campplus-aca; .*; no part 'zzz' in campplus-aca; there are front_end, frames,"),
    ],
)
def test_a_part_that_is_not_there_is_told_before_anything_is_decoded(recipe, tmp_path, names, told):
    wrong = recipe | {"model": recipe["model"] | {"freeze": names}}
    wrong["data"] = wrong["data"] | {"cache": str(tmp_path / "cache")}
    for start in (lambda: run(wrong, tmp_path / "run"), lambda: check_inputs(Recipe.parse(wrong, "test"))):
        with pytest.raises(BadConfig, match=told):
            start()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("campplus", {"head": {"dim": 24}}, r"have campplus with head\.dim 24 to start from, want head\.dim 16, as"),
        (
            "campplus",
            {"aggregator": {"unbiased": False}},
            r"with aggregator\.unbiased False to start from, want aggregator\.unbiased True",
        ),
        ("campplus", {"aggregator": {"kind": "mean"}}, "have model campplus to start from, want campplus-aca, as"),
        ("x-vector", {}, "have model x-vector to start from, want campplus-aca, as the recipe says"),
    ],
)
def test_another_model_to_start_from_is_refused(recipe, tmp_path, name, changes, told):
    init = saved(tmp_path / "other", name, **changes)
    with pytest.raises(ModelMismatch, match=told):
        run(recipe | {"model": recipe["model"] | {"init": str(init.folder)}}, tmp_path / "run")
