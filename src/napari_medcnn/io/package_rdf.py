"""``rdf.yaml`` of a model package: what we write, and the closed profile of BioImage.IO 0.5 that we read.

Everything we run stands under ``config.medcnn``. Standard fields are for other programs: axes, channel names, hashes
and test tensors are exact copies, and where our preparation does more than nothing, ``run_mode`` says that running the
weights on raw data is wrong. Format checked against bioimageio.spec (see docs/decisions/model-package.md).
"""

from __future__ import annotations

import importlib.metadata
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.errors import ModelError, UnsafeModelError

#: The newest patch that both the oldest and the newest validator we test with know.
FORMAT_VERSION = "0.5.12"
RDF, WEIGHTS, ONNX, README, COVER = "rdf.yaml", "weights.keras", "weights.onnx", "README.md", "cover.png"
TEST_INPUT, TEST_OUTPUT = "test_input.npy", "test_output.npy"
SPACE = {2: ("y", "x"), 3: ("z", "y", "x")}

_TOP_REQUIRED = {"type", "format_version", "name", "inputs", "outputs", "weights", "config"}
_TOP_OPTIONAL = {
    "description", "authors", "license", "cite", "documentation", "tags", "covers", "version", "run_mode",
}  # fmt: skip
#: Licences that the format knows by their SPDX id; others stand in our own card only.
_SPDX = {
    "CC-BY-4.0", "CC0-1.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-NC-ND-4.0", "MIT",
    "BSD-3-Clause", "BSD-2-Clause", "Apache-2.0", "GPL-3.0-only", "GPL-3.0-or-later", "LGPL-3.0-only", "MPL-2.0",
}  # fmt: skip
_DRIVE = re.compile(r"[A-Za-z]:")
_SHA256 = re.compile(r"[0-9a-f]{64}")


#: Where the channels of the network's tensors stand: behind the spatial axes (Keras) or before them (most of ONNX).
Layout = Literal["last", "first"]


@dataclass(frozen=True)
class Weights:
    """What writing a package must know of its weights: `keras_version` "" or `opset` 0 where there are none of a kind.

    Parameters
    ----------
    input_shape
        Of the network, (*spatial, channel), batch left out, None where a size is free.
    """

    input_shape: tuple[int | None, ...]
    keras_version: str = ""
    opset: int = 0
    layout: Layout = "last"


@dataclass(frozen=True)
class Content:
    """What a valid ``rdf.yaml`` names: the specification and files with their sha256, all bare names."""

    spec: ModelSpec
    hashes: Mapping[str, str]
    keras_version: str
    test_input: str | None
    test_output: str | None
    cover: str | None
    documentation: str | None
    layout: Layout = "last"


def bare_name(value: object, what: str) -> str:
    """Return `value` if it is the plain name of a file inside the package.

    Raises
    ------
    UnsafeModelError
        It is an address, a path, a drive, hidden, or holds odd characters.
    """
    name = value if isinstance(value, str) else ""
    odd = any(c in name for c in '/\\\0:*?"<>|') or any(ord(c) < 32 for c in name)
    if not name or name.startswith(".") or odd or _DRIVE.match(name) or len(name) > 120 or name != name.strip(" ."):
        raise UnsafeModelError(f"{what}: expected the plain name of a file in the package, got {str(value)[:80]!r}")
    return name


def build_rdf(spec: ModelSpec, hashes: Mapping[str, str], weights: Weights) -> dict[str, Any]:
    """Return the content of ``rdf.yaml``.

    Parameters
    ----------
    hashes
        sha256 of every file of the package but ``rdf.yaml``, by name.
    """
    tested = TEST_INPUT in hashes
    inputs: dict[str, Any] = {
        "id": "input",
        "axes": _in_order(_input_axes(spec, weights.input_shape), weights),
        "data": {"type": "float32"},
    }
    outputs: dict[str, Any] = {
        "id": "output",
        "axes": _in_order(_output_axes(spec), weights),
        "data": {"type": "float32"},
    }
    if tested:
        inputs["test_tensor"] = {"source": TEST_INPUT, "sha256": hashes[TEST_INPUT]}
        outputs["test_tensor"] = {"source": TEST_OUTPUT, "sha256": hashes[TEST_OUTPUT]}
    rdf: dict[str, Any] = {
        "type": "model",
        "format_version": FORMAT_VERSION,
        "name": _standard_name(spec),
        "description": _ascii(spec.description or spec.title)[:1000],
        "authors": [{"name": "napari-medcnn developers"}],
        "license": spec.licence,
        "documentation": {"source": README, "sha256": hashes.get(README, "")},
        "covers": [{"source": COVER, "sha256": hashes.get(COVER, "")}],
        "tags": ["napari-medcnn", spec.task, f"{spec.preparation.dimensions}d"],
        "run_mode": {"name": "medcnn"},
        "inputs": [inputs],
        "outputs": [outputs],
        "weights": _weights(hashes, weights),
        "config": {"medcnn": spec.to_json()},
    }
    unwanted = {
        "license": spec.licence not in _SPDX,
        "documentation": README not in hashes,
        "covers": COVER not in hashes,
        "run_mode": _runs_raw(spec),
    }
    return {key: value for key, value in rdf.items() if not unwanted.get(key, False)}


def read_rdf(data: dict[str, Any]) -> Content:
    """Return what the package holds; anything outside the profile is refused by name.

    Raises
    ------
    ModelError, UnsafeModelError
        Unknown or missing entries, files outside the package, or a specification this version does not know.
    """
    if data.get("type") != "model":
        raise ModelError(f"type: expected model, got {str(data.get('type'))[:40]!r}")
    version = str(data.get("format_version"))
    if not re.fullmatch(r"0\.5\.\d+", version):
        raise ModelError(f"format_version: expected 0.5.x, got {version[:20]!r}; convert the package first")
    config = data.get("config")
    if not isinstance(config, dict) or "medcnn" not in config:
        raise ModelError(
            "config.medcnn is missing: the package does not say how a scan is prepared for it, and that is never "
            "guessed; open its .keras file and answer the questions once"
        )
    _keys(data, _TOP_REQUIRED, _TOP_OPTIONAL, "rdf.yaml")
    _keys(config, {"medcnn"}, set(), "config")
    hashes, native, keras_version = _read_weights(data["weights"])
    test_input = _tensor(data["inputs"], "inputs", hashes)
    test_output = _tensor(data["outputs"], "outputs", hashes)
    if (test_input is None) != (test_output is None):
        raise ModelError("test_tensor: expected one for input and one for output, or none")
    covers = data.get("covers", [])
    if not isinstance(covers, list) or len(covers) > 1:
        raise ModelError("covers: expected a list of at most one picture")
    cover = _file(covers[0], "covers", hashes) if covers else None
    documentation = _file(data["documentation"], "documentation", hashes) if "documentation" in data else None
    spec = ModelSpec.from_json(config["medcnn"], sha256=hashes[native])
    layout = _layout(data["inputs"])
    if layout == "first" and native.endswith(".keras"):
        raise ModelError("inputs.axes: a Keras network has its channels last")
    return Content(spec, hashes, keras_version, test_input, test_output, cover, documentation, layout)


def _read_weights(value: Any) -> tuple[dict[str, str], str, str]:
    """Return the weights' sha256 by name, the name of the native ones (Keras before ONNX), and Keras's version."""
    weights = _mapping(value, "weights")
    _keys(weights, set(), {"keras_v3", "onnx"}, "weights")
    if not weights:
        raise ModelError("weights: expected keras_v3 or onnx")
    hashes: dict[str, str] = {}
    version = ""
    for kind, suffix, required in (
        ("keras_v3", ".keras", {"source", "sha256", "keras_version", "backend"}),
        ("onnx", ".onnx", {"source", "sha256", "opset_version"}),
    ):
        if kind not in weights:
            continue
        entry = _mapping(weights[kind], f"weights.{kind}")
        _keys(entry, required, {"comment", "parent"} if kind == "onnx" else {"comment"}, f"weights.{kind}")
        source = bare_name(entry["source"], f"weights.{kind}.source")
        if not source.endswith(suffix):
            raise ModelError(f"weights.{kind}.source: expected a {suffix} file, got {source!r}")
        hashes[source] = _hash(entry["sha256"], source)
        version = version or str(entry.get("keras_version", ""))[:40]
    return hashes, next(iter(hashes)), version


def _weights(hashes: Mapping[str, str], weights: Weights) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    if WEIGHTS in hashes:
        entries["keras_v3"] = {
            "source": WEIGHTS,
            "sha256": hashes[WEIGHTS],
            "keras_version": weights.keras_version,
            "backend": ["tensorflow", _tensorflow_version()],
        }
    if ONNX in hashes:
        entries["onnx"] = {"source": ONNX, "sha256": hashes[ONNX], "opset_version": weights.opset}
        if WEIGHTS in hashes:
            entries["onnx"]["parent"] = "keras_v3"
    return entries


def _in_order(axes: list[dict[str, Any]], weights: Weights) -> list[dict[str, Any]]:
    """Return axes as the network has them: batch, then the channel first or last."""
    return [axes[0], axes[-1], *axes[1:-1]] if weights.layout == "first" and len(axes) > 2 else axes


def _layout(inputs: Any) -> Layout:
    """Return where the input axes, already checked, have the channel."""
    axes = [axis.get("type") for axis in inputs[0]["axes"]]
    return "first" if len(axes) > 2 and axes[1] == "channel" else "last"


def _tensor(value: Any, what: str, hashes: dict[str, str]) -> str | None:
    """Check the one input or output and return the name of its test tensor."""
    if not isinstance(value, list) or len(value) != 1:
        raise ModelError(f"{what}: expected exactly one tensor; models with several are not supported")
    tensor = _mapping(value[0], what)
    _keys(tensor, {"id", "axes"}, {"data", "test_tensor", "description"}, what)
    if not isinstance(tensor["axes"], list):
        raise ModelError(f"{what}.axes: expected a list")
    for axis in tensor["axes"]:
        known = {"id", "size", "unit", "scale", "channel_names", "description", "concatenable"}
        _keys(_mapping(axis, f"{what}.axes"), {"type"}, known, f"{what}.axes")
    if "test_tensor" not in tensor:
        return None
    return _file(tensor["test_tensor"], f"{what}.test_tensor", hashes)


def _file(value: Any, what: str, hashes: dict[str, str]) -> str:
    """Check one {source, sha256} and return the name."""
    entry = _mapping(value, what)
    _keys(entry, {"source", "sha256"}, set(), what)
    name = bare_name(entry["source"], f"{what}.source")
    hashes[name] = _hash(entry["sha256"], name)
    return name


def _hash(value: object, name: str) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ModelError(f"sha256 of {name}: expected 64 digits 0-9a-f, got {str(value)[:70]!r}")
    return value


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ModelError(f"{what}: expected named entries, got {type(value).__name__}")
    return value


def _keys(value: Mapping[str, Any], required: set[str], optional: set[str], what: str) -> None:
    missing, unknown = required - set(value), set(value) - required - optional
    if missing:
        raise ModelError(f"{what}: missing {', '.join(sorted(missing))}")
    if unknown:
        raise ModelError(f"{what}: unknown entries {', '.join(sorted(unknown))[:120]}; this version does not run them")


def _runs_raw(spec: ModelSpec) -> bool:
    """Return True if the network takes the scan exactly as stored, so that no other program can prepare it wrongly."""
    p = spec.preparation
    free = p.spacing_mm is None or all(s is None for s in p.spacing_mm)
    cropped = p.crop_nonzero or p.crop_above is not None
    return not p.steps and p.orientation is None and free and not cropped and not p.neighbours


def _input_axes(spec: ModelSpec, shape: tuple[int | None, ...]) -> list[dict[str, Any]]:
    names = SPACE[spec.preparation.dimensions]
    if len(shape) != len(names) + 1:
        raise ModelError(f"network: expected an input of {len(names)} sizes and a channel, got {shape}")
    channels = spec.preparation.network_channels
    if shape[-1] is not None and shape[-1] != channels:
        raise ModelError(f"network: it takes {shape[-1]} channels, the card says {channels}")
    axes: list[dict[str, Any]] = [{"type": "batch"}]
    for name, size in zip(names, shape[:-1], strict=True):
        step = {"min": max(1, spec.divisor), "step": max(1, spec.divisor)}
        axes.append({"type": "space", "id": name, "size": size if size is not None else step} | _unit(spec, name))
    colours = channels == 3 and not spec.preparation.neighbours
    words = ["red", "green", "blue"] if colours else [f"channel{i}" for i in range(channels)]
    return [*axes, {"type": "channel", "channel_names": words}]


def _output_axes(spec: ModelSpec) -> list[dict[str, Any]]:
    axes: list[dict[str, Any]] = [{"type": "batch"}]
    if spec.task == "segmentation":
        axes += [
            {"type": "space", "id": name, "size": {"tensor_id": "input", "axis_id": name}} | _unit(spec, name)
            for name in SPACE[spec.preparation.dimensions]
        ]
    words: list[str] = []
    for index in spec.decision.ids:
        word = re.sub(r"\W+", "_", _ascii(spec.labels.name_of(index)).lower()).strip("_")
        if not word.isidentifier() or keyword.iskeyword(word) or word in words:
            word = f"class_{index}"
        words.append(word)
    return [*axes, {"type": "channel", "channel_names": words}]


def _unit(spec: ModelSpec, name: str) -> dict[str, Any]:
    """Return unit and scale where the network works at a fixed voxel size; the other axes state nothing."""
    spacing = spec.preparation.spacing_mm
    value = spacing["zyx".index(name)] if spacing is not None else None
    return {} if value is None else {"unit": "millimeter", "scale": float(value)}


def _standard_name(spec: ModelSpec) -> str:
    name = " ".join(re.sub(r"[^A-Za-z0-9_+\- ()]", " ", _ascii(spec.title)).split())[:120]
    return name if len(name) >= 5 else f"{spec.name} model"


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")


def _tensorflow_version() -> str:
    """Return the TensorFlow the weights are meant for: the one installed here, else the oldest we support."""
    try:
        return importlib.metadata.version("tensorflow")
    except importlib.metadata.PackageNotFoundError:
        return "2.20.0"
