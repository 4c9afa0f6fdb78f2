"""Look into an ``.onnx`` file before an engine does, and refuse by name what we never run.

The file is a protocol buffer (onnx.proto, ModelProto); only the parts that say what the network is are read, here, in
plain Python from a memory map: no weight is copied, and nothing a length claims is allocated.  Refused: weights in
other files (external data would read any file of this computer), operators outside the standard, functions of its own,
loops, and tensors that claim another size than they have.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_medcnn.errors import IncompleteFileError, ModelError, UnsafeModelError
from napari_medcnn.io.onnx_ops import OPERATORS

#: Weights beyond this do not fit one protocol buffer.
MAX_BYTES, MAX_NODES, MAX_DEPTH = 2 * 2**30, 100_000, 8
#: Bytes of one number by TensorProto.DataType; 0 where numbers are packed.
_SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2}
_SIZES |= dict.fromkeys((17, 18, 19, 20, 24), 1)
#: Fields of TensorProto that hold numbers one by one (float, int32, int64, double, uint64).
_LISTS = {4: 4, 5: 1, 7: 1, 10: 8, 11: 1}
_STANDARD = ("", "ai.onnx")


@dataclass
class Tensor:
    """A weight: its name, type (TensorProto.DataType) and sizes."""

    name: str = ""
    kind: int = 0
    dims: tuple[int, ...] = ()


@dataclass
class Node:
    """One operation; attributes hold whole numbers, lists of them and words."""

    kind: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Graph:
    """What the network is: `inputs` and `outputs` are (name, type, sizes with None where free)."""

    nodes: list[Node] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    inputs: list[tuple[str, int, tuple[int | None, ...]]] = field(default_factory=list)
    outputs: list[tuple[str, int, tuple[int | None, ...]]] = field(default_factory=list)


Data = bytes | mmap.mmap


class _CutError(Exception):
    """A length runs past its end; never leaves this file."""


def read_graph(path: Path | str) -> tuple[Graph, int]:
    """Return the graph and the version of its operators, after refusing everything unsafe.

    Raises
    ------
    UnsafeModelError
        Weights elsewhere, foreign operators, functions, loops, impossible sizes; the message names it.
    ModelError, IncompleteFileError
        No ONNX model, too large, or cut.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ModelError(f"{path.name}: expected an .onnx file")
        if size > MAX_BYTES:
            raise ModelError(
                f"{path.name}: expected at most 2 GB, as one .onnx file can hold, got {size / 2**30:.1f} GB"
            )
        if size == 0:
            raise IncompleteFileError(f"{path.name}: the file is empty")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _model(content, path.name)
    except _CutError as error:
        raise IncompleteFileError(f"{path.name}: damaged or cut model; copy or download it again") from error
    except OSError as error:
        raise ModelError(f"{path.name}: cannot be read ({error.strerror or error})") from error


def _model(data: Data, file: str) -> tuple[Graph, int]:
    graph, version, ir = None, 0, 0
    for number, value in _fields(data, 0, len(data)):
        if number == 1 and isinstance(value, int):
            ir = value
        elif number == 7:
            graph = _graph(data, value, file, 0)
        elif number == 8:
            parts = dict(_fields(data, *_span(value)))
            domain = _text(data, parts[1]) if 1 in parts else ""
            if domain in _STANDARD:
                version = max(version, int(parts.get(2, 0)))
        elif number == 25:
            raise UnsafeModelError(
                f"{file}: refused, because it defines functions of its own; export it again with functions inlined "
                "(onnx.inliner.inline_local_functions)"
            )
    if graph is None or not graph.nodes or not 3 <= ir <= 100 or not version:
        raise ModelError(f"{file}: expected an ONNX model, got other content; damaged or not a model")
    return graph, version


def _graph(data: Data, span: Any, file: str, depth: int) -> Graph:
    if depth > MAX_DEPTH:
        raise UnsafeModelError(f"{file}: damaged or unsafe model: nested deeper than {MAX_DEPTH} levels")
    graph = Graph()
    for number, value in _fields(data, *_span(span)):
        if number == 1:
            graph.nodes.append(_node(data, value, file, depth))
            if len(graph.nodes) > MAX_NODES:
                raise UnsafeModelError(f"{file}: damaged or unsafe model: more than {MAX_NODES} operations")
        elif number == 5:
            tensor = _tensor(data, value, file)
            graph.weights[tensor.name] = tensor
        elif number == 15:
            raise UnsafeModelError(f"{file}: refused: sparse weights are not supported; export it with dense ones")
        elif number in (11, 12):
            (graph.inputs if number == 11 else graph.outputs).append(_value(data, value))
    return graph


def _node(data: Data, span: Any, file: str, depth: int) -> Node:
    node = Node()
    for number, value in _fields(data, *_span(span)):
        if number in (1, 2):
            (node.inputs if number == 1 else node.outputs).append(_text(data, value))
        elif number == 4:
            node.kind = _text(data, value)
        elif number == 7:
            node.domain = _text(data, value)
        elif number == 5:
            _attribute(data, value, file, depth, node)
    if node.domain not in _STANDARD:
        raise UnsafeModelError(
            f"{file}: refused: operator {node.kind[:60]!r} of {node.domain[:60]!r} is not part of the ONNX standard; "
            "export the network with standard operators only"
        )
    if node.kind not in OPERATORS:
        raise UnsafeModelError(f"{file}: refused: operator {node.kind[:60]!r} is not on the list of allowed ones")
    return node


def _attribute(data: Data, span: Any, file: str, depth: int, node: Node) -> None:
    name = ""
    found: Any = None
    numbers: list[int] = []
    for number, value in _fields(data, *_span(span)):
        if number == 1:
            name = _text(data, value)
        elif number == 3:
            found = _signed(value)
        elif number == 4:
            found = _text(data, value)
        elif number == 8:
            numbers += [_signed(v) for v in _whole(data, value)]
        elif number in (5, 10):
            _tensor(data, value, file)
        elif number in (6, 11):
            _graph(data, value, file, depth + 1)
    node.attributes[name] = numbers if numbers else found


def _tensor(data: Data, span: Any, file: str) -> Tensor:
    tensor, held, listed = Tensor(), 0, 0
    dims: list[int] = []
    for number, value in _fields(data, *_span(span)):
        if number == 1:
            dims += [_signed(v) for v in _whole(data, value)]
        elif number == 2 and isinstance(value, int):
            tensor.kind = value
        elif number == 8:
            tensor.name = _text(data, value)
        elif number == 13 or (number == 14 and value):
            raise UnsafeModelError(
                f"{file}: refused: its weights lie in other files (external data); save it as one file "
                "(onnx.save_model with save_as_external_data=False)"
            )
        elif number == 9:
            start, stop = _span(value)
            held = stop - start
        elif number in _LISTS:
            # numbers stand one by one or packed; a whole number takes at least one byte of the file
            taken = value[1] - value[0] if isinstance(value, tuple) else 1
            listed += taken // _LISTS[number]
    if any(n < 0 for n in dims) or (tensor.kind not in _SIZES and tensor.kind != 8 and tensor.kind not in (21, 22, 23)):
        raise UnsafeModelError(
            f"{file}: damaged or unsafe model: weights {tensor.name[:60]!r} of no known type or size"
        )
    held += listed * _SIZES.get(tensor.kind, 0)
    claimed = math.prod(dims) * _SIZES.get(tensor.kind, 0)
    if claimed > held:
        raise UnsafeModelError(
            f"{file}: damaged or unsafe model: weights {tensor.name[:60]!r} claim {claimed} bytes and hold {held}"
        )
    tensor.dims = tuple(dims)
    return tensor


def _value(data: Data, span: Any) -> tuple[str, int, tuple[int | None, ...]]:
    """Return name, type and sizes of an input or output (ValueInfoProto)."""
    parts = dict(_fields(data, *_span(span)))
    kind = dict(_fields(data, *_span(parts[2]))) if 2 in parts else {}
    name = _text(data, parts[1]) if 1 in parts else ""
    if 1 not in kind:
        return name, 0, ()
    tensor = dict(_fields(data, *_span(kind[1])))
    sizes: list[int | None] = []
    for number, dim in _fields(data, *_span(tensor[2])) if 2 in tensor else ():
        if number == 1:
            size = dict(_fields(data, *_span(dim))).get(1)
            sizes.append(size if isinstance(size, int) and 0 < size < 2**31 else None)
    element = tensor.get(1, 0)
    return name, element if isinstance(element, int) else 0, tuple(sizes)


def _fields(data: Data, start: int, stop: int) -> Iterator[tuple[int, Any]]:
    """Yield (field number, value): a whole number, or (start, stop) of what has a length or is fixed in size."""
    place = start
    while place < stop:
        tag, place = _varint(data, place, stop)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = _varint(data, place, stop)
            yield number, value
            continue
        if wire == 2:
            length, place = _varint(data, place, stop)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise _CutError
        if number == 0 or place + length > stop:
            raise _CutError
        yield number, (place, place + length)
        place += length


def _varint(data: Data, place: int, stop: int) -> tuple[int, int]:
    value = shift = 0
    while place < stop and shift < 64:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise _CutError


def _whole(data: Data, value: Any) -> list[int]:
    """Return whole numbers, one or a packed list; at most a few are ever looked at."""
    if isinstance(value, int):
        return [value]
    found: list[int] = []
    place, stop = value
    while place < stop and len(found) < 1024:
        number, place = _varint(data, place, stop)
        found.append(number)
    return found


def _span(value: Any) -> tuple[int, int]:
    if not isinstance(value, tuple):
        raise _CutError
    return value


def _text(data: Data, value: Any) -> str:
    start, stop = _span(value)
    return bytes(data[start : min(stop, start + 500)]).decode("utf-8", "replace")


def _signed(value: Any) -> int:
    if not isinstance(value, int):
        raise _CutError
    return value - 2**64 if value >= 2**63 else value


def check_onnx_file(path: Path | str) -> dict[str, Any]:
    """Return what an ``.onnx`` file holds, after refusing everything unsafe; no engine is imported.

    Returns
    -------
    dict
        As `prescan.check_keras_file`: ``input_shapes`` (*spatial, channel, None where free), ``out_channels``,
        ``ends`` (see `onnx_ends.ends`); and ``layout`` ("first" or "last": where the channels stand), ``opset``,
        ``operators`` (name -> how many), ``bytes``.

    Raises
    ------
    UnsafeModelError, ModelError, IncompleteFileError
        See `read_graph`; or numbers other than float32 go in or come out.
    """
    from napari_medcnn.io.onnx_ends import summary

    path = Path(path)
    graph, opset = read_graph(path)
    found: dict[str, Any] = {**summary(graph, path.name), "opset": opset, "bytes": path.stat().st_size}
    return found


def real_inputs(graph: Graph) -> list[tuple[str, int, tuple[int | None, ...]]]:
    """Return the inputs that are no weights (old files list both)."""
    return [entry for entry in graph.inputs if entry[0] not in graph.weights]


def count(nodes: list[Node]) -> Mapping[str, int]:
    """Return operator -> how many."""
    found: dict[str, int] = {}
    for node in nodes:
        found[node.kind] = found.get(node.kind, 0) + 1
    return found
