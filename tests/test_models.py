"""The contract that every registered model meets, and what is special about each."""

from __future__ import annotations

import functools
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from acanet.config import (
    AcaStatisticsAggregator,
    AttentiveStatisticsPooling,
    ConvolutionFrames,
    EcapaFrames,
    ExtractorConfig,
    LinearHead,
    MlaAggregator,
    ModelConfig,
    OwnReadout,
    PointwiseFrames,
)
from acanet.errors import BadConfig, UnknownModel
from acanet.models import registry
from acanet.models.extractor import Extractor
from acanet.models.frontend import FrontEnd
from acanet.models.inference import embed_waveforms
from acanet.models.latents import AcaLayer, LatentLayer, sinusoids
from acanet.models.registry import build_model, model_config, model_names, model_size, register_model

MODELS = model_names()
LENGTHS = (16000, 4567, 9999, 1040, 12345)

SMALL_PARTS = {
    PointwiseFrames: {"channels": 32},
    ConvolutionFrames: {"channels": 32, "hidden": 48},
    EcapaFrames: {"channels": 32, "out_channels": 32, "se_channels": 16},
    MlaAggregator: {"latents": 12, "heads": 4, "aca_mlp": 40, "latent_mlp": 24},
    AcaStatisticsAggregator: {"latents": 8, "heads": 4, "mlp": 24},
    AttentiveStatisticsPooling: {"channels": 16},
    LinearHead: {"dim": 16},
    OwnReadout: {"dim": 16},
}


def small(name, **changes):
    """A registered model with few channels, and weights and statistics of which none is zero or one."""
    config = model_config(name)
    parts = {part: SMALL_PARTS.get(type(getattr(config, part)), {}) for part in ("frames", "aggregator", "head")}
    for part, values in changes.items():
        parts[part] = parts[part] | values
    torch.manual_seed(0)
    return shaken(build_model(name, model_config(name, parts)))


def shaken(model, seed=0):
    """Moves every parameter and batch-norm statistic away from its starting value."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(generator=generator)
                module.running_var.uniform_(0.5, 2.0, generator=generator)
    return model.eval()


def waveforms(lengths=LENGTHS, seed=1):
    rng = np.random.default_rng(seed)
    return [(0.1 * rng.standard_normal(length)).astype(np.float32) for length in lengths]


def padded(utterances):
    rows = [torch.from_numpy(utterance) for utterance in utterances]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])


def features(batch=2, frames=60, mels=80, seed=2):
    return torch.randn(batch, frames, mels, generator=torch.Generator().manual_seed(seed))


def embedded(model, x, lengths=None):
    with torch.no_grad():
        return nn.functional.normalize(model(x, lengths))


# Every model


@pytest.mark.parametrize("name", MODELS)
def test_one_utterance_gives_a_unit_vector(name):
    model = small(name)
    with torch.no_grad():
        embedding = model.embed(torch.from_numpy(waveforms()[0]).unsqueeze(0))
    assert embedding.shape == (1, model.dim)
    assert embedding.dtype == torch.float32
    assert embedding.norm().item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_an_utterance_alone_equals_itself_among_others(name):
    model, utterances = small(name), waveforms()
    alone = torch.cat([torch.from_numpy(embed_waveforms(model, [utterance])) for utterance in utterances])
    together = torch.from_numpy(embed_waveforms(model, utterances))
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert (alone[1:] - alone[:-1]).abs().amax(dim=1).min() > 1e-3  # the utterances do differ


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("ecapa")])
def test_padding_and_neighbours_do_not_matter(name):
    model, utterances = small(name), waveforms()
    with torch.no_grad():
        alone = torch.cat([model.embed(torch.from_numpy(utterance).unsqueeze(0)) for utterance in utterances])
        together = model.embed(*padded(utterances))
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
        reversed_batch = model.embed(*padded(utterances[::-1])).flip(0)
        torch.testing.assert_close(reversed_batch, alone, atol=1e-5, rtol=0)
        batch, lengths = padded(utterances)
        longer = model.embed(nn.functional.pad(batch, (0, 5000)), lengths)
        torch.testing.assert_close(longer, alone, atol=1e-5, rtol=0)


def test_only_ecapas_frames_are_inexact_when_padded():
    inexact = {name for name in MODELS if not small(name).exact_when_padded}
    assert inexact == {name for name in MODELS if name.startswith("ecapa")}


@pytest.mark.parametrize("name", MODELS)
def test_evaluation_draws_nothing(name):
    model, x = small(name), features()
    torch.manual_seed(0)
    first = embedded(model, x)
    torch.manual_seed(1)
    assert torch.equal(embedded(model, x), first)


@pytest.mark.parametrize("name", ["acanet", "acanet-local", "ecapa-512-aca"])
def test_training_drops_out(name):
    model, x = small(name).train(), features(batch=4)
    torch.manual_seed(0)
    first = model(x)
    torch.manual_seed(0)
    assert torch.equal(model(x), first)
    assert not torch.equal(model(x), first)


@pytest.mark.parametrize("name", MODELS)
def test_config_survives_json_and_rebuilds_the_architecture(name):
    model = small(name)
    read = type(model.config).parse(json.loads(model.config.as_json()), "test")
    assert read == model.config
    again = build_model(name, read)
    again.load_state_dict(model.state_dict())
    assert torch.equal(embedded(again.eval(), features()), embedded(model, features()))


# Frame order


def acanet_with_statistics():
    torch.manual_seed(0)
    frames, aggregator, head = (
        kind(**SMALL_PARTS[kind]) for kind in (PointwiseFrames, AcaStatisticsAggregator, OwnReadout)
    )
    return shaken(Extractor(ExtractorConfig(frames=frames, aggregator=aggregator, head=head)))


ORDERLESS = {
    "acanet, no positions": lambda: small("acanet", aggregator={"positions": "none"}),
    "acanet, first position everywhere": lambda: small("acanet", aggregator={"positions": "first"}),
    "pointwise frames, aca-statistics": acanet_with_statistics,
    "acanet-mean": lambda: small("acanet-mean"),
    "acanet-statistics": lambda: small("acanet-statistics"),
    "acanet-attentive": lambda: small("acanet-attentive"),
}
ORDERED = ("acanet", "acanet-local", "acanet-local-attentive", "ecapa-512", "ecapa-1024", "ecapa-512-aca")


@pytest.mark.parametrize("build", ORDERLESS.values(), ids=ORDERLESS)
def test_frame_order_does_not_matter_without_positions(build):
    model, x = build(), features()
    shuffled = x[:, torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(3))]
    torch.testing.assert_close(embedded(model, shuffled), embedded(model, x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ORDERED)
def test_frame_order_matters(name):
    model, x = small(name), features()
    assert (embedded(model, x.flip(1)) - embedded(model, x)).abs().max() > 1e-3


def test_every_model_is_ordered_or_not():
    assert set(MODELS) == set(ORDERED) | {name for name in ORDERLESS if name in MODELS}


def test_position_code_by_hand():
    code = sinusoids(3, 4)
    assert code[0].tolist() == [0.0, 1.0, 0.0, 1.0]
    expected = torch.tensor([math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)])
    torch.testing.assert_close(code[2], expected)


# Gradients

KEY_BIASES_OF_MLA = {  # a constant added to every score cancels in the softmax
    f"aggregator.blocks.{block}.{layer}.key.bias"
    for block in (0, 1)
    for layer in ("aca.0", "aca.1", "transformer.0", "transformer.1", "transformer.2")
}
READOUT = {"head.readout.bias"}  # straight before a batch norm
POOLED_NORM = {"frames.norm.weight", "frames.norm.bias"}  # undone by the head's batch norm
LAST_BLOCK = {"frames.blocks.3.project.bias"}  # straight before a batch norm
ATTENTION_BIAS = {"aggregator.expand.bias"}  # a constant along time, in a softmax over time
STATES_NORM = {"aggregator.norm_states.bias"}  # read out linearly, straight before the head's batch norm
CANCELLED = {
    "acanet": KEY_BIASES_OF_MLA | READOUT,
    "acanet-local": LAST_BLOCK | {"aggregator.transformer.0.key.bias"} | STATES_NORM,
    "ecapa-512": ATTENTION_BIAS,
    "ecapa-1024": ATTENTION_BIAS,
    "acanet-mean": POOLED_NORM,
    "acanet-statistics": POOLED_NORM,
    "acanet-attentive": ATTENTION_BIAS,
    "acanet-local-attentive": LAST_BLOCK | ATTENTION_BIAS,
    "ecapa-512-aca": KEY_BIASES_OF_MLA | READOUT,
}


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_learns_unless_its_effect_cancels(name):
    model = small(name).train().double()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eps = 1e-30  # what batch norm undoes, it then undoes exactly
    torch.manual_seed(4)
    output = model(features(batch=8).double())
    (output * torch.randn_like(output)).sum().backward()
    largest = {
        key: 0.0 if parameter.grad is None else parameter.grad.abs().max().item()
        for key, parameter in model.named_parameters()
    }
    assert all(math.isfinite(value) for value in largest.values())
    typical = float(np.median(list(largest.values())))
    assert {key for key, value in largest.items() if value < 1e-9 * typical} == CANCELLED[name]


# Sizes

size_of = functools.cache(model_size)


@pytest.mark.parametrize(
    ("name", "parameters"), [("acanet", 4_553_601), ("ecapa-512", 6_194_048), ("ecapa-1024", 20_767_552)]
)
def test_parameter_counts(name, parameters):
    assert size_of(name).parameters == parameters


@pytest.mark.parametrize("name", MODELS)
def test_longer_recordings_cost_more(name):
    size = size_of(name)
    assert 0 < size.macs_3s < size.macs_60s < 5998 / 298 * size.macs_3s * 1.01


def test_multiply_adds_by_hand():
    size = size_of("acanet-mean")
    assert size.macs_3s == 298 * 80 * 256 + 256 * 192
    assert size.macs_60s == 5998 * 80 * 256 + 256 * 192


@pytest.mark.parametrize(("frames", "field"), [(298, "macs_3s"), (5998, "macs_60s")])
def test_multiply_adds_of_the_paper_by_hand(frames, field):
    square, latents = 256 * 256, 192
    aca = 2 * 256 * square + 2 * latents * square + 2 * latents * 256 * frames  # folding, query and output, attention
    latent = 4 * latents * square + 2 * latents * latents * 256  # projections, attention
    mlp = 2 * latents * square
    block = 2 * (aca + mlp) + 3 * (latent + mlp) + latents * 4 * square
    by_hand = frames * 80 * 256 + 2 * block + latents * 256
    assert getattr(size_of("acanet"), field) == pytest.approx(by_hand, rel=1e-3)  # but for products with one vector


# The registry


class TinyConfig(ModelConfig):
    dim: int = 3


class Tiny(nn.Module):
    """A user's own architecture: a linear layer over the mean of the features."""

    exact_when_padded = True

    def __init__(self, config):
        super().__init__()
        self.config, self.dim = config, config.dim
        self.front_end = FrontEnd(config.front_end)
        self.linear = nn.Linear(config.front_end.mels, config.dim)

    def forward(self, x, lengths=None):
        frames = x.shape[1] if lengths is None else lengths.unsqueeze(1)
        return self.linear(x.abs().sum(dim=1) / frames)

    def embed(self, batch, lengths=None):
        return nn.functional.normalize(self(*self.front_end(batch, lengths)))


@pytest.fixture
def own_registry(monkeypatch):
    """Names registered in a test do not outlive it."""
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))


@pytest.mark.usefixtures("own_registry")
def test_a_model_of_your_own():
    register_model("tiny", TinyConfig(), Tiny)
    assert model_names() == [*MODELS, "tiny"]
    config = model_config("tiny", {"dim": 5, "front_end": {"mels": 20}})
    assert config == TinyConfig(dim=5, front_end=config.front_end)
    model = build_model("tiny", config).eval()
    embeddings = embed_waveforms(model, waveforms())
    assert embeddings.shape == (len(LENGTHS), 5)
    np.testing.assert_allclose(embed_waveforms(model, waveforms()[1:2]), embeddings[1:2], atol=1e-5)
    size = model_size("tiny")
    assert (size.parameters, size.macs_3s) == (80 * 3 + 3, 80 * 3)
    with pytest.raises(BadConfig, match="did you mean 'dim'"):
        model_config("tiny", {"dimm": 5})


@pytest.mark.usefixtures("own_registry")
def test_a_taken_name_is_refused():
    with pytest.raises(ValueError, match="'acanet' is registered already"):
        register_model("acanet", TinyConfig(), Tiny)
    assert isinstance(build_model("acanet-mean"), Extractor)


def test_an_unknown_name_gets_the_nearest():
    for function in (model_config, build_model, model_size):
        with pytest.raises(UnknownModel, match="did you mean 'acanet-local'") as caught:
            function("acanet-locl")
        assert caught.value.near == "acanet-local"
    with pytest.raises(UnknownModel, match="unknown model 'zzz'; `acanet models`"):
        build_model("zzz")


def test_changes_keep_what_they_do_not_name():
    config = model_config("acanet", {"aggregator": {"positions": "none"}})
    assert config.aggregator == MlaAggregator(positions="none")
    assert config.frames == model_config("acanet").frames


def test_changing_the_kind_of_a_part_replaces_it_whole():
    changes = {"aggregator": {"kind": "attentive-statistics", "channels": 7}, "head": {"kind": "linear"}}
    config = model_config("acanet", changes)
    assert config.aggregator == AttentiveStatisticsPooling(channels=7)
    assert config.head == LinearHead()


# Folded weights against plain attention


def random_layer(layer):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape))
    return layer.double().eval()


def plain_attention(layer, dim, heads):
    """nn.MultiheadAttention with the weights of one of our layers."""
    attention = nn.MultiheadAttention(dim, heads, batch_first=True).double()
    parts = (layer.query, layer.key, layer.value)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        attention.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        attention.out_proj.load_state_dict(layer.out.state_dict())
    return attention


@pytest.mark.parametrize("masked", [False, True])
def test_folded_aca_layer_equals_plain_attention(masked):
    torch.manual_seed(5)
    layer = random_layer(AcaLayer(16, 20, 0.2))
    frames, latents = 3 * torch.randn(3, 11, 16).double() + 1, torch.randn(3, 6, 16).double()
    mask = torch.arange(11) < torch.tensor([[11], [4], [1]]) if masked else None
    keys = layer.norm(frames)
    heard, _ = plain_attention(layer, 16, 1)(latents, keys, keys, key_padding_mask=None if mask is None else ~mask)
    expected = latents + heard
    expected = expected + layer.mlp(expected)
    normalised = nn.functional.layer_norm(frames, (16,))
    ours = layer(latents, normalised, None if mask is None else mask.unsqueeze(1))
    torch.testing.assert_close(ours, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("norm_queries", [False, True])
def test_latent_layer_equals_plain_attention(norm_queries):
    torch.manual_seed(6)
    layer = random_layer(LatentLayer(16, 4, 20, 0.2, norm_queries=norm_queries))
    latents = torch.randn(3, 6, 16).double()
    queries = layer.norm_queries(latents) if norm_queries else latents
    keys = layer.norm(latents)
    expected = latents + plain_attention(layer, 16, 4)(queries, keys, keys)[0]
    expected = expected + layer.mlp(expected)
    torch.testing.assert_close(layer(latents), expected, atol=1e-9, rtol=0)
