"""Presets, the backbone, decisions and charts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import shared_file
from torch.nn import functional

from celebtrainer import charts, data, decision, enrolment, finetune, openset, preset, pretrained
from celebtrainer.failure import Failure
from celebtrainer.mobilenet import ConvolutionUnit
from celebtrainer.modelfile import labels


def test_presets_are_valid():
    assert preset.load("default").head.kind == "prototypes"
    assert preset.load("mobilenet_v1").head.kind == "whitened"
    original = preset.load("original")
    assert (original.input_px, original.training.trainable_layers) == (224, 4)
    assert original.head.hidden == (1024, 1024, 512)
    assert original.training.batch == 16 and original.training.epochs == 5


def test_a_wrong_preset_is_refused(tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text('backbone = "mobilenet_v1"\nweights = "random"\ninput_px = 9\n')
    with pytest.raises(Failure, match="input_px is 9"):
        preset.load(str(path))
    path.write_text('speed = 3\nbackbone = "a"\nweights = "b"\ninput_px = 64\n')
    with pytest.raises(Failure, match="speed"):
        preset.load(str(path))
    path.write_text(
        'backbone = "mobilenet_v1"\nweights = "vggface2"\ninput_px = 160\n[head]\nkind = "prototypes"\n'
    )
    with pytest.raises(Failure, match="for another backbone"):
        preset.load(str(path))
    with pytest.raises(Failure, match="there is no preset"):
        preset.load("absent")


@pytest.mark.parametrize("side", [9, 10])
def test_padding_is_that_of_tensorflow(side):
    unit = ConvolutionUnit(1, 1, 3, 2).eval()
    x = torch.rand(1, 1, side, side)
    out = -(-side // 2)
    total = max(0, (out - 1) * 2 + 3 - side)
    padded = functional.pad(x, (total // 2, total - total // 2) * 2)
    expected = functional.relu6(unit.bn(functional.conv2d(padded, unit.conv.weight, stride=2)))
    assert torch.equal(unit(x), expected) and expected.shape[2] == out


@pytest.mark.parametrize("name", ["vggface2", "imagenet"])
def test_pretrained_weights_fit(name):
    shared_file(f"weights/mobilenet_v1_{name}.safetensors")
    backbone = pretrained.build("mobilenet_v1", name, 160).eval()
    with torch.inference_mode():
        features = backbone(torch.full((1, 3, 160, 160), 90.0))
    assert features.shape == (1, 1024) and features.isfinite().all() and features.std() > 0


def test_the_weights_in_the_repository_know_faces():
    """Pictures of two people: each is nearest to the other picture of the same."""
    folder = shared_file("data/celeb24/val")
    pictures = [p for name in ("Tina Fey", "Tom Hanks") for p in data.pictures(folder / name)[:2]]
    backbone = pretrained.build("mobilefacenet", "faces", 112).eval()
    with torch.inference_mode():
        crops = torch.from_numpy(data.read_crops(pictures)).permute(0, 3, 1, 2).float()
        features = functional.normalize(backbone(crops))
    alike = (features @ features.T).fill_diagonal_(-1)
    assert alike.argmax(dim=1).tolist() == [1, 0, 3, 2]


def test_mobilefacenet_says_which_size_it_takes():
    with pytest.raises(Failure, match="takes 112 pixels, not 160"):
        pretrained.build("mobilefacenet", "faces", 160)


def test_the_last_four_layers_are_one_convolution_and_its_batch_norm():
    backbone = pretrained.build("mobilenet_v1_0.25", "random", 64)
    pretrained.freeze(backbone, 4)
    names = {n for n, p in backbone.named_parameters() if p.requires_grad}
    block = "net.blocks.12.pw"
    assert names == {f"{block}.conv.weight", f"{block}.bn.weight", f"{block}.bn.bias"}


def test_augmentation_keeps_the_picture_when_it_does_nothing():
    images = torch.rand(2, 3, 16, 16)
    same = finetune.augment(images, preset.Augmentation(), torch.Generator().manual_seed(0))
    assert torch.allclose(same, images, atol=1e-4)


def test_a_threshold_keeps_the_rate_for_each_of_a_few_people():
    random = np.random.default_rng(0)
    strangers = {"a": random.normal(size=1000), "b": random.normal(0.5, size=400)}
    threshold = openset.threshold_for(strangers, 0.05)
    rates = [np.mean(s >= threshold) for s in strangers.values()]
    assert 0.03 < max(rates) <= 0.05 and openset.false_accepts(strangers, threshold) < 0.05
    assert openset.threshold_for(strangers, 0) > max(s.max() for s in strangers.values())


@pytest.mark.parametrize("score", ["cosine", "softmax"])
@pytest.mark.parametrize("count", [8, 20])
def test_a_threshold_from_many_people_keeps_the_rate_for_pictures_of_others(score, count):
    random = np.random.default_rng(0)

    def person() -> np.ndarray:
        scores = random.normal(random.normal(0, 1), 0.5, 30)
        return scores if score == "cosine" else 1 / (1 + np.exp(-scores))

    named = []
    for _ in range(200):
        strangers = {str(n): person() for n in range(count)}
        threshold = openset.threshold_for(strangers, 0.02, score)
        named += [np.mean(person() >= threshold) for _ in range(20)]
    assert 0.01 < np.mean(named) < 0.025


def test_quantiles_of_students_distribution():
    for share, freedom, value in ((0.975, 10, 2.2281), (0.999, 7, 4.7853), (0.999, 30, 3.3852)):
        assert openset.student(share, freedom) == pytest.approx(value, rel=0.01)


def test_a_stranger_who_is_always_refused_does_not_lower_the_threshold():
    strangers = {"refused": np.full(5, -np.inf), "seen": np.array([0.1, 0.4])}
    assert openset.threshold_for(strangers, 0) == pytest.approx(0.4, abs=0.01)
    assert openset.threshold_for({"refused": np.full(5, -np.inf)}, 0) == 0.0


def test_folds_set_thresholds_without_the_stranger_they_measure():
    strangers = {"low": np.zeros(10), "high": np.ones(10)}
    rows = openset.leave_one_out(np.array([0.5, 2.0]), np.ones(2, bool), strangers, {}, 0.01)
    assert [row["false_accepts"] for row in rows] == [0.0, 1.0]
    assert [row["true_accepts"] for row in rows] == [0.5, 1.0]


def test_confidence_and_threshold_agree():
    random = np.random.default_rng(0)
    similarity = random.normal(1, 0.3, 200)
    gallery = openset.Answers(np.zeros(200, int), similarity, np.ones(200))
    strangers = {
        name: random.normal(mean, 0.3, 100) for name, mean in zip("abc", (0, 0.1, -1), strict=True)
    }
    made = decision.calibrate(gallery, np.ones(200, bool), strangers, 0.0, 0.01, "note")
    assert 0 < made["threshold"] < 1 and made["slope"] > 0
    assert decision.to_similarity(made) == pytest.approx(openset.threshold_for(strangers, 0.01))
    many = {str(n): random.normal(0, 0.3, 100) for n in range(12)}
    made = decision.calibrate(gallery, np.ones(200, bool), many, 0.0, 0.01, "note")
    accepts = [row["true_accepts"] for row in made["curve"]]
    assert accepts == sorted(accepts)


def test_a_file_promises_nothing_of_strangers_that_few_people_cannot_say():
    gallery = openset.Answers(np.zeros(50, int), np.linspace(0.5, 1, 50), np.ones(50))
    random = np.random.default_rng(0)
    for count, known in ((7, False), (8, True)):
        strangers = {str(n): random.normal(0, 0.1, 5) for n in range(count)}
        made = decision.calibrate(gallery, np.ones(50, bool), strangers, 0.0, 0.001, "note")
        assert ("curve" in made) == ("false_accepts" in made) == known
        made = decision.calibrate(
            gallery, np.ones(50, bool), strangers, 0.0, 0.001, "note", stand_ins=True
        )
        assert "curve" not in made


def test_labels_have_their_own_ids():
    found = labels(["Tina Fey", "Tína Fey", "..."])
    assert [label["id"] for label in found] == ["tina-fey", "tina-fey-2", "person"]


@pytest.mark.parametrize(
    "chart",
    [
        charts.line_chart([charts.Line("a<b", [(1, 0.5), (2, 0.7)])], "x", "y"),
        charts.line_chart([charts.Line("a<b", [(0.01, 0.5), (0.2, 0.7)])], "x", "y", True, "xy"),
        charts.histogram([charts.Histogram("a<b", [0.2, 0.8])], [0, 0.5, 1], 2.0, "x"),
    ],
)
def test_a_chart_is_complete_svg(chart):
    assert chart.count("<svg") == chart.count("</svg>") == 1 and "a&lt;b" in chart
    assert "nan" not in chart and "inf" not in chart


def test_people_who_are_added_are_judged_on_the_scale_of_the_others():
    """Embeddings around a direction for each person: others stay below the threshold."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(14, 32))

    def pictures(people: range, count: int) -> enrolment.Pictures:
        who = np.repeat(np.array(people), count)
        found = centres[who] + 0.6 * random.normal(size=(len(who), 32))
        return enrolment.Pictures(found / np.linalg.norm(found, axis=1, keepdims=True), who)

    gallery, unknown = range(10), pictures(range(10, 14), 20)
    strangers = {f"stranger {p}": unknown.of(p) for p in range(10, 14)}
    train, val = pictures(gallery, 20), pictures(gallery, 20)
    own = random.normal(-0.2, 0.08, 1000)
    made = enrolment.calibrate(train, val, strangers, own, threshold=0.1, rate=0.01)
    assert made["scale"] > 0 and made["true_accepts"] > 0.9
    assert made["scale"] * made["cosine"] + made["offset"] == pytest.approx(0.1)
    mean = train.of(0)[:5].mean(axis=0)
    mean /= np.linalg.norm(mean)
    similarity = [made["scale"] * (val.of(p) @ mean) + made["offset"] for p in gallery]
    others = np.concatenate(similarity[1:])
    assert np.mean(similarity[0] >= 0.1) > 0.9 and np.mean(others >= 0.1) < 0.01
    assert np.quantile(others, 0.99) == pytest.approx(np.quantile(own, 0.99), abs=0.1)


def test_too_few_people_do_not_say_how_those_are_judged_who_are_added():
    few = enrolment.Pictures(np.eye(5), np.arange(5))
    assert enrolment.calibrate(few, few, {}, np.zeros(9), threshold=0.1, rate=0.01) is None
