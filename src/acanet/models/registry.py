"""Model names -> config and module; open to models of your own.

An installed package makes its models known through the entry point group `acanet.models`: each entry names a module
that calls `register_model` when it is imported. These modules are imported when a name is asked for that is not known
yet, or the list of all names; so the models that acanet brings never wait for them, or fail with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from acanet.config.strict import Origin
from acanet.errors import AcanetError, UnknownModel
from acanet.models.config import (
    AcaStatisticsAggregator,
    AttentiveStatisticsPooling,
    CampplusFrames,
    ConvolutionFrames,
    EcapaFrames,
    ExtractorConfig,
    LinearHead,
    MeanPooling,
    MlaAggregator,
    ModelConfig,
    OwnReadout,
    PictureStage,
    PointwiseFrames,
    SharedReadout,
    SpectralFrames,
    StatisticsPooling,
    TdnnFrames,
)
from acanet.models.extractor import Extractor


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered architecture: its default config and what builds a module from a config of that type."""

    config: ModelConfig
    build: Callable[[Any], nn.Module]


_ENTRIES: dict[str, Entry] = {}
_GROUP = "acanet.models"


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
    """Names of all registered models, those of installed packages last.

    Raises:
        AcanetError: when a package's models cannot be imported; it names the package.
    """
    _import_installed()
    return list(_ENTRIES)


def model_config(
    name: str,
    changes: dict[str, Any] | None = None,
    *,
    source: str | Path | None = None,
    origin: Origin = lambda place, kind: "",
) -> ModelConfig:
    """The config registered under a name, with some keys changed.

    Args:
        name: a registered name.
        changes: nested keys to replace, such as ``{"aggregator": {"positions": "none"}}``.
        source: where the changes stand, for the error; None: the model's name.
        origin: see `Strict.parse`.

    Raises:
        UnknownModel: with the nearest known name.
        AcanetError: when the name is not known and a package's models cannot be imported.
        BadConfig: when a key is unknown or a value wrong.
    """
    default = _entry(name).config
    merged = _merged(default.model_dump(), changes or {})
    return type(default).parse(merged, source or f"model {name}", origin=origin)


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


def model_size(name: str, config: ModelConfig | None = None) -> ModelSize:
    """Count a registered model's parameters and multiply-adds, with its own config or another one.

    Nothing is computed, only shapes.
    """
    model = build_model(name, config).to("meta").eval().requires_grad_(False)
    return ModelSize(name, sum(p.numel() for p in model.parameters()), _macs(model, 3), _macs(model, 60))


def _macs(model: Any, seconds: int) -> int:
    front_end = model.front_end
    frames = front_end.frames(seconds * front_end.config.rate)
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, frames, front_end.config.mels, device="meta"))
    return int(counter.get_total_flops()) // 2


def _entry(name: str) -> Entry:
    if name not in _ENTRIES:
        _import_installed()
    if name not in _ENTRIES:
        raise UnknownModel(name, _ENTRIES)
    return _ENTRIES[name]


@cache
def _import_installed() -> None:
    """Import the modules that installed packages name, once for each process."""
    for point in entry_points(group=_GROUP):
        known = dict(_ENTRIES)
        try:
            point.load()
        except Exception as error:
            _ENTRIES.clear()
            _ENTRIES.update(known)  # so that trying again meets the same error, not names that are taken
            raise AcanetError(_broken(point, error)) from error


def _broken(point: EntryPoint, error: Exception) -> str:
    package = f"package {point.dist.name}" if point.dist else "a package"
    return (
        f"{package} brings models (entry point {_GROUP}: {point.name} = {point.value}) that cannot be imported: "
        f"{type(error).__name__}: {error}; repair or uninstall it"
    )


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
_ACANET2 = ExtractorConfig(
    frames=SpectralFrames(dilations=(1, 2)),
    aggregator=AcaStatisticsAggregator(latents=4, aca_heads=64, keys=128, latent_layers=0),
    head=LinearHead(norm="none"),
)
_ACANET2_LARGE = ExtractorConfig(
    frames=SpectralFrames(channels=768, hidden=1152, dilations=(1,)),
    aggregator=AcaStatisticsAggregator(latents=12, aca_heads=64, keys=384, latent_layers=0),
    head=LinearHead(dim=576, norm="none"),
    branches=3,
)
_ACANET2_SMALL = ExtractorConfig(
    frames=SpectralFrames(
        stages=(PictureStage(channels=16, stride=2, blocks=0), PictureStage(channels=24, stride=2)),
        channels=160,
        dilations=(1, 2),
    ),
    aggregator=AcaStatisticsAggregator(latents=4, aca_heads=40, keys=96, latent_layers=0),
    head=LinearHead(norm="none"),
)
_LOCAL = ExtractorConfig(frames=ConvolutionFrames(), aggregator=AcaStatisticsAggregator(), head=OwnReadout())


def _ecapa(channels: int) -> ExtractorConfig:
    frames = EcapaFrames(channels=channels, out_channels=3 * channels)
    return ExtractorConfig(frames=frames, aggregator=AttentiveStatisticsPooling(), head=LinearHead())


register_model("acanet", _PAPER)
register_model("acanet2", _ACANET2)
register_model("acanet2-small", _ACANET2_SMALL)
register_model("acanet2-large", _ACANET2_LARGE)
register_model("acanet-local", _LOCAL)
register_model("ecapa-512", _ecapa(512))
register_model("ecapa-1024", _ecapa(1024))
register_model(
    "x-vector",
    ExtractorConfig(frames=TdnnFrames(), aggregator=StatisticsPooling(), head=LinearHead(dim=512, norm="none")),
)
register_model(
    "campplus",
    ExtractorConfig(
        frames=CampplusFrames(), aggregator=StatisticsPooling(unbiased=True), head=LinearHead(norm="after")
    ),
)

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
