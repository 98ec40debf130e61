"""A torch model as a bundle that runs without torch: traced, compared with the original, and only then written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acanet.audio.sources import Source
from acanet.config.files import temporary_folder
from acanet.errors import AcanetError
from acanet.export.card import export_card, twin_card
from acanet.export.gate import compare, recordings_of_all_lengths
from acanet.export.graphs import graph_files
from acanet.export.stages import hears_speech, pieces, stages
from acanet.export.twins import TrialList, Twin, make_twin, measure_twin
from acanet.models.folding import fold
from acanet.models.inference import embed_waveforms, load_model
from acanet.runtime.bundle import ALLOWED, CALIBRATION, Bundle, BundleConfig, Graphs, write_files
from acanet.runtime.choices import Precision
from acanet.runtime.detector import FEATURES, SPEECH
from acanet.runtime.golden import GOLDEN, Golden
from acanet.runtime.onnx import OnnxNetwork
from acanet.speech.network import FOLDER

_GOLDEN = 3  # recordings, the first of those that were compared


@dataclass(frozen=True)
class Exported:
    """What was written, and how far it is from the original.

    Attributes:
        bundle: the exported bundle.
        alone: largest difference of any number of an embedding, each recording alone.
        padded: the same in padded batches; for a model that padding changes, in batches of equal lengths.
        in_pieces: the same in small pieces, as hours are streamed; None: the model only takes a recording whole.
        recordings: how many were compared.
        twin: how int8 or fp16 compares with float32, which the differences above are of.
    """

    bundle: Bundle
    alone: float
    padded: float
    in_pieces: float | None
    recordings: int
    twin: Twin | None = None


def export_model(
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
            one of `acanet.export.gate.LENGTHS`.
        precision: `int8` and `fp16` give embeddings, and a fingerprint, of their own, no stages, and no calibration.
        trials: what the change of EER is measured on, for int8 and fp16.

    Raises:
        ExportMismatch: when an embedding, alone, in a batch or in pieces, differs by more than 1e-4, or is not finite;
            nothing is written then.
        AcanetError: when there is no model with weights for torch, the model cannot be traced, or `output` holds
            something else; when an int8 or fp16 embedding has a cosine below 0.98 to that in float32.
        BadAudio: when a recording cannot be read.
        BadTrials, BadManifest, SeenInTraining: as `evaluate_model`, with `trials`.
    """
    _check_output(output)
    source = Bundle.load(model).trainable()
    original = load_model(source.name, source.config.model, source.weights())
    folded = fold(original)
    waveforms = recordings_of_all_lengths(recordings, int(original.front_end.config.rate))
    files = graph_files(stages(folded), _metadata(source, original)) | _detector(original)
    config = source.config.model_copy(update={"onnx": _graphs(source, original, folded, files)})
    with temporary_folder() as scratch:
        plain = write_files(scratch / "float32", config, files, source.provenance, "")
        expected = np.concatenate([embed_waveforms(original, [waveform]) for waveform in waveforms])
        parity = compare(OnnxNetwork(plain), waveforms, expected)
        golden = Golden(waveforms[:_GOLDEN], expected[:_GOLDEN])
        if precision == "float32":
            twin, card = None, export_card(source, files, parity, len(waveforms))
            files = {**files, **_calibration(source)}
        else:
            smaller = make_twin(plain, precision, scratch / "twin")
            network = OnnxNetwork(smaller)
            golden = Golden(golden.waveforms, network.embed_waveforms(golden.waveforms))
            twin = measure_twin(plain, network, waveforms, expected, trials)
            config, files = _allowing(smaller.config, 2 * twin.difference), _contents(smaller)
            card = twin_card(source, twin, smaller.graphs.fingerprint, len(waveforms))
    written = write_files(output, config, {**files, GOLDEN: golden.as_npz()}, source.provenance, card)
    return Exported(written, *parity, len(waveforms), twin)


def _detector(original: Any) -> dict[str, bytes]:
    """The graphs that find speech, for a model that does not listen for it itself."""
    if hears_speech(original):
        return {}
    return {f"{name}.onnx": (FOLDER / f"{name}.onnx").read_bytes() for name in (FEATURES, SPEECH)}


def _metadata(source: Bundle, original: Any) -> dict[str, str]:
    """What the file of every graph says about the model."""
    about = {
        "name": source.name,
        "rate": int(original.front_end.config.rate),
        "dim": original.dim,
        "fingerprint": source.fingerprint,
        "licence": source.config.licence,
    }
    return {f"acanet.{key}": str(value) for key, value in about.items()}


def _graphs(source: Bundle, original: Any, folded: Any, files: Mapping[str, bytes]) -> Graphs:
    """What the config of the export says of its graphs."""
    return Graphs(
        origin=source.fingerprint,
        decides=hashlib.sha256(source.config.decides).hexdigest(),
        rate=original.front_end.config.rate,
        dim=original.dim,
        exact_when_padded=original.exact_when_padded,
        stages=tuple(name.removesuffix(".onnx") for name in files if name.endswith(".onnx")),
        pieces=pieces(folded),
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    )


def _calibration(source: Bundle) -> dict[str, bytes]:
    """The file of the original's calibration, which a float32 export keeps, because its embeddings are the same."""
    kept = source.calibration
    return {} if kept is None else {CALIBRATION: kept.as_json().encode()}


def _allowing(config: BundleConfig, difference: float) -> BundleConfig:
    """A config whose golden embeddings may differ by as much."""
    assert config.onnx is not None
    graphs = config.onnx.model_copy(update={"allowed": max(difference, ALLOWED)})
    return config.model_copy(update={"onnx": graphs})


def _contents(bundle: Bundle) -> dict[str, bytes]:
    """The graphs and weights of a bundle."""
    return {name: (bundle.folder / name).read_bytes() for name in bundle.graphs.files}


def _check_output(output: Path) -> None:
    """See that an export may be written there."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    try:
        exported = Bundle.load(output).config.onnx
    except AcanetError:
        exported = None
    if exported is None:
        raise AcanetError(f"{output}: is there already and not an exported bundle; name another folder, or remove it")
