"""What `original` adds: steps, the layers it shows, biases of the int8 model, predictions."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import draw
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

import quantize
import weights
from celebtrainer import bias, data, finetune, preset, pretrained, sheet
from celebtrainer.failure import Failure
from celebtrainer.network import DenseHead, Network


def test_an_epoch_has_its_steps_however_few_pictures_there_are():
    random = torch.Generator().manual_seed(0)
    training = preset.Training(batch=4, steps=5)
    found = list(finetune.epoch_batches(6, training, random))
    assert [len(batch) for batch in found] == [4] * 5
    drawn = np.concatenate(found)
    # One shuffled pass after another: no picture is drawn again before all others were.
    for start in (0, 6, 12):
        assert sorted(drawn[start : start + 6]) == list(range(6))
    assert not np.array_equal(drawn[:6], drawn[6:12])
    once = list(finetune.epoch_batches(6, preset.Training(batch=4), random))
    assert sorted(np.concatenate(once)) == list(range(6))


def test_the_steps_and_the_patience_are_those_of_the_method():
    training = preset.load("original").training
    assert (training.steps, training.epochs, training.batch, training.patience) == (150, 5, 16, 3)


def test_fresh_statistics_are_those_of_the_weights_as_they_are(people_folder):
    part = data.Part(sorted(people_folder.rglob("Ada One/*.png")), np.zeros(12, np.int64), ["a"])
    table = {"name": "p", "backbone": "mobilenet_v1_0.25", "weights": "random", "input_px": 32,
             "head": {"kind": "dense"},
             "training": {"trainable_layers": 4, "batch": 12, "momentum": 0.01}}  # fmt: skip
    chosen = preset.from_dict(table)
    torch.manual_seed(0)
    backbone = pretrained.build("mobilenet_v1_0.25", "random", 32)
    network = Network(backbone, DenseHead(backbone.features, (), 1))
    finetune.set_modes(network, pretrained.freeze(backbone, 4))
    unit, first = backbone.net.blocks[12]["pw"], backbone.net.conv1
    frozen = first.bn.running_var.clone()
    with torch.no_grad():
        unit.conv.weight.mul_(100)
        finetune.measure_statistics(network, part, chosen, "cpu", torch.Generator().manual_seed(0))
        images = finetune.images_of(part, np.arange(12), 32, "cpu")
        unit.bn.eval()
        seen: list[torch.Tensor] = []
        unit.bn.register_forward_hook(lambda *layer: seen.append(layer[2]))
        backbone(images)
    values = seen[0].transpose(0, 1).flatten(1)
    assert values.mean(dim=1).abs().max() < 1e-2
    assert torch.equal(first.bn.running_var, frozen) and unit.bn.momentum == 0.01


def test_layers_are_listed_with_what_is_frozen():
    backbone = pretrained.build("mobilenet_v1_0.25", "random", 64)
    network = Network(backbone, DenseHead(backbone.features, (32,), 3))
    table = pretrained.layer_table(network, 64, pretrained.freeze(backbone, 4)).splitlines()
    rows = [line.split() for line in table[1:-1]]
    assert [int(row[0]) for row in rows] == list(range(27 * 3 + 3))
    trained = [row[1] for row in rows if row[-1] == "trained"]
    last = "blocks.12"
    assert trained == [f"{last}.dw.activation", f"{last}.pw.conv", f"{last}.pw.bn",
                       f"{last}.pw.activation", *(f"head.layers.{i}" for i in range(3))]  # fmt: skip
    assert rows[0] == ["0", "conv1.conv", "Conv2d", "8x32x32", "frozen"]
    assert rows[-1][3] == "3"
    count = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert table[-1].startswith(f"{count:,} of ")
    assert count == 256 * 256 + 2 * 256 + 256 * 32 + 32 + 32 * 3 + 3


class Pictures:
    """Feeds pictures to the quantizer."""

    def __init__(self, images: list[np.ndarray]):
        self.images = iter({"image": image} for image in images)

    def get_next(self) -> dict | None:
        return next(self.images, None)


def difference_network(path) -> onnx.ModelProto:
    """A depthwise kernel of differences that no step of int8 divides, and a layer that reads it."""
    random = np.random.default_rng(0)
    kernel = random.uniform(-1, 1, (8, 1, 3, 3)).astype(np.float32)
    kernel -= kernel.mean(axis=(2, 3), keepdims=True)
    pointwise = random.normal(size=(5, 8, 1, 1)).astype(np.float32)
    constants = {"k": kernel, "kb": np.zeros(8, np.float32), "p": pointwise,
                 "pb": np.zeros(5, np.float32)}  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["image", "k", "kb"], ["a"], "depthwise", group=8),
        helper.make_node("Conv", ["a", "p", "pb"], ["b"], "pointwise"),
    ]
    graph = helper.make_graph(
        nodes,
        "differences",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 8, 12, 12])],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 5, 10, 10])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return model


def test_the_means_that_rounded_kernels_move_are_put_right(tmp_path):
    random = np.random.default_rng(1)
    # Nearly constant pictures: the differences are small, the mean that rounding moves is not.
    images = [
        (5 + random.uniform(-0.05, 0.05) + random.normal(0, 0.04, (1, 8, 12, 12))).astype(
            np.float32
        )
        for _ in range(12)
    ]
    reference = difference_network(tmp_path / "float.onnx")
    quantize_static(
        tmp_path / "float.onnx", tmp_path / "int8.onnx", Pictures(images[:8]),
        quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8, extra_options={"WeightSymmetric": True},
    )  # fmt: skip
    model = onnx.load(tmp_path / "int8.onnx")

    def error() -> float:
        """Error over pictures that nothing was set on, as a share of what is right."""
        sessions = [
            onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
            for m in (reference, model)
        ]
        right, found = (
            np.stack([s.run(None, {"image": i})[0] for i in images[8:]]) for s in sessions
        )
        return float(np.linalg.norm(found - right) / np.linalg.norm(right))

    before = error()
    bias.correct(model, reference, images[:8])
    after = error()
    assert before > 0.2 and after < before / 2


def test_probabilities_are_compared_and_not_the_numbers_behind_them():
    logits = np.array([2.0, 0.5, -1.0])
    assert quantize.difference({"logits": logits}, {"logits": logits + 40}) < 1e-6
    assert quantize.difference({"logits": logits}, {"logits": -logits}) > 0.5
    one, other = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    same = {"logits": logits, "embedding": one}
    assert quantize.difference(same, same | {"embedding": other}) == pytest.approx(1)


def test_a_model_that_answers_otherwise_is_refused(tmp_path, monkeypatch):
    class Runner:
        def __init__(self, path):
            self.outputs = ["logits"]
            self.sign = -1 if "int8" in path.name else 1

        def run(self, crop) -> dict:
            return {"logits": self.sign * np.array([1.0, 0.0, -1.0])}

    monkeypatch.setattr(quantize.modelfile, "Runner", Runner)
    monkeypatch.setattr(quantize, "read_crop", lambda path: draw(0, 0))
    paths = [tmp_path / "a.png"] * 4
    with pytest.raises(Failure, match=r"same person for 0\.0%"):
        quantize.verify(tmp_path / "float.onnx", tmp_path / "int8.onnx", paths)
    result, text = quantize.verify(tmp_path / "float.onnx", tmp_path / "float.onnx", paths)
    assert result == {"float_int8_probability_change": 0.0, "float_int8_agreement": 1.0}
    assert "same person for 100.0%" in text


def test_few_pictures_say_little_of_how_often_names_differ():
    counts = (4, 20, 100, 200, 10_000)
    most = [quantize.most_different(count) for count in counts]
    assert most == pytest.approx([1, 2.1, 6.4, 10.8, 334.1], abs=0.05)


def test_a_softmax_that_is_undecided_may_fall_either_way():
    assert quantize.decided({"logits": np.array([0.3, 0.0])})
    assert not quantize.decided({"logits": np.array([0.1, 0.0])})
    assert quantize.decided({"logits": np.array([0.1, 0.0]), "embedding": np.array([1.0])})


def test_weights_that_cannot_be_fetched_say_what_to_do(tmp_path):
    command = (sys.executable, "-c", "import sys; sys.exit('no route to anything')")
    package = weights.Package(command, "nudity-0.2.3.tar.gz", "0" * 64)
    with pytest.raises(Failure) as caught:
        weights.fetch("imagenet", package, tmp_path)
    text = str(caught.value)
    assert "no route to anything" in text and "\n" not in text
    assert "weights.py imagenet --package nudity-0.2.3.tar.gz" in text
    absent = weights.Package(("a-client-that-is-not-here",), "x.tgz", "0" * 64)
    with pytest.raises(Failure, match="a-client-that-is-not-here is not installed"):
        weights.fetch("faces", absent, tmp_path)


def test_a_page_of_predictions_marks_what_was_said_wrongly(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    rows = [sheet.Said(path, "A<1>", "A<1>", 0.9), sheet.Said(path, "B", "A<1>", 0.5)]
    page = sheet.page("two & more", rows)
    assert page.count('class="right"') == page.count('class="wrong"') == 1
    assert "A&lt;1&gt;" in page and "two &amp; more" in page and "50.0%" in page
    assert "http" not in page
