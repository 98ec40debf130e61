"""The int8 or fp16 twin of a float32 export: made from its graphs, and what it costs and gains."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.encoder import Encoder
from acanet.errors import AcanetError
from acanet.evaluation.figures.intervals import differences
from acanet.evaluation.one_model import evaluate_model
from acanet.export.graphs import WeightsFile, packed
from acanet.export.precision import convert
from acanet.runtime.bundle import WEIGHTS, Bundle, write_files
from acanet.runtime.check import largest_difference
from acanet.runtime.choices import Precision
from acanet.runtime.detector import FEATURES, SPEECH
from acanet.runtime.onnx import OnnxNetwork
from acanet.scoring.measure import Measure

LEAST_COSINE = 0.98
"""Between a twin's embedding of a recording and that of the original, or there is no twin."""
SECONDS = (3, 10)
"""Of the recordings that a twin's speed is measured on."""

_STAGES = ("whole", "attention")
_ROUNDS = 15
_GAIN = 1.05  # less is no gain


@dataclass(frozen=True)
class TrialList:
    """What the change of EER is measured on; as the arguments of `evaluate_model`."""

    path: Path
    manifest: Path | None = None
    audio_root: Path | None = None


@dataclass(frozen=True)
class ErrorRates:
    """The EER of both on one trial list.

    Attributes:
        trial_list: its name.
        plain: of float32.
        twin: of the twin.
        change: twin less float32, paired over draws of the speakers.
    """

    trial_list: str
    plain: Measure
    twin: Measure
    change: Measure


@dataclass(frozen=True)
class Twin:
    """A twin beside its float32 original.

    Attributes:
        precision: of the twin.
        cosine: the lowest between embeddings of the two.
        difference: the largest of any number of an embedding.
        megabytes: graphs and weights, of float32 and the twin.
        milliseconds: for one recording on one thread, of float32 and the twin, by its seconds.
        rates: EER of both; None: not measured.
    """

    precision: Precision
    cosine: float
    difference: float
    megabytes: tuple[float, float]
    milliseconds: Mapping[int, tuple[float, float]]
    rates: ErrorRates | None

    @property
    def verdict(self) -> str:
        """One line that says whether the twin is faster on this processor."""
        times = {seconds: plain / twin for seconds, (plain, twin) in self.milliseconds.items()}
        told = " and ".join(f"{ratio:.2f} times as fast at {seconds} s" for seconds, ratio in times.items())
        if min(times.values()) >= _GAIN:
            return f"{self.precision} is faster than float32 on this processor: {told}"
        return f"{self.precision} gains no speed on this processor: {told}; keep float32, unless size decides"

    @property
    def error_rate(self) -> str:
        """One line about the change of EER."""
        if self.rates is None:
            return "the change of EER was not measured; `--trials` measures it"
        rates = self.rates
        return (
            f"EER on {rates.trial_list}: float32 {_per_cent(rates.plain)}, {self.precision} {_per_cent(rates.twin)}; "
            f"change {_per_cent(rates.change, '+')}, paired"
        )


def make_twin(plain: Bundle, precision: Precision, folder: Path) -> Bundle:
    """The int8 or fp16 twin of a float32 export, as a bundle without golden recordings and without a card.

    Args:
        plain: the export.
        precision: `int8` or `fp16`.
        folder: of the twin.

    Raises:
        AcanetError: when the model has nothing to make smaller.
    """
    graphs, weights = plain.graphs, WeightsFile()
    changed = graphs.model_copy(update={"precision": precision})
    detector = (FEATURES if FEATURES in graphs.stages else "features", SPEECH)
    kept = [name for name in (*_STAGES, *detector) if name in graphs.stages]
    files = {}
    for name in kept:
        model = onnx.load(plain.folder / f"{name}.onnx")
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        metadata["acanet.fingerprint"] = changed.fingerprint
        if name in _STAGES:
            model = convert(model, precision)
        files[f"{name}.onnx"] = packed(model, metadata, weights)
    files[WEIGHTS] = bytes(weights.content)
    about = {
        "exact_when_padded": precision == "int8" or graphs.exact_when_padded,
        "stages": tuple(kept),
        "pieces": None,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    config = plain.config.model_copy(update={"onnx": changed.model_copy(update=about)})
    return write_files(folder, config, files, plain.provenance, "")


def measure_twin(
    plain: Bundle,
    network: OnnxNetwork,
    waveforms: Sequence[Waveform],
    expected: NDArray[np.float32],
    trials: TrialList | None,
) -> Twin:
    """The costs and gains of a twin beside its float32 original.

    Args:
        plain: the original.
        network: the twin.
        waveforms, expected: as for `compare`.
        trials: what the change of EER is measured on; None: it is not.

    Raises:
        AcanetError: as `compare`; other errors as `evaluate_model`.
    """
    twin = network.bundle
    cosine, difference = compare(network, waveforms, expected)
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


def compare(network: OnnxNetwork, waveforms: Sequence[Waveform], expected: NDArray[np.float32]) -> tuple[float, float]:
    """The gate of a twin, which says how far its embeddings are from the original's.

    Args:
        network: the twin.
        waveforms: (samples,) each.
        expected: (waveforms, dim), of unit length.

    Returns:
        The lowest cosine, and the largest difference of any number.

    Raises:
        AcanetError: when the cosine is below 0.98, or not finite.
    """
    found = np.concatenate([network.embed_waveforms([waveform]) for waveform in waveforms])
    cosines = np.einsum("ij,ij->i", found.astype(np.float64), expected)
    cosines = np.where(np.isfinite(cosines), cosines, -np.inf)
    worst = int(cosines.argmin())
    if cosines[worst] < LEAST_COSINE:
        precision = network.bundle.graphs.precision
        seconds = len(waveforms[worst]) / network.rate
        raise AcanetError(
            f"a recording of {seconds:.2f} s: the cosine between its {precision} and float32 embeddings is "
            f"{cosines[worst]:.4f}, at least {LEAST_COSINE} is needed; export this model in float32"
        )
    return float(cosines[worst]), largest_difference(found, expected)


def speed(
    plain: OnnxNetwork, twin: OnnxNetwork, waveform: Waveform, rounds: int = _ROUNDS
) -> dict[int, tuple[float, float]]:
    """The milliseconds for a recording of each of `SECONDS`, of both: medians, taken in turns.

    Args:
        plain, twin: what is timed.
        waveform: (samples,), cut or repeated.
        rounds: how often each runs, after one that does not count.
    """
    found = {}
    for seconds in SECONDS:
        recording = [np.resize(waveform, seconds * plain.rate)]
        taken: list[list[float]] = [[], []]
        for _ in range(rounds + 1):
            for network, times in zip((plain, twin), taken, strict=True):
                began = time.perf_counter()
                network.embed_waveforms(recording)
                times.append(1000 * (time.perf_counter() - began))
        ours = [float(np.median(times[1:])) for times in taken]
        found[seconds] = (ours[0], ours[1])
    return found


def error_rates(plain: Bundle, twin: Bundle, trials: TrialList) -> ErrorRates:
    """The EER of both on a trial list; errors as `evaluate_model`."""
    ours, theirs = (
        evaluate_model(
            Encoder(bundle, OnnxNetwork(bundle)), trials.path, manifest=trials.manifest, audio_root=trials.audio_root
        )
        for bundle in (plain, twin)
    )
    scored, speakers = ours.trials, ours.sides.speakers
    change = differences(theirs.scores, ours.scores, scored.target, speakers[scored.enrol], speakers[scored.test])
    return ErrorRates(trials.path.name, ours.card.eer, theirs.card.eer, change["eer"])


def _per_cent(rate: Measure, sign: str = "") -> str:
    return f"{100 * rate.value:{sign}.2f} % [{100 * rate.low:{sign}.2f}, {100 * rate.high:{sign}.2f}]"
