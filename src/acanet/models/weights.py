"""Reading weights in the layouts of other people's code.

A layout renames the tensors of a foreign state dict to those of `Extractor`, and tells from their shapes which config
they fit. What is loaded is checked against the model's own names and shapes, so that nothing is left over and nothing
is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from acanet.errors import ModelMismatch

Weights = Mapping[str, Tensor]
"""Tensors by name."""
Changes = dict[str, Any]
"""Nested keys to lay over a registered config, as `acanet.models.registry.model_config` takes them."""

_Rename = list[tuple[str, str | Callable[[re.Match[str]], str]]]

# The authors' ACANet.py and TDNN.py (GitHub: Yip-Jia-Qi/ACA-Net)
_ACANET: _Rename = [
    (r"^ch_expansion\.conv\.conv\.", "frames.linear."),
    (r"^ch_expansion\.norm\.norm\.", "frames.norm."),
    (r"^latent$", "aggregator.latents"),
    (r"^ACA_blocks\.", "aggregator.blocks."),
    (r"\.cross_attention\.", ".aca."),
    (r"\.latent_transformer\.transformer\.", ".transformer."),
    (r"\.latent_transformer\.ch_reduction\.", ".aggregate."),
    (r"\.lnorm1\.", ".norm."),
    (r"\.attn\.out_proj\.", ".out."),
    (r"\.lnorm2\.", ".mlp.0."),
    (r"\.linear1\.", ".mlp.1."),
    (r"\.linear2\.", ".mlp.3."),
    (r"^ch_compression\.", "head.readout."),
    (r"^final_norm\.norm\.", "head.norm."),
]

# speechbrain.lobes.models.ECAPA_TDNN
_ECAPA: _Rename = [
    (r"^blocks\.0\.", "frames.stem."),
    (r"^blocks\.(\d+)\.", lambda found: f"frames.blocks.{int(found[1]) - 1}."),
    (r"^mfa\.", "frames.aggregate."),
    (r"^asp\.tdnn\.conv\.conv\.", "aggregator.squeeze."),
    (r"^asp\.tdnn\.norm\.norm\.", "aggregator.norm."),
    (r"^asp\.conv\.conv\.", "aggregator.expand."),
    (r"^asp_bn\.norm\.", "head.norm."),
    (r"^fc\.conv\.", "head.linear."),
    (r"\.res2net_block\.", ".res2net."),
    (r"\.se_block\.conv1\.conv\.", ".se.squeeze."),
    (r"\.se_block\.conv2\.conv\.", ".se.excite."),
    (r"\.conv\.conv\.", ".conv."),
    (r"\.norm\.norm\.", ".norm."),
]

# wespeaker/models/campplus.py; 3D-Speaker's DTDNN.py has the same names
_CAMPPLUS: _Rename = [
    (r"^head\.conv1\.", "frames.front.stem.conv."),
    (r"^head\.bn1\.", "frames.front.stem.norm."),
    (r"^head\.conv2\.", "frames.front.last.conv."),
    (r"^head\.bn2\.", "frames.front.last.norm."),
    (r"^head\.layer1\.", "frames.front.blocks."),
    (r"^head\.layer2\.(\d)", lambda found: f"frames.front.blocks.{int(found[1]) + 2}"),
    (r"\.shortcut\.0\.", ".shortcut.conv."),
    (r"\.shortcut\.1\.", ".shortcut.norm."),
    (r"(blocks\.\d)\.conv1\.", r"\1.first.conv."),
    (r"(blocks\.\d)\.bn1\.", r"\1.first.norm."),
    (r"(blocks\.\d)\.conv2\.", r"\1.second.conv."),
    (r"(blocks\.\d)\.bn2\.", r"\1.second.norm."),
    (r"^xvector\.tdnn\.linear\.", "frames.tdnn."),
    (r"^xvector\.tdnn\.nonlinear\.batchnorm\.", "frames.tdnn_norm."),
    (r"^xvector\.(?:block|transit)(\d)\.", lambda found: f"frames.blocks.{int(found[1]) - 1}."),
    (r"\.tdnnd(\d+)\.", lambda found: f".layers.{int(found[1]) - 1}."),
    (r"\.nonlinear([12])\.batchnorm\.", r".norm\1."),
    (r"\.cam_layer\.linear_local\.", ".local."),
    (r"\.cam_layer\.linear1\.", ".squeeze."),
    (r"\.cam_layer\.linear2\.", ".excite."),
    (r"(layers\.\d+)\.linear1\.", r"\1.narrow."),
    (r"^(frames\.blocks\.\d)\.nonlinear\.batchnorm\.", r"\1.norm."),
    (r"^(frames\.blocks\.\d)\.linear\.", r"\1.halve."),
    (r"^xvector\.out_nonlinear\.batchnorm\.", "frames.norm."),
    (r"^xvector\.dense\.linear\.", "head.linear."),
    (r"^xvector\.dense\.nonlinear\.batchnorm\.", "head.norm."),
]


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


def read_authors_acanet(model: nn.Module, weights: Weights) -> None:
    """Load an ACA-Net in the layout of the authors' code (final layer "1dE") into a model of the same sizes.

    Their code adds the position code along the batch; `positions="first"` computes what it gives for row 0.

    Raises:
        ModelMismatch: when names or shapes differ.
    """
    LAYOUTS["authors-acanet"].load(model, weights)


def read_speechbrain_ecapa(model: nn.Module, weights: Weights) -> None:
    """Load an ECAPA-TDNN in SpeechBrain's layout into a model of the same sizes.

    Raises:
        ModelMismatch: when names or shapes differ.
    """
    LAYOUTS["speechbrain-ecapa"].load(model, weights)


def read_campplus(model: nn.Module, weights: Weights) -> None:
    """Load a CAM++ in WeSpeaker's or 3D-Speaker's layout into a model of the same sizes.

    WeSpeaker saves the classifier of the training speakers beside the network (`projection.`); it is left out.

    Raises:
        ModelMismatch: when names or shapes differ.
    """
    LAYOUTS["campplus"].load(model, weights)


def _renamed_acanet(name: str, value: Tensor) -> dict[str, Tensor]:
    if name == "embed.pe":
        return {}  # computed, not learned
    match = re.search(r"\.attn\.in_proj_(weight|bias)$", name)
    if match is None:
        return {_renamed(name, _ACANET): value}
    if value.ndim == 0 or len(value) == 0 or len(value) % 3:
        raise ModelMismatch(f"{name} of shape {tuple(value.shape)}", "rows for queries, keys and values")
    base = _renamed(name[: match.start()] + ".", _ACANET)
    parts = zip(("query", "key", "value"), value.chunk(3), strict=True)
    return {f"{base}{part}.{match[1]}": rows for part, rows in parts}


def _renamed_ecapa(name: str, value: Tensor) -> dict[str, Tensor]:
    return {_renamed(name, _ECAPA): value}


def _renamed_campplus(name: str, value: Tensor) -> dict[str, Tensor]:
    return {} if name.startswith("projection.") else {_renamed(name, _CAMPPLUS): value}


def _fit_acanet(weights: Weights) -> tuple[str, Changes]:
    block = "aggregator.blocks.0"
    return "acanet", {
        "front_end": {"mels": _size(weights, "frames.linear.weight", 1)},
        "frames": {"channels": _size(weights, "frames.linear.weight")},
        "aggregator": {
            "latents": _size(weights, "aggregator.latents"),
            "blocks": _count(weights, "aggregator.blocks"),
            "aca_layers": _count(weights, f"{block}.aca"),
            "latent_layers": _count(weights, f"{block}.transformer"),
            "aca_mlp": _size(weights, f"{block}.aca.0.mlp.1.weight"),
            "latent_mlp": _size(weights, f"{block}.transformer.0.mlp.1.weight"),
            "positions": "first",
        },
    }


def _fit_ecapa(weights: Weights) -> tuple[str, Changes]:
    """The features are those of SpeechBrain's recipes: its Fbank as it is without settings, from 0 Hz on."""
    channels = _size(weights, "frames.stem.conv.weight")
    blocks = range(_count(weights, "frames.blocks"))
    kernels = (f"frames.blocks.{block}.res2net.blocks.0.conv.weight" for block in blocks)
    return "ecapa-512" if channels == 512 else "ecapa-1024", {
        "front_end": {"kind": "speechbrain", "low_hz": 0.0, "mels": _size(weights, "frames.stem.conv.weight", 1)},
        "frames": {
            "channels": channels,
            "out_channels": _size(weights, "frames.aggregate.conv.weight"),
            "kernels": [_size(weights, name, 2) for name in ("frames.stem.conv.weight", *kernels)],
            "res2net_scale": _count(weights, "frames.blocks.0.res2net.blocks") + 1,
            "se_channels": _size(weights, "frames.blocks.0.se.squeeze.weight"),
        },
        "aggregator": {"channels": _size(weights, "aggregator.squeeze.weight")},
        "head": {"dim": _size(weights, "head.linear.weight")},
    }


def _fit_campplus(weights: Weights) -> tuple[str, Changes]:
    front = _size(weights, "frames.front.stem.conv.weight")
    first = "frames.blocks.0.layers.0"
    return "campplus", {
        "front_end": {"mels": 8 * _size(weights, "frames.tdnn.weight", 1) // max(front, 1)},
        "frames": {
            "front_channels": front,
            "channels": _size(weights, "frames.tdnn.weight"),
            "growth": _size(weights, f"{first}.local.weight"),
            "bottleneck": _size(weights, f"{first}.narrow.weight"),
            "layers": [
                _count(weights, f"frames.blocks.{block}.layers") for block in range(_count(weights, "frames.blocks"))
            ],
        },
        "head": {"dim": _size(weights, "head.linear.weight")},
    }


LAYOUTS = {
    "speechbrain-ecapa": Layout(
        "an ECAPA-TDNN in SpeechBrain's layout", "asp.conv.conv.weight", _renamed_ecapa, _fit_ecapa
    ),
    "authors-acanet": Layout(
        "an ACA-Net in the layout of the authors' code", "ch_expansion.conv.conv.weight", _renamed_acanet, _fit_acanet
    ),
    "campplus": Layout(
        "a CAM++ in the layout of WeSpeaker and 3D-Speaker",
        "xvector.dense.linear.weight",
        _renamed_campplus,
        _fit_campplus,
    ),
}


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


def _renamed(name: str, rules: _Rename) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _there(name: str, theirs: Mapping[str, str] | None) -> str:
    foreign = (theirs or {}).get(name, name)
    return "" if foreign == name else f" ({foreign} in the file)"


def _size(weights: Weights, name: str, axis: int = 0) -> int:
    """The size of one axis of a tensor."""
    if name not in weights:
        raise ModelMismatch(f"weights that lack {name}", "it, to read the size of the model off it")
    value = weights[name]
    if value.ndim <= axis:
        raise ModelMismatch(f"{name} of shape {tuple(value.shape)}", f"{axis + 1} axes or more")
    return value.shape[axis]


def _count(weights: Weights, stem: str) -> int:
    """How many numbered parts there are below a name."""
    numbers = {match[1] for name in weights if (match := re.match(rf"{re.escape(stem)}\.(\d+)\.", name))}
    if not numbers:
        raise ModelMismatch(f"weights that lack {stem}.0", "it, to read the size of the model off it")
    return len(numbers)


def _model(model: nn.Module) -> str:
    return f"a model of {sum(p.numel() for p in model.parameters()):,} parameters"
