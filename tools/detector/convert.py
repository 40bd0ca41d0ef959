"""Reads BlazeFace out of its TensorFlow Lite file and writes it as float ONNX.

Only the operators that BlazeFace consists of are known; anything else is an error.
"""

from pathlib import Path

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
OPERATORS = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding of one axis: the odd pixel goes to the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Converter:
    """Walks the operators in order; tensors change from NHWC to NCHW on the way."""

    def __init__(self, tflite_bytes: bytes):
        self.model = tflite.Model.GetRootAsModel(tflite_bytes, 0)
        self.graph = self.model.Subgraphs(0)
        self.constants: dict[int, np.ndarray] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.names: dict[int, str] = {}

    def shape(self, index: int) -> list[int]:
        return self.graph.Tensors(index).ShapeAsNumpy().tolist()

    def constant(self, index: int) -> np.ndarray:
        """Values of a constant tensor, float16 widened to float32."""
        if index not in self.constants:
            tensor = self.graph.Tensors(index)
            raw = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
            self.constants[index] = raw.view(DTYPES[tensor.Type()]).reshape(self.shape(index))
        values = self.constants[index]
        return values.astype(np.float32) if values.dtype == np.float16 else values

    def weight(self, name: str, values: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def label(self, index: int) -> str:
        return self.graph.Tensors(index).Name().decode().split("/")[-1]

    def conv(self, operator, options, depthwise: bool) -> None:
        source, kernel, bias = (operator.Inputs(i) for i in range(3))
        output = operator.Outputs(0)
        options_of(operator, options)
        values = self.constant(kernel)
        # Kernels are [out, h, w, in], depthwise ones [1, h, w, channels].
        values = values.transpose(3, 0, 1, 2) if depthwise else values.transpose(0, 3, 1, 2)
        pads = self.pads(source, values.shape[2:], options)
        name = self.label(output)
        self.names[output] = self.node(
            "Conv",
            [
                self.names[source],
                self.weight(f"{name}.weight", values),
                self.weight(f"{name}.bias", self.constant(bias)),
            ],
            name,
            kernel_shape=list(values.shape[2:]),
            strides=[options.StrideH(), options.StrideW()],
            pads=pads,
            group=values.shape[0] if depthwise else 1,
        )

    def pads(self, source: int, kernel: tuple[int, int], options) -> list[int]:
        if options.Padding() == tflite.Padding.VALID:
            return [0, 0, 0, 0]
        _, height, width, _ = self.shape(source)
        top, bottom = same_padding(height, kernel[0], options.StrideH())
        left, right = same_padding(width, kernel[1], options.StrideW())
        return [top, left, bottom, right]

    def max_pool(self, operator) -> None:
        options = tflite.Pool2DOptions()
        options_of(operator, options)
        kernel = (options.FilterHeight(), options.FilterWidth())
        source, output = operator.Inputs(0), operator.Outputs(0)
        pads = self.pads(source, kernel, options)
        if any(pads):
            raise ValueError("max pooling with padding is not handled")
        self.names[output] = self.node(
            "MaxPool",
            [self.names[source]],
            self.label(output),
            kernel_shape=list(kernel),
            strides=[options.StrideH(), options.StrideW()],
        )

    def pad_channels(self, operator) -> None:
        source, paddings, output = (
            operator.Inputs(0),
            operator.Inputs(1),
            operator.Outputs(0),
        )
        amounts = self.constant(paddings)
        if amounts[:3].any():
            raise ValueError("only padding of channels is handled")
        before, after = (int(n) for n in amounts[3])
        name = self.label(operator.Outputs(0))
        amounts = self.weight(f"{name}.pads", np.array([0, before, 0, 0, 0, after, 0, 0]))
        self.names[output] = self.node("Pad", [self.names[source], amounts], name)

    def reshape(self, operator) -> None:
        """To [1, rows, columns] in the order of NHWC; a last axis of 1 is left to the caller."""
        source, output = operator.Inputs(0), operator.Outputs(0)
        name = self.label(output)
        rows = self.node("Transpose", [self.names[source]], f"{name}.nhwc", perm=[0, 2, 3, 1])
        shape = self.shape(output)
        target = np.array(shape if shape[-1] > 1 else shape[:-1], np.int64)
        shape_name = self.weight(f"{name}.shape", target)
        self.names[output] = self.node("Reshape", [rows, shape_name], name)

    def simple(self, kind: str, operator, **attributes) -> None:
        inputs = [self.names[operator.Inputs(i)] for i in range(operator.InputsLength())]
        output = operator.Outputs(0)
        self.names[output] = self.node(kind, inputs, self.label(output), **attributes)

    def operator(self, operator) -> None:
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        kind = OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        match kind:
            case "DEQUANTIZE":
                self.constants[operator.Outputs(0)] = self.constant(operator.Inputs(0))
            case "CONV_2D":
                self.conv(operator, tflite.Conv2DOptions(), depthwise=False)
            case "DEPTHWISE_CONV_2D":
                self.conv(operator, tflite.DepthwiseConv2DOptions(), depthwise=True)
            case "MAX_POOL_2D":
                self.max_pool(operator)
            case "PAD":
                self.pad_channels(operator)
            case "ADD":
                options_of(operator, tflite.AddOptions())
                self.simple("Add", operator)
            case "RELU":
                self.simple("Relu", operator)
            case "RESHAPE":
                self.reshape(operator)
            case "CONCATENATION":
                self.simple("Concat", operator, axis=1)
            case other:
                raise ValueError(f"operator {other} is not part of BlazeFace")


def options_of(operator, options) -> None:
    """Fills `options`; fused activations and dilation do not occur in BlazeFace."""
    table = operator.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    if options.FusedActivationFunction() != tflite.ActivationFunctionType.NONE:
        raise ValueError("fused activations are not handled")
    if getattr(options, "DilationHFactor", lambda: 1)() != 1:
        raise ValueError("dilated convolutions are not handled")


def normalise(converter: Converter, size: int) -> None:
    """uint8 [1, H, W, 3] to float [1, 3, H, W] in -1..1."""
    pixels = converter.node("Cast", ["image"], "pixels", to=TensorProto.FLOAT)
    planes = converter.node("Transpose", [pixels], "planes", perm=[0, 3, 1, 2])
    offset = converter.weight("normalise.offset", np.float32(127.5))
    factor = converter.weight("normalise.factor", np.float32(1 / 127.5))
    centred = converter.node("Sub", [planes, offset], "centred")
    converter.names[converter.graph.Inputs(0)] = converter.node(
        "Mul", [centred, factor], "normalised"
    )
    if converter.shape(converter.graph.Inputs(0)) != [1, size, size, 3]:
        raise ValueError(f"the network does not take {size}x{size} pictures")


def rename_outputs(converter: Converter) -> list[onnx.ValueInfoProto]:
    """The regressors become `boxes` [1, A, 16], the classifiers `scores` [1, A]."""
    infos = []
    for position in range(converter.graph.OutputsLength()):
        index = converter.graph.Outputs(position)
        _, rows, columns = converter.shape(index)
        name = "scores" if columns == 1 else "boxes"
        last = next(n for n in converter.nodes if n.output[0] == converter.names[index])
        last.output[0] = last.name = name
        shape = [1, rows] if columns == 1 else [1, rows, columns]
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return sorted(infos, key=lambda info: info.name)


def convert(tflite_path: Path, size: int) -> onnx.ModelProto:
    """Float ONNX of the network, input `image`, outputs `boxes` and `scores`."""
    converter = Converter(tflite_path.read_bytes())
    normalise(converter, size)
    for index in range(converter.graph.OperatorsLength()):
        converter.operator(converter.graph.Operators(index))
    outputs = rename_outputs(converter)
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, size, size, 3])
    graph = helper.make_graph(converter.nodes, "blazeface", [image], outputs, converter.weights)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    return model
