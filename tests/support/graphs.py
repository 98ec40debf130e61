"""ONNX graphs that are not what they should be."""

from __future__ import annotations

import numpy as np
import onnx


def scaled(graph: bytes, factor: float) -> bytes:
    """A graph whose last output is multiplied; its external weights stay where they are."""
    model = onnx.load_model_from_string(graph)
    output = model.graph.output[-1].name
    for node in model.graph.node:
        node.input[:] = ["unscaled" if name == output else name for name in node.input]
        node.output[:] = ["unscaled" if name == output else name for name in node.output]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(factor), "factor"))
    model.graph.node.append(onnx.helper.make_node("Mul", ["unscaled", "factor"], [output], "scale"))
    return model.SerializeToString()
