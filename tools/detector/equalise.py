"""Rescales channels of a float network so that int8 with one scale a tensor fits them all.

A channel may be multiplied by any positive factor if everything that reads it divides by the
same factor: ReLU, max pooling and addition pass the factor on, convolutions take it up in their
weights. The network computes the same as before (Nagel et al. 2019, "Data-Free Quantization
Through Weight Equalization and Bias Correction", with ranges measured on pictures).
"""

from collections import defaultdict

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

PASSING = ("Add", "MaxPool", "Pad", "Relu")


def with_outputs(model: onnx.ModelProto, names: list[str]) -> ort.InferenceSession:
    """The model with inner tensors as its outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in names)
    return ort.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])


def channel_ranges(model: onnx.ModelProto, names: list[str], pictures) -> dict[str, np.ndarray]:
    """Largest absolute value of each channel, averaged over the pictures."""
    session = with_outputs(model, names)
    total = dict.fromkeys(names, 0.0)
    for picture in pictures:
        for name, values in zip(names, session.run(names, {"image": picture[None]}), strict=True):
            total[name] = total[name] + np.abs(values[0]).max(axis=(1, 2))
    return {name: value / len(pictures) for name, value in total.items()}


def linked_tensors(model: onnx.ModelProto) -> list[set[str]]:
    """Sets of tensors whose channels must carry the same factors."""
    group: dict[str, set[str]] = {}
    constants = {weight.name for weight in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv":
            group.setdefault(node.output[0], {node.output[0]})
        if node.op_type not in PASSING:
            continue
        names = {*node.output, *(name for name in node.input if name not in constants)}
        merged = set().union(names, *(group.get(name, set()) for name in names))
        group.update(dict.fromkeys(merged, merged))
    return list({id(members): members for members in group.values()}.values())


def factors(members, ranges, readers, weights, share: float) -> np.ndarray:
    """Factor of each channel of a linked set. `share` of the imbalance of the activations is
    taken away, the rest is left to weights that are read with one scale a row."""
    channels = max(len(ranges[name]) for name in members)
    logs = [[] for _ in range(channels)]
    for name in members:
        relative = ranges[name] / ranges[name].max()
        for channel in np.flatnonzero(relative > 1e-4):
            logs[channel].append(np.log(relative[channel]))
    activation = np.array([np.mean(values) if values else 0.0 for values in logs])
    dense = [weights[n.input[1]] for n in readers if weights[n.input[1]].shape[1] > 1]
    if not dense or len(members) > 3:
        return np.exp(-activation)
    columns = np.concatenate(
        [w[:, :, 0, 0] / np.abs(w).max(axis=(1, 2, 3))[:, None] for w in dense]
    )
    weight = np.log(np.maximum(np.abs(columns).max(axis=0), 1e-4))
    return np.exp((1 - share) * weight - share * activation)


def equalise(model: onnx.ModelProto, pictures, share: float) -> onnx.ModelProto:
    """A network that computes the same, with channels of similar range."""
    outputs = {output.name for output in model.graph.output}
    weights = {w.name: numpy_helper.to_array(w).copy() for w in model.graph.initializer}
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    readers = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    groups = [
        members
        for members in linked_tensors(model)
        if not members & outputs
        and all(n.op_type in ("Conv", *PASSING) for m in members for n in readers[m])
    ]
    ranges = channel_ranges(model, sorted(set().union(*groups)), pictures)
    for members in groups:
        reading = [n for n in convs if n.input[0] in members]
        scale = factors(members, ranges, reading, weights, share)
        for node in convs:
            if node.output[0] in members:
                rows = scale[: len(weights[node.input[1]])]
                weights[node.input[1]] *= rows[:, None, None, None]
                weights[node.input[2]] *= rows
        for node in reading:
            kernel = weights[node.input[1]]
            if kernel.shape[1] == 1:
                kernel /= scale[: kernel.shape[0], None, None, None]
            else:
                kernel /= scale[None, : kernel.shape[1], None, None]
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        values = weights[tensor.name].astype(numpy_helper.to_array(tensor).dtype)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return result
