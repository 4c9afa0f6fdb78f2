"""Contours become voxels: by hand, against scikit-image, formulas for areas, and real structure sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from dicom_files import group, uid, write_series
from napari_medcnn.core.consent import Report
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.facts import Header, Part, Plane
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.structures import inspect_structures, read_structures
from napari_medcnn.io.dicom.structures_facts import structures_of
from napari_medcnn.io.dicom.structures_fill import filled, inside

STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
SPACING = (3.0, 0.8, 0.7)
OBLIQUE = np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64], [0.0, 0.8, 0.6]])
GRID = Geometry((5, 24, 30), SPACING, (-12.0, 7.0, 40.0), OBLIQUE)

# --- which pixels are inside -----------------------------------------------------------------------------------------


def square(low: float, high: float) -> np.ndarray:
    return np.array([[low, low], [low, high], [high, high], [high, low]], dtype=float)


def test_a_rectangle_holds_the_centres_within() -> None:
    mask = inside([np.array([[0.5, 1.5], [0.5, 4.5], [2.5, 4.5], [2.5, 1.5]])], (4, 6))
    expected = np.zeros((4, 6), bool)
    expected[1:3, 2:5] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_centre_on_the_border_belongs_to_the_larger_side() -> None:
    # corners on the centres (1, 1) and (3, 3): rows and columns 1 and 2 are in, 3 is not: area 4 = (3 - 1)^2
    expected = np.zeros((5, 5), bool)
    expected[1:3, 1:3] = True
    np.testing.assert_array_equal(inside([square(1, 3)], (5, 5)), expected)


def test_a_triangle_by_hand() -> None:
    # corners (0, 0), (0, 4), (4, 0) as (y, x): row y holds 0 <= x < 4 - y
    mask = inside([np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 0.0]])], (5, 5))
    assert [int(row.sum()) for row in mask] == [4, 3, 2, 1, 0]
    assert mask[1].tolist() == [True, True, True, False, False]


def test_a_curve_within_another_is_a_hole_and_equal_curves_cancel() -> None:
    ring = inside([square(0.5, 6.5), square(2.5, 4.5)], (8, 8))
    assert int(ring.sum()) == 36 - 4 and not ring[3, 3] and not ring[4, 4] and ring[1, 1]
    assert not inside([square(0.5, 6.5), square(0.5, 6.5)], (8, 8)).any()


def test_a_keyhole_is_a_hole() -> None:
    # one curve: around the outside, along a bridge, backwards around the hole, and back along the same bridge
    keyhole = np.array(
        [[0.5, 0.5], [0.5, 6.5], [6.5, 6.5], [6.5, 0.5], [3.2, 0.5],
         [3.2, 2.5], [4.5, 2.5], [4.5, 4.5], [2.5, 4.5], [2.5, 2.5], [3.2, 2.5], [3.2, 0.5]]
    )  # fmt: skip
    np.testing.assert_array_equal(inside([keyhole], (8, 8)), inside([square(0.5, 6.5), square(2.5, 4.5)], (8, 8)))


def test_a_curve_may_leave_the_picture_and_have_too_few_corners() -> None:
    assert inside([square(-1e12, 1e12)], (3, 4)).all()
    assert not inside([square(10, 20)], (3, 4)).any()
    assert not inside([np.zeros((2, 2)), np.zeros((0, 2))], (3, 4)).any()


corner = st.tuples(st.floats(-3, 17, allow_nan=False), st.floats(-3, 19, allow_nan=False))


@settings(max_examples=150, deadline=None)
@given(st.lists(corner, min_size=3, max_size=9))
def test_equals_scikit_image_where_no_centre_is_on_a_border(corners: list[tuple[float, float]]) -> None:
    # thousandths plus an odd offset: no corner, and next to no edge, meets a pixel centre
    curve = np.round(np.array(corners), 3) + [0.00037, 0.00041]
    mask, theirs = inside([curve], (14, 16)), polygon2mask((14, 16), curve)
    end = np.roll(curve, -1, axis=0)
    for y, x in np.argwhere(mask != theirs):
        # they may differ only at a centre that lies on an edge, within rounding
        cross = (end - curve)[:, 0] * (x - curve[:, 1]) - (end - curve)[:, 1] * (y - curve[:, 0])
        length = np.linalg.norm(end - curve, axis=1)
        assert (np.abs(cross) <= 2e-6 * np.maximum(length, 1.0)).any()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), min_size=3, max_size=3, unique=True),
    st.tuples(st.integers(0, 24), st.integers(0, 24)),
)
def test_regions_that_share_borders_share_no_pixel_and_leave_none_out(
    corners: list[tuple[int, int]], middle: tuple[int, int]
) -> None:
    # half-pixel corners put many centres exactly on borders; a triangle cut in three by any point of the plane
    a, b, c = (np.array(p) / 2 for p in corners)
    m = np.array(middle) / 2
    whole = inside([np.array([a, b, c])], (13, 13))
    pieces = [inside([np.array(t)], (13, 13)).astype(int) for t in ((a, b, m), (b, c, m), (c, a, m))]
    np.testing.assert_array_equal(sum(pieces) & 1, whole)


@pytest.mark.parametrize("radius", [3.3, 8.0, 11.7])
def test_a_circle_has_the_area_of_its_formula(radius: float) -> None:
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    curve = np.column_stack([12.3 + radius * np.sin(angle), 13.1 + radius * np.cos(angle)])
    area = int(inside([curve], (26, 28)).sum())
    # each pixel row errs by less than a pixel at either end; so does any scan line over a convex curve
    assert abs(area - np.pi * radius**2) < 2 * np.ceil(2 * radius)
    assert abs(area - np.pi * radius**2) < 0.06 * np.pi * radius**2


# --- structure sets we write -----------------------------------------------------------------------------------------


def world(grid: Geometry, plane: float, curve: Any) -> np.ndarray:
    curve = np.asarray(curve, dtype=float)
    return grid.index_to_lps(np.column_stack([np.full(len(curve), plane), curve]))


def write_structures(path: Path, regions: Sequence[dict[str, Any]], **more: Any) -> Path:
    """Write an RTSTRUCT; each region has name, contours ((n, 3) LPS) and may have number, colour, type, kinds, code.

    `more`: series (UIDs it names), space, change.
    """
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = STRUCTURE_SET
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = uid("structures")
    data.StudyInstanceUID, data.SeriesInstanceUID = uid("study"), uid("structures series")
    data.Modality, data.SeriesNumber, data.SeriesDescription, data.StructureSetLabel = "RTSTRUCT", 7, "Plan", "L"
    space = more.get("space", uid("frame of reference"))
    named = [group(SeriesInstanceUID=one)[0] for one in more.get("series", [uid("series")])]
    study = group(RTReferencedSeriesSequence=pydicom.Sequence(named))
    data.ReferencedFrameOfReferenceSequence = group(FrameOfReferenceUID=space, RTReferencedStudySequence=study)
    data.StructureSetROISequence = pydicom.Sequence()
    data.ROIContourSequence, data.RTROIObservationsSequence = pydicom.Sequence(), pydicom.Sequence()
    for k, region in enumerate(regions):
        number = region.get("number", k + 1)
        data.StructureSetROISequence += group(
            ROINumber=number, ROIName=region["name"], ReferencedFrameOfReferenceUID=space
        )
        kinds = region.get("kinds") or ["CLOSED_PLANAR"] * len(region["contours"])
        drawn = [
            group(
                ContourGeometricType=kind,
                NumberOfContourPoints=len(points),
                ContourData=[f"{v:.6f}"[:16] for v in np.asarray(points).ravel()],
            )[0]
            for kind, points in zip(kinds, region["contours"], strict=True)
        ]
        contours = group(ReferencedROINumber=number)
        if drawn:
            contours[0].ContourSequence = pydicom.Sequence(drawn)
        if "colour" in region:
            contours[0].ROIDisplayColor = list(region["colour"])
        data.ROIContourSequence += contours
        seen = group(ObservationNumber=k + 1, ReferencedROINumber=number, RTROIInterpretedType=region.get("type", ""))
        if "code" in region:
            scheme, value = region["code"]
            seen[0].RTROIIdentificationCodeSequence = group(CodingSchemeDesignator=scheme, CodeValue=value)
        data.RTROIObservationsSequence += seen
    if "change" in more:
        more["change"](data)
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


def part(grid: Geometry, series: str = "", space: str = "", report: Report = Report()) -> Part:
    header = Header(Path("ct.dcm"), series_uid=series or uid("series"), modality="CT",
                    frame_of_reference=space or uid("frame of reference"))  # fmt: skip
    from napari_medcnn.io.dicom.facts import Frame

    planes = (tuple(Plane(header, Frame()) for _ in range(grid.shape[0])),)
    return Part(header.series_uid, "CT 5, Thorax", planes, "zyx", grid.shape, grid, report=report)


def over(grid: Geometry) -> dict[str, tuple[Part, ...]]:
    return {uid("series"): (part(grid),)}


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
        "The file does not say which series it was drawn on; the one series in the same space (Frame of Reference UID) "
        "was taken.",
    )
    two = {**over(GRID), uid("b"): (part(GRID, uid("b")),)}
    refused(path, two, "the file names no series, and 2 parts lie in the same space")
    refused(path, {uid("b"): (part(GRID, uid("b"), uid("elsewhere")),)}, "no parts lie in the same space")


def test_of_several_parts_the_one_with_a_grid_and_most_planes_is_taken(tmp_path: Path) -> None:
    path = write_structures(tmp_path / "rt.dcm", [{"name": "A", "contours": [ring(1, 2.5, 5.5)]}])
    scout = part(Geometry((1, 9, 9), SPACING, (0.0, 0.0, 0.0)))
    (item,) = inspect_structures(read_header(path), {uid("series"): (scout, part(GRID))})
    assert item.shape == GRID.shape


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
