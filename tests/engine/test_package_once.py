"""A package is read once for many cases, and again as soon as one of its files changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from napari_medcnn.engine import models
from napari_medcnn.engine.models import ModelCache
from napari_medcnn.errors import ModelError

PHANTOM = Path(__file__).resolve().parents[1] / "data" / "phantom-thresholds"


def test_read_once_until_something_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    real = models.read_package
    monkeypatch.setattr(models, "read_package", lambda path: read.append(path) or real(path))
    folder = tmp_path / "model"
    shutil.copytree(PHANTOM, folder)
    cache, body = ModelCache(), {"model": str(folder)}
    first = cache.source(body)
    assert cache.source(body) == first and len(read) == 1
    (folder / "README.md").write_bytes((folder / "README.md").read_bytes())  # the same text, written anew
    assert cache.source(body) == first and len(read) == 2
    weights = folder / "weights.keras"
    stamp, data = weights.stat(), bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    os.utime(weights, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # same size, same date: still noticed
    with pytest.raises(ModelError):
        cache.source(body)
    with pytest.raises(ModelError):
        cache.source(body)
    shutil.rmtree(folder)
    with pytest.raises(ModelError):
        cache.source(body)
