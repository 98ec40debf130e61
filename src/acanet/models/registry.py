"""Models by name -> config and module; open to models of your own, and of installed packages (`installed.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from acanet.config.strict import Origin
from acanet.errors import BadRegistration, UnknownModel
from acanet.models.config import ModelConfig
from acanet.models.extractor import Extractor
from acanet.models.installed import import_installed, table


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered architecture: its default config and what builds a module from a config of that type."""

    config: ModelConfig
    build: Callable[[Any], nn.Module]


_ENTRIES: dict[str, Entry] = table()


def register_model(name: str, config: ModelConfig, build: Callable[[Any], nn.Module] = Extractor) -> None:
    """Make a model known by name to recipes, bundles and the command line.

    Args:
        name: what recipes and bundles call it.
        config: its default config; for a new architecture, of a class of your own derived from `ModelConfig`.
        build: config -> module with the interface of `Extractor` (`forward`, `embed`, `front_end`, `dim`,
            `exact_when_padded`).

    Raises:
        BadRegistration: when the name is taken.
    """
    if name in _ENTRIES:
        raise BadRegistration(f"a model named {name!r} is registered already")
    _ENTRIES[name] = Entry(config, build)


def model_names() -> list[str]:
    """Names of all registered models, those of installed packages last.

    Raises:
        AcanetError: when a package's models cannot be imported; it names the package.
    """
    import_installed("models")
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


def saved_config(name: str, config: Mapping[str, Any]) -> ModelConfig:
    """The config of a model that was saved, whatever the registered default is or has become.

    Args:
        name: a registered name.
        config: as it was written, with all its keys but those of what came later and was absent (a discriminant, ...).

    Raises:
        UnknownModel: with the nearest known name.
        BadConfig: when it is not a config of that model.
    """
    return type(_entry(name).config).parse(config, f"model {name}")


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
        import_installed("models")
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
