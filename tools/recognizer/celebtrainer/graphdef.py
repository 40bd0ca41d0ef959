"""Reads the constants of a TensorFlow GraphDef without TensorFlow.

Only what is needed of the protobuf wire format (protobuf.dev, "Encoding") and of graph.proto,
node_def.proto and tensor.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_FLOAT = 1  # DataType DT_FLOAT


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field; a length-delimited value is a slice of the message."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
        elif kind == 2:
            size, at = _varint(message, at)
            value, at = message[at : at + size], at + size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = message[at : at + size], at + size
        else:
            raise ValueError(f"unknown wire type {kind}")
        if at > len(message):
            raise ValueError("the message is cut off")
        yield tag >> 3, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def constants(graph: bytes) -> dict[str, np.ndarray]:
    """The float constants of a graph by node name."""
    found = {}
    for number, node in fields(memoryview(graph)):
        if number != 1:
            continue
        parts = list(fields(node))
        name = next(bytes(v).decode() for n, v in parts if n == 1)
        if next(bytes(v) for n, v in parts if n == 2) != b"Const":
            continue
        for key, value in (_attribute(v) for n, v in parts if n == 5):
            tensor = next((v for n, v in fields(value) if n == 8), None)
            if key == b"value" and tensor is not None:
                array = _tensor(tensor)
                if array is not None:
                    found[name] = array
    return found


def _attribute(entry: memoryview) -> tuple[bytes, memoryview]:
    parts = dict(fields(entry))
    return bytes(parts[1]), parts[2]


def _tensor(tensor: memoryview) -> np.ndarray | None:
    shape, content, kind = [], b"", 0
    for number, value in fields(tensor):
        if number == 1:
            kind = value
        elif number == 2:
            dimensions = [v for n, v in fields(value) if n == 2]
            shape = [dict(fields(d)).get(1, 0) for d in dimensions]
        elif number in (4, 5):
            content += bytes(value)
    if kind != _FLOAT:
        return None
    values = np.frombuffer(content, "<f4")
    return np.full(shape, values[0]) if len(values) == 1 else values.reshape(shape)
