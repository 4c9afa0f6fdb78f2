"""Synthetic series for the tests of the series gate, and what must hold of every answer of it."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from napari_medcnn.io.dicom.facts import Part
from napari_medcnn.io.dicom.gate import sort_series
from napari_medcnn.io.dicom.headers import read_header

RNG = np.random.default_rng(0)
VOXELS = RNG.integers(-1000, 2000, (5, 8, 6)).astype(np.int16)
FOUR = RNG.integers(0, 2000, (3, 4, 8, 6)).astype(np.int16)
TURN = Rotation.from_euler("xyz", [5, -3, 8], degrees=True).as_matrix()


def parts_of(folder: Path, account: bool = True) -> tuple[Part, ...]:
    headers = [read_header(p) for p in sorted(folder.rglob("*")) if p.is_file()]
    parts = sort_series(headers)
    if account:
        accounted(headers, parts)
    return parts


def accounted(headers, parts) -> None:
    """Every image file is in the files of a part; every plane that opens is in one place only."""
    files = [f for part in parts for f in part.files]
    assert set(files) == {h.path for h in headers if h.kind == "image"}
    assert len({part.id for part in parts}) == len(parts)
    planes = [
        (p.header.path, p.frame.index, p.frame.tile)
        for part in parts
        for p in [*itertools.chain(*part.planes), *(d for _, _, d in part.duplicates)]
    ]
    assert max(Counter(planes).values(), default=1) == 1
    for part in parts:
        assert bool(part.planes) == bool(not part.report.refused or part.report.asks)
        assert part.title
        assert all(len(t) == len(part.planes[0]) for t in part.planes)
        if part.planes and part.geometry is not None:
            z = part.axes.index("z")
            assert part.shape[z : z + 3] == part.geometry.shape
            assert len(part.planes) == (part.shape[0] if part.axes[0] == "t" else 1)
        if part.axes[0] == "t":
            assert len(part.frame_values) == part.shape[0]


def voxels_of(part: Part) -> np.ndarray:
    """Return the stored int16 values of plain planes, (t, z, y, x)."""

    def one(plane) -> np.ndarray:
        stored = plane.header.stored
        raw = plane.header.path.read_bytes()[stored.offset : stored.offset + stored.length]
        dtype = np.dtype(f"<{'i' if stored.signed else 'u'}{stored.bits_allocated // 8}")
        return np.frombuffer(raw[: len(raw) // dtype.itemsize * dtype.itemsize], dtype)[
            : stored.frames * stored.rows * stored.columns
        ].reshape(stored.frames, stored.rows, stored.columns)[plane.frame.index]

    return np.array([[one(p) for p in t] for t in part.planes])
