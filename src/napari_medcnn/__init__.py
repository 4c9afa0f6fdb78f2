"""napari-medcnn: open a scan, run a model, see the mask and why, correct both, retrain, measure.

Importing this package loads nothing heavy: the names below are looked up on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name -> the module that holds it. ``models`` is also the name of the folder with the shipped model
# packages; that folder has no ``__init__.py`` and is never imported, so the function keeps the name.
_PUBLIC = {
    "Consent": "napari_medcnn.core.consent",
    "attach": "napari_medcnn.api",
    "evaluate": "napari_medcnn.api",
    "explain": "napari_medcnn.api",
    "models": "napari_medcnn.api",
    "predict": "napari_medcnn.api",
    "read": "napari_medcnn.api",
    "save": "napari_medcnn.api",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'napari_medcnn' has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
