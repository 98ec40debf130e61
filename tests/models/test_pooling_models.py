"""ACA in the place of a pooling: a model that starts as the one with the pooling, and can be trained from there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from acanet.errors import BadConfig
from acanet.export.stages import stages
from acanet.models.config import ExtractorConfig
from acanet.models.extractor import Extractor
from acanet.models.folding import fold
from acanet.models.inference import embed_waveforms
from acanet.models.parts.aca_statistics import AcaStatistics, AcaStatisticsAggregator
from acanet.models.parts.statistics import StatisticsPooling
from acanet.models.registry import build_model, model_config
from support.networks import padded, small, waveforms

BIASED = {"kind": "aca-statistics", "latents": 3, "aca_heads": 4, "keys": 6, "heads": 4, "latent_layers": 0}
BIASED |= {"pooling": {"unbiased": False}}
POOLED = {  # the model with the pooling, and what the one with ACA has in its place
    "campplus-aca as registered": ("campplus", dict(model_config("campplus-aca").model_dump()["aggregator"])),
    "one latent": ("campplus", BIASED | {"latents": 1, "pooling": {"unbiased": True}}),
    "the latents are the queries": ("campplus", BIASED | {"aca_heads": 1, "keys": None, "pooling": {"unbiased": True}}),
    "biased, no norm in the head": ("x-vector", BIASED),
    "biased, batch norm over what is pooled": ("acanet-statistics", BIASED),
}


def sizes(model, aggregator):
    aggregator = aggregator | {"aca_heads": min(8, aggregator["aca_heads"])}
    return ExtractorConfig.parse(model.config.model_dump() | {"aggregator": aggregator}, "test")


@pytest.fixture(params=POOLED.values(), ids=POOLED)
def pair(request):
    """A model with random weights and statistics under its pooling, and one with ACA that starts as that."""
    name, aggregator = request.param
    pooled = small(name)
    model = Extractor(sizes(pooled, aggregator)).eval()
    assert model.config.starts_as == pooled.config
    model.start_as(pooled)
    return pooled, model


def test_it_starts_as_the_model_with_the_pooling(pair):
    pooled, model = pair
    utterances = waveforms((16000, 4567, 48000, 1040, 400, 12345))  # the shortest is one frame
    expected = embed_waveforms(pooled, utterances)
    np.testing.assert_allclose(embed_waveforms(model, utterances), expected, rtol=0, atol=1e-5)
    together = padded(utterances)
    with torch.no_grad():
        for other in (model, fold(model)):
            np.testing.assert_allclose(other.embed(*together).numpy(), expected, rtol=0, atol=1e-5)


def test_all_of_it_can_learn_from_there(pair):
    """No query is stuck at a symmetric point, no two latents go the same way."""
    _, model = pair
    model.train()
    before = {name: value.clone() for name, value in model.aggregator.named_parameters()}
    before["head"] = model.head.linear.weight.clone()
    torch.manual_seed(2)
    features, goal = torch.randn(6, 80, 80), torch.randn(6, model.dim)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(3):
        optimizer.zero_grad()
        functional.mse_loss(model(features), goal).backward()
        if step == 0:
            (queries,) = model.aggregator.parameters(recurse=False)
            first = queries.grad[:: model.config.aggregator.latents]
            assert (first.abs().amax(dim=1) > 0).all(), "every query of the first latent hears at once where to go"
        optimizer.step()
    after = dict(model.aggregator.named_parameters()) | {"head": model.head.linear.weight}
    for name, value in before.items():
        assert not torch.equal(after[name], value), name
    by_latent = model.head.linear.weight.unflatten(1, (model.config.aggregator.latents, -1))
    moved = (by_latent - before["head"].unflatten(1, (model.config.aggregator.latents, -1))).abs().amax(dim=(0, 2))
    assert (moved > 0).all()
    others = by_latent[:, 1:]
    assert all(not torch.equal(others[:, 0], others[:, number]) for number in range(1, others.shape[1]))


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_an_even_attention_is_the_pooling(unbiased, training):
    torch.manual_seed(3)
    pooling = StatisticsPooling(unbiased=unbiased)
    config = AcaStatisticsAggregator(latents=2, aca_heads=4, keys=5, latent_layers=0, pooling=pooling)
    layer = AcaStatistics(16, config, 1).train(training)
    frames = 3 * torch.randn(4, 30, 16) + 1
    frames[..., 5] = 0.0  # a channel that is silent
    for mask in (None, torch.arange(30) < torch.tensor([[30], [17], [2], [1]])):
        expected = pooling.build(16, 1)(frames, mask)
        torch.testing.assert_close(layer(frames, mask)[:, 0], expected, atol=1e-5, rtol=0)


def test_gradients_are_finite_where_nothing_varies():
    pooling = StatisticsPooling(unbiased=True)
    config = AcaStatisticsAggregator(latents=2, aca_heads=4, keys=5, latent_layers=0, pooling=pooling)
    layer = AcaStatistics(16, config, 1)
    for count in (1, 7):
        frames = torch.full((2, count, 16), 2.0, requires_grad=True)
        layer(frames, None).sum().backward()
        assert frames.grad.isfinite().all()
        assert all(parameter.grad.isfinite().all() for parameter in layer.parameters() if parameter.grad is not None)


def test_it_has_no_pieces_and_tells_what_it_attends_to():
    model = Extractor(sizes(small("x-vector"), BIASED)).eval()
    assert model.config.frames.receptive_field is not None
    assert set(stages(fold(model))) == {"whole", "attention"}
    frames = torch.randn(2, 10, model.config.frames_channels)
    with torch.no_grad():
        attention = model.aggregator.attention(frames, torch.arange(10) < torch.tensor([[10], [4]]))
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(2, 3))
    torch.testing.assert_close(attention[:, 0], torch.tensor([[0.1] * 10, [0.25] * 4 + [0.0] * 6]))


def test_an_aggregator_without_pooling_is_written_as_ever():
    """Else the fingerprints of models from before would be others."""
    assert "pooling" not in model_config("acanet2").model_dump(mode="json")["aggregator"]
    written = model_config("campplus-aca").model_dump(mode="json")
    assert written["aggregator"]["pooling"] == {"kind": "statistics", "unbiased": True}
    assert ExtractorConfig.parse(written, "test") == model_config("campplus-aca")


@pytest.mark.parametrize(
    ("name", "aggregator", "message"),
    [
        ("acanet2", {"pooling": {}, "latent_layers": 1}, "latent_layers 1 with pooling, which compares no latents"),
        ("acanet2-large", {"pooling": {}}, "with keys and latent_layers 0, without pooling"),
        ("acanet2", {"pooling": {"kind": "mean"}}, "pooling.kind: Input should be 'statistics'"),
    ],
)
def test_poolings_that_cannot_be_started_as(name, aggregator, message):
    with pytest.raises(BadConfig, match=message):
        model_config(name, {"aggregator": aggregator})


def test_other_models_start_as_none():
    for name in ("campplus", "acanet2", "ecapa-512"):
        assert build_model(name).config.starts_as is None
