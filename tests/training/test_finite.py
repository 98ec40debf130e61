"""A run that diverges stops at once, says at which step, and is never the model of the run."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console

from acanet.errors import AcanetError, BadArgument, BadConfig, Diverged
from acanet.runtime.bundle import Bundle, write_bundle
from acanet.training import finish as finish_module
from acanet.training import loop
from acanet.training.checkpoint import load_state
from acanet.training.finite import not_finite, require_finite_embeddings, require_finite_step, require_finite_weights
from acanet.training.recipe import Recipe
from acanet.training.run import train
from acanet.training.setup import set_up
from support.commands import acanet

pytestmark = pytest.mark.usefixtures("one_thread")


def run(recipe, out, **how):
    return train(Recipe.parse(recipe, "the test's recipe"), out, console=Console(file=io.StringIO()), **how)


@pytest.fixture
def falls_apart(monkeypatch):
    """The rate is beyond measure from a step on."""

    def start(step):
        undisturbed = loop.rate_at
        monkeypatch.setattr(loop, "rate_at", lambda now, recipe: 1e30 if now + 1 >= step else undisturbed(now, recipe))

    return start


@pytest.mark.parametrize("dev", [True, False], ids=["with a dev set", "without one"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("average", [None, {"kind": "ema"}, {"kind": "last", "checkpoints": 2, "every": 1}])
def test_a_run_that_diverges_stops_at_once_and_leaves_no_model(tiny_recipe, tmp_path, dev, precision, average):
    recipe = tiny_recipe | {"optimizer": {"rate": 1e30, "warm_up": 0.0}, "steps": 50, "save_every": 1, "dev_every": 1}
    recipe |= {"precision": precision, "average": average}
    if not dev:
        del recipe["dev"]
    with pytest.raises(Diverged, match=r"not finite at step \d\..*lower optimizer\.rate") as caught:
        run(recipe, tmp_path / "run")
    assert caught.value.exit_code == 2
    assert 1 <= caught.value.step <= 3
    if (tmp_path / "run" / "last.pt").exists():
        assert load_state(tmp_path / "run" / "last.pt").step < caught.value.step
    if (tmp_path / "run" / "best").exists():
        assert (
            not_finite(
                {name: torch.from_numpy(value) for name, value in Bundle.load(tmp_path / "run").weights().items()}
            )
            is None
        )


def test_what_was_saved_before_stays(tiny_recipe, tmp_path, falls_apart):
    recipe = tiny_recipe | {"steps": 12, "save_every": 2, "dev_every": 2}
    falls_apart(6)
    with pytest.raises(Diverged) as caught:
        run(recipe, tmp_path / "run")
    assert 6 <= caught.value.step <= 7
    state = load_state(tmp_path / "run" / "last.pt")
    assert state.step == 4
    assert [result.step for result in state.history] == [2, 4]
    assert math.isfinite(sum(value.sum() for value in Bundle.load(tmp_path / "run").weights().values()))
    log = (tmp_path / "run" / "log.csv").read_text()
    assert "nan" not in log
    assert "inf" not in log


def test_the_command_line_ends_with_2_and_says_what_to_do(tiny_recipe, tmp_path):
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(tiny_recipe))
    answer = acanet("train", tmp_path / "r.yaml", "--out", tmp_path / "run", "--set", "optimizer.rate=1e30")
    assert answer.code == 2
    assert "the training diverged" in answer.err
    assert "lower optimizer.rate" in answer.err
    assert "Traceback" not in answer.err


def test_a_step_needs_a_finite_loss_and_gradient():
    one = torch.tensor(1.0)
    require_finite_step(1, one, one)
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(Diverged, match="the loss, not finite at step 7"):
            require_finite_step(7, torch.tensor(bad), one)
        with pytest.raises(Diverged, match="the gradient, not finite at step 7"):
            require_finite_step(7, one, torch.tensor(bad))


def test_weights_and_statistics_have_to_be_finite():
    norm = torch.nn.BatchNorm1d(3)
    require_finite_weights(1, norm)
    norm.running_var[1] = math.inf
    with pytest.raises(Diverged, match="running_var, not finite at step 3"):
        require_finite_weights(3, norm)
    assert not_finite({"a": torch.ones(2), "count": torch.tensor(3), "b": torch.tensor([1.0, math.nan])}) == "b"
    assert not_finite({"a": torch.tensor([3e38, -3e38]), "b": torch.zeros(2, dtype=torch.bfloat16)}) is None
    assert not_finite({}) is None


@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf])
def test_embeddings_have_to_have_a_direction(bad):
    embeddings = np.ones((3, 4), np.float32)
    require_finite_embeddings(2, embeddings)
    embeddings[1] = bad
    with pytest.raises(Diverged, match=r"1 of 3 embeddings .* at step 2"):
        require_finite_embeddings(2, embeddings)


def test_a_discriminant_of_embeddings_that_are_not_finite_leaves_the_model(tiny_recipe, tmp_path, monkeypatch):
    recipe = tiny_recipe | {"discriminant": {"directions": 2}}
    embed = finish_module.embed_waveforms
    monkeypatch.setattr(finish_module, "embed_waveforms", lambda *how: embed(*how) * np.float32(math.nan))
    with pytest.raises(Diverged, match="12 of 12 embeddings"):
        run(recipe, tmp_path / "run")
    assert Bundle.load(tmp_path / "run").config.model.get("discriminant") is None
    monkeypatch.undo()
    assert run(recipe, tmp_path / "run", resume=True).finished
    assert Bundle.load(tmp_path / "run").config.model["discriminant"] is not None


@pytest.fixture
def broken(tiny_bundle, tmp_path):
    """A model that has a weight which is not finite."""
    bundle = Bundle.load(tiny_bundle)
    weights = bundle.weights()
    name = next(name for name, value in weights.items() if value.dtype == np.float32 and value.size > 1)
    weights[name].flat[1] = math.nan
    return write_bundle(tmp_path / "broken", bundle.config, weights, bundle.provenance, "").folder


def test_nothing_starts_from_weights_that_are_not_finite(broken, tiny_recipe, tmp_path):
    with pytest.raises(AcanetError, match="is not finite, so this is no model"):
        run(tiny_recipe, tmp_path / "run", init=Bundle.load(broken))
    assert not (tmp_path / "run").exists()
    for command in (
        ["export", broken, "-o", tmp_path / "out"],
        ["embed", "a.wav", "-o", tmp_path / "a.npz", "--model", broken],
    ):
        answer = acanet(*command)
        assert (answer.code, "is not finite" in answer.err) == (2, True), answer
    assert not (tmp_path / "out").exists()


def test_a_state_that_is_damaged_or_not_finite_is_not_gone_on_with(tiny_recipe, tmp_path):
    run(tiny_recipe | {"steps": 1}, tmp_path / "run")
    path = tmp_path / "run" / "last.pt"
    whole = path.read_bytes()
    state = torch.load(path, weights_only=True)
    next(iter(state["loss"].values())).fill_(math.nan)
    torch.save(state, path)
    with pytest.raises(AcanetError, match=r"last\.pt: speakers\.centres is not finite: the run diverged"):
        run(tiny_recipe | {"steps": 1}, tmp_path / "run", resume=True)
    for damaged in (whole[: len(whole) // 2], b"", b"something else", whole[:-1000]):
        path.write_bytes(damaged)
        with pytest.raises(AcanetError, match=r"last\.pt: not the state of a run, or damaged"):
            run(tiny_recipe | {"steps": 1}, tmp_path / "run", resume=True)


# Batches


@pytest.mark.parametrize(
    "change", [{"data.batch": 1}, {"data.batch": 0}, {"large_margin.batch": 1}], ids=["one", "none", "one in the end"]
)
def test_a_batch_of_one_is_refused_when_the_recipe_is_read(tiny_recipe, change):
    recipe = tiny_recipe | {"data": dict(tiny_recipe["data"]), "large_margin": {"steps": 1}}
    for key, value in change.items():
        group, name = key.split(".")
        recipe[group][name] = value
    with pytest.raises(BadConfig, match=rf"{next(iter(change))}: \d crops in a batch; .*2 or more"):
        Recipe.parse(recipe, "the test's recipe")


def test_a_batch_of_two_trains(tiny_recipe, tmp_path):
    assert run(tiny_recipe | {"data": tiny_recipe["data"] | {"batch": 2}, "steps": 2}, tmp_path / "run").finished


def test_a_batch_of_one_in_each_process_is_refused(tiny_recipe, tmp_path, monkeypatch):
    from acanet.training import setup

    class Several(setup.Accelerator):
        num_processes, process_index = 3, 0

    monkeypatch.setattr(setup, "Accelerator", Several)
    recipe = Recipe.parse(tiny_recipe | {"data": tiny_recipe["data"] | {"batch": 5}}, "the test's recipe")
    with pytest.raises(BadConfig, match="a batch of 5 crops for 3 processes"):
        set_up(recipe, tmp_path / "run")


def test_dead_dev_embeddings_are_no_error_of_the_program(tiny_recipe, tmp_path, monkeypatch):
    from acanet.training import dev

    monkeypatch.setattr(dev, "embed_waveforms", lambda model, waveforms: np.zeros((len(waveforms), 4), np.float32))
    with pytest.raises(Diverged, match=r"6 of 6 embeddings .* at step 4"):
        run(tiny_recipe, tmp_path / "run")
    assert not issubclass(Diverged, BadArgument)
