"""A model as one folder: what it is, its weights, what it was trained on, and a card for people.

config.json          name, architecture and front end, seconds of speech it needs
model.safetensors    weights
provenance.json      speakers and audio it was trained on
README.md            model card
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from acanet.config import Strict
from acanet.errors import AcanetError, MissingExtra

DEFAULT = Path(__file__).parent / "bundles" / "default"
_FORMAT = 1
_NOT_WHOLE = "the model is damaged; copy its whole folder again"


class BundleConfig(Strict):
    """What `config.json` holds. `model` is read by the registry, under the config class of `name`."""

    format: int = Field(_FORMAT, ge=1, le=_FORMAT, description="version of the bundle's layout")
    name: str
    model: dict[str, Any]
    licence: str
    needed_speech_seconds: PositiveFloat = 0.5


class Provenance(Strict):
    """What a model was trained on: enough to refuse an evaluation on it."""

    data: tuple[str, ...] = Field((), description="manifests, by name")
    speakers: frozenset[str] = frozenset()
    audio: frozenset[str] = Field(frozenset(), description="content hashes (`acanet.audio.content_hash`)")

    def __or__(self, other: Provenance) -> Provenance:
        """What a model saw that was trained on one, then on the other."""
        return Provenance(
            data=tuple(dict.fromkeys(self.data + other.data)),
            speakers=self.speakers | other.speakers,
            audio=self.audio | other.audio,
        )

    def as_json(self) -> str:
        """JSON with sorted sets, so that equal provenance gives equal files."""
        plain = {"data": list(self.data), "speakers": sorted(self.speakers), "audio": sorted(self.audio)}
        return json.dumps(plain, indent=0) + "\n"


@dataclass(frozen=True)
class Bundle:
    """A model in a folder, read lazily."""

    folder: Path
    config: BundleConfig

    @classmethod
    def load(cls, model: str | Path = "default") -> Bundle:
        """Open the bundle that ships (`default`), a bundle's folder, or the best model of a training run.

        Raises:
            AcanetError: when there is no bundle there.
            BadConfig: when its config is not understood.
        """
        folder = DEFAULT if str(model) == "default" else Path(model)
        if not (folder / "config.json").is_file() and (folder / "best" / "config.json").is_file():
            folder = folder / "best"
        path = folder / "config.json"
        if not path.is_file():
            raise AcanetError(f"{model}: no model there; give `default`, the folder of a bundle or of a training run")
        return cls(folder, BundleConfig.parse(_read_json(path), path))

    @property
    def name(self) -> str:
        """The architecture's name."""
        return self.config.name

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (first 16 hex digits) of everything that decides what an embedding is: not of card or licence."""
        decides = self.config.model_dump(mode="json", exclude={"licence"})
        digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
        digest.update((self.folder / "model.safetensors").read_bytes())
        return digest.hexdigest()[:16]

    @cached_property
    def provenance(self) -> Provenance:
        """What the model was trained on."""
        path = self.folder / "provenance.json"
        return Provenance.parse(_read_json(path), path)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Arrays by parameter name.

        Raises:
            AcanetError: when the file is missing or damaged.
            MissingExtra: without safetensors.
        """
        try:
            from safetensors import SafetensorError
            from safetensors.numpy import load_file
        except ModuleNotFoundError:
            raise MissingExtra("safetensors", "train") from None
        path = self.folder / "model.safetensors"
        try:
            weights: dict[str, NDArray[Any]] = load_file(path)
        except (FileNotFoundError, SafetensorError) as error:
            raise AcanetError(f"{path}: {_NOT_WHOLE} ({error})") from None
        return weights


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AcanetError(f"{path}: {_NOT_WHOLE} (there is no such file)") from None
    except ValueError as error:
        raise AcanetError(f"{path}: not JSON ({error})") from None


def write_bundle(
    folder: Path,
    config: BundleConfig,
    weights: Mapping[str, NDArray[Any]],
    provenance: Provenance,
    card: str,
) -> Bundle:
    """Write a bundle; the folder appears whole, or stays as it was.

    Args:
        folder: where; a bundle that is there is replaced.
        config: what the model is.
        weights: arrays by parameter name.
        provenance: what it was trained on.
        card: the model card, Markdown.
    """
    from safetensors.numpy import save

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        fresh = Path(scratch) / "new"
        fresh.mkdir()
        (fresh / "config.json").write_text(config.as_json(), encoding="utf-8")
        (fresh / "model.safetensors").write_bytes(save({k: np.ascontiguousarray(v) for k, v in weights.items()}))
        (fresh / "provenance.json").write_text(provenance.as_json(), encoding="utf-8")
        (fresh / "README.md").write_text(card, encoding="utf-8")
        old = Path(scratch) / "old"
        if folder.exists():
            os.replace(folder, old)
        try:
            os.replace(fresh, folder)
        except OSError:
            if old.exists():
                os.replace(old, folder)
            raise
    return Bundle(folder, config)
