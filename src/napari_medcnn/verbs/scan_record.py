"""What the record of a result says of the scan it was made from: its voxels and grid, and what reading it assumed."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from napari_medcnn.core.volume import LabelMap, Volume


def voxel_sha256(scan: Volume | LabelMap) -> str:
    """Return the sha256 of the voxels in C order, little endian: the same scan from any file gives the same hash."""
    array = scan.array
    digest = hashlib.sha256()
    for plane in array if array.ndim > 1 else [array]:  # plane by plane, so that a flipped view is never copied whole
        digest.update(np.ascontiguousarray(plane, dtype=array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def scan_record(scan: Volume | LabelMap, digest: str) -> dict[str, Any]:
    """Return plain JSON types: hash, shape, type and spacing, the reader's report, and the consent it was given.

    No path and no file name is in it: file names hold names of patients.
    """
    grid = scan.geometry
    return {
        "sha256": digest,
        "shape": list(scan.array.shape),
        "axes": scan.axes if isinstance(scan, Volume) else "zyx",
        "dtype": str(scan.array.dtype),
        "spacing_mm": list(grid.spacing_mm) if grid.spacing_known else None,
        "report": _without_names(scan.report.to_json(), scan.source.get("names") or ()),
        "consent": dict(scan.source.get("consent") or {}),
    }


def _without_names(report: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the report with "(a file)" for every file name in it, longest first."""
    ordered = sorted(names, key=len, reverse=True)

    def cleared(text: str) -> str:
        for name in ordered:
            text = text.replace(name, "(a file)")
        return text

    return {k: [cleared(text) for text in v] if isinstance(v, list) else v for k, v in report.items()}
