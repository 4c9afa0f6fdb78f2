"""Private folders of the user: recovery, caches, logs.  ``MEDCNN_HOME`` moves them all (tests, shared machines)."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def home() -> Path:
    """Return our private folder, created on demand with access for the user only.

    Linux ``$XDG_DATA_HOME/napari-medcnn`` (default ``~/.local/share``), macOS ``~/Library/Application Support``,
    Windows ``%LOCALAPPDATA%``; ``MEDCNN_HOME`` replaces all of them.
    """
    folder = _home_for(sys.platform, dict(os.environ), Path.home())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _home_for(platform: str, environment: dict[str, str], user_home: Path) -> Path:
    if environment.get("MEDCNN_HOME"):
        return Path(environment["MEDCNN_HOME"])
    if platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or user_home / "AppData" / "Local") / "napari-medcnn"
    if platform == "darwin":
        return user_home / "Library" / "Application Support" / "napari-medcnn"
    return Path(environment.get("XDG_DATA_HOME") or user_home / ".local" / "share") / "napari-medcnn"


def recovery() -> Path:
    """Return the folder of stroke journals of unsaved masks."""
    return _sub("recovery")


def logs() -> Path:
    """Return the folder of engine job logs (no patient identifiers are ever written there)."""
    return _sub("logs")


def user_models() -> Path:
    """Return the folder where imported and fine-tuned model packages live."""
    return _sub("models")


def measures() -> Path:
    """Return the folder of measures, one file a scan, named by a hash of its voxels."""
    return _sub("measures")


def exchange() -> Path:
    """Return a fresh private folder for memory-mapped arrays that cross to the engine; its owner deletes it."""
    return Path(tempfile.mkdtemp(prefix="medcnn-exchange-"))


def _sub(name: str) -> Path:
    folder = home() / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
