"""Corrects the biases of an int8 model so that each layer's mean is that of the float model.

A rounded kernel no longer sums up to what it did. Where it takes differences of neighbours, as
depthwise kernels of a network trained without rounding do, the mean of a channel moves by more
than the channel varies, and every layer behind adds to it. The mean error of each output channel
over pictures is measured and taken off its bias, layer after layer, each with all layers before
it corrected (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction", section 4.2, with means measured on pictures).
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

CORRECTED = ("Conv", "Gemm")


def channel_means(
    model: onnx.ModelProto, names: list[str], images: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """Mean of each channel of inner tensors [1, channels, ...] over pictures and positions."""
    part = onnx.ModelProto()
    part.CopyFrom(model)
    del part.graph.output[:]
    part.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Without it, sums of products saturate on x86 processors that lack VNNI.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(
        part.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    totals = dict.fromkeys(names, 0.0)
    for image in images:
        for name, values in zip(names, session.run(names, {"image": image}), strict=True):
            channels = values.reshape(values.shape[1], -1)
            totals[name] = totals[name] + channels.mean(axis=1, dtype=np.float64)
    return {name: total / len(images) for name, total in totals.items()}


def correct(model: onnx.ModelProto, reference: onnx.ModelProto, images: list[np.ndarray]) -> None:
    """Corrects `model` in place; `reference` is the float model, its nodes of the same names.

    `images` are inputs of both. Layers whose bias is not quantized are left as they are.
    """
    layers = {n.name: n.output[0] for n in reference.graph.node if n.op_type in CORRECTED}
    expected = channel_means(reference, list(layers.values()), images)
    constants = {i.name: i for i in model.graph.initializer}
    made_by = {output: node for node in model.graph.node for output in node.output}
    limits = np.iinfo(np.int32)
    for node in model.graph.node:
        source = made_by.get(node.input[2]) if len(node.input) > 2 else None
        if node.name not in layers or source is None or source.input[0] not in constants:
            continue
        codes, scale = (constants[name] for name in source.input[:2])
        found = channel_means(model, [node.output[0]], images)[node.output[0]]
        steps = (expected[layers[node.name]] - found) / numpy_helper.to_array(scale)
        moved = np.clip(numpy_helper.to_array(codes) + np.rint(steps), limits.min, limits.max)
        codes.CopyFrom(numpy_helper.from_array(moved.astype(np.int32), codes.name))
