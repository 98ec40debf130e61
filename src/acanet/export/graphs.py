"""torch -> ONNX: the stages of a model as graphs that share one file of weights."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import onnx
import torch

from acanet.errors import AcanetError
from acanet.export.stages import Stage
from acanet.runtime.bundle import WEIGHTS

OPSET = 20
_SMALL = 1024  # bytes of a constant that stays in its graph
_ALIGNMENT = 4096  # so that weights can be mapped into memory


def graph_files(graphs: Mapping[str, Stage], metadata: Mapping[str, str], *, alone: bool = False) -> dict[str, bytes]:
    """The files of graphs, each as `name.onnx`, and the file with the weights of all.

    Args:
        graphs: by name.
        metadata: what every file says about the model.
        alone: have each graph hold its own weights, and leave out the file.

    Raises:
        AcanetError: when the model cannot be traced.
    """
    weights = WeightsFile()
    files = {
        f"{name}.onnx": _graph(name, stage, metadata, None if alone else weights) for name, stage in graphs.items()
    }
    return files if alone else files | {WEIGHTS: bytes(weights.content)}


class WeightsFile:
    """The file of weights that all graphs refer to; equal tensors are in it once.

    Attributes:
        content: of the file so far.
    """

    def __init__(self) -> None:
        self.content = bytearray()
        self._places: dict[bytes, int] = {}

    def take(self, tensor: onnx.TensorProto) -> None:
        """Move the values of a tensor to the file, unless they are few."""
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


def packed(model: onnx.ModelProto, metadata: Mapping[str, str], weights: WeightsFile | None) -> bytes:
    """The file of a graph whose larger weights are moved to the file of weights.

    Args:
        model: the graph, which is changed.
        metadata: what its file says about it.
        weights: takes its weights; None: they stay.
    """
    for graph in (model.graph, *(part.g for node in model.graph.node for part in node.attribute if part.HasField("g"))):
        for tensor in graph.initializer:
            if weights is not None:
                weights.take(tensor)
    onnx.helper.set_model_props(model, dict(metadata))
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def quiet() -> Iterator[None]:
    """A time without what exporter and converters say about libraries that are not there and their own future."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _graph(name: str, stage: Stage, metadata: Mapping[str, str], weights: WeightsFile | None) -> bytes:
    """The file of one graph.

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
    return packed(model, metadata, weights)


def _strip(model: onnx.ModelProto) -> None:
    """Remove what tells how the graph was traced, with paths of the machine it was traced on."""
    del model.metadata_props[:]
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
