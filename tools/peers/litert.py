"""Writes a quantized MobileNet V1 as a TensorFlow Lite file, the form that LiteRT runs best."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from celebtrainer.failure import Failure

INPUT_PX = 224


class LiteModel:
    """Writes the operators of a quantized MobileNet V1 as a TensorFlow Lite file.

    It takes int8 pictures, pixel - 128, which spares LiteRT the conversion that the others do.
    """

    def __init__(self, path: Path):
        import onnx
        from ai_edge_litert import schema_py_generated as schema
        from onnx import numpy_helper

        self.schema = schema
        graph = onnx.load(path).graph
        sides = [side.dim_value for side in graph.input[0].type.tensor_type.shape.dim]
        if sides != [1, INPUT_PX, INPUT_PX, 3]:
            raise Failure(f"the model takes {sides}; give one for {INPUT_PX} pixels")
        self.nodes = list(graph.node)
        self.values = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        self.made_by = {output: node for node in self.nodes for output in node.output}
        self.read_by = {name: node for node in self.nodes for name in node.input}
        self.model, self.subgraph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.operatorCodes = 3, []
        self.model.buffers, self.model.subgraphs = [schema.BufferT()], [self.subgraph]
        self.subgraph.tensors, self.subgraph.operators = [], []

    def tensor(self, name: str, shape, kind: str, values=None, scale=None, zero=0, axis=0) -> int:
        """Adds a tensor, quantized when there is a scale; its index."""
        tensor = self.schema.TensorT()
        tensor.name, tensor.shape = name, [int(side) for side in shape]
        tensor.type, tensor.buffer = getattr(self.schema.TensorType, kind), 0
        if values is not None:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            tensor.quantization = self.schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = np.full(len(scales), int(zero), np.int64)
            tensor.quantization.quantizedDimension = axis
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def operator(self, kind: str, version: int, inputs: list[int], output: int, options=None, **v):
        """Adds an operator; `options` names the class of its options, the rest are their values."""
        code = self.schema.OperatorCodeT()
        code.builtinCode = getattr(self.schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        operator = self.schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes)
        operator.inputs, operator.outputs = inputs, [output]
        if options:
            operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(self.schema, options + "T")()
            for key, value in v.items():
                setattr(operator.builtinOptions, key, value)
        self.model.operatorCodes.append(code)
        self.subgraph.operators.append(operator)

    def quantization(self, name: str) -> dict:
        """Scale and zero point that the tensor gets behind its activation."""
        node = self.read_by[name]
        while node.op_type in ("Clip", "Transpose"):
            node = self.read_by[node.output[0]]
        if node.op_type != "QuantizeLinear":
            raise Failure(f"the result {name} is not quantized; give a model of the trainer's")
        return {"scale": self.values[node.input[1]], "zero": self.values[node.input[2]]}

    def constant(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Integers and scales of a quantized weight or bias."""
        node = self.made_by[name]
        return self.values[node.input[0]], self.values[node.input[1]]

    def subtraction(self, node) -> int:
        """The picture minus the mean, both less 128."""
        mean = self.values[node.input[1]].reshape(-1) - 128
        step = max(float(np.abs(mean).max()), 1.0) / 127
        whole = np.round(mean / step).astype(np.int8)
        shape = [1, INPUT_PX, INPUT_PX, 3]
        picture = self.tensor("image", shape, "INT8", scale=1)
        mean = self.tensor("mean", [len(whole)], "INT8", whole, step)
        output = self.tensor(node.output[0], shape, "INT8", **self.quantization(node.output[0]))
        self.operator("SUB", 2, [picture, mean], output, "SubOptions")
        self.subgraph.inputs = [picture]
        return output

    def convolution(self, node, current: int) -> int:
        attributes = {a.name: list(a.ints) or a.i for a in node.attribute}
        weight, scales = self.constant(node.input[1])
        bias, bias_scales = self.constant(node.input[2])
        (side, kernel), stride = weight.shape[2:], attributes["strides"][0]
        before = self.subgraph.tensors[current].shape[1]
        total = max((-(-before // stride) - 1) * stride + kernel - before, 0)
        if side != kernel or attributes["pads"] != [total // 2] * 2 + [total - total // 2] * 2:
            raise Failure(f"{node.name} is not padded as TensorFlow does; give a MobileNet V1")
        depthwise = attributes["group"] > 1
        weight = weight.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
        name, after = node.output[0], -(-before // stride)
        axis = 3 if depthwise else 0
        inputs = [
            current,
            self.tensor(node.input[1], weight.shape, "INT8", weight, scales, axis=axis),
            self.tensor(node.input[2], bias.shape, "INT32", bias, bias_scales),
        ]
        shape = [1, after, after, len(bias)]
        output = self.tensor(name, shape, "INT8", **self.quantization(name))
        clip = self.read_by[name].op_type == "Clip"
        options = {"padding": self.schema.Padding.SAME, "strideW": stride, "strideH": stride,
                   "dilationWFactor": 1, "dilationHFactor": 1,
                   "fusedActivationFunction": self.schema.ActivationFunctionType.RELU6 if clip
                   else self.schema.ActivationFunctionType.NONE}  # fmt: skip
        if depthwise:
            options["depthMultiplier"] = 1
            self.operator(
                "DEPTHWISE_CONV_2D", 3, inputs, output, "DepthwiseConv2DOptions", **options
            )
        else:
            self.operator("CONV_2D", 3, inputs, output, "Conv2DOptions", **options)
        return output

    def pool(self, node, current: int) -> int:
        name, channels = node.output[0], self.subgraph.tensors[current].shape[3]
        axes = self.tensor("axes", [2], "INT32", np.array([1, 2], np.int32))
        output = self.tensor(name, [1, channels], "INT8", **self.quantization(name))
        self.operator("MEAN", 2, [current, axes], output, "ReducerOptions", keepDims=False)
        return output

    def dense(self, node, current: int) -> int:
        name = node.output[0]
        if node.input[1] in self.values:
            weight, bias = (self.values[i] for i in node.input[1:])
            parts = [self.tensor(node.input[1], weight.shape, "FLOAT32", weight),
                     self.tensor(node.input[2], bias.shape, "FLOAT32", bias)]  # fmt: skip
            output = self.tensor(name, [1, len(bias)], "FLOAT32")
        else:
            (weight, scales), (bias, bias_scales) = map(self.constant, node.input[1:])
            parts = [self.tensor(node.input[1], weight.shape, "INT8", weight, scales),
                     self.tensor(node.input[2], bias.shape, "INT32", bias, bias_scales)]  # fmt: skip
            output = self.tensor(name, [1, len(bias)], "INT8", **self.quantization(name))
        self.operator("FULLY_CONNECTED", 4, [current, *parts], output, "FullyConnectedOptions")
        return output

    def unit_length(self, current: int) -> int:
        shape = self.subgraph.tensors[current].shape
        plain = self.tensor("projected", shape, "FLOAT32")
        self.operator("DEQUANTIZE", 2, [current], plain, "DequantizeOptions")
        output = self.tensor("embedding", shape, "FLOAT32")
        self.operator("L2_NORMALIZATION", 1, [plain], output, "L2NormOptions")
        return output

    def convert(self) -> bytes:
        """The whole file."""
        import flatbuffers

        current, embedding = -1, []
        for node in self.nodes:
            match node.op_type:
                case "Sub":
                    current = self.subtraction(node)
                case "Conv":
                    current = self.convolution(node, current)
                case "GlobalAveragePool":
                    current = self.pool(node, current)
                case "Gemm":
                    current = self.dense(node, current)
                case "ReduceL2":
                    current = self.unit_length(current)
                    embedding = [current]
                case ("Cast" | "Transpose" | "QuantizeLinear" | "DequantizeLinear" | "Clip"
                      | "Flatten" | "Add" | "Div"):  # fmt: skip
                    pass  # part of the above
                case other:
                    raise Failure(
                        f"LiteRT's file cannot be made: {other} is none of MobileNet V1's"
                    )
        if not embedding:
            raise Failure("the model has no embedding; make it with the preset mobilenet_v1")
        self.subgraph.outputs = [*embedding, current]
        builder = flatbuffers.Builder(8 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
