"""A float32 graph -> the same graph in int8 or fp16.

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

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from acanet.config.files import temporary_folder
from acanet.errors import AcanetError
from acanet.export.graphs import quiet
from acanet.runtime.choices import Precision

_PRODUCTS = {"int8": ("MatMul",), "fp16": ("MatMul", "Gemm", "Conv")}


def convert(model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """The int8 or fp16 form of a graph that takes waveforms and lengths.

    Args:
        model: with its weights in it; it stays as it is. Of its outputs the first is kept: speech is found in float32.
        precision: `int8` or `fp16`.

    Raises:
        AcanetError: when there is nothing to make smaller.
    """
    model = _with_one_output(model)
    products, laid_out = _products(model.graph, _PRODUCTS[precision])
    if not products:
        raise AcanetError(f"this model has no products that {precision} makes smaller; export it in float32")
    if precision == "int8":
        return _by_row(_quantised(model, products))
    return _halved(model, products, laid_out)


def _with_one_output(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[1:]
    return copy


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
    with quiet(), temporary_folder() as scratch:
        path = scratch / "int8.onnx"
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
