"""``.keras`` files made by hand, with zipfile and json only: good ones, and ones that must never be opened."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

HDF5_HEAD = b"\x89HDF\r\n\x1a\n"


def layer(class_name: str, module: str | None = "keras.layers", **config: Any) -> dict[str, Any]:
    name = config.setdefault("name", class_name.lower())
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": None,
        "name": name,
        "inbound_nodes": [],
    }


def functional(*layers: dict[str, Any], shape: tuple[int | None, ...] = (None, None, None, 1)) -> dict[str, Any]:
    entry = layer("InputLayer", batch_shape=list(shape), dtype="float32", name="image")
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {"name": "handmade", "layers": [entry, *layers]},
        "registered_name": "Functional",
        "build_config": {"input_shape": None},
        "compile_config": {},
    }


def conv(channels: int = 1, **config: Any) -> dict[str, Any]:
    return layer("Conv2D", filters=channels, kernel_size=[1, 1], activation="linear", **config)


def write_keras(
    path: Path,
    config: object,
    *,
    version: str = "3.15.1",
    weights: bytes = HDF5_HEAD + b"weights" * 10,
    extra: dict[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version, "date_saved": "2026-11-21@00:00:00"}))
        archive.writestr("config.json", config if isinstance(config, str | bytes) else json.dumps(config))
        archive.writestr("model.weights.h5", weights)
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return path
