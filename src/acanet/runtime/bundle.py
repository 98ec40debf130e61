"""A model as one folder: what it is, its weights, what it was trained on, and a card for people.

config.json          name, architecture and front end, seconds of speech it needs
model.safetensors    weights, as training writes them
provenance.json      speakers and audio it was trained on
README.md            model card
calibration.json     what makes log-likelihood ratios of its cosines, once `acanet calibrate` made one; sealed

An exported bundle (`acanet export`) runs without torch. Instead of model.safetensors it has

whole.onnx, ...      graphs; `acanet.export.stages` says what each computes
weights.bin          the weights of all graphs
golden.npz           recordings and their embeddings, which `acanet check` replays

The fingerprint says which embeddings can be compared. It is that of the torch form, and a float32 export keeps it,
because export makes sure that the embeddings are the same. An int8 or fp16 export has one of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, PositiveFloat, model_validator

from acanet.config.files import printable, write_text, written_folder
from acanet.config.reading import MEGABYTE, json_text, read_json, read_regular
from acanet.config.scratch import give_back
from acanet.config.strict import Strict
from acanet.errors import AcanetError, BadConfig, MissingExtra, one_line
from acanet.runtime.choices import Precision
from acanet.scoring.calibrate import Calibration

SHIPPED = ("default", "small")
"""The models that ship, by name."""
BUNDLES = Path(__file__).parents[1] / "bundles"
"""Where they are, each in a folder of its name."""
TRAINABLE = Path(__file__).parents[3] / "weights"
"""Where their torch weights are, in a clone of the repository."""
ALLOWED = 1e-4
"""By how much a number of an exported model's embedding may differ from that of the original."""
MOST_BYTES = 2**32
"""Of a file of weights, beyond any model of this field."""
WEIGHTS = "weights.bin"
CALIBRATION = "calibration.json"
_FORMAT = 1
_REMEDY = "remove the file, or make it anew with `acanet calibrate`"
_EXTERNAL = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)
"""Where a graph names a file that holds weights of it, as ONNX stores it: what follows is so many bytes long."""
_NOT_WHOLE = "the model is damaged; copy its whole folder again"


def _own_file(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
        raise ValueError(f"{name!r} names no file of the bundle's own folder")
    return name


FileName = Annotated[str, AfterValidator(_own_file)]
"""Of a file in the bundle's own folder."""
Size = Annotated[int, Field(gt=0, le=100_000)]
"""Numbers in an embedding, frames and the like."""


class Pieces(Strict):
    """How a recording can be embedded in pieces, by the stages of `acanet.export.stages`."""

    passes: Annotated[int, Field(gt=0, le=1000, description="over the frames")]
    reach: Annotated[int, Field(ge=0, le=100_000, description="frames of features that a frame sees on each side")]
    stride: Annotated[int, Field(gt=0, le=1000, description="frames of features for each frame")]


class Graphs(Strict):
    """What an exported bundle holds in place of weights for torch."""

    origin: str = Field(description="fingerprint of the model that was exported")
    decides: str = Field(description="SHA-256 of what `config.json` says about embeddings")
    precision: Precision = Field("float32", description="of the products with weights")
    allowed: PositiveFloat = Field(ALLOWED, description="difference from the golden embeddings on another processor")
    rate: Annotated[int, Field(gt=0, le=1_000_000)]
    dim: Size
    exact_when_padded: bool
    stages: Annotated[tuple[FileName, ...], Field(max_length=1000)]
    pieces: Pieces | None = Field(None, description="none: only the whole recording at once")
    files: dict[FileName, str] = Field(description="SHA-256 of graphs and weights, by name", max_length=2000)

    @model_validator(mode="after")
    def _holds_what_it_runs(self) -> Self:
        if "whole" not in self.stages:
            raise ValueError("stages lacks 'whole', the graph that gives embeddings")
        missing = [f"{stage}.onnx" for stage in self.stages if f"{stage}.onnx" not in self.files]
        if missing:
            raise ValueError(f"files lacks {missing[0]!r}, which is run")
        return self

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the original in float32; other precisions give other embeddings, and have their own."""
        if self.precision == "float32":
            return self.origin
        return hashlib.sha256(f"{self.origin} {self.precision}".encode()).hexdigest()[:16]


class BundleConfig(Strict):
    """What `config.json` holds. `model` is read by the registry, under the config class of `name`."""

    format: int = Field(_FORMAT, ge=1, le=_FORMAT, description="version of the bundle's layout")
    name: str
    model: dict[str, Any]
    licence: str
    needed_speech_seconds: PositiveFloat = 0.5
    onnx: Graphs | None = Field(None, description="of an exported bundle")

    @property
    def decides(self) -> bytes:
        """The part of the config that decides what an embedding is: neither the licence nor what runs the model."""
        return json.dumps(self.model_dump(mode="json", exclude={"licence", "onnx"}), sort_keys=True).encode()


class Provenance(Strict):
    """What a model was trained on: enough to refuse an evaluation on it."""

    data: tuple[str, ...] = Field((), description="manifests, by name")
    speakers: frozenset[str] = frozenset()
    audio: frozenset[str] = Field(frozenset(), description="content hashes (`acanet.audio.recording.content_hash`)")

    def __or__(self, other: Provenance) -> Provenance:
        """The provenance of a model that was trained on one, then on the other."""
        return Provenance(
            data=tuple(dict.fromkeys(self.data + other.data)),
            speakers=self.speakers | other.speakers,
            audio=self.audio | other.audio,
        )

    def as_json(self) -> str:
        """The content of `provenance.json`, with sorted sets, so that equal provenance gives equal files."""
        plain = {"data": list(self.data), "speakers": sorted(self.speakers), "audio": sorted(self.audio)}
        return json_text(plain, indent=0) + "\n"


@dataclass(frozen=True)
class Bundle:
    """A model in a folder, read lazily."""

    folder: Path
    config: BundleConfig

    @classmethod
    def load(cls, model: str | Path = "default") -> Bundle:
        """Open a bundle that ships (`default` or `small`), a bundle's folder, or the best model of a training run.

        Raises:
            AcanetError: when there is no bundle there.
            BadConfig: when its config is not understood.
        """
        folder = BUNDLES / str(model) if str(model) in SHIPPED else Path(model)
        if not (folder / "config.json").is_file():
            give_back(folder)
            give_back(folder / "best")
        if not (folder / "config.json").is_file() and (folder / "best" / "config.json").is_file():
            folder = folder / "best"
        path = folder / "config.json"
        if not path.is_file():
            shipped = ", ".join(f"`{name}`" for name in SHIPPED)
            raise AcanetError(f"{model}: no model there; give {shipped}, the folder of a bundle or of a training run")
        return cls(folder, BundleConfig.parse(_read_json(path), path))

    @property
    def name(self) -> str:
        """The architecture's name."""
        return self.config.name

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 (first 16 hex digits) of everything that decides what an embedding is: not of card or licence.

        That of a bundle exported in float32 is its origin's.

        Raises:
            AcanetError: when the files of an exported bundle are not those that were exported.
        """
        if self.config.onnx is not None:
            self.verify_files()
            return self.config.onnx.fingerprint
        digest = hashlib.sha256(self.config.decides)
        digest.update(self._content(self.folder / "model.safetensors"))
        return digest.hexdigest()[:16]

    @property
    def graphs(self) -> Graphs:
        """The config of an exported bundle's graphs.

        Raises:
            AcanetError: when the bundle is not exported.
        """
        if self.config.onnx is None:
            raise AcanetError(f"{self.folder}: not an exported bundle; make one with `acanet export`")
        return self.config.onnx

    def verify_files(self) -> None:
        """Make sure that an exported bundle is what was exported.

        Raises:
            AcanetError: when it is not.
        """
        if hashlib.sha256(self.config.decides).hexdigest() != self.graphs.decides:
            raise self.damaged(self.folder / "config.json", "it was changed after the export")
        for name, expected in self.graphs.files.items():
            path = self.folder / name
            content = self._content(path)
            if hashlib.sha256(content).hexdigest() != expected:
                raise self.damaged(path, "it is not the file that was exported")
            for weights in _weight_files(content) if path.suffix == ".onnx" else ():
                if weights not in self.graphs.files:
                    raise self.damaged(path, f"its weights are in {weights!r}, of which the config knows nothing")

    def _content(self, path: Path) -> bytes:
        try:
            return read_regular(path, MOST_BYTES)
        except AcanetError as error:
            raise self.damaged(path, str(error).removeprefix(one_line(f"{path}: "))) from None

    def damaged(self, path: Path, reason: object) -> AcanetError:
        """The error about a file of this bundle."""
        return AcanetError(f"{path}: {_NOT_WHOLE} ({reason})")

    @cached_property
    def provenance(self) -> Provenance:
        """What the model was trained on."""
        path = self.folder / "provenance.json"
        return Provenance.parse(_read_json(path, MOST_BYTES), path)

    @cached_property
    def calibration(self) -> Calibration | None:
        """The calibration of `calibration.json`, whatever model it is of; None without one. No part of the fingerprint.

        Raises:
            AcanetError, BadConfig: when the file is damaged, was changed by hand, or decides what makes no sense.
        """
        path = self.folder / CALIBRATION
        if not path.exists() and not path.is_symlink():
            return None
        try:
            return Calibration.of_file(_read_json(path), path)
        except BadConfig as error:
            raise BadConfig(error.source, [*error.problems, _REMEDY]) from None
        except AcanetError as error:
            raise AcanetError(f"{error}; {_REMEDY}") from None

    def with_calibration(self, calibration: Calibration) -> Bundle:
        """This bundle with another `calibration.json`, written to its folder."""
        write_text(self.folder / CALIBRATION, calibration.as_json())
        return Bundle(self.folder, self.config)

    def trainable(self) -> Bundle:
        """This bundle, or for a model that ships the one that has its torch weights.

        Raises:
            AcanetError: when there are none.
        """
        if self.config.onnx is None:
            return self
        if self.folder.parent != BUNDLES:
            raise AcanetError(f"{self.folder}: an exported bundle has no weights for torch; name the run it is from")
        name = self.folder.name
        if not (TRAINABLE / name / "config.json").is_file():
            raise AcanetError(
                "the torch weights of the models that ship are not in the package: clone acanet's repository, and name "
                f"its folder weights/{name} in place of `{name}`"
            )
        return Bundle.load(TRAINABLE / name)

    def weights(self) -> dict[str, NDArray[Any]]:
        """The weights of `trainable`, arrays by parameter name.

        Raises:
            AcanetError: when there are none, they are not finite, or the file is missing or damaged.
            MissingExtra: without safetensors.
        """
        try:
            from safetensors import SafetensorError
            from safetensors.numpy import load
        except ModuleNotFoundError:
            raise MissingExtra("safetensors", "train") from None
        path = self.trainable().folder / "model.safetensors"
        try:
            weights: dict[str, NDArray[Any]] = load(self._content(path))
        except SafetensorError as error:
            raise self.damaged(path, error) from None
        for name, value in weights.items():
            if not np.isfinite(value).all():
                raise AcanetError(f"{path}: {name} is not finite, so this is no model; train it again at a lower rate")
        return weights


def _read_json(path: Path, most: int = MEGABYTE) -> Any:
    if not path.exists() and not path.is_symlink():
        raise AcanetError(f"{path}: {_NOT_WHOLE} (there is no such file)")
    return read_json(path, most)


def _weight_files(graph: bytes) -> set[str]:
    """The files that a graph names for weights of it."""
    return {
        graph[found.end() : found.end() + found[1][0]].decode("utf-8", "replace") for found in _EXTERNAL.finditer(graph)
    }


def write_bundle(
    folder: Path,
    config: BundleConfig,
    weights: Mapping[str, NDArray[Any]],
    provenance: Provenance,
    card: str,
) -> Bundle:
    """Write a bundle as training does; the folder appears whole, or stays as it was.

    Args:
        folder: where; a bundle that is there is replaced.
        config: what the model is.
        weights: arrays by parameter name.
        provenance: what it was trained on.
        card: the model card, Markdown.
    """
    from safetensors.numpy import save

    safetensors = save({name: np.ascontiguousarray(value) for name, value in weights.items()})
    return write_files(folder, config, {"model.safetensors": safetensors}, provenance, card)


def write_files(
    folder: Path, config: BundleConfig, files: Mapping[str, bytes], provenance: Provenance, card: str
) -> Bundle:
    """Write a bundle of these files; arguments otherwise as in `write_bundle`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with written_folder(folder, replace=True) as fresh:
        (fresh / "config.json").write_text(config.as_json(), encoding="utf-8")
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        (fresh / "provenance.json").write_text(provenance.as_json(), encoding="utf-8")
        (fresh / "README.md").write_text(printable(card), encoding="utf-8")
    return Bundle(folder, config)
