"""RT structure sets become masks on the grid of their scan: written ones exactly, real ones by area and centre."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from skimage.draw import polygon2mask

from dicom_files import uid, write_series
from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.facts import Header, Part
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.masks.structures_facts import structures_of
from napari_medcnn.io.dicom.masks.structures_fill import filled
from napari_medcnn.io.dicom.structures import inspect_structures, read_structures
from structure_files import GRID, OBLIQUE, SPACING, over, part, square, world, write_structures

# --- structure sets we write -----------------------------------------------------------------------------------------


def ring(plane: float, low: float, high: float, grid: Geometry = GRID) -> np.ndarray:
    return world(grid, plane, square(low, high))


def read(path: Path, grid: Geometry = GRID, item: str | None = None) -> LabelMap:
    return read_structures(read_header(path), item, grid)


def test_regions_lie_where_they_were_drawn_on_an_oblique_scan(tmp_path: Path) -> None:
    star = np.array([[3.2, 4.1], [12.7, 6.3], [5.5, 14.9], [9.1, 2.2], [14.4, 12.6]])
    path = write_structures(
        tmp_path / "rt.dcm",
        [
            {"name": "Ring", "contours": [ring(1, 2.5, 9.5), ring(1, 4.5, 6.5), ring(3, 2.5, 5.5)],
             "colour": (10, 20, 30), "type": "ORGAN", "code": ("SCT", "10200004")},
            {"name": "Star", "contours": [world(GRID, 2, star)], "number": 300},
        ],
    )  # fmt: skip
    (item,) = inspect_structures(read_header(path), over(GRID))
    assert (item.kind, item.shape, item.dtype, item.title) == ("labels", GRID.shape, "uint16", "RTSTRUCT 7, Plan")
    assert item.geometry == GRID and item.series_uid == uid("series") and item.warnings == ()
    assert item.report.found == (
        "Structures with 2 regions, drawn as contours.",
        "Interpreted types: Ring ORGAN.",
    )
    mask = read(path)
    expected = np.zeros(GRID.shape, int)
    expected[1, 3:10, 3:10], expected[1, 5:7, 5:7], expected[3, 3:6, 3:6] = 1, 0, 1
    expected[2] = 300 * polygon2mask(GRID.shape[1:], star)
    np.testing.assert_array_equal(mask.array, expected)
    assert mask.geometry == GRID and mask.frame_of_reference == uid("frame of reference")
    first, second = mask.labels.to_json()
    assert first == {"id": 1, "name": "Ring", "colour": [10, 20, 30], "code": "SCT:10200004"}
    assert (second["id"], second["name"], second["code"]) == (300, "Star", None)


def test_overlapping_regions_become_layers(tmp_path: Path) -> None:
    path = write_structures(
        tmp_path / "rt.dcm",
        [
            {"name": "Body", "contours": [ring(k, 0.5, 20.5) for k in range(5)]},
            {"name": "Left", "contours": [ring(2, 2.5, 6.5)]},
            {"name": "Right", "contours": [ring(2, 10.5, 14.5)]},
        ],
    )
    header = read_header(path)
    items = inspect_structures(header, over(GRID))
    assert [i.id.rpartition(":")[2] for i in items] == ["layer-1", "layer-2"]
    assert items[1].title == "RTSTRUCT 7, Plan, layer 2 (Left, Right)"
    body, organs = (read(path, GRID, i.id) for i in items)
    assert body.counts() == {1: 5 * 20 * 20} and organs.counts() == {2: 16, 3: 16}
    assert organs.labels.names == ("Left", "Right")
    with pytest.raises(InputError, match="overlap and make 2 layers; choose one"):
        read(path)


def test_contours_that_are_not_drawn_are_named(tmp_path: Path) -> None:
    upright = GRID.index_to_lps([[0, 3, 3], [4, 3, 3], [4, 3, 9]])
    path = write_structures(
        tmp_path / "rt.dcm",
        [
            {"name": "Mixed", "kinds": ["POINT", "OPEN_PLANAR", "CLOSED_PLANAR", "CLOSED_PLANAR", "CLOSED_PLANAR"],
             "contours": [ring(1, 2, 3)[:1], ring(1, 2, 9), ring(1, 2.5, 5.5), ring(5.6, 2, 9), upright]},
            {"name": "Nothing", "contours": []},
            {"name": "Points", "kinds": ["CLOSED_PLANAR"], "contours": [ring(1, 2, 3)[:2]]},
        ],
    )  # fmt: skip
    mask = read(path)
    assert mask.counts() == {1: 9} and mask.labels.names == ("Mixed", "Nothing", "Points")
    assert mask.notes == (
        "Mixed: 1 contour of type POINT left out (only closed planar contours are filled).",
        "Mixed: 1 contour of type OPEN_PLANAR left out (only closed planar contours are filled).",
        "Mixed: 1 contour beyond the scan left out.",
        "Mixed: 1 contour not in one plane of the scan left out.",
        "Nothing has no contour; its class is empty.",
        "Points: 1 contour of type POINT left out (only closed planar contours are filled).",
    )


def test_contours_between_planes_go_to_the_nearest_and_never_make_a_hole() -> None:
    lower, upper = ring(2, 2.5, 9.5), ring(2.4, 4.5, 6.5)
    both = filled([lower, upper], GRID)
    # the upper one belongs to the same plane and lies further off: left out, not taken for a hole
    assert (both.dropped, both.moved, len(both.patches)) == (1, 0, 1)
    assert int(both.patches[0].mask.sum()) == 49 and both.patches[0].plane == 2
    moved = filled([ring(2.4, 2.5, 9.5), ring(2.4, 4.5, 6.5)], GRID)
    assert (moved.moved, moved.dropped) == (2, 0) and int(moved.patches[0].mask.sum()) == 49 - 4
    assert [p.plane for p in filled([ring(2.6, 2.5, 9.5)], GRID).patches] == [3]
    assert filled([ring(-0.4, 2.5, 9.5)], GRID).patches[0].plane == 0
    assert filled([ring(-0.6, 2.5, 9.5), ring(4.6, 2.5, 9.5)], GRID).outside == 2


def test_numbers_that_are_no_class_ids_are_replaced(tmp_path: Path) -> None:
    path = write_structures(
        tmp_path / "rt.dcm",
        [
            {"name": "A", "number": 0, "contours": [ring(1, 2.5, 5.5)]},
            {"name": "A", "number": 7, "contours": [ring(2, 2.5, 5.5)]},
        ],
    )
    mask = read(path)
    assert mask.counts() == {1: 9, 2: 9} and mask.labels.names == ("A", "A (2)")


# --- without a scan, or not on it ------------------------------------------------------------------------------------


def refused(path: Path, series: dict[str, tuple[Part, ...]], words: str) -> None:
    (item,) = inspect_structures(read_header(path), series)
    assert item.kind == "other" and item.geometry is None and item.shape == ()
    assert words in item.report.refused[0] and item.report.refused[0].startswith(path.name)
    assert item.warnings == item.report.refused


def test_without_its_scan_the_words_say_so(tmp_path: Path) -> None:
    path = write_structures(tmp_path / "rt.dcm", [{"name": "A", "contours": [ring(1, 2.5, 5.5)]}])
    refused(path, {}, f"the scan it was drawn on is not in this folder (series {uid('series')})")
    refused(path, {uid("other"): (part(GRID, uid("other")),)}, "is not in this folder")
    tilted = Part(uid("series"), "CT 5, Tilt", part(GRID).planes, report=Report(refused=("tilted by 18°",)))
    refused(path, {uid("series"): (tilted,)}, "has no even grid as it stands (tilted by 18°)")
    far = Geometry(GRID.shape, SPACING, (900.0, 900.0, 900.0), OBLIQUE)
    refused(path, over(far), "none of its contours lies on the planes of the scan")


def test_a_file_that_names_no_series_takes_the_only_one_in_its_space(tmp_path: Path) -> None:
    path = write_structures(tmp_path / "rt.dcm", [{"name": "A", "contours": [ring(1, 2.5, 5.5)]}], series=[])
    (item,) = inspect_structures(read_header(path), over(GRID))
    assert item.kind == "labels"
    assert item.warnings == (
        "The file does not say which series it was drawn on; the one series in the same space was taken.",
    )
    two = {**over(GRID), uid("b"): (part(GRID, uid("b")),)}
    refused(path, two, "the file names no series, and 2 parts lie in the same space")
    refused(path, {uid("b"): (part(GRID, uid("b"), uid("elsewhere")),)}, "no parts lie in the same space")


def test_of_several_parts_the_one_with_a_grid_and_most_planes_is_taken(tmp_path: Path) -> None:
    path = write_structures(tmp_path / "rt.dcm", [{"name": "A", "contours": [ring(1, 2.5, 5.5)]}])
    scout = part(Geometry((1, 9, 9), SPACING, (0.0, 0.0, 0.0)))
    (item,) = inspect_structures(read_header(path), {uid("series"): (scout, part(GRID))})
    assert item.shape == GRID.shape
    larger = Geometry((9, 24, 30), SPACING, GRID.origin_lps, OBLIQUE)
    elsewhere = part(larger, space=uid("elsewhere"))
    (item,) = inspect_structures(read_header(path), {uid("series"): (elsewhere, part(GRID))})
    assert item.shape == GRID.shape  # the larger one lies in another space


def test_contradictions_are_refused(tmp_path: Path) -> None:
    def twice(data: Any) -> None:
        data.StructureSetROISequence[1].ROINumber = 1

    regions = [{"name": n, "contours": [ring(1, 2.5, 5.5)]} for n in "AB"]
    refused(write_structures(tmp_path / "a.dcm", regions, change=twice), over(GRID), "two regions have the number 1")

    def drawn_twice(data: Any) -> None:
        data.ROIContourSequence[1].ReferencedROINumber = 1

    path = write_structures(tmp_path / "b.dcm", regions, change=drawn_twice)
    refused(path, over(GRID), "the contours of region 1 stand in the file twice")
    refused(write_structures(tmp_path / "c.dcm", []), over(GRID), "these structures describe no region")


def test_hostile_coordinates_are_left_out(tmp_path: Path) -> None:
    def spoil(data: Any) -> None:
        contours = data.ROIContourSequence[0].ContourSequence
        contours[0].ContourData = ["1e300", "-1e300", "0"] * 3
        contours[1].ContourData = contours[1].ContourData[:-1]

    good = ring(1, 2.5, 5.5)
    path = write_structures(tmp_path / "rt.dcm", [{"name": "A", "contours": [good, good, good]}], change=spoil)
    mask = read(path)
    assert mask.counts() == {1: 9}
    assert mask.notes == (
        "A: 1 contour of type BROKEN left out (only closed planar contours are filled).",
        "A: 1 contour beyond the scan left out.",
    )


def test_dropping_anything_gives_a_named_error_or_a_mask(tmp_path: Path) -> None:
    path = write_structures(
        tmp_path / "rt.dcm",
        [{"name": "A", "contours": [ring(1, 2.5, 5.5)], "colour": (1, 2, 3), "code": ("SCT", "1")}],
    )

    def ways(data: pydicom.Dataset) -> list[list[Any]]:
        found: list[list[Any]] = []
        for element in data:
            found.append([element.tag])
            if element.VR == "SQ" and len(element.value):
                found += [[element.tag, *rest] for rest in ways(element.value[0])]
        return found

    dropped = 0
    for keys in ways(pydicom.dcmread(path)):
        data = pydicom.dcmread(path)
        owner: Any = data
        for tag in keys[:-1]:
            owner = owner[tag].value[0]
        del owner[keys[-1]]
        target = tmp_path / "dropped.dcm"
        pydicom.dcmwrite(target, data)
        dropped += 1
        for item in inspect_structures(read_header(target), over(GRID)):
            if item.kind == "other":
                assert item.report.refused[0].startswith("dropped.dcm: ")
            else:
                # without its number, a region and its contours are two classes
                assert read(target, GRID, item.id).array.max() <= 2
    assert dropped > 30


# --- real files ------------------------------------------------------------------------------------------------------


def grid_of(paths: Sequence[Path]) -> tuple[Geometry, Header]:
    """Return the grid of a plain series from pydicom alone."""
    data = sorted((pydicom.dcmread(p) for p in paths), key=lambda d: _along(d))
    first = data[0]
    six = np.array(first.ImageOrientationPatient, dtype=float)
    axes = np.column_stack([six[:3], six[3:], np.cross(six[:3], six[3:])])
    step = _along(data[1]) - _along(first) if len(data) > 1 else float(first.get("SliceThickness") or 1.0)
    y, x = (float(v) for v in first.PixelSpacing)
    origin = tuple(float(v) for v in first.ImagePositionPatient)
    grid = Geometry((len(data), first.Rows, first.Columns), (step, y, x), origin, axes)  # type: ignore[arg-type]
    return grid, read_header(paths[0])


def _along(data: Any) -> float:
    six = np.array(data.ImageOrientationPatient, dtype=float)
    return float(np.cross(six[:3], six[3:]) @ np.array(data.ImagePositionPatient, dtype=float))


def shoelace(points: np.ndarray) -> tuple[float, np.ndarray]:
    """Return area and centroid of a simple polygon (n, 2)."""
    after = np.roll(points, -1, axis=0)
    cross = points[:, 0] * after[:, 1] - after[:, 0] * points[:, 1]
    centre = ((points + after) * cross[:, None]).sum(axis=0) / (3 * cross.sum())
    return abs(float(cross.sum())) / 2, centre


def test_real_contours_keep_their_areas_and_centres(shared_data: Any) -> None:
    folder = shared_data("zoo-rtstruct")
    grid, header = grid_of(sorted((folder / "mock_data").glob("ct_*.dcm")))
    path = folder / "mock_data" / "invalid_reference_rt.dcm"
    series = {header.series_uid: (part(grid, header.series_uid, header.frame_of_reference),)}
    (item,) = inspect_structures(read_header(path), series)
    assert item.kind == "labels" and len(item.report.assumed) == 4  # the plane at 70 mm is not among the two slices
    mask = read(path, grid)
    checked = 0
    for region in pydicom.dcmread(path).ROIContourSequence:
        for contour in region.ContourSequence:
            points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            index = grid.lps_to_index(points)
            plane = round(float(index[0, 0]))
            if plane > 1:
                continue
            pixels = mask.array[plane] == region.ReferencedROINumber
            area, centre = shoelace(index[:, 1:])
            length = np.linalg.norm(np.diff(index[:, 1:], axis=0, append=index[:1, 1:]), axis=1).sum()
            # a boundary of this length passes through fewer than so many pixels; half of them err on average
            assert abs(int(pixels.sum()) - area) < length / 2
            assert np.abs(np.argwhere(pixels).mean(axis=0) - centre).max() < 0.75
            checked += 1
    assert checked == 8
    assert mask.labels.by_id(2).colour == (0, 235, 235) and mask.labels.names == ("ROI-1", "ROI-2", "ROI-3", "ROI-4")


def test_a_real_file_without_its_series_says_so(shared_data: Any) -> None:
    path = shared_data("zoo-pydicom/rtstruct.dcm")
    refused(path, {}, "the scan it was drawn on is not in this folder (series 1.2.826.0.1.3680043.8.498.2010020400001")
    kinds = {r.segment.name: (r.kind, dict(r.left_out)) for r in structures_of(read_header(path)).regions}
    assert kinds == {
        "patient": ("EXTERNAL", {}),
        "Isocenter 1": ("ISOCENTER", {"POINT": 1}),
        "Isocenter 2": ("ISOCENTER", {"POINT": 1}),
    }


@pytest.mark.parametrize("name", ["one_slice_data", "oriented_data"])
def test_contours_on_real_oblique_scans(shared_data: Any, tmp_path: Path, name: str) -> None:
    paths = sorted((shared_data("zoo-rtstruct") / name).glob("*.dcm"))
    grid, header = grid_of(paths)
    assert grid.obliquity_deg > 20
    gate = pytest.importorskip("napari_medcnn.io.dicom.gate")
    (found,) = gate.sort_series([read_header(p) for p in paths])
    rows, columns = np.array([10.5, 30.5]), np.array([20.5, 70.5])
    corners = np.array([[r, c] for r, c in zip(rows[[0, 0, 1, 1]], columns[[0, 1, 1, 0]], strict=True)])
    contours = [world(grid, k, corners) for k in range(grid.shape[0])]
    path = write_structures(tmp_path / "rt.dcm", [{"name": "Box", "contours": contours}], series=[header.series_uid])
    (item,) = inspect_structures(read_header(path), {header.series_uid: (found,)})
    assert item.kind == "labels" and item.geometry is not None and item.geometry.same_grid(grid)
    mask = read(path, item.geometry)
    expected = np.zeros(grid.shape, int)
    expected[:, 11:31, 21:71] = 1
    np.testing.assert_array_equal(mask.array, expected)


def test_through_the_gate_a_written_scan_carries_its_contours(tmp_path: Path) -> None:
    gate = pytest.importorskip("napari_medcnn.io.dicom.gate")
    paths = write_series(tmp_path / "ct", np.zeros(GRID.shape, np.int16), SPACING, origin=GRID.origin_lps,
                         direction=OBLIQUE)  # fmt: skip
    groups = gate.group([read_header(p) for p in paths])
    series = {key: gate.sort_series(members) for key, members in groups.items()}
    path = write_structures(tmp_path / "rt.dcm", [{"name": "A", "contours": [ring(2, 2.5, 5.5)]}])
    (item,) = inspect_structures(read_header(path), series)
    assert item.kind == "labels" and item.geometry is not None and item.geometry.same_grid(GRID)
    np.testing.assert_array_equal(np.argwhere(read(path, item.geometry).array).min(axis=0), [2, 3, 3])
