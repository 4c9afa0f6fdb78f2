"""Surfaces on disk: binary STL and PLY in mm, in the patient's directions (LPS: to left, to posterior, to superior).

STL as 3D Systems described it (StereoLithography Interface Specification, 1989): 80 bytes of header, the count, then 50
bytes a triangle. PLY as Turk described it (The PLY Polygon File Format, 1994), binary_little_endian 1.0, with the
colour of its class at every corner. Nothing of the patient, the study or the scan's name is in either.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medcnn.errors import InputError, SaveError
from napari_medcnn.io.atomic import atomic_write
from napari_medcnn.io.found import shown

STL, PLY = ".stl", ".ply"
RESEARCH = "Research use only, not for diagnosis"
_STL_HEADER = f"napari-medcnn surface, mm, LPS. {RESEARCH}".encode("ascii").ljust(80)
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("none", "<u2")])
_VERTEX = np.dtype([("place", "<f4", 3), ("colour", "u1", 3)])
_FACE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])
_MOST = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Mesh:
    """A closed surface of triangles in the patient.

    Parameters
    ----------
    vertices
        (n, 3) mm in LPS order x, y, z; finite.
    faces
        (m, 3) indices of vertices, counterclockwise seen from outside.
    colour
        Red, green, blue from 0 to 255.

    Raises
    ------
    InputError
        Other shapes, numbers that are not finite, or corners that no vertex has.
    """

    vertices: npt.NDArray[Any]
    faces: npt.NDArray[Any]
    colour: tuple[int, int, int] = (200, 200, 200)

    def __post_init__(self) -> None:
        for name, array in (("vertices", self.vertices), ("faces", self.faces)):
            if array.ndim != 2 or array.shape[1] != 3 or not len(array):
                raise InputError(f"{name}: expected rows of three and at least one, got {array.shape}")
        if not np.isfinite(self.vertices).all():
            raise InputError("vertices: expected finite mm, got others")
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices) or len(self.faces) > _MOST:
            raise InputError(f"faces: expected corners from 0 to {len(self.vertices) - 1}, got others")


def stl_bytes(mesh: Mesh) -> bytes:
    """Return a mesh as binary STL; normals point outward, and are 0 of triangles without an area."""
    rows = np.zeros(len(mesh.faces), _TRIANGLE)
    corners = np.asarray(mesh.vertices, np.float64)[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sizes = np.linalg.norm(normals, axis=1, keepdims=True)
    rows["normal"] = np.divide(normals, sizes, out=np.zeros_like(normals), where=sizes > 0)
    rows["corners"] = corners
    return _STL_HEADER + struct.pack("<I", len(rows)) + rows.tobytes()


def ply_bytes(meshes: Sequence[Mesh]) -> bytes:
    """Return meshes in one binary PLY, each in its colour."""
    if not meshes:
        raise InputError("meshes: expected at least one surface, got none")
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    vertices, faces = np.zeros(starts[-1], _VERTEX), np.zeros(sum(len(mesh.faces) for mesh in meshes), _FACE)
    vertices["place"] = np.concatenate([mesh.vertices for mesh in meshes])
    vertices["colour"] = np.repeat([mesh.colour for mesh in meshes], [len(mesh.vertices) for mesh in meshes], axis=0)
    faces["count"] = 3
    faces["corners"] = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)])
    head = (
        "ply", "format binary_little_endian 1.0", "comment napari-medcnn surface, mm, LPS", f"comment {RESEARCH}",
        f"element vertex {len(vertices)}", *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {name}" for name in ("red", "green", "blue")),
        f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", "",
    )  # fmt: skip
    return "\n".join(head).encode("ascii") + vertices.tobytes() + faces.tobytes()


def save_surfaces(meshes: dict[int, Mesh], path: Path) -> list[Path]:
    """Write the surfaces of classes; STL has one surface a file, so several get the number of their class behind it.

    Parameters
    ----------
    meshes
        Class id to its surface, at least one.
    path
        Ends in ``.stl`` or ``.ply``.

    Returns
    -------
    list of Path
        What was written: each file is whole and was read back equal, or is still the old one.

    Raises
    ------
    InputError
        No surface, another suffix, or a numbered file that is there already: nobody was asked about that name.
    SaveError
        The disk refuses.
    """
    suffix = path.suffix.lower()
    if not meshes:
        raise InputError("meshes: expected at least one surface, got none")
    if suffix not in (STL, PLY):
        raise InputError(f"{shown(path)}: expected a name that ends in .stl or .ply")
    if suffix == PLY:
        files = {path: ply_bytes(list(meshes.values()))}
    elif len(meshes) == 1:
        files = {path: stl_bytes(next(iter(meshes.values())))}
    else:
        files = {path.with_name(f"{path.stem}-{number}{path.suffix}"): stl_bytes(m) for number, m in meshes.items()}
        there = [target.name for target in files if target.exists()]
        if there:
            raise InputError(f"{there[0]} is there already; choose another name, or PLY, which holds all in one file")
    for target, raw in files.items():
        _save(target, raw)
    return list(files)


def _save(target: Path, raw: bytes) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(raw)

    def verify(temporary: Path) -> None:
        if os.path.getsize(temporary) != len(raw) or temporary.read_bytes() != raw:
            raise SaveError("the bytes differ")

    atomic_write(target, write, verify)
