"""Every recipe on its corpus in miniature, in the corpus's real layout: prepare, train, evaluate."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

from acanet.data.lists.manifest import read_manifest
from acanet.experiment.run_card import RunCard, read_json
from acanet.models.registry import build_model, model_config, model_size
from acanet.runtime.bundle import Bundle, BundleConfig, Provenance, write_bundle
from acanet.training.read_recipe import read_experiment, read_recipe
from acanet.training.start import check_frozen, check_start
from support.commands import acanet
from support.miniatures import wsj0, wsj0_protocol
from support.miniatures_public import cnceleb, librispeech, speechocean762, voxceleb
from support.paths import ROOT
from support.tiny import HELD_OUT, TRAINED

TINY = {
    "frames": {"channels": 24, "hidden": 24},
    "aggregator": {"latents": 3, "aca_heads": 4, "keys": 12},
    "head": {"dim": 24},
}
"""Sizes that one branch or three can have."""
SMALL = [
    f"model.change={json.dumps(TINY)}",
    "data.batch=6",
    "data.crop_seconds=[0.5, 0.7]",
    "data.workers=0",
    "augment.room.count=2",
    "steps=2",
]
SHORT_STAGE = ["large_margin.steps=1", "large_margin.batch=3", "large_margin.crop_seconds=[0.8, 0.9]"]


def settings(*keys):
    return [word for key in keys for word in ("--set", key)]


def done(*arguments):
    """Run the command line, which has to answer with 0; what it says."""
    answer = acanet(*arguments)
    assert answer.code == 0, answer.err
    return answer.out + answer.err


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with the recipes in it, as in a clone of the repository."""
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pairs_of(manifest, path):
    """A trial list of every pair of a manifest's utterances, which has no list of its own."""
    done("trials", manifest, "-o", path, "--all")
    return path


def test_every_recipe_is_tried():
    tried = {"wsj0_1talker", "voxceleb2", "cnceleb", "librispeech", "speechocean762", "own-speech", "open-speech"}
    tried |= {"rates", "comparison", "pooling", "ablation", "silence", "taught", "campplus-aca"}
    tried |= {"speech"}  # in tests/training/test_teach.py, in which it is another kind of recipe
    bases = {"open-speech-shared"}  # tried with what lies over it
    assert not tried & bases
    assert {path.stem for path in (ROOT / "recipes").glob("*.yaml")} == tried | bases


@pytest.mark.slow
def test_wsj0_1talker(place):
    """The paper's experiment, in the commands that the recipe gives, with the networks in their real sizes."""
    corpus = wsj0(place)
    train, trials = wsj0_protocol(place)
    lists = ("--split", f"train={train}", "--split", f"test={trials}", "--dev", "0")
    assert "missing" not in done("prepare", "wsj0", corpus, "-o", "prepared/wsj0", *lists)
    small = settings(*SMALL[1:], "data.batch=4", "average.every=1")
    command = ("experiment", "recipes/wsj0_1talker.yaml", "--out", "wsj0_1talker", *small)
    said = done(*command, "--set", "test.wsj0-1talker.trials=trials")
    ecapa, ours = (read_json(RunCard, place / "wsj0_1talker" / name / "card.json") for name in ("ecapa-1024", "acanet"))
    assert (ecapa.size.parameters, ours.size.parameters) == (20_767_552, 4_553_601)
    measured, other = ours.lists["wsj0-1talker"], ecapa.lists["wsj0-1talker"]
    difference = measured.against["ecapa-1024"]["eer"].difference
    assert difference.value == pytest.approx(measured.figures["eer"].value - other.figures["eer"].value)
    assert difference.low <= difference.value <= difference.high
    assert measured.counts.trials == other.counts.trials == len(trials.read_text().splitlines())
    page = (place / "wsj0_1talker" / "results.md").read_text()
    (row,) = [line for line in page.splitlines() if "20,767,552" in line]
    assert row in said
    for system in ("ecapa-1024", "acanet"):
        assert Bundle.load(place / "wsj0_1talker" / system).config.model["front_end"]["rate"] == 8000
        assert (place / "wsj0_1talker" / system / "reports" / "wsj0-1talker" / "det.png").exists()


def test_wsj0_with_the_published_protocol(place, shared):
    """What the miniature lacks of the public lists is missing by id, and what it has is found."""
    corpus, protocol = wsj0(place), shared / "protocols" / "wsj0-1talker"
    lists = ("--split", f"train={protocol / 'train.utts'}", "--split", f"test={protocol / 'trials'}", "--dev", "0")
    said = done("prepare", "wsj0", corpus, "-o", "prepared/wsj0", *lists)
    with (place / "prepared" / "wsj0" / "left_out.csv").open(newline="") as file:
        missing = {row["path"] for row in csv.DictReader(file) if row["reason"] == "missing"}
    trained = {utterance.id for utterance in read_manifest(place / "prepared" / "wsj0" / "train.jsonl")}
    listed = set((protocol / "train.utts").read_text().split())
    assert trained < listed
    assert len(trained) == 18
    assert listed - trained < missing
    assert f"{len(missing):,}" in said
    assert "011a0105" in missing


def test_a_trial_that_resolves_to_nothing_stops_the_experiment_before_it_trains(place):
    corpus = wsj0(place)
    train, trials = wsj0_protocol(place)
    done(
        "prepare",
        "wsj0",
        corpus,
        "-o",
        "prepared/wsj0",
        "--split",
        f"train={train}",
        "--split",
        f"test={trials}",
        "--dev",
        "0",
    )
    with trials.open("a") as file:
        file.write("0 050a0501 444c0402\n")
    answer = acanet("experiment", "recipes/wsj0_1talker.yaml", "--out", "out", *settings(*SMALL[1:]))
    assert answer.code == 2
    assert "444c0402" in answer.err
    assert not (place / "out").exists()


def test_voxceleb2(place):
    corpus = voxceleb(place)
    said = done("prepare", "voxceleb", corpus, "-o", "prepared/voxceleb")
    assert "vox2-dev" in said  # far from complete
    small = settings(*SMALL, *SHORT_STAGE, *(f"test.Vox1-{k}.trials={f}" for k, f in vox1_lists(corpus).items()))
    done("experiment", "recipes/voxceleb2.yaml", "--out", "voxceleb2", *small)
    lists = read_json(RunCard, place / "voxceleb2" / "voxceleb2" / "card.json").lists
    assert list(lists) == ["Vox1-O", "Vox1-E", "Vox1-H"]
    assert [listed.counts.speakers for listed in lists.values()] == [4, 9, 9]
    speakers = {utterance.speaker for utterance in read_manifest(place / "prepared" / "voxceleb" / "train.jsonl")}
    assert Bundle.load(place / "voxceleb2" / "voxceleb2").provenance.speakers == speakers


def vox1_lists(corpus):
    """The lists of the miniature, under the names of the recipe's."""
    names = {"O": "veri_test2.txt", "E": "list_test_all2.txt", "H": "list_test_hard2.txt"}
    return {key: next(corpus.rglob(name)) for key, name in names.items()}


def test_cnceleb(place):
    corpus = cnceleb(place)
    done("prepare", "cnceleb", corpus, "-o", "prepared/cnceleb", "--dev", "0.3")
    trials = next(corpus.rglob("trials.lst"))
    small = settings(*SMALL, *SHORT_STAGE, f"test.cnceleb.trials={trials}")
    said = done("experiment", "recipes/cnceleb.yaml", "--out", "cnceleb", *small)
    assert "| cnceleb | acanet2, changed: " in said


@pytest.mark.parametrize("kind", ["librispeech", "speechocean762"])
def test_corpora_without_trial_lists(place, kind):
    corpus = {"librispeech": librispeech, "speechocean762": speechocean762}[kind](place)
    done("prepare", kind, corpus, "-o", f"prepared/{kind}", *(("--dev", "0.5") if kind == "speechocean762" else ()))
    stage = SHORT_STAGE if read_recipe(place / "recipes" / f"{kind}.yaml").large_margin else []
    done("train", f"recipes/{kind}.yaml", "--out", kind, *settings(*SMALL, *stage))
    test = place / "prepared" / kind / "test.jsonl"
    said = done("evaluate", kind, pairs_of(test, place / "test.trials"), "--manifest", test)
    assert "4 speakers (from the manifest)" in said


def test_own_speech(place, voices):
    done("prepare", "folder", voices, "-o", "prepared", "--dev", "0.4")
    done("train", "recipes/own-speech.yaml", "--out", "run", *settings(*SMALL))
    dev = place / "prepared" / "dev.jsonl"
    said = done("evaluate", "run", pairs_of(dev, place / "dev.trials"), "--manifest", dev)
    assert "2 speakers (from the manifest)" in said


@pytest.fixture
def open_speech(place, voices):
    """The corpora of the recipes on open speech are plain manifests; any will do, some of which name nobody."""
    home = place / "recipes" / "data"
    home.mkdir()
    groups = {
        "speechocean762.train": TRAINED[:2],
        "librispeech.train": TRAINED[2:3],
        "arabic_commands.train": TRAINED[3:],
        "speechocean762.dev": HELD_OUT,
        "speechocean762.test": HELD_OUT,
        "dspspeech20.train": TRAINED[:1],
        "speech_commands.train": TRAINED[1:2],
        "picovoice.pseudo": TRAINED[2:3],
        "picovoice.unlabelled": TRAINED[3:],
        "ovos.unlabelled": TRAINED[:1],
    }
    for name, speakers in groups.items():
        lines = [
            json.dumps({"path": str(path)} | ({} if "unlabelled" in name else {"speaker": speaker})) + "\n"
            for speaker in speakers
            for path in sorted((voices / speaker).glob("*.wav"))
        ]
        (home / f"{name}.jsonl").write_text("".join(lines))
    for name in ("dev", "dev.hard", "test", "test.hard"):
        pairs_of(home / "speechocean762.dev.jsonl", home / f"{name}.trials")
    return home


def test_the_start_of_the_taught_model_fits_its_recipe():
    recipe = read_experiment(ROOT / "recipes" / "taught.yaml").recipes["acanet2-large"]
    start = Bundle.load(ROOT / "weights" / "taught")
    check_start(start, recipe.model.name, model_config(recipe.model.name, recipe.model.change))
    assert start.config.licence == recipe.licence


def test_own_speech_can_start_from_the_model_that_ships():
    assert read_recipe(ROOT / "recipes" / "own-speech.yaml").model.name == Bundle.load().name


def test_open_speech(place, open_speech):
    stage = SHORT_STAGE if read_recipe(place / "recipes" / "open-speech.yaml").large_margin else []
    done("train", "recipes/open-speech.yaml", "--out", "run", *settings(*SMALL, *stage, "discriminant.directions=1"))
    dev = open_speech / "speechocean762.dev.jsonl"
    said = done("evaluate", "run", open_speech / "dev.trials", "--manifest", dev)
    assert "2 speakers (from the manifest)" in said


@pytest.mark.parametrize(
    ("kind", "system", "lists"),
    [
        pytest.param("rates", "x-vector-high", {"dev"}, marks=pytest.mark.slow),
        pytest.param("comparison", "acanet2", {"test", "hard"}, marks=pytest.mark.slow),
        pytest.param("pooling", "pointwise-statistics", {"test", "hard"}, marks=pytest.mark.slow),
        pytest.param("ablation", "one-head", {"dev", "hard"}, marks=pytest.mark.slow),
        pytest.param("open-speech", "acanet2-small", {"test", "hard"}, marks=pytest.mark.slow),
        pytest.param("taught", "acanet2-small", {"test", "hard"}, marks=pytest.mark.slow),
        ("silence", "acanet2-small", {"test", "hard"}),
    ],
)
def test_experiments_on_open_speech(place, open_speech, tiny_bundle, kind, system, lists):
    """One of the systems, in its real size; the others are built at least."""
    path = place / "recipes" / f"{kind}.yaml"
    if kind == "silence":
        (place / "weights").symlink_to(ROOT / "weights")
    if kind == "taught":
        (place / "runs").mkdir()
        (place / "runs" / "campplus").symlink_to(tiny_bundle)
    for recipe in read_experiment(path).recipes.values():
        model_size(recipe.model.name, model_config(recipe.model.name, recipe.model.change))
    one_direction = ["discriminant.directions=1"] if read_recipe(path).discriminant else []
    small = settings(*SMALL[1:], *one_direction)
    done("experiment", f"recipes/{kind}.yaml", "--only", system, "--out", "out", *small)
    card = read_json(RunCard, place / "out" / system / "card.json")
    assert (card.experiment, card.system, set(card.lists)) == (kind, system, lists)


@pytest.mark.slow
def test_attention_in_the_place_of_the_pooling_of_campplus(place, open_speech):
    """CAM++ as it is, and what its weights are the start of, on the same lists; in real size, with random weights."""
    config, model = model_config("campplus"), build_model("campplus")
    pooled = write_bundle(
        place / "runs" / "campplus-torch",
        BundleConfig(name="campplus", model=config.model_dump(mode="json"), licence="Apache-2.0"),
        {name: value.numpy() for name, value in model.state_dict().items()},
        Provenance(),
        "# CAM++\n",
    )
    for recipe in read_experiment(place / "recipes" / "campplus-aca.yaml").recipes.values():
        check_frozen(recipe.model)
        check_start(pooled, recipe.model.name, model_config(recipe.model.name, recipe.model.change))
    only = [word for system in ("campplus", "campplus-aca") for word in ("--only", system)]
    done("experiment", "recipes/campplus-aca.yaml", "--out", "out", *only, *settings(*SMALL[1:-1], "steps=1"))
    cards = [read_json(RunCard, place / "out" / system / "card.json") for system in ("campplus", "campplus-aca")]
    assert cards[0].fingerprint == pooled.fingerprint
    assert set(cards[1].lists["test"].against) == {"campplus"}
    before, after = pooled.weights(), Bundle.load(place / "out" / "campplus-aca").weights()
    assert all(after[name].tobytes() == value.tobytes() for name, value in before.items() if "frames." in name)


@pytest.mark.parametrize(
    "path",
    sorted(set((ROOT / "recipes").glob("*.yaml")) - {ROOT / "recipes" / "speech.yaml"}),
    ids=lambda path: path.stem,
)
def test_a_typo_in_a_recipe_is_told_with_its_line(tmp_path, path):
    """In the recipe itself, or in the one that lies below it."""
    recipes = shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    recipe, base = recipes / path.name, recipes / "open-speech-shared.yaml"
    wrong = recipe if "crop_seconds" in path.read_text(encoding="utf-8") else base
    text = wrong.read_text(encoding="utf-8")
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "crop_seconds" in row)
    wrong.write_text(text.replace("crop_seconds", "crop_secnds", 1), encoding="utf-8")
    answer = acanet("train", recipe, "--out", tmp_path / "run")
    assert answer.code == 2
    place = f"line {line}" if wrong is recipe else f"{wrong}, line {line}"
    assert f"{place}: data: unknown key 'crop_secnds', did you mean 'crop_seconds'?" in " ".join(answer.err.split())
