"""The discriminant projection: what is learned, what it computes, and how a run ends with it."""

from __future__ import annotations

import io
import os
import shutil
import signal
from itertools import combinations

import numpy as np
import onnxruntime
import pytest
import scipy.linalg
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rich.console import Console

from acanet.data.synthetic import write_corpus
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadConfig
from acanet.evaluation.figures.metrics import eer
from acanet.export.graphs import graph_files
from acanet.export.stages import stages
from acanet.models import registry
from acanet.models.config import ModelConfig
from acanet.models.folding import fold
from acanet.models.inference import embed_waveforms, load_model
from acanet.models.parts.discriminant import Discriminant
from acanet.models.registry import build_model, model_config, register_model
from acanet.runtime.bundle import Bundle
from acanet.runtime.onnx import OnnxNetwork
from acanet.scoring.cosine import cosine
from acanet.scoring.plda import Plda
from acanet.training import finish
from acanet.training import fit_discriminant as discriminant
from acanet.training.checkpoint import load_state
from acanet.training.dev import DevSet
from acanet.training.fit_discriminant import fit_discriminant
from acanet.training.recipe import Recipe
from acanet.training.run import train
from support.commands import acanet
from support.networks import Tiny, in_pieces, padded, small, waveforms
from support.tiny import TINY_MODEL

pytestmark = pytest.mark.usefixtures("one_thread")

# Learning it

BY_HAND = np.array([[0.6, 0.8], [0.6, -0.8], [-0.6, 0.8], [-0.6, -0.8]])
"""Two speakers, two utterances each. Their means are (0.6, 0) and (-0.6, 0): the scatter between them is
diag(0.36, 0), that within them diag(0, 0.64). A ridge of 1 adds 0.32, so b = 0.36 / 0.32 in the first direction."""


def fit(embeddings, speakers, **how):
    return fit_discriminant(np.asarray(embeddings), speakers, **{"directions": 1, "ridge": 1.0, "lift": 2.0} | how)


@pytest.mark.parametrize("degrees", [0, 30, 100])
def test_two_speakers_by_hand(degrees):
    angle = np.radians(degrees)
    axis = np.array([np.cos(angle), np.sin(angle)])
    turn = np.array([axis, [-axis[1], axis[0]]])
    found = fit(BY_HAND @ turn, [7, 7, 3, 3])
    b = 0.36 / 0.32
    weight = np.sqrt(b / (1 + b)) / np.sqrt(0.32)
    np.testing.assert_allclose(found.centre, 0, atol=1e-15)
    np.testing.assert_allclose(found.matrix, [weight * axis * np.sign(axis[np.abs(axis).argmax()])], atol=1e-12)
    assert found.lift == pytest.approx(2 * 0.6 * weight)  # every projection has this length


def test_speakers_of_one_utterance_count_for_nothing():
    found = fit([*BY_HAND, [0.0, 1.0]], [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(found.matrix, fit(BY_HAND, [0, 0, 1, 1]).matrix)
    np.testing.assert_allclose(found.centre, 0, atol=1e-15)


def voices_of(seed=0, speakers=12, each=4, dim=6):
    """Embeddings (utterances, dim), and who speaks."""
    rng = np.random.default_rng(seed)
    means = 2 * rng.standard_normal((speakers, 1, dim)) * np.linspace(1, 0.2, dim)
    return (means + rng.standard_normal((speakers, each, dim))).reshape(-1, dim), np.repeat(np.arange(speakers), each)


def test_scipy_finds_the_same_directions():
    embeddings, speakers = voices_of()
    found = fit(embeddings, speakers, directions=4, ridge=0.5, lift=3.0)
    vectors = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    means = vectors.reshape(12, 4, 6).mean(axis=1)
    within = np.cov((vectors.reshape(12, 4, 6) - means[:, None]).reshape(-1, 6), rowvar=False, bias=True)
    within += 0.5 * within.trace() / 6 * np.eye(6)
    ratios, axes = scipy.linalg.eigh(np.cov(means, rowvar=False, bias=True), within)
    want = (axes * np.sqrt(ratios.clip(0) / (1 + ratios.clip(0)))).T[:-5:-1]
    want *= np.sign((want * found.matrix).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found.matrix, want, atol=1e-9)
    np.testing.assert_allclose(found.centre, means.mean(axis=0), atol=1e-12)
    projected = (vectors - found.centre) @ want.T
    assert found.lift == pytest.approx(3 * np.sqrt((projected**2).sum() / 48))


@given(st.permutations(range(48)), st.floats(1e-3, 1e3))
def test_neither_order_nor_scale_matters(order, scale):
    embeddings, speakers = voices_of()
    one = fit(embeddings, speakers, directions=5)
    other = fit(scale * embeddings[order], speakers[order], directions=5)
    np.testing.assert_allclose(other.matrix, one.matrix, atol=1e-8)
    np.testing.assert_allclose(other.centre, one.centre, atol=1e-12)
    assert other.lift == pytest.approx(one.lift)


@pytest.mark.parametrize(
    ("speakers", "directions", "named"),
    [
        (
            [0, 0, 1, 1],
            2,
            "directions is 2; from 1 to 1 are possible with 2 speakers with several utterances",
        ),
        ([0, 0, 0, 0], 1, "a discriminant of 1 speakers with several utterances; .* two such speakers at least"),
        ([0, 1, 2, 3], 1, "a discriminant of 0 speakers with several utterances"),
    ],
)
def test_too_few_speakers_are_an_error(speakers, directions, named):
    with pytest.raises(AcanetError, match=named):
        fit(BY_HAND, speakers, directions=directions)


def test_utterances_that_do_not_differ_are_an_error():
    with pytest.raises(AcanetError, match="all utterances of a speaker have the same embedding"):
        fit([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [0, 0, 1, 1])


# What it computes


def test_a_fresh_one_keeps_the_first_numbers():
    projected = Discriminant(3, 2)(torch.tensor([[3.0, 0.0, 4.0], [0.0, -2.0, 0.0]]))
    torch.testing.assert_close(projected, torch.tensor([[0.6, 0.0, 0.1], [0.0, -1.0, 0.1]]))


def test_a_projection_by_hand():
    projection = Discriminant.of(torch.tensor([0.0, 0.5]), torch.tensor([[2.0, 1.0]]), 3.0)
    projected = projection(torch.tensor([[6.0, 8.0]]))
    torch.testing.assert_close(projected, torch.tensor([[2 * 0.6 + (0.8 - 0.5), 3.0]]))


@given(arrays(np.float64, (6, 3), elements=st.floats(-1, 1, width=16)))
def test_with_a_large_lift_cosines_rank_pairs_as_distances_do(points):
    lifted = np.concatenate([points, np.full((6, 1), 100.0)], axis=1)
    vectors = lifted / np.linalg.norm(lifted, axis=1, keepdims=True)
    pairs = list(combinations(range(6), 2))
    cosines = np.array([vectors[a] @ vectors[b] for a, b in pairs])
    squares = np.array([((points[a] - points[b]) ** 2).sum() for a, b in pairs])
    np.testing.assert_allclose(cosines, 1 - squares / (2 * 100.0**2), atol=1e-6)  # what is left is of fourth order
    farther = squares[:, None] > squares + 1e-2
    assert (cosines[:, None] < np.broadcast_to(cosines, farther.shape))[farther].all()


def with_random_discriminant(name, directions=5):
    """A small registered model with some projection."""
    model, generator = small(name), torch.Generator().manual_seed(9)
    centre = 0.05 * torch.randn(model.dim, generator=generator)
    matrix = torch.randn(directions, model.dim, generator=generator)
    return model.with_discriminant(Discriminant.of(centre, matrix, 4.0)).eval()


@pytest.mark.parametrize("name", ["acanet-local", "ecapa-512"])
def test_a_model_with_it_keeps_the_contract(name):
    model, utterances = with_random_discriminant(name), waveforms()
    embeddings = embed_waveforms(model, utterances)
    assert (embeddings.shape, model.dim, model.config.head_dim) == ((len(utterances), 6), 6, small(name).dim)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    alone = np.concatenate([embed_waveforms(model, [utterance]) for utterance in utterances])
    np.testing.assert_allclose(embeddings, alone, rtol=0, atol=1e-5)
    assert np.abs(embeddings[1:] - embeddings[:-1]).max(axis=1).min() > 1e-3


def test_what_the_head_gives_stays_as_it_was():
    plain, model = small("acanet-local"), with_random_discriminant("acanet-local")
    features = torch.randn(2, 60, 80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(features), plain(features))
        batch = padded(waveforms())
        assert torch.equal(model.with_discriminant(None).embed(*batch), plain.embed(*batch))
        heads = torch.nn.functional.normalize(plain(*plain.front_end.hear(*batch).inputs))
        projected = torch.cat(
            [(heads - model.discriminant.centre) @ model.discriminant.matrix.T, torch.full((len(heads), 1), 4.0)], dim=1
        )
        want = projected / projected.norm(dim=1, keepdim=True)
        torch.testing.assert_close(model.embed(*batch), want, atol=1e-6, rtol=0)


def test_weights_and_config_carry_it():
    model = with_random_discriminant("acanet-local")
    weights = {name: np.ascontiguousarray(value.numpy()) for name, value in model.state_dict().items()}
    again = load_model("acanet-local", model.config.model_dump(mode="json"), weights)
    np.testing.assert_array_equal(embed_waveforms(again, waveforms()), embed_waveforms(model, waveforms()))


@pytest.mark.parametrize("name", ["acanet", "acanet-local"])
def test_folded_whole_and_in_pieces_it_is_the_same(name):
    model = with_random_discriminant(name)
    folded = fold(model)
    (waveform,) = waveforms([20000])
    want = embed_waveforms(model, [waveform])
    np.testing.assert_allclose(embed_waveforms(folded, [waveform]), want, rtol=0, atol=1e-5)
    with in_pieces(folded, 30) as piecewise:
        piecewise.feed(waveform)
        np.testing.assert_allclose(piecewise.embedding(), want[0], rtol=0, atol=1e-5)


def test_a_model_without_it_is_written_as_ever():
    """Else its fingerprint, which is of what is written, would be another one."""
    config = model_config("acanet-local")
    assert "discriminant" not in config.model_dump(mode="json")
    assert "discriminant" not in config.as_json()
    assert not any("discriminant" in name for name in build_model("acanet-local", config).state_dict())
    assert model_config("acanet-local", {"discriminant": {"directions": 192}}).dim == 193


def test_more_directions_than_numbers_are_refused():
    with pytest.raises(BadConfig, match="directions 193 is more than the 192 numbers that the head gives"):
        model_config("acanet-local", {"discriminant": {"directions": 193}})


# Runs


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    """Two stages and a moving average; crops with changed speeds, noise and babble."""
    return tiny_recipe | {
        "augment": {"speed": 0.5, "noise": 0.5, "babble": {"probability": 0.5, "speakers": [1, 2]}},
        "large_margin": {"steps": 2, "crop_seconds": [0.8, 1.0]},
        "average": {"kind": "ema", "decay": 0.9},
        "dev_every": 2,
        "discriminant": {
            "directions": 2,
            "speeds": [0.9],
            "effects": [{"telephone": 1.0}, {"babble": {"probability": 1.0, "snr_db": [20, 20], "speakers": [2, 2]}}],
        },
    }


def run(recipe, out, text=None, **how):
    return train(Recipe.parse(recipe, "the test's recipe"), out, console=Console(file=text or io.StringIO()), **how)


@pytest.fixture(scope="module")
def told():
    return io.StringIO()


@pytest.fixture(scope="module")
def trained(recipe, told, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "with"
    assert run(recipe, out, told).finished
    return out


@pytest.fixture(scope="module")
def without(recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "without"
    assert run(recipe | {"discriminant": None}, out).finished
    return out


def files(out):
    return {path.name: path.read_bytes() for path in (out / "best").iterdir()}


def test_the_network_is_the_one_that_was_chosen_without_it(trained, without):
    assert (trained / "dev.csv").read_bytes() == (without / "dev.csv").read_bytes()
    plain, projected = (Bundle.load(out).weights() for out in (without, trained))
    assert projected.keys() - plain.keys() == {f"discriminant.{name}" for name in ("centre", "matrix", "lift")}
    for name, value in plain.items():
        np.testing.assert_array_equal(projected[name], value)
    assert (Encoder.load(trained).dim, Encoder.load(without).dim) == (3, 16)
    assert Bundle.load(trained).fingerprint != Bundle.load(without).fingerprint


def test_it_is_learned_from_whole_utterances_in_all_their_forms(trained, without, recipe, voices, monkeypatch):
    """Of the twelve training utterances: as they are, slower as those of other speakers, by telephone and in babble."""
    seen = []

    def embed(model, waveforms):
        seen.extend(waveforms)
        return embed_waveforms(model, waveforms)

    monkeypatch.setattr(finish, "embed_waveforms", embed)
    out = shutil.copytree(without, trained.parent / "again")
    text = (out / "recipe.yaml").read_text("utf-8")
    assert text.count("discriminant: null") == 1
    (out / "recipe.yaml").write_text((trained / "recipe.yaml").read_text("utf-8"), encoding="utf-8")
    run(recipe, out, resume=True)
    assert len(seen) == 12 * 4
    for whole, slow, telephone, babble in zip(*(seen[form::4] for form in range(4)), strict=True):
        assert len(whole) > 1.5 * 16000
        assert len(slow) == pytest.approx(len(whole) / 0.9, abs=2)
        assert power(telephone, 4000, 8000) < 0.01 * power(whole, 4000, 8000)
        np.testing.assert_array_equal(babble.shape, whole.shape)
        assert np.mean((babble - whole) ** 2) == pytest.approx(0.01 * np.mean(whole**2), rel=0.02)
    model = Bundle.load(without)
    embeddings = embed_waveforms(load_model(model.name, model.config.model, model.weights()), seen)
    speakers = np.repeat(range(4), 12) + 4 * np.tile([0, 1, 0, 0], 12)
    want = fit(embeddings, speakers, directions=2, ridge=1.0, lift=3.0)
    weights = Bundle.load(out).weights()
    np.testing.assert_allclose(weights["discriminant.matrix"], want.matrix, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(weights["discriminant.centre"], want.centre, atol=1e-6)
    assert float(weights["discriminant.lift"].squeeze()) == pytest.approx(want.lift, rel=1e-4)
    assert files(out) == files(trained)


def power(waveform, low, high):
    """From `low` to `high` Hz."""
    spectrum = np.abs(np.fft.rfft(waveform)) ** 2
    return spectrum[int(low / 16000 * len(waveform)) : int(high / 16000 * len(waveform))].sum()


@pytest.mark.parametrize("name", ["speed", "spec"])
def test_what_is_no_effect_of_a_recording_is_refused(recipe, name):
    wrong = recipe | {"discriminant": {"effects": [{"babble": 1.0}, {name: 0.5}]}}
    with pytest.raises(BadConfig, match=rf"discriminant: effects\[1\] has {name}, which is not an effect"):
        Recipe.parse(wrong, "the test's recipe")


def dev_eer(out, recipe):
    """Of the model of a run."""
    parsed = Recipe.parse(recipe, "the test's recipe")
    model = Bundle.load(out)
    return DevSet(parsed.dev, parsed.data.cache, 16000, 0).eer(
        load_model(model.name, model.config.model, model.weights())
    )


def test_the_card_and_the_console_tell_the_error_rates(trained, without, told, recipe):
    before, after = dev_eer(without, recipe), dev_eer(trained, recipe)
    assert f"discriminant fitted: dev EER {after:.2%}, {before:.2%} without it" in told.getvalue()
    card = " ".join((trained / "best" / "README.md").read_text("utf-8").split())
    assert f"EER {before:.2%} on `dev.jsonl`, which chose it" in card
    assert "projected onto 2 directions" in card
    assert "12 utterances, also at 0.9 times their speed, with 2 kinds of effects too, of 4 speakers" in card
    assert f"With it the EER on the same list is {after:.2%}." in card
    assert "projected" not in (without / "best" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(recipe, trained, tmp_path, workers):
    run(recipe | {"data": recipe["data"] | {"workers": workers}}, tmp_path / "run")
    assert files(tmp_path / "run")["model.safetensors"] == files(trained)["model.safetensors"]


def test_a_run_resumed_at_its_end_changes_nothing(recipe, trained):
    before = files(trained)
    assert run(recipe, trained, resume=True).finished
    assert files(trained) == before


def test_ctrl_c_in_the_fit_leaves_the_model_without_it_and_resuming_fits_it(
    recipe, trained, without, tmp_path, monkeypatch, capfd
):
    def embed(model, waveforms):
        os.kill(os.getpid(), signal.SIGINT)
        return embed_waveforms(model, waveforms)

    monkeypatch.setattr(finish, "embed_waveforms", embed)
    monkeypatch.setattr(discriminant, "CHUNK", 5)
    outcome = run(recipe, tmp_path / "run")
    assert "stopping after this step" in capfd.readouterr().err
    assert (outcome.finished, outcome.step) == (False, 6)
    assert files(tmp_path / "run")["model.safetensors"] == files(without)["model.safetensors"]
    monkeypatch.undo()
    assert run(recipe, tmp_path / "run", resume=True).finished
    assert files(tmp_path / "run") == files(trained)


def test_a_fit_that_breaks_off_leaves_the_model_without_it(recipe, without, trained, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(finish, "with_discriminant", full)
    with pytest.raises(OSError, match="no space left"):
        run(recipe, tmp_path / "run")
    assert files(tmp_path / "run")["model.safetensors"] == files(without)["model.safetensors"]
    monkeypatch.undo()
    run(recipe, tmp_path / "run", resume=True)
    assert files(tmp_path / "run") == files(trained)


def test_without_a_dev_set_the_last_weights_are_projected(recipe, tmp_path):
    text = io.StringIO()
    run(recipe | {"dev": None, "average": None}, tmp_path / "run", text)
    assert text.getvalue().splitlines()[-1] == "discriminant fitted"
    card = (tmp_path / "run" / "best" / "README.md").read_text("utf-8")
    assert "of 4 speakers.\n" in card
    weights, last = Bundle.load(tmp_path / "run").weights(), load_state(tmp_path / "run" / "last.pt").model
    np.testing.assert_array_equal(weights["head.norm.running_var"], last["head.norm.running_var"].numpy())


def test_a_start_from_a_model_with_it_takes_its_network(recipe, trained, tmp_path):
    start = Bundle.load(trained)
    text = io.StringIO()
    still = {"rate": 1e-12, "final_rate": 0.0, "warm_up": 0.0, "weight_decay": 0.0}
    plain = {key: value for key, value in recipe.items() if key not in ("large_margin", "average", "discriminant")}
    outcome = run(plain | {"steps": 1, "optimizer": still}, tmp_path / "run", text, init=start)
    assert outcome.before == pytest.approx(dev_eer(trained, recipe))
    before, after = start.weights(), Bundle.load(tmp_path / "run").weights()
    assert before.keys() - after.keys() == {f"discriminant.{name}" for name in ("centre", "matrix", "lift")}
    np.testing.assert_allclose(after["head.readout"], before["head.readout"], atol=1e-9)


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        (
            {"discriminant": {"directions": 4}},
            AcanetError,
            "discriminant.directions is 4; from 1 to 3 are possible",
        ),
        ({"discriminant": {"direction": 4}}, BadConfig, "did you mean 'directions'"),
        ({"discriminant": {"ridge": 0}}, BadConfig, "ridge: .* greater than 0"),
        (
            {"model": {"name": "acanet-local", "change": TINY_MODEL | {"discriminant": {"directions": 2}}}},
            BadConfig,
            "model.change.discriminant: it is fitted after training",
        ),
        ({"model": {"name": "tiny"}}, BadConfig, "model 'tiny' is not frames, aggregator and head"),
    ],
)
def test_what_cannot_be_fitted_is_refused_before_training(recipe, tmp_path, monkeypatch, change, error, named):
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    register_model("tiny", ModelConfig(), Tiny)
    with pytest.raises(error, match=named):
        run(recipe | change, tmp_path / "run")
    assert not (tmp_path / "run").exists()


# The command line


def test_train_from_the_command_line(tiny_recipe, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(tiny_recipe), encoding="utf-8")
    arguments = ("train", recipe, "--out", tmp_path / "run", "--set", "discriminant.directions=3")
    answer = acanet(*arguments)
    assert answer.code == 0
    assert "discriminant fitted: dev EER" in answer.err
    assert Encoder.load(tmp_path / "run").dim == 4
    assert acanet(*arguments, "--resume").code == 0


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """Ten voices that no run has heard, with all pairs of their recordings as trials."""
    folder = write_corpus(tmp_path_factory.mktemp("strangers") / "voices", 10, 2, seconds=(2.0, 3.0), first=6)
    names = [path.relative_to(folder) for path in sorted(folder.glob("*/*.wav"))]
    lines = [f"{int(a.parent == b.parent)} {a} {b}\n" for a, b in combinations(names, 2)]
    (folder / "all.trials").write_text("".join(lines), encoding="utf-8")
    return folder


def test_verify(trained, strangers):
    one, other = sorted(strangers.glob("*/*.wav"))[::15]
    answer = acanet("verify", one, one, "--model", trained, "--threshold", "0.9999")
    assert (answer.code, answer.out.startswith("score 1.0000")) == (0, True)
    encoder = Encoder.load(trained)
    score = float(encoder.embed(one) @ encoder.embed(other))
    for threshold, code in ((score - 1e-4, 0), (score + 1e-4, 1)):
        assert acanet("verify", one, other, "--model", trained, "--threshold", threshold).code == code


def test_evaluate_and_calibrate(trained, strangers, tmp_path):
    files, encoder = sorted(strangers.glob("*/*.wav")), Encoder.load(trained)
    pairs = list(combinations(range(len(files)), 2))
    scores = cosine(np.stack([encoder.embed(file) for file in files]), *np.array(pairs).T)
    rate = eer(scores, np.array([files[a].parent == files[b].parent for a, b in pairs]))
    how = (strangers / "all.trials", "--audio-root", strangers)
    evaluated = acanet("evaluate", trained, *how, "--expect", f"eer<={rate + 1e-6}", "--expect", f"eer>={rate - 1e-6}")
    assert evaluated.code == 0, evaluated.out + evaluated.err
    calibrated = acanet("calibrate", trained, *how, "-o", tmp_path / "calibrated", "--far", "0.2")
    assert calibrated.code == 0, calibrated.err
    ratio = Bundle.load(tmp_path / "calibrated").calibration.ratio
    assert ratio.llr(scores.min(), 1.0, 1.0) < ratio.llr(1.0, 1.0, 1.0)


def test_plda(trained, recipe, tmp_path):
    answer = acanet("plda", trained, recipe["data"]["train"][0], "-o", tmp_path / "plda.npz")
    assert answer.code == 0, answer.err
    plda = Plda.load(tmp_path / "plda.npz", Bundle.load(trained).fingerprint)
    assert plda.centre.shape == (3,)


def test_the_last_graph_projects(tmp_path):
    """Of those that embed a recording in pieces; as onnxruntime runs it."""
    stage = stages(fold(with_random_discriminant("acanet-local")))["readout"]
    for name, content in graph_files({"readout": stage}, {}).items():
        (tmp_path / name).write_bytes(content)
    (found,) = onnxruntime.InferenceSession(tmp_path / "readout.onnx").run(
        None, {"latents": stage.inputs["latents"].numpy()}
    )
    with torch.no_grad():
        np.testing.assert_allclose(found, stage.module(**stage.inputs).numpy(), rtol=0, atol=1e-6)
    assert found.shape == (1, 6)


@pytest.mark.slow
def test_an_export_gives_the_same_embeddings(trained, voices, tmp_path):
    answer = acanet("export", trained, "-o", tmp_path / "bundle")
    assert answer.code == 0, answer.err
    original, light = Encoder.load(trained), Encoder.load(tmp_path / "bundle")
    assert (light.dim, light.fingerprint) == (3, original.fingerprint)
    path = voices / "s004" / "000.wav"
    np.testing.assert_allclose(light.embed(path), original.embed(path), rtol=0, atol=1e-5)
    network = OnnxNetwork(Bundle.load(tmp_path / "bundle"))
    (waveform,) = waveforms([30000])
    with network.in_pieces(piece=40) as piecewise:
        piecewise.feed(waveform)
        found = piecewise.embedding()
    np.testing.assert_allclose(found, network.embed_waveforms([waveform])[0], rtol=0, atol=1e-5)
    assert acanet("check", tmp_path / "bundle").code == 0
    assert acanet("verify", path, path, "--model", tmp_path / "bundle", "--threshold", "0.9999").code == 0
