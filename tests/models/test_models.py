"""The contract that every registered model meets, and what is special about each."""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import math
import re
import tomllib

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from acanet.errors import AcanetError, BadConfig, BadRegistration, UnknownModel
from acanet.models import installed, registry
from acanet.models.config import ExtractorConfig
from acanet.models.extractor import Extractor
from acanet.models.folding import fold
from acanet.models.inference import embed_waveforms
from acanet.models.latents import LatentLayer
from acanet.models.layers import frame_mask
from acanet.models.parts.aca_statistics import VARIANCE_FLOOR, AcaStatistics, AcaStatisticsAggregator
from acanet.models.parts.attentive_statistics import AttentiveStatisticsPooling
from acanet.models.parts.campplus import CampplusFrames, DenseLayer
from acanet.models.parts.linear_head import LinearHead
from acanet.models.parts.mla import Mla, MlaAggregator, sinusoids
from acanet.models.parts.own_readout import OwnReadout
from acanet.models.parts.pointwise import PointwiseFrames
from acanet.models.parts.statistics import StatisticsPooling
from acanet.models.parts.time_context import HEADS, attention_in_turns
from acanet.models.registry import build_model, model_config, model_names, model_size, register_model
from support.networks import LENGTHS, SHARED_OUT, SMALL_PARTS, Tiny, TinyConfig, padded, shaken, small, waveforms
from support.packages import acanet, install
from support.paths import ROOT

MODELS = model_names()


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


@pytest.mark.parametrize("name", MODELS)
def test_products_in_bfloat16_give_nearly_the_same(name):
    """As training with `precision: bfloat16` computes; what is added up over time stays in float32."""
    model, x = small(name), features(frames=600)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = embedded(model, x).float()
    assert (rough * embedded(model, x)).sum(dim=1).min() > 0.99


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
ORDERED = (
    "acanet",
    "acanet2",
    "acanet2-small",
    "acanet2-large",
    "acanet-local",
    "acanet-local-attentive",
    "ecapa-512",
    "ecapa-1024",
    "ecapa-512-aca",
    "x-vector",
    "campplus",
    "campplus-aca",
    "redimnet2-b0",
    "redimnet2-b1",
)


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
    code = sinusoids(torch.arange(3), 4)
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
LAST_OF_TWO = {"frames.blocks.1.project.bias"}
ONLY_BLOCK = {"frames.blocks.0.project.bias"}
ATTENTION_BIAS = {"aggregator.expand.bias"}  # a constant along time, in a softmax over time
STATES_NORM = {"aggregator.norm_states.bias"}  # read out linearly, straight before the head's batch norm
REDIMNET2 = {  # in its small form
    "frames.stages.0.sum.weights",  # of a single map
    *(f"frames.stages.{stage}.context.attention.key.bias" for stage in range(3)),  # a constant in a softmax
    *(f"frames.stages.{stage}.context.blocks.{block}.depthwise.0.bias" for stage in range(3) for block in range(4)),
    *(f"frames.stages.{place}.second_mix.0.bias" for place in ("0.blocks.0", "1.blocks.0", "1.blocks.1", "2.blocks.0")),
    *(f"frames.stages.{stage}.project.0.bias" for stage in (0, 2)),  # as those above, straight before a batch norm
}
CANCELLED = {
    "acanet": KEY_BIASES_OF_MLA | READOUT,
    "acanet2": LAST_OF_TWO,
    "acanet2-small": LAST_OF_TWO,
    "acanet2-large": ONLY_BLOCK,
    "acanet-local": LAST_BLOCK | {"aggregator.transformer.0.key.bias"} | STATES_NORM,
    "ecapa-512": ATTENTION_BIAS,
    "ecapa-1024": ATTENTION_BIAS,
    "x-vector": set(),
    "campplus": set(),
    "redimnet2-b0": REDIMNET2 | ATTENTION_BIAS,
    "redimnet2-b1": REDIMNET2 | ATTENTION_BIAS,
    "acanet-mean": POOLED_NORM,
    "acanet-statistics": POOLED_NORM,
    "acanet-attentive": ATTENTION_BIAS,
    "acanet-local-attentive": LAST_BLOCK | ATTENTION_BIAS,
    "ecapa-512-aca": KEY_BIASES_OF_MLA | READOUT,
    "campplus-aca": set(),
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
        if not key.startswith("front_end.speech.")  # which stays as it was taught
    }
    assert all(math.isfinite(value) for value in largest.values())
    typical = float(np.median(list(largest.values())))
    assert {key for key, value in largest.items() if value < 1e-9 * typical} == CANCELLED[name]


# Sizes

size_of = functools.cache(model_size)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("acanet", 4_553_601),
        ("ecapa-512", 6_194_048),
        ("ecapa-1024", 20_767_552),
        ("x-vector", 4_347_868),
        ("campplus", 6_848_544),
        ("redimnet2-b0", 1_115_220),
        ("redimnet2-b1", 2_161_488),
    ],
)
def test_parameter_counts(name, parameters):
    assert size_of(name).parameters == parameters


def test_parameters_of_campplus_as_published():
    model = build_model("campplus", model_config("campplus", {"head": {"dim": 512}}))
    assert (model.dim, sum(p.numel() for p in model.parameters())) == (512, 7_176_224)


def test_parameters_of_the_x_vector_by_hand():
    convolutions = (5 * 80 + 1) * 512 + 2 * (3 * 512 + 1) * 512 + (512 + 1) * 512 + (512 + 1) * 1500
    assert size_of("x-vector").parameters == convolutions + (2 * 1500 + 1) * 512


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("redimnet2")])
def test_longer_recordings_cost_more(name):
    size = size_of(name)
    assert 0 < size.macs_3s < size.macs_60s < 5998 / 298 * size.macs_3s * 1.01


@pytest.mark.parametrize("name", ["redimnet2-b0", "redimnet2-b1"])
def test_attention_to_all_frames_costs_their_square(name):
    size, frames = size_of(name), model_config(name).frames
    square = 2 * sum(stage.context / stride**2 for stage, stride in zip(frames.stages, frames.strides, strict=True))
    short, long = (macs - square * count**2 for macs, count in ((size.macs_3s, 296), (size.macs_60s, 5996)))
    assert long == pytest.approx(5996 / 296 * short, rel=1e-3)


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


# The x-vector


def test_how_far_a_frame_of_the_x_vector_sees():
    model = build_model("x-vector", model_config("x-vector", {"frames": {"channels": 16, "out_channels": 8}})).eval()
    x = features(batch=1, frames=41).requires_grad_()
    model.frames(x, None)[0][0, 20].sum().backward()
    reached = x.grad[0].abs().sum(dim=1).nonzero().flatten().tolist()
    assert reached == list(range(13, 28))  # 7 frames to each side, as in the paper's table


@pytest.mark.parametrize("frames", [{"kernels": (5, 3), "dilations": (1,)}, {"kernels": (4,), "dilations": (1,)}])
def test_layers_of_a_tdnn_that_cannot_be(frames):
    with pytest.raises(BadConfig, match=r"2 kernels but 1 dilations|kernels must be odd"):
        model_config("x-vector", {"frames": frames})


# CAM++


def test_the_mask_sees_the_utterance_and_the_segment():
    """250 frames: two whole segments and half a one, beside the definition with a mean over segments, rounded up."""
    torch.manual_seed(7)
    layer = shaken(DenseLayer(6, CampplusFrames(growth=4, bottleneck=10), dilation=2))
    x = torch.randn(2, 250, 6)
    counts = torch.tensor([[[100.0], [100.0], [50.0]]])
    with torch.no_grad():
        ours = layer(x, None, counts)
        hidden = layer.norm2(layer.narrow(layer.norm1(x).relu())).relu().transpose(1, 2)  # (batch, channels, frames)
        near = nn.functional.avg_pool1d(hidden, 100, 100, ceil_mode=True).repeat_interleave(100, dim=2)[:, :, :250]
        context = (hidden.mean(dim=2, keepdim=True) + near).transpose(1, 2)
        local = nn.functional.conv1d(hidden, layer.local.weight, padding=2, dilation=2).transpose(1, 2)
        expected = local * layer.excite(layer.squeeze(context).relu()).sigmoid()
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("longest", [460, 1000])
def test_campplus_does_not_mind_padding_over_several_segments(longest):
    """Rows of 460 to 1 frames: segments that are whole, cut off, and nothing but padding."""
    model, lengths = small("campplus"), torch.tensor([460, 399, 201, 77, 1])
    x = features(batch=5, frames=longest) * frame_mask(lengths, longest).unsqueeze(2)
    together = embedded(model, x, lengths)
    alone = torch.cat([embedded(model, x[row : row + 1, :length]) for row, length in enumerate(lengths)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_campplus_takes_any_number_of_mels():
    parts = {"front_end": {"mels": 41}, "frames": SMALL_PARTS[CampplusFrames]}
    model = build_model("campplus", model_config("campplus", parts)).eval()
    assert embedded(model, features(mels=41)).shape == (2, 192)


@pytest.mark.parametrize(
    ("frames", "message"),
    [({"layers": (2,)}, "1 blocks of layers but 3 dilations"), ({"bottleneck": 1}, "bottleneck must be 2 or more")],
)
def test_sizes_of_campplus_that_cannot_be(frames, message):
    with pytest.raises(BadConfig, match=message):
        model_config("campplus", {"frames": frames})


# ReDimNet2


@pytest.mark.parametrize("frames", [1, 64, 150])
def test_attention_in_turns_is_attention(frames):
    """What an exported graph does, beside torch's own."""
    torch.manual_seed(8)
    query, key, value = (torch.randn(2, HEADS, frames, 3) for _ in range(3))
    real = frame_mask(torch.tensor([frames, (frames + 1) // 2]), frames)[:, None, None]
    for mask in (None, real):
        expected = nn.functional.scaled_dot_product_attention(query, key, value, mask)
        torch.testing.assert_close(attention_in_turns(query, key, value, mask), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm_maps", [False, True])
@pytest.mark.parametrize("longest", [44, 60])
def test_redimnet2_hears_whole_strides_of_frames(longest, norm_maps):
    """Rows of 44 to 1 frames: what is left over after four, eight, ... does not count, and the shortest are padded."""
    model, lengths = small("redimnet2-b0", frames={"norm_maps": norm_maps}), torch.tensor([44, 43, 7, 3, 1])
    x = features(batch=5, frames=longest) * frame_mask(lengths, longest).unsqueeze(2)
    together = embedded(model, x, lengths)
    alone = torch.cat([embedded(model, x[row : row + 1, :length]) for row, length in enumerate(lengths)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(embedded(model, x[1:2, :40]), alone[1:2], atol=1e-6, rtol=0)
    torch.testing.assert_close(embedded(model, x[3:4, :4]), alone[3:4], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"front_end": {"mels": 80}}, "frames.mels 72 is not front_end.mels 80"),
        ({"front_end": {"mels": 36}, "frames": {"mels": 36}}, "mels 36 is not a multiple of 8, all mel_strides"),
        ({"frames": {"stages": []}}, "at least 1 item"),
        ({"frames": {"stages": [{"hidden": 4, "blocks": 1, "context": 6}]}}, "multiple of 4"),
        ({"front_end": {"floor_db": 40.0}}, "floor_db and speech_only are of kind 'kaldi' alone"),
    ],
)
def test_sizes_of_redimnet2_that_cannot_be(changes, message):
    with pytest.raises(BadConfig, match=message):
        model_config("redimnet2-b0", changes)


# Statistics pooling


def test_statistics_by_hand():
    frames = torch.tensor([[[1.0], [3.0], [8.0], [99.0]]])  # mean 4, squares 9 + 1 + 16
    mask = torch.tensor([[True, True, True, False]])
    biased = StatisticsPooling().build(1, 1)
    unbiased = StatisticsPooling(unbiased=True).build(1, 1)
    for mean_and_deviation, squares in ((biased, 26 / 3), (unbiased, 26 / 2 + 1e-7)):
        expected = torch.tensor([[4.0, math.sqrt(squares)]])
        torch.testing.assert_close(mean_and_deviation(frames, mask), expected)
        torch.testing.assert_close(mean_and_deviation(frames[:, :3], None), expected)


@pytest.mark.parametrize(("unbiased", "least"), [(False, 1e-6), (True, math.sqrt(1e-7))])
def test_statistics_of_one_frame_and_of_frames_that_do_not_vary(unbiased, least):
    pooling = StatisticsPooling(unbiased=unbiased).build(2, 1)
    for count in (1, 5):
        frames = torch.full((1, count, 2), 2.0, requires_grad=True)
        pooled = pooling(frames, None)
        torch.testing.assert_close(pooled, torch.tensor([[2.0, 2.0, least, least]]))
        pooled.sum().backward()
        assert frames.grad.isfinite().all()


# The registry


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
    with pytest.raises(BadRegistration, match="'acanet' is registered already"):
        register_model("acanet", TinyConfig(), Tiny)
    assert isinstance(build_model("acanet-mean"), Extractor)


def test_an_unknown_name_gets_the_nearest():
    for function in (model_config, build_model, model_size):
        with pytest.raises(UnknownModel, match="did you mean 'acanet-local'") as caught:
            function("acanet-locl")
        assert caught.value.near == "acanet-local"
    with pytest.raises(UnknownModel, match="unknown model 'zzz'; `acanet models`"):
        build_model("zzz")


# Models that installed packages bring


MODEL_PAGE = ROOT / "docs" / "model.md"


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    """The example of docs/model.md, installed as its pyproject.toml says."""
    page = MODEL_PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(python|toml)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (source,) = (text for kind, text in blocks if kind == "python" and 'register_model("gated"' in text)
    (project,) = (tomllib.loads(text)["project"] for kind, text in blocks if kind == "toml")
    groups = {group.removeprefix("acanet."): entries for group, entries in project["entry-points"].items()}
    entries = {
        group: "\n".join(f"{name} = {module}" for name, module in lines.items()) for group, lines in groups.items()
    }
    assert set(entries) == {"models", "parts"}
    return install(tmp_path_factory.mktemp("packages"), project["name"], source, **entries)


def test_the_command_line_lists_an_installed_model(gated):
    done = acanet(gated, "models", "--json")
    assert done.returncode == 0, done.stderr
    assert [entry["name"] for entry in json.loads(done.stdout)] == [*MODELS, "gated"]


@pytest.mark.slow
def test_the_command_line_trains_an_installed_model_and_embeds_with_it(gated, tmp_path, tiny_recipe, voices):
    sizes = {
        "frames": {"channels": 16, "layers": 1},
        "aggregator": {"latents": 4, "heads": 2, "mlp": 16},
        "head": {"dim": 16},
    }
    recipe = tiny_recipe | {"model": {"name": "gated", "change": sizes}, "steps": 1}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    done = acanet(gated, "train", tmp_path / "recipe.yaml", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    recording, output = voices / "s004" / "000.wav", tmp_path / "embeddings.npz"
    done = acanet(gated, "embed", recording, "-o", output, "--model", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    with np.load(output) as file:
        assert file["embeddings"].shape == (1, 16)
    without = acanet(tmp_path, "embed", recording, "-o", output, "--force", "--model", tmp_path / "run")
    assert without.returncode == 2
    assert "unknown model 'gated'" in without.stderr


REGISTERS_GATED = (
    "from acanet.models.config import ExtractorConfig\n"
    "from acanet.models.parts.linear_head import LinearHead\n"
    "from acanet.models.parts.mean import MeanPooling\n"
    "from acanet.models.parts.pointwise import PointwiseFrames\n"
    "from acanet.models.registry import register_model\n"
    "config = ExtractorConfig(frames=PointwiseFrames(), aggregator=MeanPooling(), head=LinearHead())\n"
    "register_model('gated', config)\n"
)


@pytest.mark.usefixtures("own_registry")
@pytest.mark.parametrize(
    ("source", "entry", "reason"),
    [
        ("import no_such_module", "gated = {module}", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f(:\n", "gated = {module}", "SyntaxError"),
        (REGISTERS_GATED + "1 / 0", "gated = {module}", "ZeroDivisionError: division by zero"),
        (REGISTERS_GATED * 2, "gated = {module}", "BadRegistration: a model named 'gated' is registered already"),
        ("", "gated = {module}:Gated", "AttributeError"),
    ],
    ids=["import", "syntax", "halfway", "taken", "attribute"],
)
def test_a_package_that_cannot_be_imported_is_named(tmp_path, monkeypatch, request, source, entry, reason):
    module = f"broken_{request.node.callspec.id}"
    entry = entry.format(module=module)
    monkeypatch.syspath_prepend(install(tmp_path, module, source, models=entry))
    installed.import_installed.cache_clear()
    for _ in range(2):  # trying again says the same
        for ask in (model_names, lambda: build_model("gated"), lambda: model_config("acanet-locl")):
            with pytest.raises(AcanetError) as caught:
                ask()
            assert f"package {module} brings models (entry point acanet.models: {entry}) that" in str(caught.value)
            assert reason in str(caught.value)
    assert model_config("acanet") == registry._ENTRIES["acanet"].config  # what acanet brings does not wait for it


def test_a_broken_package_fails_the_command_with_words(tmp_path):
    done = acanet(install(tmp_path, "broken", "import no_such_module", models="gated = broken"), "models")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: package broken brings models")
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("own_registry")
def test_a_module_imported_by_hand_is_not_imported_again(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(install(tmp_path, "by_hand", REGISTERS_GATED, models="gated = by_hand"))
    installed.import_installed.cache_clear()
    importlib.import_module("by_hand")
    assert model_names() == [*MODELS, "gated"]


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


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_a_pass_of_the_papers_aca_equals_plain_attention(masked, training):
    """As training computes it, and as what is exported does."""
    torch.manual_seed(5)
    config = MlaAggregator(latents=6, blocks=1, aca_layers=1, heads=1, aca_mlp=20, positions="none", dropout=0)
    aggregator = random_layer(Mla(16, config)).train(training)
    layer = aggregator.blocks[0].aca[0]
    frames, latents = 3 * torch.randn(3, 11, 16).double() + 1, torch.randn(3, 6, 16).double()
    mask = torch.arange(11) < torch.tensor([[11], [4], [1]]) if masked else None
    keys = layer.norm(frames)
    heard, _ = plain_attention(layer, 16, 1)(latents, keys, keys, key_padding_mask=None if mask is None else ~mask)
    expected = latents + heard
    expected = expected + layer.mlp(expected)
    ours = layer(latents, *aggregator.means(0, layer.queries(latents), aggregator.prepare(frames), mask))
    torch.testing.assert_close(ours, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm_queries", [False, True])
def test_latent_layer_equals_plain_attention(norm_queries, training):
    torch.manual_seed(6)
    layer = random_layer(LatentLayer(16, 4, 20, 0.0, norm_queries=norm_queries)).train(training)
    latents = torch.randn(3, 6, 16).double()
    queries = layer.norm_queries(latents) if norm_queries else latents
    keys = layer.norm(latents)
    expected = latents + plain_attention(layer, 16, 4)(queries, keys, keys)[0]
    expected = expected + layer.mlp(expected)
    torch.testing.assert_close(layer(latents), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", ["acanet", "acanet2", "acanet2-large", "acanet-local"])
@pytest.mark.parametrize("masked", [False, True])
def test_training_attends_as_evaluation_does(name, masked):
    """Torch's fused attention in training, and the sums that can be added up piece by piece, are the same function."""
    model = small(name, aggregator={"dropout": 0.0}).double()
    frames = torch.randn(2, 30, model.config.frames_channels, generator=torch.Generator().manual_seed(1)).double()
    mask = torch.arange(30) < torch.tensor([[30], [7]]) if masked else None
    expected = model.aggregator(frames, mask)
    model.aggregator.train()
    for module in model.aggregator.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    torch.testing.assert_close(model.aggregator(frames, mask), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("keys", [None, 5])
def test_each_head_of_a_latent_hears_its_share_of_the_channels(keys):
    torch.manual_seed(7)
    latents, heads, dim, share = 3, 4, 16, 4
    config = AcaStatisticsAggregator(latents=latents, aca_heads=heads, keys=keys, latent_layers=0)
    layer = AcaStatistics(dim, config, 1).double().eval()
    frames = torch.randn(2, 9, dim).double()
    seen = layer.norm(frames) if keys is None else hidden_in_context(layer.in_context, frames)
    queries = layer.own_queries.view(heads, latents, keys or dim)
    expected = torch.empty(2, latents, 2, dim).double()
    for latent, head in itertools.product(range(latents), range(heads)):
        channels = slice(head * share, (head + 1) * share)
        scores = seen @ queries[head, latent]
        weights = scores.softmax(dim=1).unsqueeze(2)  # (batch, frames, 1)
        mean = (weights * frames[..., channels]).sum(dim=1)
        variance = (weights * (frames[..., channels] - mean.unsqueeze(1)) ** 2).sum(dim=1)
        expected[:, latent, 0, channels] = mean
        expected[:, latent, 1, channels] = variance.clamp(min=VARIANCE_FLOOR).sqrt()
    statistics = layer(frames, None) * (1 + layer.norm_statistics.eps) ** 0.5  # a fresh batch norm
    torch.testing.assert_close(statistics, expected.flatten(2), atol=1e-9, rtol=0)


def hidden_in_context(layer, frames):
    """What `FrameInContext` gives in evaluation, frame by frame, from the frame, the mean and the deviation."""
    mean, deviation = frames.mean(dim=1), frames.std(dim=1, correction=0)
    scale = 1 / math.sqrt(1 + layer.norm.eps)  # a fresh batch norm
    rows = [
        (layer.squeeze(torch.cat([frames[:, number], mean, deviation], dim=1)).relu() * scale).tanh()
        for number in range(frames.shape[1])
    ]
    return torch.stack(rows, dim=1)


def test_deviations_under_attention_survive_training_in_bfloat16():
    """Frames far from zero that hardly vary: in bfloat16 the difference of their squares would be noise."""
    torch.manual_seed(8)
    layer = AcaStatistics(16, AcaStatisticsAggregator(latents=2, aca_heads=4, keys=8, latent_layers=0), 1).eval()
    frames = 8 + 0.1 * torch.randn(2, 50, 16)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        rough = layer(frames, None)
    torch.testing.assert_close(rough, layer(frames, None), atol=0.02, rtol=0.02)


def test_heads_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(BadConfig, match="256 channels of frames do not divide into 7 aca_heads"):
        model_config("acanet2", {"aggregator": {"aca_heads": 7}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aggregator": {"latents": 7}}, "aggregator.latents 7 does not divide into 3 branches"),
        ({"head": {"dim": 32}}, "head.dim 32 does not divide into 3 branches"),
        ({"aggregator": {"aca_heads": 96}}, "256 channels of a branch do not divide into 96 aca_heads"),
        (
            {"aggregator": {"latent_layers": 1}},
            "3 branches need aggregator 'aca-statistics' with keys and latent_layers 0",
        ),
        ({"frames": {"kind": "pointwise"}}, "3 branches need frames 'spectral', not 'pointwise'"),
        ({"head": {"norm": "after"}}, "3 branches need head 'linear' with norm 'none' or 'before'"),
    ],
)
def test_branches_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(BadConfig, match=message):
        model_config("acanet2-large", changes)


@pytest.mark.parametrize("pooled", [{}, {"aggregator": {"kind": "attentive-statistics", "channels": 24}}])
def test_branches_are_networks_side_by_side(pooled):
    """Each is a network on the same pictures, and the embedding is theirs at length one, one after the other."""
    three = small("acanet2-large")
    if pooled:
        changed = three.config.model_dump() | pooled | {"head": {"kind": "linear", "dim": 48, "norm": "before"}}
        three = shaken(Extractor(ExtractorConfig.parse(changed, "three branches")))
    whole = three.config.model_dump()
    third = {part: dict(whole[part]) for part in ("frames", "aggregator", "head")}
    for part, key in (*SHARED_OUT, ("aggregator", "channels")):
        if key in third[part]:
            third[part][key] //= 3
    embeddings, x = [], features()
    for number in range(3):
        alone = Extractor(ExtractorConfig.parse(third, "a branch")).eval()
        alone.load_state_dict(
            {
                name: value if name.startswith("frames.stages") or not value.ndim else value.chunk(3)[number]
                for name, value in three.state_dict().items()
                if not name.startswith("front_end.speech.")
            }
        )
        embeddings.append(embedded(alone, x))
    torch.testing.assert_close(embedded(three, x), torch.cat(embeddings, dim=1) / math.sqrt(3), atol=1e-5, rtol=0)
    batch = padded(waveforms())
    with torch.no_grad():
        torch.testing.assert_close(fold(three).embed(*batch), three.embed(*batch), atol=1e-5, rtol=0)
