"""The model file: its metadata, and running it in onnxruntime."""

from __future__ import annotations

import datetime
import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from tqdm import tqdm

from . import TRAINER, resume
from .data import CROP_PX, read_crops
from .failure import Failure

PREFIX = "celebcam."
REQUIRED = ("schema", "kind", "labels", "decision", "training", "metrics", "source", "license",
            "trainer", "created")  # fmt: skip


def identifier(name: str) -> str:
    """A name in lower case ASCII with dashes: "Tina Fey" becomes "tina-fey"."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "person"


def labels(names: list[str]) -> list[dict]:
    """The labels' metadata; equal ids get a number."""
    result, used = [], set()
    for name in names:
        base = identifier(name)
        candidate, count = base, 1
        while candidate in used:
            count += 1
            candidate = f"{base}-{count}"
        used.add(candidate)
        result.append({"name": name.replace("_", " "), "id": candidate, "url": ""})
    return result


def now() -> str:
    """The time in UTC after RFC 3339."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def license_note(weights: str) -> str:
    """The licence's metadata for weights under this licence."""
    return f"Weights: {weights}. Pictures: the trainer's user is responsible for the right to use them."


def common(kind: str) -> dict:
    """The properties that every model file has."""
    return {"schema": "1", "kind": kind, "trainer": TRAINER, "created": now()}


def write(model: onnx.ModelProto, properties: dict) -> None:
    """Sets properties, without their prefix; values that are not text become JSON."""
    merged = {p.key: p.value for p in model.metadata_props}
    for key, value in properties.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        merged[PREFIX + key] = text
    onnx.helper.set_model_props(model, merged)


def read(model: onnx.ModelProto) -> dict:
    """The properties without their prefix; JSON values are parsed."""
    result = {}
    for prop in model.metadata_props:
        if prop.key.startswith(PREFIX):
            is_json = prop.value[:1] in "[{"
            result[prop.key.removeprefix(PREFIX)] = (
                json.loads(prop.value) if is_json else prop.value
            )
    return result


def tidy(model: onnx.ModelProto) -> None:
    """Removes what a runtime works out by itself: operator sets not in use, shapes between nodes."""
    standard = [opset for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(standard)
    del model.graph.value_info[:]


def drop_unused(graph: onnx.GraphProto) -> None:
    """Removes nodes and constants that nothing reads."""
    while True:
        read = {name for node in graph.node for name in node.input}
        read |= {output.name for output in graph.output}
        unused = [n for n in graph.node if not read & set(n.output)]
        for node in unused:
            graph.node.remove(node)
        if not unused:
            break
    for initializer in [i for i in graph.initializer if i.name not in read]:
        graph.initializer.remove(initializer)


def load(path: Path) -> onnx.ModelProto:
    """Reads an ONNX file."""
    if not path.is_file():
        raise Failure(f"there is no model {path}; run the steps before this one")
    return onnx.load(path)


def save(model: onnx.ModelProto, path: Path) -> None:
    """Writes an ONNX file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    resume.replace(path, model.SerializeToString())


def save_checked(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Writes a model that follows the rules of ONNX, shapes included, and returns it."""
    onnx.checker.check_model(model, full_check=True)
    save(model, path)
    return model


def session(model: onnx.ModelProto, threads: int = 0) -> onnxruntime.InferenceSession:
    """A model in onnxruntime, without its warnings; by default on all cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Without it, sums of products saturate on x86 processors that lack VNNI.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class Runner:
    """A model file in onnxruntime, one picture at a time as on the device."""

    def __init__(self, path: Path, threads: int = 2):
        self.session = session(load(path), threads)
        self.input_px = self.session.get_inputs()[0].shape[1]
        self.outputs = [output.name for output in self.session.get_outputs()]

    def run(self, crop: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs by name for one uint8 crop [112, 112, 3]."""
        image = crop[None]
        if self.input_px != CROP_PX:
            # PyTorch takes seconds to load, and the default preset does without.
            import torch

            from .network import resize

            image = resize(torch.from_numpy(image), self.input_px).numpy()
        values = self.session.run(None, {"image": image})
        return {name: value[0] for name, value in zip(self.outputs, values, strict=True)}

    def outputs_of(self, paths: list[Path], title: str, name: str) -> np.ndarray:
        """One of the outputs, [n, values], for crops on disk."""
        rows = [
            self.run(read_crops([path])[0])[name]
            for path in tqdm(paths, desc=title, unit="picture", disable=None)
        ]
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def logits(self, paths: list[Path], title: str) -> np.ndarray:
        """The logits [n, people] of crops on disk."""
        return self.outputs_of(paths, title, "logits")
