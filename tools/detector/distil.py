"""Trains the float network to keep its answers after rounding to int8.

The network as it came is the teacher, its int8 simulation the student; no labels are needed.
Both run on the same ONNX graph, read into PyTorch.
"""

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn
from tqdm import trange

# Step of Adam as a part of a tensor's root mean square, since channels were rescaled and sizes
# say nothing. It ends nearer to the float network than 3e-4.
RELATIVE_STEP = 1e-3
BATCH = 8


class RoundThrough(torch.autograd.Function):
    """Rounds; its gradient is that of the identity."""

    @staticmethod
    def forward(_, values):
        return values.round()

    @staticmethod
    def backward(_, gradient):
        return gradient


def rounded_weight(weight: torch.Tensor) -> torch.Tensor:
    """Symmetric int8 with one scale for each output channel."""
    scale = weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-8) / 127
    return RoundThrough.apply(weight / scale) * scale


class Range(nn.Module):
    """int8 with one scale and zero point for a tensor; both limits are trained."""

    def __init__(self, low: float, high: float):
        super().__init__()
        self.low = nn.Parameter(torch.tensor(min(low, 0.0)), requires_grad=low < 0)
        self.high = nn.Parameter(torch.tensor(max(high, 1e-3)))

    def scale_and_zero_point(self) -> tuple[torch.Tensor, torch.Tensor]:
        scale = (self.high - self.low) / 255
        return scale, RoundThrough.apply(-128 - self.low / scale)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        scale, zero_point = self.scale_and_zero_point()
        steps = RoundThrough.apply(values / scale) + zero_point
        return (steps.clamp(-128, 127) - zero_point) * scale


class Network(nn.Module):
    """BlazeFace's ONNX graph from the normalised picture on; exact without `ranges`."""

    def __init__(self, model: onnx.ModelProto):
        super().__init__()
        self.constants = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
        start = [n.output[0] for n in model.graph.node].index("normalised")
        self.nodes = list(model.graph.node)[start + 1 :]
        self.heads = {n.input[0] for n in self.nodes if n.op_type == "Transpose"}
        self.weights = nn.ParameterDict()
        self.ranges = nn.ModuleDict()
        for node in self.nodes:
            if node.op_type == "Conv":
                for name in node.input[1:]:
                    self.weights[key(name)] = nn.Parameter(torch.tensor(self.constants[name]))

    def rounds(self) -> set[str]:
        """Tensors that int8 stores: all but those that a ReLU follows and the outputs' heads."""
        relu_inputs = {n.input[0] for n in self.nodes if n.op_type == "Relu"}
        stored = {n.output[0] for n in self.nodes if n.op_type in ("Conv", "Relu", "Add")}
        return stored - relu_inputs - self.heads

    def calibrate(self, pictures: torch.Tensor) -> None:
        """Sets the ranges to the extremes of each picture, averaged: the few pictures with large
        black areas drive some channels ten times as far as all others do."""
        with torch.no_grad():
            values = self.tensors(pictures)
        for name in sorted(self.rounds()):
            rows = values[name].flatten(1)
            low, high = rows.min(dim=1)[0].mean(), rows.max(dim=1)[0].mean()
            self.ranges[key(name)] = Range(float(low), float(high))

    def tensors(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        """Every tensor of the graph for uint8 pictures [n, 3, H, W]."""
        values = {"normalised": (pictures.float() - 127.5) / 127.5}
        for node in self.nodes:
            output = node.output[0]
            values[output] = self.evaluate(node, values)
            if key(output) in self.ranges:
                values[output] = self.ranges[key(output)](values[output])
        return values

    def evaluate(self, node, values):
        inputs = [values[name] for name in node.input if name in values]
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        match node.op_type:
            case "Conv":
                weight, bias = (self.weights[key(name)] for name in node.input[1:])
                top, left, bottom, right = attributes["pads"]
                padded = F.pad(inputs[0], (left, right, top, bottom))
                rounds = len(self.ranges) > 0 and node.output[0] not in self.heads
                kernel = rounded_weight(weight) if rounds else weight
                stride = attributes["strides"]
                return F.conv2d(padded, kernel, bias, stride, groups=attributes["group"])
            case "Relu":
                return F.relu(inputs[0])
            case "Add":
                return inputs[0] + inputs[1]
            case "MaxPool":
                return F.max_pool2d(inputs[0], attributes["kernel_shape"], attributes["strides"])
            case "Pad":
                after = int(self.constants[node.input[1]][5])
                return F.pad(inputs[0], (0, 0, 0, 0, 0, after))
            case "Transpose":
                return inputs[0].permute(attributes["perm"])
            case "Reshape":
                shape = self.constants[node.input[1]]
                return inputs[0].reshape(-1, *(int(n) for n in shape[1:]))
            case "Concat":
                return torch.cat(inputs, dim=attributes["axis"])
            case other:
                raise ValueError(f"operator {other} is not part of BlazeFace")

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values = self.tensors(pictures)
        return values["boxes"], values["scores"]


def key(name: str) -> str:
    return name.replace(".", "/")


def loss_of(student, teacher) -> torch.Tensor:
    """Distance of boxes and points in face sizes where a face is, and of the clipped logits."""
    boxes, scores = student
    true_boxes, true_scores = teacher
    sure = torch.sigmoid(true_scores.clamp(-20, 20))
    size = true_boxes[..., 2:4].abs().mean(dim=-1, keepdim=True).clamp(min=4)
    distance = F.smooth_l1_loss(boxes / size, true_boxes / size, beta=0.02, reduction="none")
    points = (distance.mean(dim=-1) * sure).sum() / sure.sum().clamp(min=1)
    logits, true_logits = scores.clamp(-8, 8), true_scores.clamp(-8, 8)
    near = 0.02 + sure
    score = (F.smooth_l1_loss(logits, true_logits, reduction="none") * near).sum() / near.sum()
    return 20 * points + score


def distil(model: onnx.ModelProto, pictures, sample, steps: int, seed: int):
    """The network with trained weights, and (scale, zero point) of each tensor int8 stores.
    `pictures` set the first ranges; `sample(rng)` gives a picture to train on, uint8 [H, W, 3]."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)

    def planes(pictures: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)

    teacher, student = Network(model), Network(model)
    student.calibrate(planes(pictures))
    optimizer = torch.optim.Adam(
        {"params": [p], "lr": RELATIVE_STEP * float(p.detach().square().mean().sqrt())}
        for p in student.parameters()
        if p.requires_grad
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    progress = trange(steps, desc="distil")
    for _ in progress:
        batch = planes([sample(rng) for _ in range(BATCH)])
        with torch.no_grad():
            answers = teacher(batch)
        loss = loss_of(student(batch), answers)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.3f}")
    return with_weights(model, student), scales_of(student)


def with_weights(model: onnx.ModelProto, network: Network) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        if key(tensor.name) in network.weights:
            values = network.weights[key(tensor.name)].detach().numpy()
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return result


def scales_of(network: Network) -> dict[str, tuple[float, int]]:
    result = {}
    for name in sorted(network.rounds()):
        with torch.no_grad():
            scale, zero_point = network.ranges[key(name)].scale_and_zero_point()
        result[name] = (float(scale), int(zero_point.clamp(-128, 127)))
    return result
