"""Model configs: strict, and helpful about what is wrong."""

from __future__ import annotations

import json

import pytest

from acanet.errors import BadConfig
from acanet.models.config import ExtractorConfig
from acanet.models.parts.ecapa import EcapaFrames
from acanet.models.parts.mean import MeanPooling
from acanet.models.parts.mla import MlaAggregator
from acanet.models.parts.own_readout import OwnReadout
from acanet.models.parts.pointwise import PointwiseFrames
from acanet.models.parts.shared_readout import SharedReadout
from acanet.models.registry import model_config, model_names
from acanet.runtime.front_end import FrontEndConfig
from support.configs import changed, problem

ACANET = {"frames": {"kind": "pointwise"}, "aggregator": {"kind": "mla"}, "head": {"kind": "shared-readout"}}


@pytest.mark.parametrize("name", model_names())
def test_registered_configs_survive_json(name):
    config = model_config(name)
    assert type(config).parse(json.loads(config.as_json()), "test") == config


def test_defaults_are_the_papers():
    config = ExtractorConfig.parse(ACANET, "test")
    assert config == model_config("acanet")
    assert (config.front_end.window, config.front_end.hop) == (400, 160)
    assert config.frames_channels == 256
    assert (FrontEndConfig(rate=8000).window, FrontEndConfig(rate=8000).hop) == (200, 80)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("front_ends", "unknown key 'front_ends', did you mean 'front_end'?"),
        ("front_end.melz", "front_end: unknown key 'melz', did you mean 'mels'?"),
        ("frames.chanels", "frames.pointwise: unknown key 'chanels', did you mean 'channels'?"),
        ("aggregator.latent", "aggregator.mla: unknown key 'latent', did you mean 'latents'?"),
        ("aggregator.zzz", "aggregator.mla: unknown key 'zzz'; known are kind, latents, blocks"),
    ],
)
def test_an_unknown_key_gets_the_nearest(path, message):
    assert problem(ExtractorConfig.parse, changed(ACANET, path, 1), "test").startswith(message)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("front_end.mels", 0, "front_end.mels"),
        ("front_end.low_hz", float("nan"), "front_end.low_hz"),
        ("frames.channels", "many", "frames.pointwise.channels"),
        ("frames.channels", 2.5, "frames.pointwise.channels"),
        ("frames.kind", "pointwize", "frames"),
        ("aggregator.dropout", 1.0, "aggregator.mla.dropout"),
        ("aggregator.positions", "second", "aggregator.mla.positions"),
        ("head", None, "head"),
    ],
)
def test_a_wrong_value_is_named(path, value, where):
    assert problem(ExtractorConfig.parse, changed(ACANET, path, value), "test").startswith(f"{where}: ")


def test_every_wrong_value_is_named_at_once():
    data = changed(changed(ACANET, "front_end.mels", 0), "aggregator.dropout", 2)
    with pytest.raises(BadConfig, match=r"model\.json") as caught:
        ExtractorConfig.parse(data, "model.json")
    assert [line.split(":")[0] for line in caught.value.problems] == ["front_end.mels", "aggregator.mla.dropout"]


def test_not_a_mapping():
    assert "dictionary" in problem(ExtractorConfig.parse, ["frames"], "test")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((PointwiseFrames(), MeanPooling(), OwnReadout()), "aggregator 'mean' needs head 'linear', not 'own-readout'"),
        ((PointwiseFrames(channels=100), MlaAggregator(), SharedReadout()), "100 channels .* into 8 heads"),
        ((PointwiseFrames(), MlaAggregator(latents=50), OwnReadout(dim=192)), "192 is not a multiple of 50"),
    ],
)
def test_parts_have_to_fit(parts, message):
    frames, aggregator, head = (part.model_dump() for part in parts)
    with pytest.raises(BadConfig, match=message):
        ExtractorConfig.parse({"frames": frames, "aggregator": aggregator, "head": head}, "test")


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ({"kind": "convolution", "kernel": 4}, "must be odd"),
        ({"kind": "convolution", "stem_kernel": 2}, "must be odd"),
        ({"kind": "ecapa", "kernels": [5, 3]}, "2 kernels but 4 dilations"),
        ({"kind": "ecapa", "channels": 100}, "100 is not a multiple of res2net_scale 8"),
    ],
)
def test_frames_that_cannot_be_built(frames, message):
    assert message in problem(ExtractorConfig.parse, ACANET | {"frames": frames}, "test")


def test_channels_of_ecapas_frames_are_those_that_come_out():
    frames = EcapaFrames(channels=512, out_channels=256)
    assert ExtractorConfig(frames=frames, aggregator=MlaAggregator(), head=SharedReadout()).frames_channels == 256


def test_configs_are_frozen_and_hashable():
    config = model_config("acanet")
    with pytest.raises(ValueError, match="frozen"):
        config.front_end = FrontEndConfig(rate=8000)
    assert len({config, model_config("acanet"), model_config("acanet-local")}) == 2
