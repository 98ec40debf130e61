"""torch -> ONNX: a model as graphs that share one file of weights, written only if they give the same embeddings.

An int8 or fp16 twin is made from the float32 graphs once these have passed.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from acanet.audio.recording import Source, load
from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.errors import AcanetError, ExportMismatch
from acanet.export.precision import TrialList, Twin, convert, error_rates, quiet, speed
from acanet.export.precision import compare as compare_twin
from acanet.export.stages import Stage, in_pieces, reach, stages
from acanet.models.folded import fold
from acanet.models.inference import embed_waveforms, load_model
from acanet.runtime.batching import pad
from acanet.runtime.bundle import (
    ALLOWED,
    CALIBRATION,
    GOLDEN,
    WEIGHTS,
    Bundle,
    BundleConfig,
    Golden,
    Graphs,
    Pieces,
    to_16_bit,
    write_files,
)
from acanet.runtime.choices import Precision
from acanet.runtime.onnx import OnnxNetwork, largest_difference

OPSET = 20
LENGTHS = tuple(round(0.5 * 120 ** (i / 9), 3) for i in range(10))
"""Seconds of the recordings that torch and ONNX are compared on: ten from 0.5 to 60."""

_SMALL = 1024  # bytes of a constant that stays in its graph
_ALIGNMENT = 4096  # so that weights can be mapped into memory
_GOLDEN = 3
_ROWS = 3  # of a padded batch
_TWINS = ("whole", "attention")


@dataclass(frozen=True)
class Exported:
    """What was written, and how far it is from the original.

    Attributes:
        bundle: the exported bundle.
        alone: largest difference of any number of an embedding, each recording alone.
        padded: the same in padded batches; for a model that padding changes, in batches of equal lengths.
        recordings: how many were compared.
        twin: how int8 or fp16 compares with float32, which the differences above are of.
    """

    bundle: Bundle
    alone: float
    padded: float
    recordings: int
    twin: Twin | None = None


def export(
    model: str | Path,
    output: Path,
    *,
    recordings: Sequence[Source] = (),
    precision: Precision = "float32",
    trials: TrialList | None = None,
) -> Exported:
    """Write a model as a bundle that runs without torch.

    Args:
        model: `default`, `small`, or the folder of a bundle or of a training run.
        output: a new folder, or an exported bundle that is replaced.
        recordings: speech to compare torch and ONNX on, besides synthetic voices; each is cut, or repeated, to every
            one of `LENGTHS`.
        precision: `int8` and `fp16` give embeddings, and a fingerprint, of their own, no stages, and no calibration.
        trials: what the change of EER is measured on, for int8 and fp16.

    Raises:
        ExportMismatch: when an embedding differs by more than 1e-4, or is not finite; nothing is written then.
        AcanetError: when there is no model with weights for torch, the model cannot be traced, or `output` holds
            something else; when an int8 or fp16 embedding has a cosine below 0.98 to that in float32.
        BadAudio: when a recording cannot be read.
        BadTrials, BadManifest, SeenInTraining: as `evaluate_model`, with `trials`.
    """
    _check_output(output)
    source = Bundle.load(model).trainable()
    original = load_model(source.name, source.config.model, source.weights())
    folded = fold(original)
    rate = int(original.front_end.config.rate)
    waveforms = [*_synthetic(rate), *(_of_length(load(each, rate), s, rate) for each in recordings for s in LENGTHS)]
    about = {
        "name": source.name,
        "rate": rate,
        "dim": original.dim,
        "fingerprint": source.fingerprint,
        "licence": source.config.licence,
    }
    files = _files(stages(folded), {f"acanet.{key}": str(value) for key, value in about.items()})
    config = source.config.model_copy(update={"onnx": _graphs(source, original, folded, files)})
    with tempfile.TemporaryDirectory(prefix="acanet-export-") as scratch:
        trial = write_files(Path(scratch) / "trial", config, files, source.provenance, "")
        expected = np.concatenate([embed_waveforms(original, [waveform]) for waveform in waveforms])
        alone, padded = compare(OnnxNetwork(trial), waveforms, expected)
        golden = Golden(waveforms[:_GOLDEN], expected[:_GOLDEN])
        calibration = {}
        if precision == "float32":
            twin, card = None, _card(source, files, max(alone, padded), len(waveforms))
            calibration = _calibration(source)
        else:
            smaller = _twin(trial, precision, Path(scratch) / "twin")
            network = OnnxNetwork(smaller)
            golden = Golden(golden.waveforms, network.embed_waveforms(golden.waveforms))
            twin = _measured(trial, network, waveforms, expected, trials)
            config, files = _allowing(smaller.config, 2 * twin.difference), _contents(smaller)
            card = _twin_card(source, twin, smaller.graphs.fingerprint, len(waveforms))
    written = write_files(output, config, {**files, GOLDEN: golden.as_npz(), **calibration}, source.provenance, card)
    return Exported(written, alone, padded, len(waveforms), twin)


def compare(
    network: OnnxNetwork, waveforms: Sequence[NDArray[np.float32]], expected: NDArray[np.float32]
) -> tuple[float, float]:
    """The parity gate: largest differences from what torch gives each recording alone.

    Args:
        network: what was exported.
        waveforms: (samples,) each.
        expected: (waveforms, dim).

    Returns:
        Alone, and in padded batches.

    Raises:
        ExportMismatch: when either is larger than 1e-4 or not finite.
    """
    found = []
    for what, batches in (
        ("alone", [[i] for i in range(len(waveforms))]),
        ("in batches", _batches(network, waveforms)),
    ):
        worst = 0.0
        for batch in batches:
            padded, lengths = pad([waveforms[i] for i in batch])
            (embeddings,) = network.run("whole", waveforms=padded, lengths=lengths)
            difference = largest_difference(embeddings, expected[batch])
            if not difference <= ALLOWED:
                seconds = ", ".join(f"{length / network.rate:.2f} s" for length in lengths)
                raise ExportMismatch(f"recordings of {seconds}, {what}", difference, ALLOWED)
            worst = max(worst, difference)
        found.append(worst)
    return found[0], found[1]


def _batches(network: OnnxNetwork, waveforms: Sequence[NDArray[np.float32]]) -> list[list[int]]:
    """Neighbours in length; of equal lengths where padding changes the model's embeddings."""
    order = sorted(range(len(waveforms)), key=lambda i: len(waveforms[i]))
    if network.bundle.graphs.exact_when_padded:
        return [order[first : first + _ROWS] for first in range(len(order) - _ROWS + 1)]
    lengths = {len(waveform) for waveform in waveforms}
    return [[i for i in order if len(waveforms[i]) == length] for length in sorted(lengths)]


def _synthetic(rate: int) -> Iterator[NDArray[np.float32]]:
    """Two voices at all lengths."""
    for speaker in range(2):
        voice = SyntheticVoice.draw(0, speaker)
        speech = synthesise(voice, 15.0, (0, speaker), rate)
        for number, seconds in enumerate(LENGTHS):
            yield to_16_bit(_of_length(np.roll(speech, -number * rate), seconds, rate))


def _of_length(waveform: NDArray[np.float32], seconds: float, rate: int) -> NDArray[np.float32]:
    return np.resize(waveform, round(seconds * rate))


def _calibration(source: Bundle) -> dict[str, bytes]:
    """The file of the original's calibration, which a float32 export keeps, because its embeddings are the same."""
    kept = source.calibration
    return {} if kept is None else {CALIBRATION: kept.as_json().encode()}


def _graphs(source: Bundle, original: Any, folded: Any, files: Mapping[str, bytes]) -> Graphs:
    pieces = None
    if in_pieces(folded):
        around, stride = reach(folded.config)
        pieces = Pieces(passes=len(folded.aggregator.steps), reach=around, stride=stride)
    return Graphs(
        origin=source.fingerprint,
        decides=hashlib.sha256(source.config.decides).hexdigest(),
        rate=original.front_end.config.rate,
        dim=original.dim,
        exact_when_padded=original.exact_when_padded,
        stages=tuple(name.removesuffix(".onnx") for name in files if name.endswith(".onnx")),
        pieces=pieces,
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    )


def _twin(plain: Bundle, precision: Precision, folder: Path) -> Bundle:
    """The int8 or fp16 twin of a float32 export, as a bundle without golden recordings."""
    graphs, weights = plain.graphs, _Weights()
    changed = graphs.model_copy(update={"precision": precision})
    files = {}
    for name in _TWINS:
        if name in graphs.stages:
            model = onnx.load(plain.folder / f"{name}.onnx")
            metadata = {entry.key: entry.value for entry in model.metadata_props}
            metadata["acanet.fingerprint"] = changed.fingerprint
            files[f"{name}.onnx"] = _packed(convert(model, precision), metadata, weights)
    files[WEIGHTS] = bytes(weights.content)
    about = {
        "exact_when_padded": precision == "int8" or graphs.exact_when_padded,
        "stages": tuple(name for name in _TWINS if name in graphs.stages),
        "pieces": None,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    config = plain.config.model_copy(update={"onnx": changed.model_copy(update=about)})
    return write_files(folder, config, files, plain.provenance, "")


def _measured(
    plain: Bundle,
    network: OnnxNetwork,
    waveforms: Sequence[NDArray[np.float32]],
    expected: NDArray[np.float32],
    trials: TrialList | None,
) -> Twin:
    """What a twin costs and gains; errors as `export`."""
    twin = network.bundle
    cosine, difference = compare_twin(network, waveforms, expected)
    sizes = [
        sum((bundle.folder / name).stat().st_size for name in bundle.graphs.files) / 1e6 for bundle in (plain, twin)
    ]
    return Twin(
        precision=twin.graphs.precision,
        cosine=cosine,
        difference=difference,
        megabytes=(sizes[0], sizes[1]),
        milliseconds=speed(OnnxNetwork(plain), network, max(waveforms, key=len)),
        rates=None if trials is None else error_rates(plain, twin, trials),
    )


def _allowing(config: BundleConfig, difference: float) -> BundleConfig:
    assert config.onnx is not None
    graphs = config.onnx.model_copy(update={"allowed": max(difference, ALLOWED)})
    return config.model_copy(update={"onnx": graphs})


def _contents(bundle: Bundle) -> dict[str, bytes]:
    return {name: (bundle.folder / name).read_bytes() for name in bundle.graphs.files}


def _files(graphs: Mapping[str, Stage], metadata: dict[str, str]) -> dict[str, bytes]:
    """Every graph as `name.onnx`, and the weights of all."""
    weights = _Weights()
    files = {f"{name}.onnx": _graph(name, stage, metadata, weights) for name, stage in graphs.items()}
    return files | {WEIGHTS: bytes(weights.content)}


class _Weights:
    """The file that all graphs refer to; equal tensors are in it once."""

    def __init__(self) -> None:
        self.content = bytearray()
        self._places: dict[bytes, int] = {}

    def take(self, tensor: onnx.TensorProto) -> None:
        """Move a tensor's values here."""
        values = onnx.numpy_helper.to_array(tensor).tobytes()
        if len(values) < _SMALL:
            return
        digest = hashlib.sha256(values).digest()
        if digest not in self._places:
            self.content.extend(bytes(-len(self.content) % _ALIGNMENT))
            self._places[digest] = len(self.content)
            self.content.extend(values)
        name, kind, shape = tensor.name, tensor.data_type, list(tensor.dims)
        tensor.Clear()
        tensor.name, tensor.data_type = name, kind
        tensor.dims.extend(shape)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        place = {"location": WEIGHTS, "offset": str(self._places[digest]), "length": str(len(values))}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=value)


def _graph(name: str, stage: Stage, metadata: dict[str, str], weights: _Weights) -> bytes:
    """One graph, without its larger weights.

    Raises:
        AcanetError: when the model cannot be traced.
    """
    try:
        with quiet():
            program = torch.onnx.export(
                stage.module,
                (),
                kwargs=stage.inputs,
                input_names=list(stage.inputs),
                output_names=list(stage.outputs),
                dynamic_shapes=stage.dynamic,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise AcanetError(f"graph {name!r} cannot be exported: torch.onnx says {error}") from error
    assert program is not None
    model = program.model_proto
    _strip(model)
    return _packed(model, metadata, weights)


def _packed(model: onnx.ModelProto, metadata: dict[str, str], weights: _Weights) -> bytes:
    for graph in (model.graph, *(part.g for node in model.graph.node for part in node.attribute if part.HasField("g"))):
        for tensor in graph.initializer:
            weights.take(tensor)
    onnx.helper.set_model_props(model, metadata)
    return bytes(model.SerializeToString(deterministic=True))


def _strip(model: onnx.ModelProto) -> None:
    """Remove what tells how the graph was traced, with paths of the machine it was traced on."""
    del model.metadata_props[:]
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]


def _check_output(output: Path) -> None:
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    try:
        exported = Bundle.load(output).config.onnx
    except AcanetError:
        exported = None
    if exported is None:
        raise AcanetError(f"{output}: is there already and not an exported bundle; name another folder, or remove it")


def _card(source: Bundle, files: Mapping[str, bytes], difference: float, recordings: int) -> str:
    """The model's own card, and what was exported."""
    card = (source.folder / "README.md").read_text(encoding="utf-8").rstrip()
    megabytes = sum(map(len, files.values())) / 1e6
    return f"""{card}

## Export

ONNX, float32, opset {OPSET}, {megabytes:.1f} MB: waveforms in, embeddings of unit length out. Compared with torch on
{recordings} recordings of 0.5 to 60 s, alone and in batches, no number of an embedding differs by more than
{difference:.1e}. `acanet check` replays the recordings in `{GOLDEN}`.
"""


def _twin_card(source: Bundle, twin: Twin, fingerprint: str, recordings: int) -> str:
    """The model's own card, and what its twin costs and gains."""
    card = (source.folder / "README.md").read_text(encoding="utf-8").rstrip()
    card = card.replace(f"Fingerprint `{source.fingerprint}`", f"Fingerprint `{fingerprint}` ({twin.precision})")
    times = "\n".join(
        f"| {seconds} s, one thread, ms | {plain:.1f} | {other:.1f} |"
        for seconds, (plain, other) in twin.milliseconds.items()
    )
    return f"""{card}

## Export

ONNX, {twin.precision}, opset {OPSET}: waveforms in, embeddings of unit length out. The fingerprint
`{fingerprint}` is its own; figures above are of the model in float32. On {recordings} recordings of
0.5 to 60 s the cosine between the embeddings of the two is {floor(1e4 * twin.cosine) / 1e4:.4f} or more.

| | float32 | {twin.precision} |
|---|---:|---:|
| graphs and weights, MB | {twin.megabytes[0]:.1f} | {twin.megabytes[1]:.1f} |
{times}

On the processor that it was exported on: {twin.verdict.replace(" on this processor", "")}.

{twin.error_rate[0].upper()}{twin.error_rate[1:]}.

A calibration of the model in float32 is not one of this: `acanet calibrate` makes one.

`acanet check` replays the recordings in `{GOLDEN}`.
"""
