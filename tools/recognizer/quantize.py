#!/usr/bin/env python3
"""Quantizes the float model to int8 and verifies one against the other.

The file is QDQ as onnxruntime's static quantization writes it: int8 activations per tensor, int8
weights per channel, biases corrected for what rounding does to the means. Everything from the
normalised picture to the embedding is quantized; the normalisation to length 1 and the similarities
stay float. A softmax head is quantized whole.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from tqdm import tqdm

from celebtrainer import bias, modelfile
from celebtrainer.data import Part, need_part, read_crop
from celebtrainer.failure import Failure, run
from celebtrainer.network import resize

CALIBRATION_PICTURES = 96
# Ranges leave out the one value in 100,000 that lies farthest out, for it costs all others steps.
RANGE_PERCENTILE = 99.999
# Pictures on which the means of channels are compared; more change nothing.
CORRECTION_PICTURES = 16
VERIFY_PICTURES = 200
# The least mean cosine between float and int8 embeddings.
LEAST_COSINE = 0.97
# The most that a softmax may change: the largest change of a person's probability, on average over
# the pictures. Its logits have no angle of their own, for one number added to all changes nothing.
MOST_PROBABILITY_CHANGE = 0.03
# The largest share of pictures for which the two name different people. Few pictures say little of it:
# a model is refused where chance alone would hardly give as many, and never for one. Where a softmax prefers a person by less than UNDECIDED,
# the name is left to chance in float as well, and only the probabilities count.
MOST_DIFFERENT = 0.03
UNDECIDED = 0.1


def image(path: Path, input_px: int) -> np.ndarray:
    """A crop as the network takes it, uint8 [1, input_px, input_px, 3]."""
    return resize(torch.from_numpy(read_crop(path))[None], input_px).numpy()


class Images(CalibrationDataReader):
    """Feeds pictures one by one."""

    def __init__(self, images: list[np.ndarray]):
        bar = tqdm(images, desc="calibration", unit="picture", disable=None)
        self.images = ({"image": image} for image in bar)

    def get_next(self) -> dict | None:
        return next(self.images, None)


def sample(part: Part, count: int, seed: int = 0) -> list[Path]:
    """Pictures of all people in turn, in a seeded order."""
    order = np.random.default_rng(seed).permutation(len(part))
    queues = [[part.paths[i] for i in order if part.people[i] == p] for p in range(len(part.names))]
    turns = [q[k] for k in range(max(map(len, queues))) for q in queues if k < len(q)]
    return turns[:count]


def float_tail(graph: onnx.GraphProto) -> list[str]:
    """The nodes that stay float: the ones around the integer picture, and after the projection."""
    names = [n.name for n in graph.node if n.op_type in ("Cast", "Sub")]
    names += [n.name for n in graph.node if n.op_type == "Transpose"]
    reached, tail = set(), []
    for node in graph.node:
        if node.op_type == "ReduceL2":
            reached.add(node.input[0])
        if reached & set(node.input):
            reached |= set(node.output)
            tail.append(node.name)
    return names + tail


def merge_activations(graph: onnx.GraphProto) -> None:
    """Lets a PReLU take its convolution's result as it is, so that it is rounded once, behind."""
    made_by = {output: node for node in graph.node for output in node.output}
    for node in [n for n in graph.node if n.op_type == "PRelu"]:
        dequantize = made_by.get(node.input[0])
        quantize = dequantize and made_by.get(dequantize.input[0])
        if quantize and (dequantize.op_type, quantize.op_type) == (
            "DequantizeLinear",
            "QuantizeLinear",
        ):
            node.input[0] = quantize.input[0]
    modelfile.drop_unused(graph)


def quantize(
    source: Path, target: Path, images: list[np.ndarray], also_float: Collection[str] = ()
) -> onnx.ModelProto:
    """Writes the int8 model, its ranges set on pictures as the network takes them; nodes can be named
    that stay float too."""
    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    reference = onnx.load(prepared)
    logging.getLogger().setLevel(logging.ERROR)
    # It prints how it sets each range.
    with contextlib.redirect_stdout(None):
        quantize_static(
            str(prepared),
            str(target),
            Images(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            nodes_to_exclude=[*float_tail(reference.graph), *also_float],
            # Symmetric weights in -127..127, so that no product of two bytes overflows a pair sum.
            extra_options={
                "WeightSymmetric": True,
                "ActivationSymmetric": False,
                "CalibPercentile": RANGE_PERCENTILE,
            },
        )
    prepared.unlink()
    model = onnx.load(target)
    bias.correct(model, reference, images[:CORRECTION_PICTURES])
    merge_activations(model.graph)
    modelfile.tidy(model)
    del model.metadata_props[:]
    model.metadata_props.extend(onnx.load(source).metadata_props)
    return modelfile.save_checked(model, target)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of one picture's logits."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    """How differently two models answer to a picture.

    With an embedding, 1 minus the cosine of theirs; else the largest change of a probability.
    """
    if "embedding" in a:
        norms = np.linalg.norm(a["embedding"]) * np.linalg.norm(b["embedding"]) + 1e-12
        return 1 - float(a["embedding"] @ b["embedding"] / norms)
    return float(np.abs(softmax(a["logits"]) - softmax(b["logits"])).max())


def decided(answer: dict[str, np.ndarray]) -> bool:
    """Whether the float model's name says more than its probabilities do."""
    if "embedding" in answer:
        return True
    second, first = np.sort(softmax(answer["logits"]))[-2:]
    return bool(first - second >= UNDECIDED)


def most_different(count: int) -> float:
    """How many of `count` pictures may get another name: two standard deviations above their share."""
    deviation = np.sqrt(count * MOST_DIFFERENT * (1 - MOST_DIFFERENT))
    return max(1, MOST_DIFFERENT * count + 2 * deviation)


def verify(float_path: Path, int8_path: Path, paths: list[Path]) -> tuple[dict, str]:
    """How alike the two models answer, as metadata and in words; a Failure when they do not."""
    runners = modelfile.Runner(float_path), modelfile.Runner(int8_path)
    differences, equal, misnamed = [], [], 0
    for path in tqdm(paths, desc="float and int8", unit="picture", disable=None):
        a, b = (runner.run(read_crop(path)) for runner in runners)
        differences.append(difference(a, b))
        equal.append(bool(a["logits"].argmax() == b["logits"].argmax()))
        misnamed += not equal[-1] and decided(a)
    mean, same = float(np.mean(differences)), float(np.mean(equal))
    if "embedding" in runners[0].outputs:
        result, most = {"float_int8_cosine": 1 - mean}, 1 - LEAST_COSINE
        text = f"mean cosine {1 - mean:.4f}"
    else:
        result, most = {"float_int8_probability_change": mean}, MOST_PROBABILITY_CHANGE
        text = f"probabilities differ by {mean:.4f} on average"
    text += f", same person for {same:.1%}"
    if mean > most or misnamed > most_different(len(equal)):
        raise Failure(
            f"the int8 model does not answer as the float one does ({text}); "
            "give more training pictures to calibrate on, or another backbone"
        )
    return result | {"float_int8_agreement": same}, text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder that prepare.py wrote")
    parser.add_argument("work", type=Path, help="folder with float.onnx; gets int8.onnx")
    args = parser.parse_args()

    source, target = args.work / "float.onnx", args.work / "int8.onnx"
    properties = modelfile.read(modelfile.load(source))
    input_px = modelfile.Runner(source).input_px
    train = need_part(args.data, "train")
    val = need_part(args.data, "val", train.names)
    calibration = sample(train, CALIBRATION_PICTURES)
    quantize(source, target, [image(path, input_px) for path in calibration])
    result, text = verify(source, target, sample(val, VERIFY_PICTURES))
    model = onnx.load(target)
    modelfile.write(model, {"training": properties["training"] | {
        "calibration_pictures": min(CALIBRATION_PICTURES, len(train)), **result}})  # fmt: skip
    modelfile.save(model, target)
    print(f"wrote {target}: {target.stat().st_size / 1e6:.2f} MB, to float: {text}")


if __name__ == "__main__":
    run(main)
