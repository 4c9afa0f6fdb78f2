"""Look into a ``.keras`` file before Keras does, and refuse by name what we never run.

A ``.keras`` file is a zip of ``metadata.json``, ``config.json`` and ``model.weights.h5``. Here only zipfile and json
read it: every object its configuration names must stand on the list below, so that an unknown way to make Keras import,
read or run something is closed before it is known (CVE-2024-3660, CVE-2025-1550, -8747, -9905, -12058, CVE-2026-1462,
-12479). Links and shapes inside the HDF5 weights are the engine's check.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_medcnn.errors import IncompleteFileError, ModelError, UnsafeModelError
from napari_medcnn.io import keras_ends
from napari_medcnn.io.foreign_models import foreign
from napari_medcnn.io.keras_classes import (
    ACTIVATIONS,
    LAYERS,
    MODELS,
    POLICIES,
    REFUSED,
    STOCK_EXTRAS,
    WHOLE_MODULES,
)

MEMBERS = {"metadata.json": 64_000, "config.json": 16_000_000, "model.weights.h5": 8 * 1024**3}
MAX_RATIO, RATIO_FROM_BYTES = 100, 1_000_000
MAX_DEPTH = 200
_HDF5 = b"\x89HDF\r\n\x1a\n"

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def check_keras_file(path: Path | str, allowed_custom: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what a ``.keras`` file holds, after refusing everything unsafe; Keras is not imported.

    Parameters
    ----------
    allowed_custom
        Class names ("MyLayer") or registered names ("my_package>MyLayer") of code that the user trusts explicitly.
        A file can never put a name here. ``"*"`` lets every class outside Keras pass: for packing a file that is not
        loaded here, never before loading one.

    Returns
    -------
    dict
        ``name``, ``keras_version``, ``date_saved``, ``input_shapes`` (None where free), ``out_channels`` (None if it
        cannot be read off), ``ends`` (see `keras_ends.ends`), ``layers`` (class name -> how many), ``custom`` (trusted
        names in use), ``compile_foreign``
        (names in the training part that stock Keras lacks: load with ``compile=False``), ``bytes``, ``sha256``.

    Raises
    ------
    UnsafeModelError
        Something would run code, read files, leave the package or fill the memory; the message names it.
    ModelError
        Not a ``.keras`` file, of another Keras generation, or it needs a class that is not at hand.
    IncompleteFileError
        The file is cut or its checksums do not match.
    """
    path = Path(path)
    _check_kind(path)
    metadata, config = _read_members(path)
    version = str(metadata.get("keras_version", ""))[:40]
    if not re.match(r"\d+\.\d+", version):
        raise ModelError(f"{path.name}: expected the Keras version in metadata.json, got {version!r}")
    if not version.startswith("3."):
        raise ModelError(
            f"{path.name}: expected a model saved by Keras 3, got one of Keras {version}; "
            "load it where it was made and save it again with Keras 3"
        )
    training = config.pop("compile_config", None)
    _check_names(config, path.name, 0)
    _check_names(training, path.name, 0)
    used: set[str] = set()
    layers: Counter[str] = Counter()
    for item in _objects(config):
        _check_object(item, path.name, version, allowed_custom, used)
        if item.get("module") == "keras.layers":
            layers[item["class_name"]] += 1
    inputs, channels = _ends(config)
    return {
        "name": str(config.get("config", {}).get("name", ""))[:80] if isinstance(config.get("config"), dict) else "",
        "keras_version": version,
        "date_saved": str(metadata.get("date_saved", ""))[:40],
        "input_shapes": inputs,
        "out_channels": channels,
        "ends": keras_ends.ends(config),
        "layers": dict(layers),
        "custom": sorted(used),
        "compile_foreign": sorted(_foreign(training)),
        "bytes": path.stat().st_size,
        "sha256": _sha256(path),
    }


def _check_kind(path: Path) -> None:
    other = foreign(path)
    if other is not None:
        raise other
    if path.is_dir():
        raise ModelError(f"{path.name}: expected a .keras file, got a folder without rdf.yaml")
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file")
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise IncompleteFileError(f"{path.name}: the file is empty")
    if head[:2] != b"PK":
        raise ModelError(f"{path.name}: expected a .keras file (a zip), got other content; damaged or not a model")


def _read_members(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check the zip's list, sizes and checksums, and return metadata and config."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_list(archive, path)
            for name in MEMBERS:
                with archive.open(name) as member:
                    first = member.read(8)
                    if name == "model.weights.h5" and first != _HDF5:
                        raise ModelError(f"{path.name}: {name} is not HDF5; the model is damaged")
                    while member.read(1 << 20):  # reading to the end checks the CRC
                        pass
            return _json(archive, "metadata.json", path), _json(archive, "config.json", path)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise IncompleteFileError(
            f"{path.name}: damaged or cut model ({str(error)[:80]}); copy or download it again"
        ) from error


def _check_list(archive: zipfile.ZipFile, path: Path) -> None:
    names = [item.filename for item in archive.infolist()]
    for name in names:
        if name not in MEMBERS:
            raise UnsafeModelError(
                f"{path.name}: damaged or unsafe model: unexpected file {name[:80]!r} in it, expected only "
                f"{', '.join(MEMBERS)}"
            )
    missing = sorted(set(MEMBERS) - set(names))
    if missing or len(names) != len(set(names)):
        raise ModelError(
            f"{path.name}: damaged model: {'missing ' + ', '.join(missing) if missing else 'files stand twice in it'}"
        )
    for item in archive.infolist():
        if item.flag_bits & 1:
            raise ModelError(f"{path.name}: {item.filename} is encrypted; save the model without a password")
        if item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ModelError(f"{path.name}: {item.filename} is packed in a way Keras does not use; damaged model")
        large = item.file_size > MEMBERS[item.filename]
        if large or (item.file_size > RATIO_FROM_BYTES and item.file_size > MAX_RATIO * max(1, item.compress_size)):
            raise UnsafeModelError(
                f"{path.name}: damaged or unsafe model: {item.filename} would unpack from {item.compress_size} to "
                f"{item.file_size} bytes"
            )


def _json(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise UnsafeModelError(f"{path.name}: {name} says the same thing twice; damaged or unsafe model")
        return result

    try:
        data = json.loads(archive.read(name).decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path.name}: {name} is not readable JSON; the model is damaged") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path.name}: {name}: expected named entries, got {type(data).__name__}")
    return data


def _check_names(value: Any, file: str, depth: int) -> None:
    """Refuse nesting without end, and names of layers that would leave a folder when weights are unpacked."""
    if depth > MAX_DEPTH:
        raise UnsafeModelError(f"{file}: its configuration is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        name = value.get("name")
        if isinstance(name, str) and (".." in name or any(c in name for c in "/\\\0") or len(name) > 200):
            raise UnsafeModelError(f"{file}: damaged or unsafe model: layer name {name[:80]!r} points outside the file")
        for item in value.values():
            _check_names(item, file, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_names(item, file, depth + 1)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping that Keras would build an object from."""
    if isinstance(value, dict):
        if "class_name" in value or "module" in value or "registered_name" in value:
            yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


def _check_object(item: dict[str, Any], file: str, version: str, allowed: tuple[str, ...], used: set[str]) -> None:
    name, registered = item.get("class_name"), item.get("registered_name")
    if not isinstance(name, str) or not isinstance(item.get("module"), str | None):
        raise UnsafeModelError(f"{file}: damaged or unsafe model: an object without a proper class name")
    if name in REFUSED:
        raise UnsafeModelError(f"{file}: refused, because {name} {REFUSED[name]}; nothing was run")
    if _is_stock(item):
        return
    for known in (name, registered):
        if isinstance(known, str) and known in allowed:
            used.add(known)
            return
    module = item.get("module") or ""
    if "*" in allowed and module.partition(".")[0] not in ("keras", "builtins"):
        used.add(str(registered or name))
        return
    if module.partition(".")[0] == "keras" and _IDENTIFIER.fullmatch(name):
        raise UnsafeModelError(f"{file}: refused: {module[:60]}.{name[:60]} is not on the list of allowed layers")
    if module and not _IDENTIFIER.fullmatch(module.partition(".")[0]):
        raise UnsafeModelError(f"{file}: damaged or unsafe model: module name {module[:60]!r}")
    raise UnsafeModelError(
        f"{file}: refused: it needs the class {str(registered or name)[:60]!r} of module {module[:60]!r}, which is not "
        f"part of Keras (saved by Keras {version}). If you trust its author, name the Python module with code=[...]"
    )


def _is_stock(item: dict[str, Any]) -> bool:
    name, module = item["class_name"], item.get("module")
    if module is None:
        return name in {"__keras_tensor__", "__tuple__", "__ellipsis__", "__slice__"}
    if name == "function":
        return module in ("builtins", "keras.activations") and str(item.get("config")) in ACTIVATIONS
    return (
        (module == "keras.layers" and name in LAYERS)
        or (module, name) in MODELS
        or (module, name) in STOCK_EXTRAS
        or (module in ("keras", "keras.dtype_policies") and name in POLICIES)
        or (module in WHOLE_MODULES and _IDENTIFIER.fullmatch(name) is not None)
    )


def _foreign(training: Any) -> set[str]:
    """Return names in the training part (loss, metrics, optimiser) that are not Keras's own; they are never loaded."""
    return {
        str(item.get("registered_name") or item.get("class_name"))[:80]
        for item in _objects(training)
        if str(item.get("module") or "").partition(".")[0] not in ("keras", "builtins")
    }


def _ends(config: dict[str, Any]) -> tuple[list[list[int | None]], int | None]:
    """Return the input shapes (batch left out) and the channels of the last layer, as far as they can be read off."""
    inside = config.get("config")
    layers = inside.get("layers") if isinstance(inside, dict) else None
    if not isinstance(layers, list):
        return [], None
    shapes: list[list[int | None]] = []
    channels: int | None = None
    for layer in layers:
        settings = layer.get("config") if isinstance(layer, dict) else None
        if not isinstance(settings, dict):
            continue
        shape = settings.get("batch_shape")
        if layer.get("class_name") == "InputLayer" and isinstance(shape, list):
            shapes.append([n if isinstance(n, int) else None for n in shape[1:]])
        size = settings.get("filters", settings.get("units"))
        channels = size if isinstance(size, int) else channels
    return shapes, channels


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
