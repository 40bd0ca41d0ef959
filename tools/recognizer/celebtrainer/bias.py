"""Corrects the biases of an int8 model so that each layer's mean is that of the float model.

A rounded kernel no longer sums up to what it did. Where it takes differences of neighbours, as
depthwise kernels of a network trained without rounding do, the mean of a channel moves by more
than the channel varies, and every layer behind adds to it. The mean error of each output channel
over pictures is measured and taken off its bias, layer after layer, each with all layers before
it corrected (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction", section 4.2, with means measured on pictures).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .modelfile import session

CORRECTED = ("Conv", "Gemm")
# What has been computed of each picture, by name of the tensor.
Tensors = dict[str, np.ndarray]


def channel_means(values: np.ndarray) -> np.ndarray:
    """Mean of each channel of a tensor [1, channels, ...]."""
    return values.reshape(values.shape[1], -1).mean(axis=1, dtype=np.float64)


def float_means(model: onnx.ModelProto, names: list[str], images: list[np.ndarray]) -> Tensors:
    """Means of the channels of inner tensors over pictures."""
    part = onnx.ModelProto()
    part.CopyFrom(model)
    del part.graph.output[:]
    part.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    running = session(part)
    rows = [map(channel_means, running.run(names, {"image": image})) for image in images]
    means = [np.mean(values, axis=0) for values in zip(*rows, strict=True)]
    return dict(zip(names, means, strict=True))


def parts(graph: onnx.GraphProto, last: list[onnx.NodeProto]) -> Iterator[list[onnx.NodeProto]]:
    """The graph's nodes in their order, cut behind each of `last`."""
    waiting: list[onnx.NodeProto] = []
    for node in graph.node:
        waiting.append(node)
        if node in last:
            yield waiting
            waiting = []


def compute(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], wanted: set[str], pictures: list[Tensors]
) -> None:
    """Computes some nodes for each picture, and forgets what is not `wanted`."""
    constants = {i.name: i for i in model.graph.initializer}
    made = {name for node in nodes for name in node.output}
    read = {name for node in nodes for name in node.input if name} - made
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(pictures[0][name].dtype), pictures[0][name].shape
        )
        for name in sorted(read - constants.keys())
    ]
    outputs = sorted(made & wanted)
    graph = helper.make_graph(
        nodes,
        "part",
        inputs,
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [constants[name] for name in sorted(read & constants.keys())],
    )
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    running = session(part)
    for tensors in pictures:
        given = {value.name: tensors[value.name] for value in inputs}
        tensors.update(zip(outputs, running.run(outputs, given), strict=True))
        for name in tensors.keys() - wanted:
            del tensors[name]


def correct(model: onnx.ModelProto, reference: onnx.ModelProto, images: list[np.ndarray]) -> None:
    """Corrects `model` in place; `reference` is the float model, its nodes of the same names.

    `images` are inputs of both. Layers whose bias is not quantized are left as they are.
    """
    outputs = {n.name: n.output[0] for n in reference.graph.node if n.op_type in CORRECTED}
    expected = float_means(reference, list(outputs.values()), images)
    constants = {i.name: i for i in model.graph.initializer}
    dequantized = {
        node.output[0]: node.input
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in constants
    }
    layers = [
        node
        for node in model.graph.node
        if node.name in outputs and len(node.input) > 2 and node.input[2] in dequantized
    ]
    pictures: list[Tensors] = [{"image": image} for image in images]
    done = 0
    for nodes in parts(model.graph, layers):
        layer = nodes[-1]
        done += len(nodes)
        later = {name for node in model.graph.node[done:] for name in node.input}
        compute(model, nodes, later | {layer.output[0]}, pictures)
        codes, scale = (constants[name] for name in dequantized[layer.input[2]][:2])
        steps = numpy_helper.to_array(scale)
        found = np.mean([channel_means(t[layer.output[0]]) for t in pictures], axis=0)
        moved = np.rint((expected[outputs[layer.name]] - found) / steps)
        limits = np.iinfo(np.int32)
        sums = np.clip(numpy_helper.to_array(codes) + moved, limits.min, limits.max)
        codes.CopyFrom(numpy_helper.from_array(sums.astype(np.int32), codes.name))
        for tensors in pictures:
            values = tensors[layer.output[0]]
            channels = (-1,) + (1,) * (values.ndim - 2)
            tensors[layer.output[0]] = values + (moved * steps).astype(np.float32).reshape(channels)
