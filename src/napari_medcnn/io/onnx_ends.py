"""What the graph of an ``.onnx`` file tells of its two ends: layout, sizes, channels, last step, task.

Only what stands there plainly is returned; what cannot be told is None, and a person is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_medcnn.errors import ModelError
from napari_medcnn.io.onnx_header import Graph, Node, count, real_inputs

_FLOAT = 1
#: Operations that change neither the order of axes nor the number of channels.
_SAME = frozenset(
    """Identity Cast Dropout Add Sub Mul Div Clip Pad Relu LeakyRelu PRelu Elu Selu BatchNormalization
    InstanceNormalization GroupNormalization Resize Upsample Sqrt Pow Slice""".split()  # noqa: SIM905
)
_CONV = ("Conv", "ConvTranspose")
_POOLS = ("MaxPool", "AveragePool", "LpPool")
_WHOLE = frozenset(("GlobalAveragePool", "GlobalMaxPool", "Flatten", "Gemm", "ReduceMean", "ReduceMax"))
_LARGEST_DIVISOR = 1024


def summary(graph: Graph, file: str) -> dict[str, Any]:
    """Return what `onnx_header.check_onnx_file` promises.

    Raises
    ------
    ModelError
        Not one input and one output of float32 numbers.
    """
    inputs, outputs = real_inputs(graph), graph.outputs
    shapes: list[list[int | None]] = []
    channels_out = None
    layout = "first"
    if len(inputs) == 1 and len(outputs) == 1:
        (name, kind, given), (last, kind_out, gives) = inputs[0], outputs[0]
        if kind != _FLOAT or kind_out != _FLOAT:
            raise ModelError(
                f"{file}: expected float32 numbers going in and coming out; export the network in float32 (not "
                "float16 or whole numbers)"
            )
        if len(given) not in (4, 5):
            raise ModelError(
                f"{file}: expected an input of (batch, channel, y, x), (batch, channel, z, y, x) or with the channel "
                f"last, got {len(given)} axes"
            )
        if given[0] not in (None, 1):
            raise ModelError(f"{file}: expected a batch of 1 or of any size, the network takes {given[0]}")
        layout, channels = _layout(graph, name, given)
        shapes = [[*given[2:], channels] if layout == "first" else [*given[1:-1], channels]]
        channels_out = _channels_out(graph, last, gives, layout)
        task = "classification" if len(gives) == 2 else "segmentation" if len(gives) == len(given) else None
        task = task or _task(graph, last)
        activation = _activation(graph, last, layout, len(gives) or len(given))
    else:
        task = activation = None
    ends = {
        "inputs": len(inputs), "outputs": len(outputs), "channels_out": channels_out, "activation": activation,
        "task": task, "divisor": _divisor(graph),
    }  # fmt: skip
    return {
        "name": "", "input_shapes": shapes, "out_channels": channels_out, "ends": ends, "layout": layout,
        "operators": dict(count(graph.nodes)),
    }  # fmt: skip


def _layout(graph: Graph, name: str, given: tuple[int | None, ...]) -> tuple[str, int | None]:
    """Return where the channels stand and how many; convolutions of ONNX always take them first."""
    users: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for source in node.inputs:
            users.setdefault(source, []).append(node)
    waiting, seen = [name], {name}
    while waiting:
        for node in users.get(waiting.pop(0), ()):
            if node.kind == "Transpose":
                order = node.attributes.get("perm") or []
                if len(order) == len(given) and order[1] == len(given) - 1:
                    return "last", given[-1] or _first_conv(graph)
            if node.kind in _CONV and len(node.inputs) > 1:
                return "first", given[1] or _channels_in(graph, node)
            if node.kind in _SAME:
                fresh = [out for out in node.outputs if out not in seen]
                seen.update(fresh)
                waiting += fresh
    few_last = given[-1] is not None and given[-1] <= 4 and (given[1] is None or given[1] > 8)
    return ("last", given[-1]) if few_last else ("first", given[1])


def _first_conv(graph: Graph) -> int | None:
    return next((_channels_in(graph, node) for node in graph.nodes if node.kind == "Conv"), None)


def _channels_in(graph: Graph, node: Node) -> int | None:
    weight = graph.weights.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if weight is None or len(weight.dims) < 3:
        return None
    return weight.dims[0] if node.kind == "ConvTranspose" else weight.dims[1] * (node.attributes.get("group") or 1)


def _channels_out(graph: Graph, name: str, gives: tuple[int | None, ...], layout: str) -> int | None:
    stated = None
    if gives:
        stated = gives[-1] if layout == "last" or len(gives) == 2 else gives[1]
    if stated is not None:
        return stated
    makers = _makers(graph)
    seen: set[str] = set()
    while name in makers and name not in seen:
        seen.add(name)
        node = makers[name]
        weight = graph.weights.get(node.inputs[1]) if len(node.inputs) > 1 else None
        if node.kind == "Conv" and weight is not None and weight.dims:
            return weight.dims[0]
        if node.kind == "ConvTranspose" and weight is not None and len(weight.dims) > 1:
            return weight.dims[1] * (node.attributes.get("group") or 1)
        if node.kind in ("Gemm", "MatMul") and weight is not None and len(weight.dims) == 2:
            return weight.dims[0 if node.attributes.get("transB") else 1]
        if node.kind not in _SAME | {"Softmax", "Sigmoid", "Transpose", "LogSoftmax"}:
            return None
        name = _data_input(graph, node)
    return None


def _activation(graph: Graph, name: str, layout: str, rank: int) -> str | None:
    """Return "softmax" or "sigmoid" if the network ends so, "linear" if it ends with a layer of weights, else None."""
    makers = _makers(graph)
    seen: set[str] = set()
    while name in makers and name not in seen:
        seen.add(name)
        node = makers[name]
        if node.kind == "Softmax":
            return "softmax"
        if node.kind in ("LogSoftmax", "Relu", "LeakyRelu", "Tanh"):
            return node.kind.lower()
        if node.kind == "Sigmoid":
            return "sigmoid"
        if node.kind in (*_CONV, "Gemm", "MatMul"):
            return "linear"
        if node.kind in ("Add", "Mul", "Div", "Sub") and not any(source in graph.weights for source in node.inputs):
            return None
        if node.kind not in _SAME | {"Transpose", "Reshape", "Squeeze"}:
            return None
        name = _data_input(graph, node)
    return None


def _task(graph: Graph, name: str) -> str | None:
    makers = _makers(graph)
    seen: set[str] = set()
    while name in makers and name not in seen:
        seen.add(name)
        node = makers[name]
        if node.kind in _WHOLE:
            return "classification"
        if node.kind in _CONV:
            return "segmentation"
        if node.kind == "Reshape" or not node.inputs:
            return None
        name = _data_input(graph, node)
    return None


def _makers(graph: Graph) -> Mapping[str, Node]:
    return {out: node for node in graph.nodes for out in node.outputs if out}


def _data_input(graph: Graph, node: Node) -> str:
    """Return the input that is no weight."""
    return next((source for source in node.inputs if source and source not in graph.weights), "")


def _divisor(graph: Graph) -> int:
    """Return by how much the deepest layer is smaller than the input, along its most halved axis."""
    scale: dict[str, float] = {}
    deepest = 1.0
    for node in graph.nodes:
        value = max((scale.get(source, 1.0) for source in node.inputs), default=1.0)
        step = max((n for n in node.attributes.get("strides") or [] if n > 0), default=1)
        if node.kind == "Conv" or node.kind in _POOLS:
            value *= step
        elif node.kind == "ConvTranspose":
            value /= step
        elif node.kind in ("Resize", "Upsample", "Shape"):
            value = 1.0 if node.kind == "Shape" else value / 2
        for out in node.outputs:
            scale[out] = value
        deepest = max(deepest, value)
    return min(round(deepest), _LARGEST_DIVISOR)
