"""``.onnx`` files made by hand with onnx.helper, as PyTorch exports them: channels first, raw scores; and bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engine_cases import spec_3d
from napari_medcnn.io.packages import write_package

OPSET = 17


def weights(name: str, shape: tuple[int, ...], seed: int, scale: float = 0.3) -> onnx.TensorProto:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * scale
    return numpy_helper.from_array(values, name)


def unet(
    path: Path,
    dimensions: int = 3,
    channels: int = 1,
    classes: int = 3,
    *,
    end: str = "",
    size: tuple[int, ...] | None = None,
    last: bool = False,
    seed: int = 1,
    dynamic_batch: bool = True,
) -> Path:
    """Write a network that halves once and goes back by a transposed convolution, with a skip connection.

    `end` is "", "Softmax" or "Sigmoid"; `size` fixes the spatial sizes; `last` takes and gives channels last, as
    tf2onnx writes it.
    """
    spatial: list[Any] = list(size) if size else ["z", "y", "x"][-dimensions:]
    batch: Any = "n" if dynamic_batch else 1
    k, s = [3] * dimensions, [2] * dimensions
    first_in = "turned" if last else "image"
    forth = [0, dimensions + 1, *range(1, dimensions + 1)]
    back = [0, *range(2, dimensions + 2), 1]
    nodes = [
        *([helper.make_node("Transpose", ["image"], ["turned"], perm=forth)] if last else []),
        helper.make_node("Conv", [first_in, "w1", "b1"], ["c1"], kernel_shape=k, pads=[1] * 2 * dimensions),
        helper.make_node("InstanceNormalization", ["c1", "g", "o"], ["n1"], epsilon=1e-5),
        helper.make_node("LeakyRelu", ["n1"], ["a1"], alpha=0.01),
        helper.make_node("Conv", ["a1", "w2"], ["c2"], kernel_shape=k, strides=s, pads=[1] * 2 * dimensions),
        helper.make_node("Relu", ["c2"], ["a2"]),
        helper.make_node("ConvTranspose", ["a2", "w3"], ["u"], kernel_shape=s, strides=s),
        helper.make_node("Concat", ["u", "a1"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "w4", "b4"], ["scores"], kernel_shape=[1] * dimensions),
    ]
    out = "scores"
    if end:
        nodes.append(helper.make_node(end, [out], ["p"], **({"axis": 1} if end == "Softmax" else {})))
        out = "p"
    if last:
        nodes.append(helper.make_node("Transpose", [out], ["answer"], perm=back))
        out = "answer"

    def shape(count: int) -> list[Any]:
        return [batch, *spatial, count] if last else [batch, count, *spatial]

    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape(channels))],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, shape(classes))],
        [
            weights("w1", (4, channels, *k), seed),
            weights("b1", (4,), seed + 1),
            numpy_helper.from_array(np.ones(4, np.float32), "g"),
            numpy_helper.from_array(np.zeros(4, np.float32), "o"),
            weights("w2", (6, 4, *k), seed + 2),
            weights("w3", (6, 4, *s), seed + 3),
            weights("w4", (classes, 8, *[1] * dimensions), seed + 4),
            weights("b4", (classes,), seed + 5, 1.0),
        ],
    )
    return save(graph, path)


def classifier(path: Path, classes: int = 3, channels: int = 1) -> Path:
    """Write a 2D network that gathers the picture into one vector, ended by a matrix product."""
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "w1"], ["c"], kernel_shape=[3, 3], strides=[2, 2]),
            helper.make_node("Relu", ["c"], ["a"]),
            helper.make_node("GlobalAveragePool", ["a"], ["m"]),
            helper.make_node("Flatten", ["m"], ["v"]),
            helper.make_node("Gemm", ["v", "w2"], ["scores"], transB=1),
        ],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", channels, "y", "x"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", classes])],
        [weights("w1", (5, channels, 3, 3), 3), weights("w2", (classes, 5), 4)],
    )
    return save(graph, path)


def save(graph: onnx.GraphProto, path: Path, *domains: str) -> Path:
    imports = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def changed(path: Path, change: Any) -> Path:
    """Load, let `change` edit the model, and save it again."""
    model = onnx.load(str(path), load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def reference(path: Path, given: np.ndarray) -> np.ndarray:
    """Return what onnx's own reference implementation (numpy) gives."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(path))
    return np.asarray(evaluator.run(None, {evaluator.input_names[0]: given})[0])


def package(folder: Path, name: str = "onnx-net", **changes: Any) -> Path:
    """Write a package of `unet` with three classes; its test tensors are those of the reference implementation."""
    last = bool(changes.get("last"))
    path = unet(folder / f"{name}.onnx", **changes)
    size = changes.get("size") or (8, 12, 16)
    noise = np.random.default_rng(5).standard_normal((1, *size, 1), dtype=np.float32)
    given = noise if last else np.moveaxis(noise, -1, 1)
    answer = reference(path, given)
    answer = answer if last else np.moveaxis(answer, 1, -1)
    return write_package(folder / name, spec_3d(name=name, divisor=2), path, noise, answer)
