"""A float32 graph -> its int8 or fp16 twin, and what the twin costs and gains.

Only products with weights are made smaller, and only after the last logarithm: the spectrum before it spans 1e-7 to
1e10. Norms, attention and its scores, statistics and the read-out stay float32, which is where sums over all frames
would leave the range of fp16.

int8: matrix products. Weights have a scale for each output, and 7 bits, so that no processor's sums of two products
saturate; activations get their scale as they come (dynamic quantisation by onnxruntime). That scale would be one for a
whole batch, so the graph runs row by row, each cut to its length: company changes no embedding.

fp16: matrix products and convolutions, between casts. (The converter in onnxruntime takes what a blocked node gives
through fp16 all the same, where the power spectrum becomes infinite.)
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from acanet.encoder import Encoder
from acanet.errors import AcanetError
from acanet.evaluation.figures.intervals import differences
from acanet.evaluation.one_model import evaluate_model
from acanet.runtime.bundle import Bundle
from acanet.runtime.choices import Precision
from acanet.runtime.onnx import OnnxNetwork, largest_difference
from acanet.scoring.measure import Measure

LEAST_COSINE = 0.98
"""Between a twin's embedding of a recording and that of the original, or there is no twin."""
SECONDS = (3, 10)
"""Of the recordings that a twin's speed is measured on."""

_ROUNDS = 15
_GAIN = 1.05  # less is no gain
_PRODUCTS = {"int8": ("MatMul",), "fp16": ("MatMul", "Gemm", "Conv")}


@dataclass(frozen=True)
class TrialList:
    """What the change of EER is measured on; as the arguments of `evaluate_model`."""

    path: Path
    manifest: Path | None = None
    audio_root: Path | None = None


@dataclass(frozen=True)
class ErrorRates:
    """EER of both on one trial list.

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
        """One line: whether the twin is faster on this processor."""
        times = {seconds: plain / twin for seconds, (plain, twin) in self.milliseconds.items()}
        told = " and ".join(f"{ratio:.2f} times as fast at {seconds} s" for seconds, ratio in times.items())
        if min(times.values()) >= _GAIN:
            return f"{self.precision} is faster than float32 on this processor: {told}"
        return f"{self.precision} gains no speed on this processor: {told}; keep float32, unless size decides"

    @property
    def error_rate(self) -> str:
        """One line: the change of EER."""
        if self.rates is None:
            return "the change of EER was not measured; `--trials` measures it"
        rates = self.rates
        return (
            f"EER on {rates.trial_list}: float32 {_per_cent(rates.plain)}, {self.precision} {_per_cent(rates.twin)}; "
            f"change {_per_cent(rates.change, '+')}, paired"
        )


def convert(model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """The twin of a graph that takes waveforms and lengths; `int8` or `fp16`.

    Args:
        model: with its weights in it; it stays as it is.
        precision: of the twin.

    Raises:
        AcanetError: when there is nothing to make smaller.
    """
    products, laid_out = _products(model.graph, _PRODUCTS[precision])
    if not products:
        raise AcanetError(f"this model has no products that {precision} makes smaller; export it in float32")
    if precision == "int8":
        return _by_row(_quantised(model, products))
    return _halved(model, products, laid_out)


def compare(
    network: OnnxNetwork, waveforms: Sequence[NDArray[np.float32]], expected: NDArray[np.float32]
) -> tuple[float, float]:
    """The gate of a twin: how far its embeddings are from the original's.

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
    plain: OnnxNetwork, twin: OnnxNetwork, waveform: NDArray[np.float32], rounds: int = _ROUNDS
) -> dict[int, tuple[float, float]]:
    """Milliseconds for a recording of each of `SECONDS`, of both: medians, taken in turns.

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
    """EER of both on a trial list; errors as `evaluate_model`."""
    ours, theirs = (
        evaluate_model(
            Encoder(bundle, OnnxNetwork(bundle)), trials.path, manifest=trials.manifest, audio_root=trials.audio_root
        )
        for bundle in (plain, twin)
    )
    scored, speakers = ours.trials, ours.sides.speakers
    change = differences(theirs.scores, ours.scores, scored.target, speakers[scored.enrol], speakers[scored.test])
    return ErrorRates(trials.path.name, ours.card.eer, theirs.card.eer, change["eer"])


@contextmanager
def quiet() -> Iterator[None]:
    """Without what exporter and converters say about libraries that are not there and their own future."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _products(graph: onnx.GraphProto, kinds: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of the products with weights after the last logarithm, and of the nodes that lay out their weights."""
    makers = {name: node for node in graph.node for name in node.output}
    front: set[str] = set()
    waiting = [node for node in graph.node if node.op_type == "Log"]
    while waiting:
        node = waiting.pop()
        if node.name not in front:
            front.add(node.name)
            waiting += [makers[name] for name in node.input if name in makers]
    sizes = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    weights, products, laid_out = set(sizes), [], []
    for node in graph.node:
        if node.name in front:
            continue
        if node.op_type in ("Unsqueeze", "Transpose") and node.input[0] in weights:
            weights.update(node.output)
            laid_out.append(node.name)
        elif (
            node.op_type in kinds
            and node.input[1] in weights
            and (node.op_type != "MatMul" or sizes.get(node.input[1]) == 2)
        ):
            products.append(node.name)
    return products, laid_out


def _quantised(model: onnx.ModelProto, products: list[str]) -> onnx.ModelProto:
    with quiet(), tempfile.TemporaryDirectory(prefix="acanet-int8-") as scratch:
        path = Path(scratch) / "int8.onnx"
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=products,
        )
        return onnx.load(path)


def _halved(model: onnx.ModelProto, products: list[str], laid_out: list[str]) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    small = {*products, *laid_out}
    used = {name for node in graph.node if node.name in small for name in node.input}
    used -= {name for node in graph.node if node.name not in small for name in node.input}
    halved = set()
    for tensor in graph.initializer:
        if tensor.name in used and tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            halved.add(tensor.name)
    nodes = []
    for node in model.graph.node:
        if node.name in laid_out and node.input[0] in halved:
            halved.update(node.output)
        if node.name not in products:
            nodes.append(node)
            continue
        product = onnx.NodeProto()
        product.CopyFrom(node)
        for place, name in enumerate(node.input):
            if name not in halved:
                product.input[place] = f"{node.name}_input_{place}"
                nodes.append(_cast(name, product.input[place], TensorProto.FLOAT16))
        product.output[0] = f"{node.name}_fp16"
        nodes += [product, _cast(product.output[0], node.output[0], TensorProto.FLOAT)]
    del graph.node[:]
    del graph.value_info[:]  # of the types before
    graph.node.extend(nodes)
    return copy


def _cast(name: str, output: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [output], f"{output}_cast", to=to)


def _by_row(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph over (batch, samples) and (batch,) as a scan over the rows, each without its padding."""
    graph = model.graph
    waveforms, lengths = (value.name for value in graph.input)
    (output,) = graph.output
    dtype = output.type.tensor_type.elem_type
    row, length, result = "row", "row_length", "row_result"
    body = helper.make_graph(
        [
            helper.make_node("Unsqueeze", [length, "row_axis"], ["row_lengths"], "row_in_lengths"),
            helper.make_node("Slice", [row, "row_axis", "row_lengths"], ["row_alone"], "row_cut"),
            helper.make_node("Unsqueeze", ["row_alone", "row_axis"], ["row_waveforms"], "row_in_waveforms"),
        ],
        "row",
        [
            helper.make_tensor_value_info(row, TensorProto.FLOAT, ["samples"]),
            helper.make_tensor_value_info(length, TensorProto.INT64, []),
        ],
        [helper.make_tensor_value_info(result, dtype, None)],
        [*graph.initializer, helper.make_tensor("row_axis", TensorProto.INT64, [1], [0])],
    )
    renamed = {waveforms: "row_waveforms", lengths: "row_lengths", output.name: "row_output"}
    for node in graph.node:
        copy = body.node.add()
        copy.CopyFrom(node)
        copy.input[:] = [renamed.get(name, name) for name in node.input]
        copy.output[:] = [renamed.get(name, name) for name in node.output]
    body.node.append(helper.make_node("Squeeze", ["row_output", "row_axis"], [result], "row_out"))
    scan = helper.make_node("Scan", [waveforms, lengths], [output.name], "rows", body=body, num_scan_inputs=2)
    outer = helper.make_graph([scan], graph.name, list(graph.input), [output])
    return helper.make_model(outer, opset_imports=model.opset_import, ir_version=model.ir_version)


def _per_cent(rate: Measure, sign: str = "") -> str:
    return f"{100 * rate.value:{sign}.2f} % [{100 * rate.low:{sign}.2f}, {100 * rate.high:{sign}.2f}]"
