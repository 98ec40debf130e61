"""Reading weights in the layouts of other people's code.

A layout renames the tensors of a foreign state dict to those of `Extractor`, and tells from their shapes which config
they fit. It is in the file of the network that it is of. What is loaded is checked against the model's own names and
shapes, so that nothing is left over and nothing is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from acanet.errors import BadRegistration, ModelMismatch
from acanet.models.installed import table

Weights = Mapping[str, Tensor]
"""Tensors by name."""
Changes = dict[str, Any]
"""Nested keys to lay over a registered config, as `acanet.models.registry.model_config` takes them."""

Rename = list[tuple[str, str | Callable[[re.Match[str]], str]]]
"""Patterns, and what is put in their place, as `re.sub` takes them."""


@dataclass(frozen=True)
class Layout:
    """How other people's code names and shapes the tensors of a network.

    Attributes:
        about: what is in it, for people.
        mark: a tensor that every state dict in this layout has, and no other layout.
        renamed: name and value of one of their tensors -> ours, by name: none where it is left out, several where
            they keep several in one.
        fit: weights by our names -> the registered model that they are of, and what of its config to change. Sizes
            are those of the shapes; what no shape tells, such as heads and dilations, is as published.
    """

    about: str
    mark: str
    renamed: Callable[[str, Tensor], dict[str, Tensor]]
    fit: Callable[[Weights], tuple[str, Changes]]

    def ours(self, weights: Weights) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Weights by our names, and for each the name that it has in the foreign state dict.

        Raises:
            ModelMismatch: when two of their tensors are one of ours, or one cannot be taken apart.
        """
        ours: dict[str, Tensor] = {}
        theirs: dict[str, str] = {}
        for name, value in weights.items():
            for own, part in self.renamed(name, value).items():
                if own in ours:
                    raise ModelMismatch(f"both {theirs[own]} and {name}", f"one of them, for {own}")
                ours[own], theirs[own] = part, name
        return ours, theirs

    def load(self, model: nn.Module, weights: Weights) -> None:
        """Fill a model of the same sizes from weights in this layout.

        Raises:
            ModelMismatch: when names or shapes differ.
        """
        load_exactly(model, *self.ours(weights))


LAYOUTS: dict[str, Layout] = table()
"""Layouts by name, each from the file of the network that it is of."""


def register_layout(name: str, layout: Layout) -> Layout:
    """Make a layout known to `acanet import`.

    Raises:
        BadRegistration: when the name is taken.
    """
    if name in LAYOUTS:
        raise BadRegistration(f"a layout named {name!r} is registered already")
    LAYOUTS[name] = layout
    return layout


def load_exactly(model: nn.Module, weights: Weights, theirs: Mapping[str, str] | None = None) -> None:
    """Fill a model from weights in its own names; axes of size one (of 1x1 convolutions) do not count.

    Args:
        model: any module.
        weights: by the model's own names.
        theirs: for an own name, the one that the tensor has where it comes from, which errors tell too.

    Raises:
        ModelMismatch: when names or shapes differ.
    """
    want = model.state_dict()
    for verb, names in (("lack", want.keys() - weights.keys()), ("also hold", weights.keys() - want.keys())):
        if names:
            shown = ", ".join(name + _there(name, theirs) for name in sorted(names)[:3])
            raise ModelMismatch(f"weights that {verb} {shown} ({len(names)} in all)", _model(model))
    for name, value in weights.items():
        if value.squeeze().shape != want[name].squeeze().shape:
            have = f"{name} of shape {tuple(value.shape)}{_there(name, theirs)}"
            raise ModelMismatch(have, f"{tuple(want[name].shape)} for {_model(model)}")
    model.load_state_dict({name: torch.as_tensor(value).reshape(want[name].shape) for name, value in weights.items()})


def renamed(name: str, rules: Rename) -> str:
    """A name after all rules, one after the other."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _there(name: str, theirs: Mapping[str, str] | None) -> str:
    foreign = (theirs or {}).get(name, name)
    return "" if foreign == name else f" ({foreign} in the file)"


def size_of(weights: Weights, name: str, axis: int = 0) -> int:
    """The size of one axis of a tensor."""
    if name not in weights:
        raise ModelMismatch(f"weights that lack {name}", "it, to read the size of the model off it")
    value = weights[name]
    if value.ndim <= axis:
        raise ModelMismatch(f"{name} of shape {tuple(value.shape)}", f"{axis + 1} axes or more")
    return value.shape[axis]


def count_of(weights: Weights, stem: str) -> int:
    """The number of numbered parts below a name."""
    numbers = {match[1] for name in weights if (match := re.match(rf"{re.escape(stem)}\.(\d+)\.", name))}
    if not numbers:
        raise ModelMismatch(f"weights that lack {stem}.0", "it, to read the size of the model off it")
    return len(numbers)


def _model(model: nn.Module) -> str:
    return f"a model of {sum(p.numel() for p in model.parameters()):,} parameters"
