"""Public weights -> a bundle that runs without torch: what others trained and published, in the layout of their code.

The sizes of the model are read off the weights; the bundle is made, and compared with torch, as that of every export.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from acanet.config.files import temporary_folder
from acanet.config.settings import lay, read_setting
from acanet.config.strict import UNKNOWN_KEY
from acanet.errors import AcanetError, ModelMismatch, few, nearest
from acanet.export.export import Exported, export_model
from acanet.models.config import ModelConfig
from acanet.models.registry import build_model, model_config
from acanet.models.weights import LAYOUTS, Layout, Weights
from acanet.runtime.bundle import Bundle, BundleConfig, Provenance, write_bundle

UNKNOWN = "unknown"
"""The licence of weights of which nobody said under which they are."""
_NESTED = ("state_dict", "model_state_dict", "model")
"""Keys under which training code keeps the state dict, beside its own state."""
_DEEPEST = 3


def import_weights(
    layout: str, checkpoint: Path, output: Path, *, licence: str = UNKNOWN, settings: Sequence[str] = ()
) -> Exported:
    """Write public weights as a bundle that runs without torch, if it gives the embeddings that torch gives.

    Args:
        layout: one of `acanet.models.weights.LAYOUTS`.
        checkpoint: a state dict by `torch.save`, perhaps in a dict that has it under a usual key, or safetensors.
        output: a new folder, or an exported bundle that is replaced.
        licence: of the weights, for the bundle's config and card.
        settings: `key.below=value`, laid over the config that the weights fit, for what no shape tells.

    Raises:
        AcanetError: when there is no such layout, the file cannot be read or would run code, or as `export_model`.
        ModelMismatch: when the file holds something else; naming the first tensor that is missing, too many, or of
            another shape.
        BadConfig: when no model has these sizes, or a setting is wrong.
        ExportMismatch: as `export_model`.
    """
    with temporary_folder() as scratch:
        folder = scratch / "torch"
        torch_bundle(layout, checkpoint, folder, licence=licence, settings=settings)
        return export_model(folder, output)


def torch_bundle(
    layout: str, checkpoint: Path, folder: Path, *, licence: str = UNKNOWN, settings: Sequence[str] = ()
) -> Bundle:
    """Write public weights as a bundle that torch runs and training can start from.

    Args:
        folder: a new or empty one.
        layout, checkpoint, licence, settings: as in `import_weights`.

    Raises:
        AcanetError, ModelMismatch, BadConfig: as in `import_weights`; AcanetError also for a folder that holds
            something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AcanetError(f"{folder}: is there already; name another folder, or remove it")
    if layout not in LAYOUTS:
        near = nearest(layout, LAYOUTS)
        raise AcanetError(
            f"unknown layout {layout!r}; " + (f"did you mean {near!r}?" if near else f"known are {', '.join(LAYOUTS)}")
        )
    content = _content(checkpoint)
    chosen = LAYOUTS[layout]
    weights = _without_prefix(_state_dict(content, checkpoint), chosen, checkpoint)
    name, config = _fitting(chosen, weights, settings, checkpoint)
    model = build_model(name, config)
    chosen.load(model, weights)
    digest = hashlib.sha256(content).hexdigest()
    return write_bundle(
        folder,
        BundleConfig(name=name, model=config.model_dump(mode="json"), licence=licence),
        {key: value.numpy() for key, value in model.state_dict().items()},
        Provenance(data=(f"not known: weights imported from {checkpoint.name}",)),
        _card(name, layout, checkpoint, digest, licence, settings),
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AcanetError(f"{path}: cannot be read ({error.strerror})") from None


def _state_dict(content: bytes, path: Path) -> dict[str, Tensor]:
    """The tensors in a file's content, alone or under the usual keys."""
    found = _loaded(content, path)
    for _ in range(_DEEPEST):
        below = [found[key] for key in _NESTED if isinstance(found, Mapping) and isinstance(found.get(key), Mapping)]
        if not below:
            break
        found = below[0]
    want = "a state dict: tensors by name, " + " or ".join(f"under {key!r}" for key in _NESTED) + " or alone"
    if not isinstance(found, Mapping) or not found:
        raise ModelMismatch(f"{path}, which holds {_kind(found)}", want)
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ModelMismatch(f"{path}, which holds {_kind(value)} as {name!r}", want)
        if value.layout is not torch.strided or value.is_quantized or value.is_complex():
            raise ModelMismatch(f"{path}, where {name} is of {value.dtype}, {value.layout}", "plain real numbers")
        if not value.isfinite().all():
            raise ModelMismatch(f"{path}, where {name} has numbers that are not finite", "weights that are")
    return dict(found)


def _loaded(content: bytes, path: Path) -> Any:
    """The content of a file as safetensors, or torch's reader of weights alone, reads it."""
    if content[8:9] == b"{":  # safetensors: the length of a JSON header in eight bytes, then the header
        try:
            return safetensors.torch.load(content)
        except SafetensorError as error:
            raise AcanetError(f"{path}: not whole as safetensors ({error}); copy it again") from error
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # of files that are something else, of any type
        needed = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, UnpicklingError) else None
        if needed is None:
            raise AcanetError(
                f"{path}: neither tensors saved by torch.save nor safetensors, or damaged; give a state dict's file"
            ) from error
        raise AcanetError(
            f"{path}: holds more than tensors ({needed[1]}), and reading it would run code; where you trust it, save "
            "its state dict alone with torch.save"
        ) from error


def _without_prefix(weights: Weights, layout: Layout, path: Path) -> dict[str, Tensor]:
    """The weights by their names in the layout, without what is before all of them, such as `module.`."""
    marked = [name for name in weights if f".{name}".endswith(f".{layout.mark}")]
    if len(marked) != 1:
        have = f"{path}, {_here(weights)}" if not marked else f"{path} with {few(sorted(marked))}"
        raise ModelMismatch(have, f"{layout.about}, with {layout.mark} once")
    prefix = marked[0].removesuffix(layout.mark)
    for name in weights:
        if not name.startswith(prefix):
            raise ModelMismatch(f"{path} with {name}", f"{layout.about}, whose tensors all begin with {prefix} there")
    return {name.removeprefix(prefix): value for name, value in weights.items()}


def _here(weights: Weights) -> str:
    """Words for weights that are not in the layout that was named: the layout that they are in, or their names."""
    for name, layout in LAYOUTS.items():
        if any(f".{tensor}".endswith(f".{layout.mark}") for tensor in weights):
            return f"which is {layout.about} ({name})"
    return f"{len(weights)} tensors: {few(sorted(weights))}"


def _fitting(layout: Layout, weights: Weights, settings: Sequence[str], path: Path) -> tuple[str, ModelConfig]:
    """The registered model that weights are of, and its config with their sizes and the settings."""
    name, changes = layout.fit(layout.ours(weights)[0])
    for setting in settings:
        lay(changes, *read_setting(setting))
    config = model_config(
        name, changes, source=path, origin=lambda place, kind: "--set " if kind == UNKNOWN_KEY else ""
    )
    return name, config


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a dict of {few([str(key) for key in value])}" if value else "an empty dict"
    return f"a {type(value).__name__}"


def _card(name: str, layout: str, checkpoint: Path, digest: str, licence: str, settings: Sequence[str]) -> str:
    by_hand = f"Set by hand: {', '.join(f'`{setting}`' for setting in settings)}.\n" if settings else ""
    return f"""# {name}, imported

Weights of {LAYOUTS[layout].about} (`{layout}`), read from `{checkpoint.name}`, SHA-256
`{digest}`.
{by_hand}
Trained by others. Neither data nor speakers are known here, so `acanet evaluate` cannot refuse recordings that were
heard in training; evaluate on data that you know were not. No calibration: `acanet calibrate` makes one.
Licence: {licence}.
"""
