"""Parts of somebody's own get everything that acanet's have; a part that leaves a question open gets nothing."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Literal

import numpy as np
import pytest
import torch
import yaml

from acanet.errors import AcanetError, BadConfig, BadRegistration
from acanet.export.export import export_model
from acanet.export.stages import Whole
from acanet.models import installed
from acanet.models.base import (
    AGGREGATORS,
    FRAMES,
    FRONT_ENDS,
    HEADS,
    AggregatorConfig,
    FramesConfig,
    FrontEndPart,
    HeadConfig,
)
from acanet.models.config import ExtractorConfig
from acanet.models.extractor import Extractor
from acanet.models.folding import fold
from acanet.models.inference import embed_waveforms
from acanet.models.parts.mean import Mean, MeanPooling
from acanet.models.parts.pointwise import PointwiseFrames
from acanet.models.registry import build_model, model_config
from acanet.runtime.bundle import BundleConfig, Provenance, write_bundle
from acanet.runtime.front_end import FrontEndConfig
from acanet.runtime.onnx import OnnxNetwork
from support.networks import in_pieces, padded, shaken, waveforms
from support.packages import acanet, install
from support.paths import ROOT

SUPPORT = ROOT / "tests" / "support"


def registered(name):
    """A module of `support` that registers a part when it is imported, for one test."""
    before = installed.known()
    yield importlib.import_module(f"support.{name}")
    del sys.modules[f"support.{name}"]
    installed.restore(before)


@pytest.fixture
def memory():
    yield from registered("own_frames")


@pytest.fixture
def cosine():
    yield from registered("own_front_end")


LINEAR = {"kind": "linear", "dim": 12, "norm": "none"}
BRANCHES = {
    "frames": {"kind": "memory"},
    "aggregator": {"kind": "aca-statistics", "latents": 4, "aca_heads": 3, "keys": 8, "heads": 4, "latent_layers": 0},
    "head": LINEAR,
    "branches": 2,
    "discriminant": {"directions": 5},
}
MLA = {
    "frames": {"kind": "memory", "channels": 16, "layers": 3},
    "aggregator": {"kind": "mla", "latents": 6, "heads": 4, "aca_mlp": 12, "latent_mlp": 12},
    "head": {"kind": "own-readout", "dim": 12},
}
SYSTEMS = {
    "second-order, branches, discriminant": BRANCHES,
    "mla": MLA,
    "its own front end too": BRANCHES | {"front_end": {"kind": "cosine", "mels": 30, "root": 3.0}},
}


def model_of(config):
    torch.manual_seed(0)
    return shaken(Extractor(ExtractorConfig.parse(config, "somebody's")))


# Somebody's own


@pytest.mark.usefixtures("memory", "cosine")
@pytest.mark.parametrize("config", SYSTEMS.values(), ids=SYSTEMS)
def test_it_is_exact_when_padded_and_folded(config):
    model, utterances = model_of(config), waveforms()
    assert model.exact_when_padded
    alone = np.concatenate([embed_waveforms(model, [utterance]) for utterance in utterances])
    assert alone.shape == (len(utterances), model.dim)
    assert model.dim == (6 if "discriminant" in config else 12)
    np.testing.assert_allclose(embed_waveforms(model, utterances), alone, rtol=0, atol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(fold(model).embed(*padded(utterances)).numpy(), alone, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("memory", "cosine")
@pytest.mark.parametrize("config", SYSTEMS.values(), ids=SYSTEMS)
@pytest.mark.parametrize("size", [4, 30, 1000])
def test_its_pieces_give_the_whole(config, size):
    model = fold(model_of(config))
    (waveform,) = waveforms([20000])
    with in_pieces(model, size) as piecewise:
        piecewise.feed(waveform)
        found = piecewise.embedding()
    with torch.no_grad():
        whole = Whole(model)(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
    np.testing.assert_allclose(found, whole[0].numpy(), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("memory", "cosine")
@pytest.mark.parametrize("name", ["second-order, branches, discriminant", "its own front end too"])
def test_it_is_exported(name, tmp_path):
    model = model_of(SYSTEMS[name])
    config = BundleConfig(name="acanet2", model=model.config.model_dump(mode="json"), licence="none")
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    write_bundle(tmp_path / "torch", config, weights, Provenance(), "# Somebody's\n")
    exported = export_model(tmp_path / "torch", tmp_path / "onnx")
    assert max(exported.alone, exported.padded) < 1e-4
    network, (waveform,) = OnnxNetwork(exported.bundle), waveforms([30000])
    with network.in_pieces(piece=20) as piecewise:
        piecewise.feed(waveform)
        found = piecewise.embedding()
    np.testing.assert_allclose(found, network.embed_waveforms([waveform])[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found, embed_waveforms(model, [waveform])[0], rtol=0, atol=1e-4)


@pytest.mark.usefixtures("memory")
def test_its_config_is_as_strict_as_the_others():
    for frames, heads, problem in (
        ({"kind": "memory", "chanels": 3}, 3, "frames.memory: unknown key 'chanels', did you mean 'channels'?"),
        ({"kind": "memorie"}, 3, "frames: unknown kind 'memorie', did you mean 'memory'?"),
        ({"kind": "memory", "channels": 25}, 3, "25 channels of frames do not divide into 4 heads"),
        ({"kind": "memory", "channels": 20}, 4, "10 channels of a branch do not divide into 4 aca_heads"),
    ):
        config = BRANCHES | {"frames": frames, "aggregator": BRANCHES["aggregator"] | {"aca_heads": heads}}
        with pytest.raises(BadConfig) as caught:
            ExtractorConfig.parse(config, "test")
        assert caught.value.problems == [problem]


@pytest.mark.usefixtures("cosine")
def test_the_run_time_reads_its_front_end_without_knowing_it():
    config = model_config("acanet2", {"front_end": {"kind": "cosine", "mels": 30, "hop_ms": 5.0, "root": 3.0}})
    told = FrontEndConfig.of_bundle(json.loads(config.as_json())["front_end"], "config.json")
    assert (told.kind, told.rate, told.window, told.hop, told.mels) == ("cosine", 16000, 400, 80, 30)
    with pytest.raises(BadConfig, match="front_end: unknown key 'rot', did you mean 'root'"):
        model_config("acanet2", {"front_end": {"kind": "cosine", "rot": 3.0}})
    with pytest.raises(BadConfig, match="front_end: unknown key 'root'"):
        model_config("acanet2", {"front_end": {"root": 3.0}})


def test_an_unknown_front_end_gets_the_nearest():
    with pytest.raises(BadConfig, match="front_end: unknown kind 'kaldy', did you mean 'kaldi'"):
        model_config("acanet2", {"front_end": {"kind": "kaldy"}})


# Answers


LOCAL = {
    "pointwise": {},
    "convolution": {"channels": 16, "hidden": 16},
    "spectral": {"channels": 16, "hidden": 16, "stages": [{"channels": 4, "stride": 2}, {"channels": 4, "stride": 3}]},
    "tdnn": {"channels": 16, "out_channels": 8},
    "memory": {},
}


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("kind", LOCAL)
def test_a_frame_sees_what_its_part_answers(kind):
    config = FRAMES.validated({"kind": kind, **LOCAL[kind]})
    torch.manual_seed(0)
    frames = shaken(config.build(20, 1))
    around, stride = config.receptive_field
    features = torch.randn(1, 80 * stride, 20).requires_grad_()
    found, _ = frames(features, None)
    assert found.shape == (1, 80, config.channels_out)
    found[0, 40].square().sum().backward()
    seen = features.grad[0].abs().sum(dim=1).nonzero().flatten().tolist()
    assert (seen[0], seen[-1]) == (40 * stride - around, 40 * stride + around)


@pytest.mark.usefixtures("memory")
def test_every_part_is_local_or_is_known_to_be_global():
    local = {kind for kind in FRAMES if FRAMES.validated({"kind": kind}).receptive_field is not None}
    assert local == set(LOCAL)
    assert set(FRAMES) - local == {"ecapa", "campplus", "redimnet2"}


def one(_self, *_):
    return 1


COMPLETE = {
    FrontEndPart: (FRONT_ENDS, {"local": True, "exact_when_padded": True, "build": one}),
    FramesConfig: (
        FRAMES,
        {
            "channels_out": property(one),
            "receptive_field": property(one),
            "exact_when_padded": True,
            "division": None,
            "build": one,
        },
    ),
    AggregatorConfig: (
        AGGREGATORS,
        {
            "latents_out": property(one),
            "features_out": one,
            "passes": property(one),
            "exact_when_padded": True,
            "division": None,
            "build": one,
        },
    ),
    HeadConfig: (HEADS, {"takes_vectors": True, "division": None, "dimensions": one, "build": one}),
}


def part(base, answers, kind="mine"):
    """A config class with these answers."""
    body = {"__module__": __name__, "__qualname__": "Mine", "__annotations__": {"kind": Literal[kind]}, "kind": kind}
    return type(base)("Mine", (base,), body | answers)


@pytest.mark.usefixtures("own_registry")
@pytest.mark.parametrize(
    ("base", "left_out"), [(base, answer) for base, (_, answers) in COMPLETE.items() for answer in answers]
)
def test_a_part_that_leaves_an_answer_out_is_refused(base, left_out):
    kinds, answers = COMPLETE[base]
    incomplete = part(base, {name: answer for name, answer in answers.items() if name != left_out})
    with pytest.raises(BadRegistration) as caught:
        kinds.register(incomplete)
    assert f"'mine': {__name__}.Mine does not answer {left_out} (" in str(caught.value)
    assert base.ANSWERS[left_out] in str(caught.value)
    assert "mine" not in set(kinds)
    kinds.register(part(base, answers))
    assert "mine" in set(kinds)


def test_all_questions_are_asked():
    for base, (_, answers) in COMPLETE.items():
        assert set(base.ANSWERS) == set(answers)


@pytest.mark.usefixtures("own_registry")
def test_what_cannot_be_registered():
    answers = COMPLETE[FramesConfig][1]
    with pytest.raises(BadRegistration, match=r"frames of kind 'pointwise' are registered already"):
        FRAMES.register(part(FramesConfig, answers, "pointwise"))
    with pytest.raises(BadRegistration, match=r"derive it from HeadConfig"):
        HEADS.register(part(FramesConfig, answers))
    nameless = type(FramesConfig)("Mine", (FramesConfig,), {"__module__": __name__, **answers})
    with pytest.raises(BadRegistration, match=r"needs a kind"):
        FRAMES.register(nameless)


@pytest.mark.usefixtures("own_registry")
def test_a_part_that_nobody_registered_is_no_part():
    frames = part(FramesConfig, COMPLETE[FramesConfig][1])()
    with pytest.raises(ValueError, match="'mine'"):
        ExtractorConfig(frames=frames, aggregator=MeanPooling(), head={"kind": "linear"})


@pytest.mark.usefixtures("own_registry")
def test_passes_that_are_not_there_are_refused():
    """Said to run in pieces, built as something that cannot."""
    answers = COMPLETE[AggregatorConfig][1] | {"build": lambda *_: Mean(), "latents_out": property(lambda _: None)}
    kind = AGGREGATORS.register(part(AggregatorConfig, answers))
    config = ExtractorConfig(frames=PointwiseFrames(), aggregator=kind(), head={"kind": "linear"})
    with pytest.raises(BadRegistration, match="'mine' answers passes 1, and what it builds has None"):
        Extractor(config)


# Parts that installed packages bring


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    source = (SUPPORT / "own_front_end.py").read_text(encoding="utf-8")
    return install(tmp_path_factory.mktemp("packages"), "cosines", source, parts="cosine = cosines")


@pytest.mark.slow
def test_the_command_line_trains_with_an_installed_part_and_embeds(package, tmp_path, tiny_recipe, voices):
    model = {"name": "acanet-mean", "change": {"front_end": {"kind": "cosine", "mels": 20, "root": 3.0}}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tiny_recipe | {"model": model, "steps": 1}), encoding="utf-8")
    done = acanet(package, "train", tmp_path / "recipe.yaml", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    recording, output = voices / "s004" / "000.wav", tmp_path / "embeddings.npz"
    done = acanet(package, "embed", recording, "-o", output, "--model", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    without = acanet(tmp_path, "embed", recording, "-o", output, "--force", "--model", tmp_path / "run")
    assert without.returncode == 2
    assert "front_end: unknown kind 'cosine'" in without.stderr


@pytest.mark.usefixtures("own_registry")
def test_a_package_of_parts_that_cannot_be_imported_is_named(tmp_path, monkeypatch):
    source = (SUPPORT / "own_frames.py").read_text(encoding="utf-8") + "\n1 / 0\n"
    monkeypatch.syspath_prepend(install(tmp_path, "broken_memory", source, parts="memory = broken_memory"))
    for _ in range(2):  # trying again says the same
        installed.import_installed.cache_clear()
        with pytest.raises(AcanetError) as caught:
            model_config("acanet2", {"frames": {"kind": "memory"}})
        assert "package broken_memory brings parts (entry point acanet.parts: memory = broken_memory)" in str(
            caught.value
        )
        assert "ZeroDivisionError" in str(caught.value)
    assert build_model("acanet-mean").dim == 192  # what acanet brings does not wait for it
