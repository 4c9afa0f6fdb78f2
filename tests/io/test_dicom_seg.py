"""DICOM segmentations come in voxel by voxel: against highdicom, and by hand."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from dicom_files import uid
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.masks.seg_layers import layers_of
from napari_medcnn.io.dicom.masks.seg_names import lab_to_rgb
from napari_medcnn.io.dicom.seg import inspect_seg, read_seg, referenced_series
from seg_files import OBLIQUE, SHAPE, grid, on, parts, read_mask, source_series, write_seg

# --- binary ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["straight", "oblique"])
def test_binary_segments_lie_where_they_were_drawn(tmp_path: Path, direction: np.ndarray) -> None:
    truth = parts()
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE, direction=direction), truth, "BINARY")
    mask = read_mask(path)
    assert mask.geometry.shape == (6, 21, 19)  # planes 1 to 6; plane 3 within has no frame
    assert mask.array.dtype == np.uint8 and set(np.unique(mask.array)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(on(mask, grid(direction=direction)), truth)
    assert mask.labels.to_json()[1] == {"id": 2, "name": "Part 2", "colour": [50, 200, 30], "code": "SCT:64033007"}
    (item,) = inspect_seg(read_header(path))
    assert (item.kind, item.axes, item.shape, item.dtype) == ("labels", "zyx", mask.array.shape, "uint8")
    assert item.geometry == mask.geometry and item.title == "SEG 20, Parts" and item.warnings == ()
    assert item.report.found == (
        "A binary segmentation of 3 segments.",
        "5 of 6 planes are stored; the others are background.",
    )


def test_highdicom_reads_the_same_voxels_at_the_same_place(tmp_path: Path) -> None:
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE, direction=OBLIQUE), parts(2), "BINARY")
    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    mask = read_mask(path)
    # highdicom's volume may run either way along z: compared through the world
    theirs = Geometry.from_affine(volume.spatial_shape, _lps_xyz(volume.affine))
    np.testing.assert_array_equal(on(mask, theirs), volume.array)


def _lps_xyz(affine_kji: np.ndarray) -> np.ndarray:
    """Return highdicom's matrix, whose columns follow array axes, with columns in x, y, z order."""
    return affine_kji[:, [2, 1, 0, 3]]


def test_with_the_scans_grid_the_mask_comes_on_it(tmp_path: Path) -> None:
    truth = parts(3)
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE), truth, "BINARY")
    mask = read_mask(path, grid())
    assert mask.geometry == grid() and mask.notes == ()
    np.testing.assert_array_equal(mask.array, truth)
    (item,) = inspect_seg(read_header(path), grid())
    assert item.geometry == grid() and item.shape == SHAPE
    assert referenced_series(read_header(path)) == (uid("series"),)


def test_one_plane_of_unknown_thickness(tmp_path: Path) -> None:
    def thin(data: Any) -> None:
        measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        for name in ("SliceThickness", "SpacingBetweenSlices"):
            if name in measures:
                delattr(measures, name)

    truth = np.zeros(SHAPE, np.uint8)
    truth[2, 3:6, 4] = 1
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE), truth, "BINARY", change=thin)
    mask = read_mask(path)
    assert mask.geometry.shape == (1, 21, 19) and not mask.geometry.spacing_known
    assert mask.notes == ("The file does not state how thick its one plane is: sizes in mm are not known.",)
    np.testing.assert_array_equal(read_mask(path, grid()).array, truth)  # its scan says how thick
    alone = Geometry((1, 21, 19), (1.0, 0.8, 0.7), (10.0, 20.0, 35.0), spacing_known=False)
    assert read_mask(path, alone).geometry == alone


def test_planes_of_another_distance_do_not_lie_in_the_scan_like_stripes(tmp_path: Path) -> None:
    # a scan of 5 mm under a mask of 5 mm, and a reference of 2.5 mm that holds every plane of it exactly
    truth = parts(9)
    wide = source_series(tmp_path / "ct", SHAPE, each=lambda k: {"SliceThickness": 5.0}, step=(0.0, 0.0, 5.0))
    mask = read_mask(write_seg(tmp_path / "s.dcm", wide, truth, "BINARY"), grid((13, 21, 19)))
    assert mask.geometry.spacing_mm == (5.0, 0.8, 0.7) and mask.geometry.shape == (6, 21, 19)
    np.testing.assert_array_equal(mask.array, truth[1:])
    assert mask.notes == ("The scan it was made from lies on another grid; the mask stands on its own grid.",)


def test_another_grid_is_said_and_not_forced(tmp_path: Path) -> None:
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE), parts(), "BINARY")
    other = Geometry(SHAPE, (2.0, 1.0, 1.0), (10.0, 20.0, 30.0))
    mask = read_mask(path, other)
    assert mask.geometry.shape == (6, 21, 19)
    assert mask.notes == ("The scan it was made from lies on another grid; the mask stands on its own grid.",)


def shuffled(data: Any) -> None:
    """Put the frames of a byte-aligned or one-bit file into another order, pixels and descriptions alike."""
    order = list(range(data.NumberOfFrames))
    random.Random(7).shuffle(order)
    groups = list(data.PerFrameFunctionalGroupsSequence)
    bits = np.unpackbits(np.frombuffer(data.PixelData, np.uint8), bitorder="little")
    size = data.Rows * data.Columns
    frames = bits[: size * len(order)].reshape(len(order), size)
    data.PerFrameFunctionalGroupsSequence = pydicom.Sequence([groups[i] for i in order])
    packed = np.packbits(frames[order].ravel(), bitorder="little").tobytes()
    data.PixelData = packed + bytes(len(packed) % 2)


def test_the_order_of_frames_does_not_matter(tmp_path: Path) -> None:
    truth = parts(4)
    sources = source_series(tmp_path / "ct", SHAPE)
    path = write_seg(tmp_path / "s.dcm", sources, truth, "BINARY", change=shuffled)
    np.testing.assert_array_equal(read_mask(path, grid()).array, truth)


def test_orientation_may_stand_with_each_frame(tmp_path: Path) -> None:
    def move(data: Any) -> None:
        shared = data.SharedFunctionalGroupsSequence[0]
        for group in data.PerFrameFunctionalGroupsSequence:
            for name in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
                setattr(group, name, getattr(shared, name))
        del shared.PlaneOrientationSequence, shared.PixelMeasuresSequence

    truth = parts(5)
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE), truth, "BINARY", change=move)
    np.testing.assert_array_equal(read_mask(path, grid()).array, truth)


def test_an_empty_segment_keeps_its_name(tmp_path: Path) -> None:
    truth = parts()
    truth[truth == 2] = 0
    sources = source_series(tmp_path / "ct", SHAPE)
    mask = read_mask(write_seg(tmp_path / "s.dcm", sources, truth, "BINARY"))
    assert mask.labels.ids == (1, 2, 3) and set(mask.counts()) == {1, 3}


def test_numbers_above_255_widen_the_mask(tmp_path: Path) -> None:
    stack = np.zeros((*SHAPE, 300), bool)
    stack[2, 3, 4, 299] = stack[2, 5, 6, 0] = True
    sources = source_series(tmp_path / "ct", SHAPE)
    mask = read_mask(write_seg(tmp_path / "s.dcm", sources, stack, "BINARY"))
    assert mask.array.dtype == np.uint16 and mask.counts() == {1: 1, 300: 1}


# --- overlap ---------------------------------------------------------------------------------------------------------


def overlapping() -> np.ndarray:
    """Return 1 and 2 overlapping, 3 overlapping 2 only, in two planes: layers (1, 3) and (2)."""
    stack = np.zeros((*SHAPE, 3), bool)
    stack[2, 2:8, 2:8, 0] = stack[2, 6:12, 2:8, 1] = stack[2, 10:14, 2:8, 2] = True
    stack[4, 1, 1] = [True, False, False]
    return stack


def test_overlapping_segments_become_layers(tmp_path: Path) -> None:
    stack = overlapping()
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE), stack, "BINARY")
    header = read_header(path)
    items = inspect_seg(header)
    base = header.series_uid
    assert [i.id for i in items] == [f"{base}:layer-1", f"{base}:layer-2"]
    assert [i.title for i in items] == ["SEG 20, Parts, layer 1 (Part 1, Part 3)", "SEG 20, Parts, layer 2 (Part 2)"]
    assert "Segments overlap: spread over 2 layers, in which none does." in items[0].report.found
    first, second = (read_seg(header, i.id, grid()) for i in items)
    assert isinstance(first, LabelMap) and isinstance(second, LabelMap)
    np.testing.assert_array_equal(first.array, stack[..., 0] * 1 + stack[..., 2] * 3)
    np.testing.assert_array_equal(second.array, stack[..., 1] * 2)
    assert first.labels.ids == (1, 3) and second.labels.ids == (2,)
    for wrong in (None, f"{base}:layer-3", f"{base}:layer-x"):
        with pytest.raises(InputError, match="overlap and make 2 layers; choose one of layer-1 to layer-2"):
            read_seg(header, wrong)


def test_what_the_header_says_of_overlap_is_not_believed(tmp_path: Path) -> None:
    def lie(data: Any) -> None:
        data.SegmentsOverlap = "NO"

    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE), overlapping(), "BINARY", change=lie)
    assert len(inspect_seg(read_header(path))) == 2


def test_layers_by_hand() -> None:
    assert layers_of([3, 1, 2], []) == ((1, 2, 3),)
    assert layers_of([], []) == ()
    assert layers_of([1, 2, 3], [(1, 2), (1, 3), (2, 3)]) == ((1,), (2,), (3,))
    assert layers_of([1, 2, 3, 4], [(1, 2), (2, 3), (3, 4)]) == ((1, 3), (2, 4))


# --- label maps and fractions ----------------------------------------------------------------------------------------


def test_a_label_map_keeps_its_numbers(tmp_path: Path) -> None:
    truth = parts(6).astype(np.uint16)
    truth[truth == 3] = 700
    sources = source_series(tmp_path / "ct", SHAPE)
    path = write_seg(tmp_path / "s.dcm", sources, truth, "LABELMAP", numbers=[1, 2, 700])
    assert pydicom.dcmread(path).BitsAllocated == 16
    mask = read_mask(path, grid())
    assert mask.array.dtype == np.uint16 and mask.labels.ids == (1, 2, 700)
    np.testing.assert_array_equal(mask.array, truth)
    (item,) = inspect_seg(read_header(path))
    assert item.dtype == "uint16" and item.kind == "labels"


@pytest.mark.parametrize(
    ("syntax", "deflated"),
    [
        (RLELossless, False),
        (JPEG2000Lossless, False),
        (JPEGLSLossless, False),
        (ImplicitVRLittleEndian, False),
        (ExplicitVRLittleEndian, True),
    ],
)
def test_a_label_map_is_the_same_in_every_syntax(tmp_path: Path, syntax: str, deflated: bool) -> None:
    def deflate(data: Any) -> None:
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    truth = np.random.default_rng(8).integers(0, 4, (4, 40, 36)).astype(np.uint8)
    sources = source_series(tmp_path / "ct", truth.shape)
    change = deflate if deflated else None
    path = write_seg(tmp_path / "s.dcm", sources, truth, "LABELMAP", transfer_syntax_uid=syntax, change=change)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == (DeflatedExplicitVRLittleEndian if deflated else syntax)
    np.testing.assert_array_equal(read_mask(path, grid(truth.shape)).array, truth)


def test_the_padding_value_of_a_label_map_is_background(tmp_path: Path) -> None:
    def pad(data: Any) -> None:
        data.PixelPaddingValue = 3

    truth = parts(10)
    sources = source_series(tmp_path / "ct", SHAPE)
    path = write_seg(tmp_path / "s.dcm", sources, truth, "LABELMAP", change=pad)
    mask = read_mask(path, grid())
    assert mask.labels.ids == (1, 2)
    np.testing.assert_array_equal(mask.array, np.where(truth == 3, 0, truth))
    assert "The value 3 marks pixels without a class; it is background here." in mask.report.found


def test_a_class_that_is_not_described_gets_a_name_and_is_said(tmp_path: Path) -> None:
    def forget(data: Any) -> None:
        data.SegmentSequence = pydicom.Sequence([s for s in data.SegmentSequence if s.SegmentNumber != 3])

    sources = source_series(tmp_path / "ct", SHAPE)
    mask = read_mask(write_seg(tmp_path / "s.dcm", sources, parts(), "LABELMAP", change=forget))
    assert mask.labels.name_of(3) == "Class 3"
    assert mask.notes == ("Class 3 stands in the pixels and is not described in the file.",)


def test_fractions_come_as_volumes_and_are_never_cut(tmp_path: Path) -> None:
    stack = np.zeros((*SHAPE, 2), np.float32)
    stack[2, 4, 5, 0], stack[3, 6, 7, 0], stack[2, 4, 5, 1] = 1.0, 0.5, 0.25
    sources = source_series(tmp_path / "ct", SHAPE)
    path = write_seg(tmp_path / "s.dcm", sources, stack, "FRACTIONAL", max_fractional_value=200)
    header = read_header(path)
    items = inspect_seg(header)
    assert [(i.kind, i.id.rpartition(":")[2]) for i in items] == [("volume", "segment-1"), ("volume", "segment-2")]
    assert items[1].title == "SEG 20, Parts, Part 2 (0 to 1)"
    assert items[0].report.found[0] == "A fractional (probability) segmentation of 2 segments."
    first, second = (read_seg(header, i.id, grid()) for i in items)
    assert isinstance(first, Volume) and isinstance(second, Volume)
    assert first.array.dtype == np.float32 and first.window == (0.0, 1.0) and first.geometry == grid()
    expected = np.zeros((2, *SHAPE))
    expected[0, 2, 4, 5], expected[0, 3, 6, 7], expected[1, 2, 4, 5] = 200 / 200, 100 / 200, 50 / 200
    np.testing.assert_allclose(np.stack([first.array, second.array]), expected, atol=1e-7)
    with pytest.raises(InputError, match="several segments; choose one of segment-1, segment-2"):
        read_seg(header, None)


def test_a_fraction_above_its_maximum_is_refused(tmp_path: Path) -> None:
    def lower(data: Any) -> None:
        data.MaximumFractionalValue = 100

    stack = np.full((*SHAPE, 1), 1.0, np.float32)
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE), stack, "FRACTIONAL", change=lower)
    with pytest.raises(InputError, match=r"frame \d+ holds 255, above the stated maximum 100"):
        read_seg(read_header(path), None)


# --- colours ---------------------------------------------------------------------------------------------------------


def test_colours_by_hand() -> None:
    neutral = 128 * 65535 // 255  # a* = b* = 0
    assert lab_to_rgb((65535, neutral, neutral)) == (255, 255, 255)
    assert lab_to_rgb((0, neutral, neutral)) == (0, 0, 0)
    # L* = 50: Y = ((50 + 16) / 116)^3 = 0.18419; sRGB = 1.055 Y^(1/2.4) - 0.055 = 0.46633; times 255 = 118.9
    assert lab_to_rgb((32768, neutral, neutral)) == (119, 119, 119)
    # sRGB red is L* 53.24, a* 80.09, b* 67.20 (CIE 15 over the matrix of IEC 61966-2-1)
    red = (round(53.24 / 100 * 65535), round((80.09 + 128) * 257), round((67.20 + 128) * 257))
    assert lab_to_rgb(red) == (255, 0, 0)
    assert lab_to_rgb((65535, 65535, 65535))[0] == 255  # outside of what a screen shows: cut


@pytest.mark.parametrize("rgb", [(221, 130, 101), (128, 174, 128), (0, 151, 206), (10, 200, 30), (255, 255, 0)])
def test_colours_come_back_as_highdicom_wrote_them(rgb: tuple[int, int, int]) -> None:
    stored = hd.color.CIELabColor.from_rgb(*rgb).value
    assert max(abs(a - b) for a, b in zip(lab_to_rgb(stored), rgb, strict=True)) <= 1
