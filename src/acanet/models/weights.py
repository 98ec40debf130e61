"""Reading weights in the layouts of other people's code.

Each reader takes a state dict in the foreign layout and returns one for `Extractor`, checked against the model's own
names and shapes, so that nothing is left over and nothing is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from acanet.errors import ModelMismatch

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


def read_authors_acanet(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load an ACA-Net in the layout of the authors' code (final layer "1dE") into a model of the same sizes.

    Their code adds the position code along the batch; `positions="first"` computes what it gives for row 0.

    Raises:
        ModelMismatch: when names or shapes differ.
    """
    own = {}
    for name, value in weights.items():
        if name == "embed.pe":
            continue  # computed, not learned
        if match := re.search(r"\.attn\.in_proj_(weight|bias)$", name):
            base = _renamed(name[: match.start()] + ".", _ACANET)
            for part, rows in zip(("query", "key", "value"), value.chunk(3), strict=True):
                own[f"{base}{part}.{match[1]}"] = rows
        else:
            own[_renamed(name, _ACANET)] = value
    load_exactly(model, own)


def read_speechbrain_ecapa(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load an ECAPA-TDNN in SpeechBrain's layout into a model of the same sizes.

    Raises:
        ModelMismatch: when names or shapes differ.
    """
    load_exactly(model, {_renamed(name, _ECAPA): value for name, value in weights.items()})


def read_campplus(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load a CAM++ in WeSpeaker's or 3D-Speaker's layout into a model of the same sizes.

    WeSpeaker saves the classifier of the training speakers beside the network (`projection.`); it is left out.

    Raises:
        ModelMismatch: when names or shapes differ.
    """
    network = {name: value for name, value in weights.items() if not name.startswith("projection.")}
    load_exactly(model, {_renamed(name, _CAMPPLUS): value for name, value in network.items()})


READERS: dict[str, Callable[[nn.Module, Mapping[str, Tensor]], None]] = {
    "authors-acanet": read_authors_acanet,
    "speechbrain-ecapa": read_speechbrain_ecapa,
    "campplus": read_campplus,
}


def load_exactly(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Fill a model from weights in its own names; axes of size one (of 1x1 convolutions) do not count.

    Raises:
        ModelMismatch: when names or shapes differ.
    """
    want = model.state_dict()
    for verb, names in (("lack", want.keys() - weights.keys()), ("also hold", weights.keys() - want.keys())):
        if names:
            raise ModelMismatch(
                f"weights that {verb} {', '.join(sorted(names)[:3])} ({len(names)} in all)", _size(model)
            )
    for name, value in weights.items():
        if value.squeeze().shape != want[name].squeeze().shape:
            have = f"{name} of shape {tuple(value.shape)}"
            raise ModelMismatch(have, f"{tuple(want[name].shape)} for {_size(model)}")
    model.load_state_dict({name: torch.as_tensor(value).reshape(want[name].shape) for name, value in weights.items()})


def _renamed(name: str, rules: _Rename) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _size(model: nn.Module) -> str:
    return f"a model of {sum(p.numel() for p in model.parameters()):,} parameters"
