"""What the configuration of a ``.keras`` file tells of its two ends, without Keras: a reading of names and sizes.

Only what stands there plainly is returned; what would need Keras to work it out is None, and a person is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_CONV = re.compile(r"(Separable|Depthwise)?Conv[123]D(Transpose)?")
#: Layers that leave channels and meaning as they are; an activation is looked for behind them.
_THROUGH = re.compile(
    r"Dropout|SpatialDropout[123]D|Identity|Cropping[123]D|ZeroPadding[123]D|UpSampling[123]D|Resizing|ActivityRegularization"
)
_POOL = re.compile(r"(Max|Average)Pooling[123]D")
_WHOLE_IMAGE = re.compile(r"Flatten|Global(Max|Average)Pooling[123]D")
_LARGEST_DIVISOR = 1024


@dataclass(frozen=True)
class Layer:
    """One layer: its class, its settings, and the names of the layers it takes its input from."""

    kind: str
    settings: Mapping[str, Any]
    sources: tuple[str, ...]


def ends(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `config` (of ``config.json``) says of input and output.

    Returns
    -------
    dict
        ``inputs`` and ``outputs``: how many (None if not stated); ``channels_out``: of the last layer, or None;
        ``activation``: name of the last activation ("linear" for none), or None; ``task``: "segmentation",
        "classification" or None; ``divisor``: what sizes must be a multiple of because the network halves them.
    """
    inside = config.get("config")
    raw = inside.get("layers") if isinstance(inside, dict) else None
    unknown = {"inputs": None, "outputs": None, "channels_out": None, "activation": None, "task": None, "divisor": 1}
    if not isinstance(inside, dict) or not isinstance(raw, list):
        return unknown
    layers = _layers(raw, config.get("class_name") == "Sequential")
    if not layers:
        return unknown
    outputs = _names(inside.get("output_layers")) or [list(layers)[-1]]
    inputs = _names(inside.get("input_layers"))
    channels, activation = _last(layers, outputs[0])
    return {
        "inputs": len(inputs) or sum(layer.kind == "InputLayer" for layer in layers.values()) or None,
        "outputs": len(outputs),
        "channels_out": channels,
        "activation": activation,
        "task": _task(layers, outputs[0]),
        "divisor": _divisor(layers),
    }


def _layers(raw: list[Any], in_order: bool) -> dict[str, Layer]:
    """Return the layers by name, in the order of the file, which is the order of calculation."""
    result: dict[str, Layer] = {}
    for entry in raw:
        if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
            continue
        name = str(entry.get("name") or entry["config"].get("name") or f"layer {len(result)}")
        sources = tuple(dict.fromkeys(_histories(entry.get("inbound_nodes"))))
        if not sources and result and (in_order or entry.get("class_name") != "InputLayer"):
            sources = (list(result)[-1],)
        result[name] = Layer(str(entry.get("class_name")), entry["config"], sources)
    return result


def _histories(value: Any) -> Iterator[str]:
    """Yield the names of the layers that `inbound_nodes` point at."""
    if isinstance(value, dict):
        history = value.get("keras_history")
        if isinstance(history, list) and history:
            yield str(history[0])
        for item in value.values():
            yield from _histories(item)
    elif isinstance(value, list):
        for item in value:
            yield from _histories(item)


def _names(value: Any) -> list[str]:
    """Return layer names of ``["name", 0, 0]``, or of a list or mapping of such."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list) or not value:
        return []
    if isinstance(value[0], str):
        return [value[0]]
    return [str(item[0]) for item in value if isinstance(item, list) and item]


def _last(layers: Mapping[str, Layer], name: str) -> tuple[int | None, str | None]:
    """Return channels and activation of the output, walking back through layers that change neither."""
    activation: str | None = None
    seen: set[str] = set()
    while name in layers and name not in seen:
        seen.add(name)
        layer = layers[name]
        own = _activation(layer)
        activation = activation if activation is not None else own
        size = layer.settings.get("filters", layer.settings.get("units"))
        if isinstance(size, int) and not isinstance(size, bool):
            return size, activation if activation is not None else "linear"
        if (own is None and not _THROUGH.fullmatch(layer.kind)) or len(layer.sources) != 1:
            return None, activation
        name = layer.sources[0]
    return None, activation


def _activation(layer: Layer) -> str | None:
    """Return what a layer does to values last; None if it is no activation or does nothing."""
    if layer.kind in ("Softmax", "ReLU", "LeakyReLU", "PReLU", "ELU"):
        return layer.kind.lower()
    value = layer.settings.get("activation")
    if isinstance(value, dict):
        value = value.get("config")
    return value if isinstance(value, str) and value != "linear" else None


def _task(layers: Mapping[str, Layer], name: str) -> str | None:
    """Return "classification" if the image is gathered into one vector before the output."""
    seen: set[str] = set()
    while name in layers and name not in seen:
        seen.add(name)
        layer = layers[name]
        if _WHOLE_IMAGE.fullmatch(layer.kind):
            return "classification" if not layer.settings.get("keepdims") else None
        if _CONV.fullmatch(layer.kind):
            return "segmentation"
        if layer.kind == "Reshape" or not layer.sources:
            return None
        name = layer.sources[0]
    return None


def _divisor(layers: Mapping[str, Layer]) -> int:
    """Return by how much the deepest layer is smaller than the input, along its most halved axis."""
    scale: dict[str, float] = {}
    deepest = 1.0
    for name, layer in layers.items():
        value = max((scale.get(source, 1.0) for source in layer.sources), default=1.0)
        step = _largest(layer.settings.get("strides") or layer.settings.get("pool_size"))
        if layer.kind.endswith("Transpose"):
            value /= step
        elif _CONV.fullmatch(layer.kind) or _POOL.fullmatch(layer.kind):
            value *= step
        elif layer.kind.startswith("UpSampling"):
            value /= _largest(layer.settings.get("size"))
        scale[name] = value
        deepest = max(deepest, value)
    return min(round(deepest), _LARGEST_DIVISOR)


def _largest(value: Any) -> int:
    numbers = value if isinstance(value, list) else [value]
    whole = [n for n in numbers if isinstance(n, int) and not isinstance(n, bool) and n > 0]
    return max(whole, default=1)
