"""Multiply-accumulates of an ONNX graph, from its shapes."""

from __future__ import annotations

import math

import onnx
from onnx import shape_inference


def multiply_accumulates(model: onnx.ModelProto) -> int:
    """Counts the convolutions and fully connected layers for one picture."""
    graph = shape_inference.infer_shapes(model).graph
    shapes = {i.name: tuple(i.dims) for i in graph.initializer}
    for value in [*graph.value_info, *graph.output, *graph.input]:
        shapes[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    total = 0
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        weight, output = shapes[node.input[1]], shapes[node.output[0]]
        # A convolution's weight is [outputs, inputs per group, height, width].
        per_output = math.prod(weight[1:]) if node.op_type == "Conv" else _inner(node, weight)
        total += math.prod(output) * per_output
    return total


def _inner(node: onnx.NodeProto, weight: tuple[int, ...]) -> int:
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return weight[-1] if transposed else weight[-2]
