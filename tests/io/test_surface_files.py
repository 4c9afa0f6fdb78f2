"""Surfaces on disk: read back by parsers of the test's own, against numbers by hand."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest

from napari_medcnn.errors import InputError, SaveError
from napari_medcnn.io.surface_files import Mesh, save_surfaces

TETRAHEDRON = Mesh(
    np.array([[0, 0, 0], [3, 0, 0], [0, 4, 0], [0, 0, 5]], float),
    np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
    (10, 200, 30),
)


def read_stl(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return corners (m, 3, 3) and normals (m, 3), by the letter of the format, one triangle after the other."""
    raw = path.read_bytes()
    (count,) = struct.unpack_from("<I", raw, 80)
    assert len(raw) == 84 + 50 * count
    corners, normals = [], []
    for number in range(count):
        values = struct.unpack_from("<12fH", raw, 84 + 50 * number)
        normals.append(values[:3])
        corners.append(np.reshape(values[3:12], (3, 3)))
        assert values[12] == 0
    return np.array(corners), np.array(normals)


def read_ply(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices, colours and faces as the header names them."""
    raw = path.read_bytes()
    end = raw.index(b"end_header\n") + len(b"end_header\n")
    head = raw[:end].decode("ascii").splitlines()
    assert head[:2] == ["ply", "format binary_little_endian 1.0"]
    counts = {words.split()[1]: int(words.split()[2]) for words in head if words.startswith("element")}
    assert [words for words in head if words.startswith("property")] == [
        *(f"property float {axis}" for axis in "xyz"), *(f"property uchar {c}" for c in ("red", "green", "blue")),
        "property list uchar int vertex_indices",
    ]  # fmt: skip
    vertices, colours, faces = [], [], []
    for _ in range(counts["vertex"]):
        values = struct.unpack_from("<3f3B", raw, end)
        vertices.append(values[:3])
        colours.append(values[3:])
        end += 15
    for _ in range(counts["face"]):
        values = struct.unpack_from("<B3i", raw, end)
        assert values[0] == 3
        faces.append(values[1:])
        end += 13
    assert end == len(raw)
    return np.array(vertices), np.array(colours), np.array(faces)


def volume(corners: np.ndarray) -> float:
    """Return the enclosed volume by the divergence theorem, positive if the faces look outward."""
    return float(np.linalg.det(corners.astype(float)).sum() / 6)


def test_a_tetrahedron_by_hand(tmp_path: Path) -> None:
    save_surfaces({1: TETRAHEDRON}, tmp_path / "t.stl")
    corners, normals = read_stl(tmp_path / "t.stl")
    assert volume(corners) == pytest.approx(3 * 4 * 5 / 6)
    np.testing.assert_allclose(normals[:3], [[0, 0, -1], [0, -1, 0], [-1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(normals[3] * math.sqrt(400 + 225 + 144), [20, 15, 12], rtol=1e-5)
    save_surfaces({1: TETRAHEDRON, 2: TETRAHEDRON}, tmp_path / "t.ply")
    vertices, colours, faces = read_ply(tmp_path / "t.ply")
    assert vertices.tolist() == TETRAHEDRON.vertices.tolist() * 2 and set(map(tuple, colours)) == {(10, 200, 30)}
    assert faces.tolist() == [*TETRAHEDRON.faces.tolist(), *(TETRAHEDRON.faces + 4).tolist()]


def test_nothing_names_anybody_and_half_a_file_is_never_left(tmp_path: Path) -> None:
    for suffix in (".stl", ".ply"):
        save_surfaces({7: TETRAHEDRON}, tmp_path / f"a{suffix}")
    assert (tmp_path / "a.stl").read_bytes()[:80].rstrip() == (
        b"napari-medcnn surface, mm, LPS. Research use only, not for diagnosis"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ply", "a.stl"]
    with pytest.raises(SaveError, match="no such folder"):
        save_surfaces({7: TETRAHEDRON}, tmp_path / "away" / "a.ply")


def test_several_classes_are_several_stl_files_and_no_file_is_lost(tmp_path: Path) -> None:
    files = save_surfaces({1: TETRAHEDRON, 12: TETRAHEDRON}, tmp_path / "bone.stl")
    assert [file.name for file in files] == ["bone-1.stl", "bone-12.stl"]
    before = files[0].stat().st_mtime_ns
    with pytest.raises(InputError, match=r"bone-1\.stl is there already"):
        save_surfaces({1: TETRAHEDRON, 12: TETRAHEDRON}, tmp_path / "bone.stl")
    assert files[0].stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("vertices", "faces"),
    [
        (np.zeros((0, 3)), [[0, 1, 2]]),
        (np.eye(3), [[0, 1, 3]]),
        (np.eye(3) * np.nan, [[0, 1, 2]]),
        (np.eye(2), [[0, 1, 1]]),
    ],
)
def test_what_is_no_surface_is_refused(vertices, faces) -> None:
    with pytest.raises(InputError):
        Mesh(vertices, np.array(faces))


def test_other_names_and_no_surface_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.stl or \.ply"):
        save_surfaces({1: TETRAHEDRON}, tmp_path / "t.obj")
    with pytest.raises(InputError, match="at least one"):
        save_surfaces({}, tmp_path / "t.ply")
