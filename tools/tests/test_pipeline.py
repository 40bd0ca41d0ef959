"""The whole way on generated pictures with narrow networks, and the model that ships."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import RECOGNIZER, REPOSITORY, draw, shared_file

from celebtrainer import background, decision, modelfile, openset, prototypes
from celebtrainer.data import read_part

WHITENED = """
backbone = "mobilenet_v1_0.25"
weights = "random"
input_px = 64
[head]
kind = "whitened"
embedding = 24
[training]
epochs = 3
[augmentation]
flip = true
"""
DENSE = """
backbone = "mobilenet_v1_0.25"
weights = "random"
input_px = 64
[head]
kind = "dense"
hidden = [32]
[training]
trainable_layers = 4
epochs = 1
batch = 8
[augmentation]
flip = true
rotation_degrees = 10.0
shift = 0.1
"""
PIPELINE = RECOGNIZER / "pipeline.py"
SHIPPED = REPOSITORY / "models" / "celebrities.onnx"
# Of a hundred test pictures; the whole split has 99.6 % right.
SHIPPED_RIGHT = 99


@pytest.mark.parametrize(("text", "score"), [(WHITENED, "cosine"), (DENSE, "softmax")])
def test_a_folder_of_people_becomes_a_model(people_folder, tmp_path, text, score):
    (tmp_path / "tiny.toml").write_text(text)
    out, work = tmp_path / "model.onnx", tmp_path / "work"
    command = [sys.executable, PIPELINE, people_folder, out, "--work", work]
    command += ["--preset", tmp_path / "tiny.toml", "--weights", "random", "--trust"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    check_model(out, 3, score)
    figures = json.loads((work / "metrics.json").read_text())
    assert figures["closed_set"]["pictures"] > 0 and len(figures["open_set"]["folds"]) >= 2
    assert done.stdout.splitlines()[-1].startswith(f"{out}: names ")
    card = out.with_name("model.onnx.md").read_text()
    assert (
        "| Bob Two | 8 | 2 | 2 | 0 |" in card
        and hashlib.sha256(out.read_bytes()).hexdigest() in card
    )
    assert sorted(p.name for p in tmp_path.iterdir() if "model" in p.name) == [
        out.name,
        f"{out.name}.md",
    ]
    assert 0 <= figures["enrolled_true_accepts"] <= 1
    assert (work / "predictions.html").is_file() == (score == "softmax")
    page = (work / "report.html").read_text()
    assert "Ada One" in page and "http" not in page and page.endswith("</html>")


def check_model(path: Path, people: int, score: str) -> None:
    """Metadata and shapes are those of the contract."""
    model = onnx.load(path)
    properties = modelfile.read(model)
    assert set(modelfile.REQUIRED) <= set(properties)
    assert properties["kind"] == "recognizer" and properties["schema"] == "1"
    assert len(properties["labels"]) == people
    made = properties["decision"]
    assert made["score"] == score and 0 <= made["threshold"] <= 1
    assert made["calibration"] and made["margin"] >= 0
    general = "impostors" in made
    # Two strangers and three people left out cannot speak for others.
    assert ("curve" in made) == ("false_accepts" in made) == general or people > 5
    assert ("enrolled" in made) == (general or (score == "cosine" and people > 5))
    runner = modelfile.Runner(path)
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    found = runner.run(draw(0, 0))
    assert found["logits"].shape == (people,)
    if score == "cosine":
        assert np.linalg.norm(found["embedding"]) == pytest.approx(1, abs=1e-3)
        # A stranger loses 1 of each.
        assert found["logits"].max() <= 1.001 and found["logits"].min() >= -2.001
    weights = [i for i in model.graph.initializer if len(i.dims) == 4 and i.name != "mean"]
    assert weights and all(i.data_type == onnx.TensorProto.INT8 for i in weights)


@pytest.mark.parametrize("people", [1, 3])
def test_the_default_preset_puts_means_on_the_general_embedding(people_folder, tmp_path, people):
    names = sorted(p.name for p in people_folder.iterdir() if p.name != "unknown")
    for name in names[people:]:
        shutil.rmtree(people_folder / name)
    out, work = tmp_path / "model.onnx", tmp_path / "work"
    command = [sys.executable, PIPELINE, people_folder, out, "--work", work, "--trust"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    check_model(out, people, "cosine")
    made, general = modelfile.read(onnx.load(out))["decision"], prototypes.background()
    assert made["impostors"] == general["impostors"] and made["enrolled"] == {
        "scale": 1,
        "offset": 0,
    }
    similarity = decision.to_similarity(decision.among(made, people))
    expected = background.similarity_for(general["impostors"], 0.001, people)
    assert similarity == pytest.approx(expected, abs=1e-3)
    known = prototypes.Known.load(work)
    assert (
        len(known.people)
        == 12 * people
        == json.loads((work / "metrics.json").read_text())["closed_set"]["pictures"]
    )
    found = modelfile.Runner(out).run(draw(0, 0))
    expected = known.similarities(found["embedding"])
    assert found["logits"] == pytest.approx(expected, abs=1e-4)
    figures = json.loads((work / "metrics.json").read_text())
    assert figures["split"] == "left_out" and "each left out" in done.stdout.splitlines()[-1]
    assert not (work / "network.pt").exists() and not (work / "predictions.html").exists()
    assert [row["pictures"] for row in figures["strangers"]] and figures["false_accepts"] == 0.001
    assert len(figures["left_out"]) == (people if people > 1 else 0)
    kept = modelfile.read(onnx.load(out))["training"]["strangers"]
    assert (f"{kept} strangers of unknown/" in out.with_name("model.onnx.md").read_text()) == (
        kept > 1
    )


def test_training_without_strangers_calibrates_on_left_out_people(people_folder, tmp_path):
    for path in sorted((people_folder / "unknown").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (tmp_path / "tiny.toml").write_text(WHITENED)
    out = tmp_path / "model.onnx"
    command = [sys.executable, PIPELINE, people_folder, out, "--work", tmp_path / "w"]
    command += ["--preset", tmp_path / "tiny.toml", "--weights", "random", "--trust"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    note = modelfile.read(onnx.load(out))["decision"]["calibration"]
    assert "shown to heads without them" in note and "strangers and on" not in note


def test_the_shipped_model_is_small_and_complete():
    check_model(SHIPPED, 18, "cosine")
    assert SHIPPED.stat().st_size <= 4_000_000


def test_the_shipped_model_rounds_once_behind_a_prelu():
    graph = onnx.load(SHIPPED).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    inputs = [made_by[node.input[0]] for node in graph.node if node.op_type == "PRelu"]
    assert len(inputs) == 33 and set(inputs) == {"Conv"}


def test_the_shipped_model_knows_its_people():
    torch.set_num_threads(2)
    data = shared_file("data/celeb24")
    part = read_part(data, "test")
    chosen = np.linspace(0, len(part) - 1, 100).astype(int)
    logits = modelfile.Runner(SHIPPED).logits([part.paths[i] for i in chosen], "shipped model")
    found = openset.answers(logits, "cosine")
    assert (found.best == part.people[chosen]).sum() >= SHIPPED_RIGHT
