"""The network that a run starts with: fresh weights or those of another model, and which of its parts do not learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from acanet.errors import BadConfig, ModelMismatch, nearest
from acanet.models.config import ExtractorConfig, ModelConfig
from acanet.models.extractor import Extractor
from acanet.models.registry import build_model, model_config, saved_config
from acanet.models.weights import load_exactly
from acanet.runtime.bundle import Bundle
from acanet.training.recipe import ModelChoice
from acanet.training.run_folder import differences


def check_start(init: Bundle, name: str, config: ModelConfig) -> None:
    """See that the model to start from is that of a recipe, or one with pooling in the place of its aggregator.

    It may have any discriminant, and listen for speech or not: that changes no weight which is trained.

    Args:
        init: the model to start from.
        name: of the recipe's model.
        config: of the recipe's model.

    Raises:
        ModelMismatch: for another one; naming what differs.
    """
    pooled = pooled_start(init, config)
    if pooled is None and init.name != name:
        raise ModelMismatch(
            f"model {init.name} to start from", f"{name}, as the recipe says; --set model.name={init.name} changes that"
        )
    theirs = saved_config(init.name, init.config.model)
    aside: Any = {"discriminant": True, "front_end": {"floor_db", "speech_only"}}
    ours, others = (each.model_dump(mode="json", exclude=aside) for each in (pooled or config, theirs))
    different = differences(ours, others)
    if different:
        have = ", ".join(f"{key} {value}" for key, _, value in different)
        want = ", ".join(f"{key} {value}" for key, value, _ in different)
        raise ModelMismatch(f"{init.name} with {have} to start from", f"{want}, as model.change in the recipe says")


def pooled_start(init: Bundle, config: ModelConfig) -> ExtractorConfig | None:
    """The config that a model to start from has to have, whose pooling gives its place to a recipe's aggregator.

    None for a model of another kind of aggregator or frames, which is no such model.
    """
    pooled = config.starts_as if isinstance(config, ExtractorConfig) else None
    theirs = saved_config(init.name, init.config.model)
    if pooled is None or not isinstance(theirs, ExtractorConfig):
        return None
    same = theirs.frames.kind == pooled.frames.kind and theirs.aggregator.kind == pooled.aggregator.kind
    return pooled if same else None


def starting_network(name: str, config: ModelConfig, init: Bundle | None) -> Any:
    """A network with fresh weights, or those of a model that `check_start` let pass, without its discriminant.

    From a model with pooling, the aggregator is fresh, and the network gives what that model gives.
    """
    model = build_model(name, config)
    if init is None:
        return model
    pooled = pooled_start(init, config)
    if pooled is None:
        _load(model, init)
    else:
        before = Extractor(pooled)
        _load(before, init)
        model.start_as(before)
    return model


def old_and_new(model: Any, config: ModelConfig, init: Bundle | None) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters of a starting network, and apart from them those of an aggregator in the place of a pooling."""
    if init is None or pooled_start(init, config) is None:
        return list(model.parameters()), []
    parts = dict(model.named_children())
    new = list(parts.pop("aggregator").parameters())
    return [parameter for part in parts.values() for parameter in part.parameters()], new


def check_frozen(model: ModelChoice) -> None:
    """See that what a recipe freezes is part of the model that it names.

    Raises:
        BadConfig: for a name that no part has; with the nearest that one has.
    """
    if not model.freeze:
        return
    with torch.random.fork_rng(devices=()):  # weights that nobody needs
        network = build_model(model.name, model_config(model.name, model.change))
    parts = [name for name, _ in network.named_modules() if name]
    problems = [f"no part {name!r} in {model.name}; {_hint(name, parts)}" for name in model.freeze if name not in parts]
    if problems:
        raise BadConfig("model.freeze", problems)


def _hint(name: str, parts: Sequence[str]) -> str:
    near = nearest(name, parts)
    return f"did you mean {near!r}?" if near else f"there are {', '.join(part for part in parts if '.' not in part)}"


def freeze(model: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """The parts of a network that `learning` leaves as they are; no gradient is taken to their parameters any more."""
    return [model.get_submodule(name).requires_grad_(False) for name in names]


def learning(model: nn.Module, frozen: Sequence[nn.Module]) -> None:
    """Set a network to training, but for its frozen parts, whose batch norm goes on with the statistics that it has."""
    model.train()
    for part in frozen:
        part.eval()


def _load(model: Any, init: Bundle) -> None:
    """Fill a network with the weights of a model, but for what belongs to that model alone."""
    theirs = {name: torch.from_numpy(value) for name, value in init.weights().items() if not _is_own(name)}
    load_exactly(model, theirs | {name: value for name, value in model.state_dict().items() if _is_own(name)})


def _is_own(name: str) -> bool:
    """Whether a model has a weight from elsewhere than training: the network that finds speech, a discriminant."""
    return name.startswith(("front_end.speech.", "discriminant."))
