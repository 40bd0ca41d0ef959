#!/usr/bin/env python3
"""Exports a trained network as a float ONNX file and verifies it against PyTorch."""

from __future__ import annotations

import argparse
import copy
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn

from celebtrainer import description, modelfile
from celebtrainer.data import need_part, read_crops
from celebtrainer.failure import Failure, run
from celebtrainer.network import Network, load, resize

OPSET = 17
TOLERANCE = 1e-3


class Exported(nn.Module):
    """The network with its normalisation reduced to one subtraction.

    Channel order and division move into the first convolution; zero padding stays right, for it
    happens after the subtraction.
    """

    def __init__(self, network: Network):
        super().__init__()
        backbone = copy.deepcopy(network.backbone)
        self.net, self.head = backbone.net, copy.deepcopy(network.head)
        self.register_buffer("mean", backbone.mean)
        first = next(m for m in self.net.modules() if isinstance(m, nn.Conv2d))
        with torch.no_grad():
            if backbone.normalisation.bgr:
                first.weight.copy_(first.weight.flip(1))
            first.weight.div_(backbone.std)

    def forward(self, image: torch.Tensor):
        return self.head(self.net(image.to(torch.float32).permute(0, 3, 1, 2) - self.mean))


def constant(graph: onnx.GraphProto, name: str) -> np.ndarray | None:
    """The value of a tensor that depends on no input of the graph, else None."""
    made_by = {output: node for node in graph.node for output in node.output}
    initializers = {i.name: i for i in graph.initializer}
    nodes, kept, wanted = [], [], [name]
    while wanted:
        tensor = wanted.pop()
        if tensor in initializers:
            kept.append(initializers[tensor])
        elif tensor not in made_by:
            return None
        elif (node := made_by[tensor]) not in nodes:
            nodes.append(node)
            wanted += [i for i in node.input if i]
    ordered = [node for node in graph.node if node in nodes]
    result = onnx.helper.make_empty_tensor_value_info(name)
    part = onnx.helper.make_graph(ordered, "constant", [], [result], kept)
    model = onnx.helper.make_model(part, opset_imports=[onnx.helper.make_opsetid("", OPSET)])
    return ReferenceEvaluator(model).run(None, {})[0]


def fold_constants(path: Path) -> onnx.ModelProto:
    """The model with everything computed that does not depend on the picture."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path.with_suffix(".folded.onnx"))
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    folded = Path(options.optimized_model_filepath)
    model = onnx.load(folded)
    folded.unlink()
    modelfile.tidy(model)
    return model


def merge_pads(graph: onnx.GraphProto) -> None:
    """Moves zero padding that stands before a convolution into the convolution's own `pads`."""
    pads = {n.output[0]: n for n in graph.node if n.op_type == "Pad"}
    for conv in [n for n in graph.node if n.op_type == "Conv" and n.input[0] in pads]:
        pad = pads[conv.input[0]]
        amounts = constant(graph, pad.input[1])
        if amounts is None:
            raise Failure(f"{pad.name} pads by an amount that is not constant")
        _, _, top, left, _, _, bottom, right = (int(v) for v in amounts)
        own = next(a for a in conv.attribute if a.name == "pads")
        own.ints[:] = [a + b for a, b in zip(own.ints, (top, left, bottom, right), strict=True)]
        conv.input[0] = pad.input[0]
        graph.node.remove(pad)


def traced(module: nn.Module, input_px: int, path: Path, outputs: list[str]) -> onnx.ModelProto:
    """The ONNX model of a module that takes pictures as they are, uint8 [1, side, side, 3]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (torch.zeros(1, input_px, input_px, 3, dtype=torch.uint8),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=outputs,
        )
    return fold_constants(path)


def export(network: Network, input_px: int, path: Path) -> onnx.ModelProto:
    """Writes the float model."""
    with torch.inference_mode():
        outputs = network(torch.zeros(1, input_px, input_px, 3, dtype=torch.uint8))
    names = ["logits", "embedding"] if isinstance(outputs, tuple) else ["logits"]
    model = traced(Exported(network), input_px, path, names)
    merge_pads(model.graph)
    modelfile.drop_unused(model.graph)
    return modelfile.save_checked(model, path)


def verify(network: Network, path: Path, crops: np.ndarray, input_px: int) -> float:
    """The largest difference to PyTorch over some crops; a Failure when it is too large."""
    runner = modelfile.Runner(path)
    worst = 0.0
    for crop in crops:
        with torch.inference_mode():
            expected = network(resize(torch.from_numpy(crop)[None], input_px))
        expected = expected if isinstance(expected, tuple) else (expected,)
        found = runner.run(crop)
        for name, value in zip(runner.outputs, expected, strict=True):
            spread = max(1.0, float(value.abs().max()))
            worst = max(worst, float(np.abs(found[name] - value[0].numpy()).max()) / spread)
    if not worst <= TOLERANCE:
        raise Failure(
            f"the exported model differs from PyTorch by {worst:.2g} (at most {TOLERANCE:g} is "
            "allowed); the export of this backbone is wrong, use another one"
        )
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder that prepare.py wrote")
    parser.add_argument("work", type=Path, help="folder with network.pt; gets float.onnx")
    args = parser.parse_args()

    network, content = load(args.work / "network.pt")
    val = need_part(args.data, "val", content["names"])
    path = args.work / "float.onnx"
    model = export(network, content["preset"].input_px, path)
    facts = description.Description.read(args.work).facts
    facts = {k: v for k, v in facts.items() if k != "left_out_scores"}
    properties = modelfile.common("recognizer") | {
        "labels": modelfile.labels(content["names"]),
        "training": facts,
        "source": content["about"]["source"],
        "license": modelfile.license_note(content["about"]["license"]),
    }
    modelfile.write(model, properties)
    modelfile.save(model, path)
    step = max(1, len(val) // 20)
    worst = verify(network, path, read_crops(val.paths[::step][:20]), content["preset"].input_px)
    print(
        f"wrote {path}: differs from PyTorch by at most {worst:.2g} on {len(val.paths[::step][:20])} crops"
    )


if __name__ == "__main__":
    run(main)
