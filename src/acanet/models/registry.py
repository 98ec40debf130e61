"""Model names -> config and module; open to models of your own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from acanet.config import (
    AcaStatisticsAggregator,
    AttentiveStatisticsPooling,
    ConvolutionFrames,
    EcapaFrames,
    ExtractorConfig,
    LinearHead,
    MeanPooling,
    MlaAggregator,
    ModelConfig,
    OwnReadout,
    PointwiseFrames,
    SharedReadout,
    StatisticsPooling,
)
from acanet.errors import UnknownModel
from acanet.models.extractor import Extractor


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered architecture: its default config and what builds a module from a config of that type."""

    config: ModelConfig
    build: Callable[[Any], nn.Module]


_ENTRIES: dict[str, Entry] = {}


def register_model(name: str, config: ModelConfig, build: Callable[[Any], nn.Module] = Extractor) -> None:
    """Make a model known by name to recipes, bundles and the command line.

    Args:
        name: what recipes and bundles call it.
        config: its default config; for a new architecture, of a class of your own derived from `ModelConfig`.
        build: config -> module with the interface of `Extractor` (`forward`, `embed`, `front_end`, `dim`,
            `exact_when_padded`).

    Raises:
        ValueError: when the name is taken.
    """
    if name in _ENTRIES:
        raise ValueError(f"a model named {name!r} is registered already")
    _ENTRIES[name] = Entry(config, build)


def model_names() -> list[str]:
    """Names of all registered models."""
    return list(_ENTRIES)


def model_config(name: str, changes: dict[str, Any] | None = None) -> ModelConfig:
    """The config registered under a name, with some keys changed.

    Args:
        name: a registered name.
        changes: nested keys to replace, such as ``{"aggregator": {"positions": "none"}}``.

    Raises:
        UnknownModel: with the nearest known name.
        BadConfig: when a key is unknown or a value wrong.
    """
    default = _entry(name).config
    return type(default).parse(_merged(default.model_dump(), changes or {}), f"model {name}")


def build_model(name: str, config: ModelConfig | None = None) -> Any:
    """A module with fresh weights (see `Extractor` for its interface).

    Raises:
        UnknownModel: with the nearest known name.
    """
    entry = _entry(name)
    return entry.build(config or entry.config)


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Parameters, and multiply-adds of the network (front end not counted) for 3 s and 60 s of speech."""

    name: str
    parameters: int
    macs_3s: int
    macs_60s: int


def model_size(name: str) -> ModelSize:
    """Count a registered model's parameters and multiply-adds; nothing is computed, only shapes."""
    model = build_model(name).to("meta").eval().requires_grad_(False)
    return ModelSize(name, sum(p.numel() for p in model.parameters()), _macs(model, 3), _macs(model, 60))


def _macs(model: Any, seconds: int) -> int:
    front_end = model.front_end
    frames = front_end.frames(seconds * front_end.config.rate)
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, frames, front_end.config.mels, device="meta"))
    return int(counter.get_total_flops()) // 2


def _entry(name: str) -> Entry:
    if name not in _ENTRIES:
        raise UnknownModel(name, _ENTRIES)
    return _ENTRIES[name]


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, group by group; a group of another kind is replaced whole."""
    merged = dict(base)
    for key, value in changes.items():
        below = base.get(key)
        if (
            isinstance(below, dict)
            and isinstance(value, dict)
            and value.get("kind", below.get("kind")) == below.get("kind")
        ):
            value = _merged(below, value)
        merged[key] = value
    return merged


_PAPER = ExtractorConfig(frames=PointwiseFrames(), aggregator=MlaAggregator(), head=SharedReadout())
_LOCAL = ExtractorConfig(frames=ConvolutionFrames(), aggregator=AcaStatisticsAggregator(), head=OwnReadout())


def _ecapa(channels: int) -> ExtractorConfig:
    frames = EcapaFrames(channels=channels, out_channels=3 * channels)
    return ExtractorConfig(frames=frames, aggregator=AttentiveStatisticsPooling(), head=LinearHead())


register_model("acanet", _PAPER)
register_model("acanet-local", _LOCAL)
register_model("ecapa-512", _ecapa(512))
register_model("ecapa-1024", _ecapa(1024))

# The paper's question, "is ACA better than temporal pooling?": the same frames under another aggregator.
_POOLINGS: dict[str, MeanPooling | StatisticsPooling | AttentiveStatisticsPooling] = {
    "mean": MeanPooling(),
    "statistics": StatisticsPooling(),
    "attentive": AttentiveStatisticsPooling(),
}
for _name, _pooling in _POOLINGS.items():
    register_model(f"acanet-{_name}", ExtractorConfig(frames=_PAPER.frames, aggregator=_pooling, head=LinearHead()))
register_model(
    "acanet-local-attentive",
    ExtractorConfig(frames=_LOCAL.frames, aggregator=AttentiveStatisticsPooling(), head=LinearHead()),
)
register_model(
    "ecapa-512-aca",
    ExtractorConfig(
        frames=EcapaFrames(channels=512, out_channels=256), aggregator=MlaAggregator(), head=SharedReadout()
    ),
)
