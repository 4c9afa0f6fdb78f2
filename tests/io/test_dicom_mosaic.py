"""Siemens mosaics made by hand: where each tile lies follows from how the sheet was put together."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dicom_files import MR, write_image
from napari_medcnn.io.dicom.gate import sort_series
from napari_medcnn.io.dicom.header.csa import csa_values, slice_positions
from napari_medcnn.io.dicom.headers import read_header

TURN = Rotation.from_euler("xyz", [12, -7, 20], degrees=True).as_matrix()
VOXELS = np.random.default_rng(1).integers(0, 4000, (5, 6, 4)).astype(np.uint16)  # 5 slices on 3 x 3 tiles
CORNER, SPACING = np.array([-31.0, 12.5, 7.25]), (3.6, 2.0, 1.5)


def csa(second: bool = True, **tags: tuple[str, ...]) -> bytes:
    """Return a CSA header with these tags, in the second or the first layout."""
    raw = (b"SV10\4\3\2\1" if second else b"") + struct.pack("<2I", len(tags), 77)
    first = 0
    for number, (name, values) in enumerate(tags.items()):
        items = len(values) if number else max(6, len(values))  # a first tag with empty items behind its values
        first = items if number == 0 else first
        raw += struct.pack("<64si4s3i", name.encode(), len(values), b"DS\0\0", 3, items, 77)
        for k in range(items):
            text = values[k].encode() + b"\0" if k < len(values) else b""
            size = len(text) if second else len(text) + first
            raw += struct.pack("<4i", size, len(text), 77, size) + text + bytes(-len(text) % 4)
    return raw


def write_sheet(path: Path, sign: float = 1.0, tags: dict | None = None, image: bytes | None = None) -> Path:
    """Write the mosaic of VOXELS, whose slices are counted along `sign` times the normal of rows and columns."""
    sheet = np.zeros((18, 12), np.uint16)
    for k, plane in enumerate(VOXELS):
        sheet[k // 3 * 6 : k // 3 * 6 + 6, k % 3 * 4 : k % 3 * 4 + 4] = plane
    row, column, normal = TURN.T
    position = CORNER - row * SPACING[2] * (12 - 4) / 2 - column * SPACING[1] * (18 - 6) / 2
    if image is None:
        stated = tuple(f"{v:.8f}" for v in sign * normal)
        image = csa(EchoLinePosition=("32",), NumberOfImagesInMosaic=("5",), SliceNormalVector=stated)
    base = {
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"],
        "ImagePositionPatient": [round(float(v), 8) for v in position],
        "ImageOrientationPatient": [float(v) for v in TURN[:, :2].T.ravel()],
        "PixelSpacing": [SPACING[1], SPACING[2]],
        "SpacingBetweenSlices": SPACING[0],
        "SliceThickness": 3.0,
        (0x0029, 0x0010): ("LO", "SIEMENS CSA HEADER"),
        (0x0029, 0x1010): ("OB", image),
    }
    return write_image(path, sheet, {**base, **(tags or {})}, sop_class=MR)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_tiles_lie_where_the_slices_lay(tmp_path: Path, sign: float) -> None:
    header = read_header(write_sheet(tmp_path / "m", sign))
    assert len(header.frames) == 5
    for k, frame in enumerate(header.frames):
        np.testing.assert_allclose(frame.position, CORNER + sign * k * 3.6 * TURN[:, 2], atol=1e-6)
        row, column, rows, columns = frame.tile
        sheet = np.frombuffer(header.path.read_bytes()[header.stored.offset :][:432], "<u2").reshape(18, 12)
        np.testing.assert_array_equal(sheet[row : row + rows, column : column + columns], VOXELS[k])
    (part,) = sort_series([header])
    assert part.shape == (5, 6, 4)
    assert part.geometry.spacing_mm == pytest.approx(SPACING, abs=1e-6)
    order = [p.frame.tile[:2] for p in part.planes[0]]
    stored = [(k // 3 * 6, k % 3 * 4) for k in range(5)]
    assert order == (stored if sign > 0 else stored[::-1])


def test_the_count_may_be_a_private_element_and_the_layout_the_first(tmp_path: Path) -> None:
    normal = tuple(f"{v:.8f}" for v in TURN[:, 2])
    path = write_sheet(
        tmp_path / "m",
        tags={(0x0019, 0x0010): ("LO", "SIEMENS MR HEADER"), (0x0019, 0x100A): ("US", 5)},
        image=csa(second=False, EchoLinePosition=("32",), SliceNormalVector=normal),
    )
    assert len(read_header(path).frames) == 5


def test_the_protocol_stands_in_for_normal_and_spacing(tmp_path: Path) -> None:
    centres = [CORNER - 3.6 * k * TURN[:, 2] for k in range(5)]
    lines = [
        f"sSliceArray.asSlice[{k}].sPosition.d{axis}\t = \t{value:.6f}"
        for k, centre in enumerate(centres)
        for axis, value in zip(("Sag", "Cor", "Tra"), centre, strict=True)
    ]
    series = csa(MrPhoenixProtocol=("\n".join(lines),))
    tags = {(0x0029, 0x1020): ("OB", series), "SpacingBetweenSlices": None}
    header = read_header(write_sheet(tmp_path / "m", tags=tags, image=csa(NumberOfImagesInMosaic=("5",))))
    np.testing.assert_allclose(header.frames[4].position, centres[4], atol=1e-4)
    assert slice_positions("nothing here") == []


@pytest.mark.parametrize(
    ("tags", "image", "words"),
    [
        ({}, b"", "number of its slices is not stated"),
        ({}, csa(NumberOfImagesInMosaic=("5",)), "order of its slices is not stated"),
        ({}, csa(NumberOfImagesInMosaic=("20",), SliceNormalVector=("0", "0", "1")), "do not divide"),
        ({"SpacingBetweenSlices": None}, None, "spacing between its slices is not stated"),
        ({"ImagePositionPatient": None}, None, "does not state where it lies"),
    ],
)
def test_a_sheet_that_cannot_be_taken_apart_is_refused_by_name(tmp_path: Path, tags, image, words: str) -> None:
    (part,) = sort_series([read_header(write_sheet(tmp_path / "m", tags=tags, image=image))])
    assert part.planes == ()
    assert "Siemens mosaic" in part.report.refused[0]
    assert words in part.report.refused[0]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.booleans(), st.integers(0, 200))
def test_damaged_private_headers_tell_nothing(noise: bytes, cut: bool, at: int) -> None:
    whole = csa(NumberOfImagesInMosaic=("5",), SliceNormalVector=("0", "0", "1"))
    raw = whole[:at] + noise if cut else noise
    assert isinstance(csa_values(raw, frozenset({"NumberOfImagesInMosaic"})), dict)
