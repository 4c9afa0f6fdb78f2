"""Read ``CONFIG.yaml`` of ``medcnn train``: four keys, nothing unknown, every value checked."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from napari_medcnn.core.options import TrainOptions
from napari_medcnn.errors import InputError
from napari_medcnn.verbs.train import TrainRequest

KEYS = ("model", "dataset", "out", "options")
#: A config is a page of text; anything larger is something else.
_MOST_BYTES = 100_000


def read_train_config(path: Path, resume: bool = False) -> TrainRequest:
    """Return what a training config asks for.

    ``model`` is the name or path of a package, ``dataset`` a table, ``out`` a folder, ``options`` fields of
    `TrainOptions`.  Relative paths start at the config's own folder, so that it means the same from everywhere.

    Raises
    ------
    InputError
        The file is missing, not YAML, or a key or value is unknown, missing or of another type.
    """
    data = _mapping(path)
    _known(path, "", data, KEYS)
    absent = [key for key in KEYS[:3] if not isinstance(data.get(key), str) or not data[key].strip()]
    if absent:
        raise InputError(f"{path}: expected text for {', '.join(absent)}")
    folder = path.resolve().parent
    near = folder / data["model"]
    model: Path | str = near if near.exists() else data["model"]
    options = _options(path, data.get("options") or {})
    return TrainRequest(model, folder / data["dataset"], folder / data["out"], options, resume=resume)


def _mapping(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: expected a small YAML file, got {path.stat().st_size} bytes")
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected the keys {', '.join(KEYS)}, got {type(data).__name__}")
    return data


def _known(path: Path, where: str, data: dict[Any, Any], names: tuple[str, ...]) -> None:
    unknown = [str(key) for key in data if key not in names]
    if unknown:
        raise InputError(f"{path}: unknown {where}key {', '.join(unknown)}; expected {', '.join(names)}")


def _options(path: Path, data: Any) -> TrainOptions:
    if not isinstance(data, dict):
        raise InputError(f"{path}: options: expected keys and values, got {type(data).__name__}")
    kinds = {f.name: type(getattr(TrainOptions(), f.name)) for f in fields(TrainOptions)}
    _known(path, "options ", data, tuple(kinds))
    try:
        return TrainOptions(**{key: _value(key, value, kinds[key]) for key, value in data.items()})
    except InputError as error:
        raise InputError(f"{path}: options: {error}") from error


def _value(key: str, value: Any, kind: type) -> Any:
    """Return `value` as `kind`; ``1e-4`` without a point is text to YAML 1.1 and still means the number."""
    if kind is tuple and isinstance(value, list) and all(type(v) is int for v in value):
        return tuple(value)
    if kind is float and type(value) in (int, float, str):
        try:
            return float(value)
        except ValueError:
            pass
    elif kind in (int, str) and type(value) is kind:
        return value
    words = {int: "a whole number", float: "a number", str: "a word", tuple: "a list of whole numbers"}
    raise InputError(f"{key}: expected {words.get(kind, kind.__name__)}, got {value!r}")
