"""Recipes that lie over other recipes, and systems of several seeds."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import yaml

from acanet.errors import BadConfig
from acanet.training.read_recipe import read_experiment, read_recipe
from acanet.training.recipe import recipe_yaml
from support.configs import problem

TEST = {"own": {"trials": "own.trials", "manifest": "test.jsonl"}}


@pytest.fixture
def write(tmp_path):
    """Writes a recipe below a folder and gives its path."""

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def problems(function, *arguments):
    with pytest.raises(BadConfig) as caught:
        function(*arguments)
    return caught.value.problems


# A base


def test_the_keys_of_a_base_lie_below_group_by_group(write, tmp_path):
    base = {
        "data": {"train": ["a.jsonl", "b.jsonl"], "batch": 16, "cache": "../cache"},
        "augment": {"noise": {"probability": 0.3, "snr_db": [5, 10]}, "speed": 0.5},
        "steps": 100,
        "discriminant": {"directions": 5},
    }
    write("shared/base.yaml", base)
    ours = {
        "base": "../shared/base.yaml",
        "data": {"train": ["c.jsonl"], "batch": 8},
        "augment": {"noise": {"probability": 0.1}},
        "discriminant": None,
    }
    recipe = read_recipe(write("mine/recipe.yaml", ours))
    assert recipe.data.train == (tmp_path / "mine" / "c.jsonl",)  # a list is replaced
    assert recipe.data.batch == 8
    assert recipe.data.cache == tmp_path / "mine/../shared/../cache"
    assert recipe.augment.noise.probability == 0.1
    assert (recipe.augment.noise.snr_db.low, recipe.augment.speed.probability) == (5, 0.5)
    assert (recipe.steps, recipe.discriminant) == (100, None)


def test_a_base_has_a_base_and_paths_count_from_the_file_that_has_them(write, tmp_path):
    write("one/lowest.yaml", {"data": {"train": ["a.jsonl"], "cache": "cache"}, "dev": {"manifest": "dev.jsonl"}})
    write("two/middle.yaml", {"base": "../one/lowest.yaml", "dev": {"trials": "dev.trials"}, "seed": 3, "test": TEST})
    path = write("top.yaml", {"base": "two/middle.yaml", "seed": 4, "systems": {"s": {"data": {"cache": "own"}}}})
    recipe = read_recipe(path)
    assert recipe.data.train == (tmp_path / "two/../one/a.jsonl",)
    assert (recipe.dev.manifest, recipe.dev.trials) == (
        tmp_path / "two/../one/dev.jsonl",
        tmp_path / "two/dev.trials",
    )
    assert recipe.seed == 4
    found = read_experiment(path)
    assert found.test["own"].trials == tmp_path / "two/own.trials"
    assert found.recipes["s"].data.cache == tmp_path / "own"


def test_systems_and_lists_of_a_base_are_those_of_the_recipe_too(write):
    write("base.yaml", {"data": {"train": ["a"]}, "systems": {"a": {"steps": 3}, "b": {}}, "test": TEST})
    path = write("top.yaml", {"base": "base.yaml", "systems": {"a": {"seed": 5}, "c": {"steps": 7}}})
    recipes = read_experiment(path).recipes
    assert list(recipes) == ["a", "b", "c"]
    assert (recipes["a"].steps, recipes["a"].seed, recipes["c"].steps) == (3, 5, 7)


def test_settings_lie_over_a_base(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("shared/base.yaml", {"data": {"train": ["a"]}, "augment": {"noise": 0.3}, "steps": 3})
    path = write("mine/top.yaml", {"base": "../shared/base.yaml"})
    recipe = read_recipe(path, ("steps=5", "data.cache=here", "augment.noise.snr_db=[0, 5]"))
    assert (recipe.steps, recipe.data.cache) == (5, tmp_path / "here")
    assert (recipe.augment.noise.probability, recipe.augment.noise.snr_db.high) == (0.3, 5)
    assert problem(read_recipe, path, ("steps=0",)) == "--set steps: Input should be greater than 0"
    assert problem(read_recipe, path, ("base=x.yaml",)) == "'base' can be told by the file of a recipe only"


def test_what_is_spelt_out_needs_no_base(write):
    change = {"aggregator": {"kind": "attentive-statistics"}, "head": {"kind": "linear", "norm": "before"}}
    write("shared/base.yaml", {"data": {"train": ["a"]}, "model": {"change": change}, "average": {"kind": "ema"}})
    recipe = read_recipe(write("mine/top.yaml", {"base": "../shared/base.yaml", "steps": 3}))
    spelt = recipe_yaml(recipe)
    assert "base" not in yaml.safe_load(spelt)
    assert read_recipe(write("elsewhere.yaml", spelt)) == recipe
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_a_problem_is_told_with_the_file_and_line_that_it_is_on(write, tmp_path):
    base = write("base.yaml", "data:\n  train: [a]\n  batch: x\nloss: {margn: 1}\nsteps: 0\n")
    path = write("top.yaml", "base: base.yaml\ndata:\n  crop_secnds: [1, 2]\nsteps: 3\nmodel:\n  change: {hed: 1}\n")
    assert problems(read_recipe, path) == [
        "line 3: data: unknown key 'crop_secnds', did you mean 'crop_seconds'?",
        "line 6: model.change: unknown key 'hed', did you mean 'head'?",
        f"{base}, line 3: data.batch: Input should be a valid integer, unable to parse string as an integer",
        f"{base}, line 4: loss: unknown key 'margn', did you mean 'margin'?",
    ]


def test_a_system_of_a_base_that_is_wrong_is_told_there(write):
    base = write("base.yaml", "data: {train: [a]}\nsystems:\n  one:\n    steps: 0\n")
    assert problem(read_recipe, write("top.yaml", "base: base.yaml\n")) == (
        f"{base}, line 4: steps: Input should be greater than 0"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps: 3\nbase: none.yaml\n", "line 2: base: there is no recipe {folder}/none.yaml"),
        ("base: .\n", "line 1: base: there is no recipe {folder}"),
        ("base: 3\n", "line 1: base: the path of another recipe is expected, not 3"),
        ("base: [a.yaml]\n", "line 1: base: the path of another recipe is expected, not ['a.yaml']"),
        ("base: top.yaml\n", "line 1: base: {folder}/top.yaml lies below itself"),
    ],
)
def test_a_base_that_is_none(write, tmp_path, text, told):
    path = write("top.yaml", text)
    assert problem(read_recipe, path) == told.format(folder=tmp_path)


def test_a_circle_of_bases_is_told_where_it_closes(write, tmp_path):
    write("b.yaml", "steps: 3\nbase: a.yaml\n")
    path = write("a.yaml", "base: b.yaml\n")
    with pytest.raises(BadConfig) as caught:
        read_recipe(path)
    assert str(caught.value) == f"{tmp_path}/b.yaml: line 2: base: {tmp_path}/a.yaml lies below itself"


def test_what_a_base_cannot_be_is_told_of_it(write, tmp_path):
    write("base.yaml", "steps: 3\nsteps: 4\n")
    with pytest.raises(BadConfig, match=r"base\.yaml: line 2: 'steps' has a value already, on line 1"):
        read_recipe(write("top.yaml", "base: base.yaml\n"))
    write("base.yaml", "- steps\n")
    with pytest.raises(BadConfig, match=r"base\.yaml: a recipe is a mapping"):
        read_recipe(tmp_path / "top.yaml")


def test_no_base_is_none(write):
    assert read_recipe(write("top.yaml", {"base": None, "data": {"train": ["a"]}})).steps == 10_000


def test_a_setting_longer_than_the_list_in_the_file_is_told_as_one(write):
    path = write("top.yaml", {"data": {"train": ["a"]}, "discriminant": {"speeds": [0.9]}})
    told = problem(read_recipe, path, ("discriminant.speeds=[0.9, -1]",))
    assert told == "--set discriminant.speeds.1: Input should be greater than 0"


# Seeds


def seeds_of(path, settings=()):
    return {name: recipe.seed for name, recipe in read_experiment(path, settings).recipes.items()}


def experiment(**keys):
    return {"data": {"train": ["a"]}, "test": TEST, **keys}


def test_each_seed_makes_a_system(write):
    systems = {"a": {"steps": 3, "seeds": [0, 1, 2]}, "b": {}, "c": {"seeds": [7]}, "d": {"seed": 5}}
    path = write("top.yaml", experiment(systems=systems, seed=4))
    assert seeds_of(path) == {"a": 0, "a-seed-1": 1, "a-seed-2": 2, "b": 4, "c-seed-7": 7, "d": 5}
    recipes = read_experiment(path).recipes
    assert recipes["a-seed-2"] == recipes["a"].model_copy(update={"seed": 2})
    assert read_recipe(path).seed == 4


def test_the_seeds_of_an_experiment_are_those_of_systems_that_name_none(write):
    systems = {"a": {}, "b": {"seed": 5}, "c": {"seeds": [0, 3]}, "d": {"seeds": None}}
    path = write("top.yaml", experiment(systems=systems, seeds=[0, 1]))
    assert seeds_of(path) == {"a": 0, "a-seed-1": 1, "b": 5, "c": 0, "c-seed-3": 3, "d": 0}


def test_a_recipe_without_systems_may_have_seeds(write):
    assert seeds_of(write("top.yaml", experiment(seeds=[1, 0]))) == {"top-seed-1": 1, "top": 0}


def test_seeds_may_be_set(write):
    path = write("top.yaml", experiment(systems={"a": {"seeds": [0, 1]}, "b": {}}))
    assert list(seeds_of(path, ("seeds=[2, 3]",))) == ["a", "a-seed-1", "b-seed-2", "b-seed-3"]
    assert list(seeds_of(path, ("systems.a.seeds=[5]",))) == ["a-seed-5", "b"]


def test_seeds_of_a_base_are_replaced(write):
    write("base.yaml", experiment(systems={"a": {"seeds": [0, 1, 2]}}, seeds=[0, 9]))
    path = write("top.yaml", {"base": "base.yaml", "systems": {"a": {"seeds": [4]}, "b": {}}})
    assert list(seeds_of(path)) == ["a-seed-4", "b", "b-seed-9"]


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        ("3", "seeds: Input should be a valid tuple"),
        ("[]", "seeds: no seed in it; name one or more, or leave the key out"),
        ("[a]", "seeds.0: Input should be a valid integer, unable to parse string as an integer"),
        ("[1.5]", "seeds.0: Input should be a valid integer, got a number with a fractional part"),
        ("[0, -1]", "seeds.1: Input should be greater than or equal to 0"),
        ("[0, 1, 1]", "seeds: a seed stands twice"),
    ],
)
def test_wrong_seeds(write, seeds, told):
    head = "data: {train: [a]}\n"
    system = write("system.yaml", f"{head}systems:\n  a:\n    steps: 3\n    seeds: {seeds}\n")
    assert problem(read_recipe, system) == f"line 5: {told}"
    assert problem(read_recipe, write("whole.yaml", f"{head}seeds: {seeds}\n")) == f"line 2: {told}"
    assert problem(read_recipe, write("set.yaml", head), (f"seeds={seeds}",)) == f"--set {told}"


def test_seed_and_seeds_contradict_each_other(write):
    path = write("top.yaml", "data: {train: [a]}\nsystems:\n  a:\n    seeds: [0]\n    seed: 3\n")
    assert problem(read_recipe, path) == "line 5: systems.a: give it 'seed' or 'seeds', not both"


@pytest.mark.parametrize("first", [True, False])
def test_a_name_that_seeds_make_again_is_told(write, first):
    lines = ["  a: {seeds: [0, 1]}\n", "  a-seed-1: {}\n"]
    path = write("top.yaml", "data: {train: [a]}\nsystems:\n" + "".join(lines if first else lines[::-1]))
    told = f"line {3 if first else 4}: systems.a: its seeds make a system 'a-seed-1', which is there already"
    assert problem(read_recipe, path) == told


def test_a_mistake_of_a_system_is_told_once_whatever_its_seeds(write):
    text = "data: {train: [a]}\nsystems:\n  a: {seeds: [0, 1], steps: 0}\n  b:\n    lose: {}\n    seed: -1\n"
    assert problems(read_recipe, write("top.yaml", text)) == [
        "line 3: steps: Input should be greater than 0",
        "line 5: unknown key 'lose', did you mean 'loss'?",
        "line 6: seed: Input should be greater than or equal to 0",
    ]


# All problems at once


def test_all_that_is_wrong_is_told_in_the_order_of_the_lines(write):
    text = "stepz: 3\nmodel:\n  change: {hed: 1}\ndata:\n  batch: 0\n  trian: [a]\n  wrkers: 2\nseed: -1\n"
    assert problems(read_recipe, write("top.yaml", text)) == [
        "line 1: unknown key 'stepz', did you mean 'steps'?",
        "line 3: model.change: unknown key 'hed', did you mean 'head'?",
        "line 5: data.batch: 0 crops in a batch; batch norm and the loss compare them, so 2 or more are needed",
        "line 6: data: unknown key 'trian', did you mean 'train'?",
        "line 7: data: unknown key 'wrkers', did you mean 'workers'?",
        "line 8: seed: Input should be greater than or equal to 0",
    ]


def test_settings_and_what_is_missing_come_last(write):
    found = problems(read_recipe, write("top.yaml", "steps: 0\n"), ("seed=-1", "lr=3"))
    assert found[0] == "line 1: steps: Input should be greater than 0"
    assert {told.split(":")[0].split(";")[0] for told in found[1:3]} == {"--set seed", "--set unknown key 'lr'"}
    assert found[3] == "data: Field required"


def test_an_unknown_model_is_told_beside_the_rest(write):
    found = problems(read_recipe, write("top.yaml", "data: {train: [a]}\nsteps: 0\nmodel: {name: acanet3}\n"))
    assert found[0].startswith("line 2: steps: ")
    assert found[1].startswith("line 3: model.name: unknown model 'acanet3'; did you mean")


def test_paths_are_absolute_wherever_they_come_from(write):
    write("shared/base.yaml", {"data": {"train": ["a"]}})
    recipe = read_recipe(write("top.yaml", {"base": "shared/base.yaml"}))
    assert all(path.is_absolute() for path in recipe.data.train)
    assert isinstance(recipe.data.train[0], Path)
