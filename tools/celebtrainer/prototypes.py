"""The head that needs no training: a person is the mean of the embeddings of their pictures.

On the embedding of `background.py` the mean (Snell et al., "Prototypical Networks for Few-shot
Learning", 2017) is as good as any head that is fitted on few people, and it is judged as people are
who are added on the device: by the cosine, and by how alike strangers are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from . import modelfile, pretrained
from .background import person_means, unit
from .openset import Answers, answers

# A face is named only when the best person leads the second by this much.
MARGIN = 0.03
EMBEDDING = pretrained.SHIPPED / "embedding.onnx"


def background() -> dict:
    """What the embedding's file says of strangers in general."""
    return modelfile.read(modelfile.load(EMBEDDING))["background"]


def with_people(embeddings: np.ndarray, people: np.ndarray, names: list[str]) -> onnx.ModelProto:
    """The embedding's network with one similarity for each person on top."""
    model = modelfile.load(EMBEDDING)
    graph = model.graph
    rows = person_means(embeddings, people).astype(np.float32)
    graph.initializer.append(numpy_helper.from_array(rows, "people"))
    graph.node.append(
        helper.make_node("Gemm", ["embedding", "people"], ["logits"], name="similarities", transB=1)
    )
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(rows)])
    graph.output.insert(0, logits)
    del model.metadata_props[:]
    modelfile.write(model, modelfile.common("recognizer") | {"labels": modelfile.labels(names)})
    onnx.checker.check_model(model, full_check=True)
    return model


def left_out(embeddings: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Similarities [n, people] of pictures, to their own person by the mean of the others.

    Who has one picture only is like themselves as strangers are: 0.
    """
    numbers = np.unique(people)
    cosines = embeddings @ person_means(embeddings, people).T
    totals = np.stack([embeddings[people == p].sum(axis=0) for p in numbers])
    own = np.searchsorted(numbers, people)
    others = totals[own] - embeddings
    cosines[np.arange(len(people)), own] = (embeddings * unit(others)).sum(axis=1)
    return cosines


def as_strangers(embeddings: np.ndarray, people: np.ndarray, names: list[str]) -> dict:
    """Each person as a stranger to the others: the best similarities of their pictures, by name."""
    if len(names) < 2:
        return {}
    cosines = embeddings @ person_means(embeddings, people).T
    cosines[np.arange(len(people)), people] = -np.inf
    return {name: cosines[people == p].max(axis=1) for p, name in enumerate(names)}


def measured(embeddings: np.ndarray, people: np.ndarray) -> tuple[Answers, np.ndarray]:
    """What is said of each picture when it is left out, and whether it is right."""
    found = answers(left_out(embeddings, people), "cosine")
    return found, found.best == np.searchsorted(np.unique(people), people)


def save(work: Path, embeddings: np.ndarray, people: np.ndarray) -> None:
    """Writes the embeddings for the steps that follow; they stay in the work folder."""
    np.savez(work / "embeddings.npz", embeddings=embeddings, people=people)


def load(work: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads what `save` wrote."""
    stored = np.load(work / "embeddings.npz")
    return stored["embeddings"], stored["people"]
