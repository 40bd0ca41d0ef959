"""What the aligner sees and is to answer, and the network that it starts from."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from PIL import Image

import aligner
from celebtrainer.placing import INPUT_PX, PLACE, WIDTHS, Example, Sampler, Square
from celebtrainer.similarity import Similarity


def test_a_similarity_is_found_undone_and_moves_pixels():
    known = Similarity.about((30.0, 20.0), (50.0, 60.0), 0.4, 2.0)
    points = np.array([[0.0, 0.0], [10.0, 3.0], [4.0, 9.0]])
    found = Similarity.fit(points, known(points))
    assert found.scale == pytest.approx(2.0) and found.angle == pytest.approx(0.4)
    assert known.inverse()(known(points)) == pytest.approx(points)
    picture = Image.new("RGB", (80, 60))
    picture.paste((255, 255, 255), (28, 18, 33, 23))
    warped = known.warp(picture, 100, 7)
    assert warped[60, 50].tolist() == [255] * 3 and warped[60, 70].tolist() == [0] * 3
    assert warped[0, 99].tolist() == [7] * 3


def face(middle: tuple[float, float], width: float, turn: float) -> np.ndarray:
    """A face as the detector finds it, upright against its template but for a turn."""
    upright = np.array([[37.1, 52.7], [73.9, 52.5], [56.0, 72.0], [55.8, 92.9]])
    place = Similarity.about((56.0, 72.0), middle, turn, width / 80)
    corners = np.array([[-0.5, -0.5], [0.5, 0.5]]) * width + np.array(middle)
    return np.concatenate([corners, place(upright), place(upright[:2])])


def test_examples_show_the_place_of_the_face():
    sides, middle = 300, (140.0, 150.0)
    seen = face(middle, 120.0, 0.3)
    place = Similarity.about((56.0, 72.0), middle, 0.3, 1.5)
    arcface = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])
    picture = Image.new("RGB", (sides, sides), (90, 90, 90))
    example = Example.of(picture, seen, place(arcface), 1.0)
    window, where, px = Sampler([example], 0).plain(example)
    assert window.shape == (INPUT_PX, INPUT_PX, 3)
    # The face is upright in the square, and the square 1.3 widths of 80 pixels of the crop.
    expected = 0.5 + (PLACE - [56.0, 72.0]) / (WIDTHS * 80)
    assert where == pytest.approx(expected, abs=0.02) and px == pytest.approx(WIDTHS * 80, rel=0.02)


def test_a_varied_picture_keeps_its_place():
    crop = np.full((112, 112, 3), 90, np.uint8)
    crop[50:54, 54:58] = (250, 0, 0)  # The middle of the eyes.
    examples = [Example.of_crop(crop, 1.0)]
    square = Square(np.array([56.0, 70.0]), 80.0, 0.0)
    known = Example(crop, PLACE, 1.0, square)
    sampler = Sampler([known], 0)
    near = 0
    for _ in range(60):
        seen, where, _ = sampler.varied(examples[0] if near % 2 else known)
        assert seen.shape == (INPUT_PX, INPUT_PX, 3) and seen.dtype == np.uint8
        difference = seen[..., 0].astype(int) - seen[..., 2]
        if difference.max() > 60:
            y, x = np.unravel_index(difference.argmax(), difference.shape)
            near += np.hypot(*(where[0] * INPUT_PX - [x + 0.5, y + 0.5])) < 3
    assert near > 30


def test_the_network_starts_as_the_package_has_it():
    random = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)

    def convolve(given: str, name: str, result: str, size: int, stride: int, group: int):
        about = {"strides": [stride] * 2, "pads": [size // 2 * (stride == 1)] * 4, "group": group}
        return helper.make_node("Conv", [given, name, f"{name}.bias"], [result], **about)

    nodes = [
        convolve("input", "first", "a", 3, 2, 1),
        helper.make_node("Relu", ["a"], ["b"]),
        convolve("b", "second", "c", 3, 1, 4),
        helper.make_node("Add", ["b", "c"], ["d"]),
        convolve("d", "third", "e", 4, 4, 4),
        helper.make_node("Flatten", ["e"], ["features"]),
    ]
    weights = [
        weight("first", 4, 1, 3, 3),
        weight("second", 4, 1, 3, 3),
        weight("third", 4, 1, 4, 4),
    ]
    weights += [weight(f"{name}.bias", 4) for name in ("first", "second", "third")]
    graph = helper.make_graph(
        nodes,
        "landmarks",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 1, 9, 9])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 4])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    gray = random.integers(0, 256, (1, 1, 9, 9)).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"input": gray / 256})
    network = aligner.Network(graph)
    network.head = torch.nn.Identity()
    found = network(torch.from_numpy(gray).repeat(1, 3, 1, 1) - 128).detach().numpy()
    assert found == pytest.approx(expected, abs=1e-4)
