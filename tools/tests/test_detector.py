"""The shipped detector's file, and the steps that make it."""

import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from conftest import REPOSITORY, shared_file
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageOps

from convert import same_padding
from decode import ANCHOR_LAYERS, INPUT_PX, anchors, detect, letterbox, merge
from distil import Network
from equalise import equalise

MODEL = REPOSITORY / "models" / "detector.onnx"


@pytest.fixture(scope="module")
def session():
    return ort.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])


def test_the_file_says_what_it_is():
    model = onnx.load(MODEL)
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said["celebcam.schema"] == "1"
    assert said["celebcam.kind"] == "detector"
    detector = json.loads(said["celebcam.detector"])
    assert detector["family"] == "blazeface"
    assert detector["input_px"] == INPUT_PX
    assert detector["anchors"] == ANCHOR_LAYERS
    assert 0 < detector["score_threshold"] < 1
    assert 0 < detector["iou_threshold"] < 1
    for name in ("training", "metrics"):
        assert json.loads(said[f"celebcam.{name}"])
    for name in ("source", "license", "trainer", "created"):
        assert said[f"celebcam.{name}"]


def test_inputs_and_outputs_are_as_agreed(session):
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", [1, 256, 256, 3])
    shapes = {output.name: output.shape for output in session.get_outputs()}
    assert shapes == {"boxes": [1, 896, 16], "scores": [1, 896]}
    assert len(anchors()) == 896


def test_weights_are_int8_with_a_scale_for_each_channel():
    model = onnx.load(MODEL)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    scales = [
        tensors[node.input[1]]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
        and node.input[0] in tensors
        and tensors[node.input[0]].dtype == np.int8
    ]
    convolutions = sum(node.op_type == "Conv" for node in model.graph.node)
    heads = 4
    assert len(scales) == convolutions - heads
    assert all(scale.ndim == 1 for scale in scales)


def test_it_finds_faces_in_photos(session):
    chosen = sorted(shared_file("data/photos").glob("*/*.jpg"))[::9][:20]
    counts = []
    for path in chosen:
        picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        faces, confidences = detect(session, picture, 0.5, 0.3)
        counts.append(len(faces))
        for face in faces[confidences > 0.8]:
            right_eye, left_eye, _, mouth = face[2:6]
            size = (face[1] - face[0]).max()
            assert np.linalg.norm(left_eye - right_eye) < size
            assert np.linalg.norm(mouth - (left_eye + right_eye) / 2) < size
    assert sum(count > 0 for count in counts) >= 19, counts


def test_letterbox_keeps_the_shape():
    square, scale, (left, top) = letterbox(Image.new("RGB", (640, 320), (255, 0, 0)))
    assert square.shape == (256, 256, 3)
    assert (scale, left, top) == (0.4, 0, 64)
    assert (square[64:192] == (255, 0, 0)).all()
    assert (square[:64] == square[0, 0]).all()


def test_overlapping_faces_are_blended_by_confidence():
    face = np.array([[0.0, 0.0], [100, 100], *[[50, 50]] * 6])
    faces, confidences = merge(np.stack([face, face + 3]), np.array([0.75, 0.25]), 0.3)
    assert np.allclose(faces, face + 0.75)
    assert confidences.tolist() == [0.75]
    assert len(merge(np.stack([face, face + 300]), np.array([0.9, 0.8]), 0.3)[0]) == 2


def test_same_padding_is_tensorflows():
    assert same_padding(256, 5, 2) == (1, 2)
    assert same_padding(128, 3, 2) == (0, 1)
    assert same_padding(127, 3, 2) == (1, 1)
    assert same_padding(128, 3, 1) == (1, 1)
    assert same_padding(128, 2, 2) == (0, 0)


def small_network() -> onnx.ModelProto:
    """A depthwise and a dense convolution with a residual, channels of very different range."""
    rng = np.random.default_rng(0)
    sizes = 10.0 ** rng.uniform(-2, 2, 4)
    weights = {
        "stem.weight": rng.normal(size=(4, 3, 3, 3)) * sizes[:, None, None, None],
        "stem.bias": rng.normal(size=4) * sizes,
        "depth.weight": rng.normal(size=(4, 1, 3, 3)) / sizes[:, None, None, None],
        "depth.bias": rng.normal(size=4),
        "dense.weight": rng.normal(size=(4, 4, 1, 1)) * sizes[:, None, None, None],
        "dense.bias": rng.normal(size=4) * sizes,
        "head.weight": rng.normal(size=(2, 4, 1, 1)),
        "head.bias": rng.normal(size=2),
        "offset": np.array(127.5),
        "factor": np.array(1 / 127.5),
    }

    def conv(source: str, name: str, target: str, size: int, group: int = 1):
        pads = [size // 2] * 4
        inputs = [source, f"{name}.weight", f"{name}.bias"]
        return helper.make_node(
            "Conv", inputs, [target], name=name, pads=pads, group=group, strides=[1, 1]
        )

    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "offset"], ["centred"]),
        helper.make_node("Mul", ["centred", "factor"], ["normalised"]),
        conv("normalised", "stem", "stem", 3),
        helper.make_node("Relu", ["stem"], ["first"]),
        conv("first", "depth", "depth", 3, group=4),
        conv("depth", "dense", "dense", 1),
        helper.make_node("Add", ["first", "dense"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["second"]),
        conv("second", "head", "head", 1),
        helper.make_node("Transpose", ["head"], ["boxes"], perm=[0, 2, 3, 1]),
    ]
    tensors = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 8, 8, 3])
    boxes = helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 8, 8, 2])
    graph = helper.make_graph(nodes, "small", [image], [boxes], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_evening_out_channels_changes_ranges_but_no_answer():
    model = small_network()
    pictures = list(np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8))
    even = equalise(model, pictures, 0.5)

    def run(candidate: onnx.ModelProto) -> np.ndarray:
        copy = onnx.ModelProto()
        copy.CopyFrom(candidate)
        copy.graph.output.append(helper.make_empty_tensor_value_info("second"))
        return ort.InferenceSession(copy.SerializeToString()).run(
            ["boxes", "second"], {"image": pictures[0][None]}
        )

    (boxes, before), (even_boxes, after) = run(model), run(even)
    assert np.allclose(boxes, even_boxes, rtol=1e-3, atol=1e-3 * np.abs(boxes).max())

    def imbalance(values: np.ndarray) -> float:
        ranges = values[0].max(axis=(1, 2))
        return ranges.max() / ranges[ranges > 0].min()

    assert imbalance(after) < imbalance(before) / 2


def test_the_torch_copy_computes_what_the_onnx_file_does():
    import torch

    model = small_network()
    picture = np.random.default_rng(2).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    (boxes,) = ort.InferenceSession(model.SerializeToString()).run(None, {"image": picture})
    network = Network(model)
    values = network.tensors(torch.from_numpy(picture).permute(0, 3, 1, 2))
    copied = values["boxes"].detach().numpy()
    assert np.allclose(boxes, copied, rtol=1e-4, atol=1e-4 * np.abs(boxes).max())
    assert network.rounds() == {"first", "depth", "dense", "second"}
