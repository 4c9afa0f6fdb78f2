"""DICOM segmentations come in voxel by voxel: against highdicom, pydicom, label files of dcmqi, and by hand."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path
from typing import Any

import highdicom as hd
import nrrd
import numpy as np
import pydicom
import pytest

from dicom_files import uid
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import GeometryError, IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.seg import inspect_seg, read_seg, referenced_series
from napari_medcnn.io.dicom.seg_layers import layers_of
from napari_medcnn.io.dicom.seg_names import lab_to_rgb
from seg_files import SPACING, source_series, write_seg

SHAPE = (7, 21, 19)  # 399 pixels a frame: packed bits do not end with a byte
OBLIQUE = np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64], [0.0, 0.8, 0.6]])  # 3-4-5 twice: exact in decimals


def grid(shape: tuple[int, int, int] = SHAPE, direction: np.ndarray | None = None) -> Geometry:
    return Geometry(shape, SPACING, (10.0, 20.0, 30.0), np.eye(3) if direction is None else direction)


def parts(seed: int = 1) -> np.ndarray:
    """Return random disjoint classes 1 to 3 with planes 0 and 3 empty and the planes 1 and 6 filled."""
    ids = np.random.default_rng(seed).integers(0, 4, SHAPE).astype(np.uint8)
    ids[[0, 3]] = 0
    return ids


def read(path: Path, reference: Geometry | None = None) -> LabelMap:
    mask = read_seg(read_header(path), None, reference)
    assert isinstance(mask, LabelMap)
    return mask


def on(mask: LabelMap, truth: Geometry) -> np.ndarray:
    """Return the mask's voxels on another grid by looking up the world position of each voxel that has a class."""
    out = np.zeros(truth.shape, mask.array.dtype)
    places = np.argwhere(mask.array)
    index = truth.lps_to_index(mask.geometry.index_to_lps(places))
    assert np.abs(index - np.rint(index)).max(initial=0) < 1e-3
    out[tuple(np.rint(index).astype(int).T)] = mask.array[tuple(places.T)]
    return out


# --- binary ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["straight", "oblique"])
def test_binary_segments_lie_where_they_were_drawn(tmp_path: Path, direction: np.ndarray) -> None:
    truth = parts()
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE, direction=direction), truth, "BINARY")
    mask = read(path)
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
    mask = read(path)
    # highdicom's volume may run either way along z: compared through the world
    theirs = Geometry.from_affine(volume.spatial_shape, _lps_xyz(volume.affine))
    np.testing.assert_array_equal(on(mask, theirs), volume.array)


def _lps_xyz(affine_kji: np.ndarray) -> np.ndarray:
    """Return highdicom's matrix, whose columns follow array axes, with columns in x, y, z order."""
    return affine_kji[:, [2, 1, 0, 3]]


def test_with_the_scans_grid_the_mask_comes_on_it(tmp_path: Path) -> None:
    truth = parts(3)
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE), truth, "BINARY")
    mask = read(path, grid())
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
    mask = read(path)
    assert mask.geometry.shape == (1, 21, 19) and not mask.geometry.spacing_known
    assert mask.notes == ("The file does not state how thick its one plane is: sizes in mm are not known.",)
    np.testing.assert_array_equal(read(path, grid()).array, truth)  # its scan says how thick
    alone = Geometry((1, 21, 19), (1.0, 0.8, 0.7), (10.0, 20.0, 35.0), spacing_known=False)
    assert read(path, alone).geometry == alone


def test_another_grid_is_said_and_not_forced(tmp_path: Path) -> None:
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE), parts(), "BINARY")
    other = Geometry(SHAPE, (2.0, 1.0, 1.0), (10.0, 20.0, 30.0))
    mask = read(path, other)
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
    np.testing.assert_array_equal(read(path, grid()).array, truth)


def test_orientation_may_stand_with_each_frame(tmp_path: Path) -> None:
    def move(data: Any) -> None:
        shared = data.SharedFunctionalGroupsSequence[0]
        for group in data.PerFrameFunctionalGroupsSequence:
            for name in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
                setattr(group, name, getattr(shared, name))
        del shared.PlaneOrientationSequence, shared.PixelMeasuresSequence

    truth = parts(5)
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE), truth, "BINARY", change=move)
    np.testing.assert_array_equal(read(path, grid()).array, truth)


def test_an_empty_segment_keeps_its_name(tmp_path: Path) -> None:
    truth = parts()
    truth[truth == 2] = 0
    sources = source_series(tmp_path / "ct", SHAPE)
    mask = read(write_seg(tmp_path / "s.dcm", sources, truth, "BINARY"))
    assert mask.labels.ids == (1, 2, 3) and set(mask.counts()) == {1, 3}


def test_numbers_above_255_widen_the_mask(tmp_path: Path) -> None:
    stack = np.zeros((*SHAPE, 300), bool)
    stack[2, 3, 4, 299] = stack[2, 5, 6, 0] = True
    sources = source_series(tmp_path / "ct", SHAPE)
    mask = read(write_seg(tmp_path / "s.dcm", sources, stack, "BINARY"))
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
    mask = read(path, grid())
    assert mask.array.dtype == np.uint16 and mask.labels.ids == (1, 2, 700)
    np.testing.assert_array_equal(mask.array, truth)
    (item,) = inspect_seg(read_header(path))
    assert item.dtype == "uint16" and item.kind == "labels"


def test_a_class_that_is_not_described_gets_a_name_and_is_said(tmp_path: Path) -> None:
    def forget(data: Any) -> None:
        data.SegmentSequence = pydicom.Sequence([s for s in data.SegmentSequence if s.SegmentNumber != 3])

    sources = source_series(tmp_path / "ct", SHAPE)
    mask = read(write_seg(tmp_path / "s.dcm", sources, parts(), "LABELMAP", change=forget))
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


# --- refused, in words -----------------------------------------------------------------------------------------------


def refused(path: Path, words: str, error: type[Exception] = InputError) -> None:
    header = read_header(path)
    (item,) = inspect_seg(header)
    assert item.kind == "other" and item.shape == () and item.geometry is None
    assert words in item.report.refused[0] and item.report.refused[0].startswith(path.name)
    assert item.warnings == item.report.refused
    with pytest.raises(error) as caught:
        read_seg(header, None)
    assert words in str(caught.value)


def positions(data: Any) -> list[Any]:
    return [g.PlanePositionSequence[0] for g in data.PerFrameFunctionalGroupsSequence]


def uneven(data: Any) -> None:
    positions(data)[-1].ImagePositionPatient = [10.0, 20.0, 30.0 + 6.4 * 2.5]


def tilted(data: Any) -> None:
    for p in positions(data):
        x, y, z = p.ImagePositionPatient
        p.ImagePositionPatient = [x, float(y) + 0.3 * (float(z) - 30.0), z]


def turned(data: Any) -> None:
    group = data.PerFrameFunctionalGroupsSequence[2]
    lie = pydicom.Dataset()
    lie.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    group.PlaneOrientationSequence = pydicom.Sequence([lie])


def sheared(data: Any) -> None:
    data.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0.5, 0.8, 0]


def unplaced(data: Any) -> None:
    del data.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence


def nowhere(data: Any) -> None:
    for group in data.PerFrameFunctionalGroupsSequence:
        del group.PlanePositionSequence


def distant(data: Any) -> None:
    positions(data)[0].ImagePositionPatient = [1e12, 0.0, 0.0]


def twice(data: Any) -> None:
    data.SegmentSequence[1].SegmentNumber = 1


def stranger(data: Any) -> None:
    data.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 9


def doubled(data: Any) -> None:
    first, second = data.PerFrameFunctionalGroupsSequence[:2]
    second.PlanePositionSequence, second.SegmentIdentificationSequence = (
        first.PlanePositionSequence, first.SegmentIdentificationSequence,
    )  # fmt: skip


def strange_type(data: Any) -> None:
    data.SegmentationType = "SURFACE"


def no_maximum(data: Any) -> None:
    data.SegmentationType = "FRACTIONAL"


def short(data: Any) -> None:
    data.PerFrameFunctionalGroupsSequence = pydicom.Sequence(list(data.PerFrameFunctionalGroupsSequence)[:2])


@pytest.mark.parametrize(
    ("change", "words", "error"),
    [
        (uneven, "are no multiples of one distance, so no even grid holds them", GeometryError),
        (tilted, "do not lie straight above each other", GeometryError),
        (turned, "its frames lie in different directions (frames 1 and 3)", GeometryError),
        (sheared, "not two directions at right angles", InputError),
        (unplaced, "1 of 15 frames state no position", InputError),
        (nowhere, "15 frames without a position in the patient", GeometryError),
        (distant, "that is no patient", GeometryError),
        (twice, "two segments have the number 1", InputError),
        (stranger, "frame 1 belongs to segment 9, which the file does not describe", InputError),
        (doubled, "frames 1 and 2 show one segment in one plane", InputError),
        (strange_type, "expected a segmentation of type BINARY, FRACTIONAL or LABELMAP, got SURFACE", UnsupportedError),
        (no_maximum, "needs MaximumFractionalValue (1 to 255), got none", InputError),
        (short, "holds 15 frames and says of 2 of them where they belong", InputError),
    ],
)
def test_what_no_grid_holds_is_refused(tmp_path: Path, change: Any, words: str, error: type[Exception]) -> None:
    sources = source_series(tmp_path / "ct", SHAPE)
    refused(write_seg(tmp_path / "s.dcm", sources, parts(), "BINARY", change=change), words, error)


def test_a_grid_larger_than_memory_is_refused_before_it_is_taken(tmp_path: Path) -> None:
    def spread(data: Any) -> None:
        places = positions(data)
        for k, p in enumerate(places):
            p.ImagePositionPatient = [0.0, 0.0, 0.0 if k == 0 else 60000.0]
        places[1].ImagePositionPatient = [0.0, 0.0, 1.0]
        measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SpacingBetweenSlices = 1.0

    shape = (3, 2048, 2048)
    truth = np.zeros(shape, np.uint8)
    truth[:, 5, 5] = 1
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", shape), truth, "BINARY", change=spread)
    with pytest.raises(InputError, match="of memory are free"):  # 60,001 planes of 4 MB
        read_seg(read_header(path), None)


def test_a_cut_file_never_opens(tmp_path: Path) -> None:
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE), parts(), "BINARY")
    header = read_header(path)
    data = path.read_bytes()
    path.write_bytes(data[:-200])
    with pytest.raises(IncompleteFileError, match=r"incomplete \(\d+ of \d+ bytes"):
        read_seg(header, None)
    with pytest.raises(IncompleteFileError):
        read_header(path)


def test_a_syntax_that_nothing_reads_is_named(tmp_path: Path) -> None:
    def other(data: Any) -> None:
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
        data.PixelData = pydicom.encaps.encapsulate([b"\0\0\1\xb3"] * data.NumberOfFrames)
        data["PixelData"].is_undefined_length = True

    path = tmp_path / "s.dcm"
    write_seg(path, source_series(tmp_path / "ct", SHAPE), parts(), "BINARY", change=other)
    refused(path, "MPEG2 Main Profile / Main Level, which no package we know of reads", UnsupportedError)


def test_a_missing_decoder_is_named(shared_data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shared_data("zoo-pydicom-data/liver_j2k.dcm")
    from napari_medcnn.io.dicom import seg_pixels

    class Without:
        is_available = False
        missing_dependencies = ("pylibjpeg - requires pylibjpeg>=2.0 and pylibjpeg-openjpeg>=2.0",)

    monkeypatch.setattr(seg_pixels, "get_decoder", lambda syntax: Without())
    refused(path, "JPEG 2000 Image Compression (Lossless Only); a decoder is missing (pylibjpeg", UnsupportedError)


# --- pictures and slides ---------------------------------------------------------------------------------------------


def test_the_mask_of_an_x_ray_is_a_picture(shared_data: Any) -> None:
    path = shared_data("zoo-dicom-seg/highdicom/seg_image_cr_binary.dcm")
    mask = read(path)
    assert mask.is_picture and not mask.geometry.spacing_known
    np.testing.assert_array_equal(mask.array[0], pydicom.dcmread(path).pixel_array)
    assert mask.notes == (
        "The frames state no position in the patient: opened as a picture, left and right are not stated.",
    )
    over = Geometry((1, 16, 16), (1.0, 0.2, 0.2), orientation_known=False)
    assert read(path, over).geometry == over
    assert "another size" in read(path, Geometry.picture(16, 17)).notes[-1]


def test_the_mask_of_a_slide_is_refused_by_name(shared_data: Any) -> None:
    path = shared_data("zoo-dicom-seg/highdicom/seg_image_sm_dots.dcm")
    refused(path, "a segmentation of a microscope slide", UnsupportedError)


# --- files of other programs -----------------------------------------------------------------------------------------


def from_nrrd(path: Path) -> tuple[np.ndarray, Geometry]:
    array, head = nrrd.read(str(path), index_order="C")
    affine = np.eye(4)
    affine[:3, :3] = np.array(head["space directions"]).T
    affine[:3, 3] = head["space origin"]
    assert head["space"] == "left-posterior-superior"
    return array, Geometry.from_affine(array.shape, affine)


@pytest.mark.parametrize(
    ("seg", "label"),
    [
        ("23x38x3/seg/label.seg", "23x38x3/nrrd/label.nrrd"),
        ("24x38x3/seg/label.seg", "24x38x3/nrrd/label.nrrd"),
        ("liver.dcm", "liver_seg.nrrd"),
        ("sparse-labelmap-noppv.dcm", "sparse_labelmap_noppv_seg.nrrd"),
        ("sparse-labelmap-ppv5.dcm", "sparse_labelmap_ppv5_seg.nrrd"),
    ],
)
def test_equals_the_label_file_that_dcmqi_made_of_it(shared_data: Any, seg: str, label: str) -> None:
    truth, where = from_nrrd(shared_data("zoo-dicom-seg/dcmqi/" + label))
    mask = read(shared_data("zoo-dicom-seg/dcmqi/" + seg), where)
    truth = np.where(truth == 5, 0, truth)  # dcmqi fills missing planes with the padding value, which is no class
    assert mask.geometry == where
    np.testing.assert_array_equal(mask.array, truth)


def test_layers_hold_what_dcmqi_wrote_as_three_files(shared_data: Any) -> None:
    header = read_header(shared_data("zoo-dicom-seg/dcmqi/partial_overlaps.dcm"))
    theirs = [from_nrrd(shared_data(f"zoo-dicom-seg/dcmqi/partial_overlaps-{k}.nrrd")) for k in (1, 2, 3)]
    items = inspect_seg(header)
    assert len(items) == 3
    for item, (truth, where) in zip(items, theirs, strict=True):
        mask = read_seg(header, item.id, where)
        assert isinstance(mask, LabelMap) and mask.geometry == where
        np.testing.assert_array_equal(mask.array, truth)


def test_one_liver_in_many_encodings(shared_data: Any) -> None:
    folder = shared_data("zoo-pydicom-data")
    for stem, size in (("liver", 512), ("liver_nonbyte_aligned", 510)):
        truth = pydicom.dcmread(folder / f"{stem}.dcm").pixel_array
        assert truth.shape == (3, size, size) and int(truth.sum()) == 107098
        family = [p for p in sorted(folder.glob(f"{stem}*.dcm")) if ("nonbyte" in p.name) == ("nonbyte" in stem)]
        assert len(family) >= 4
        for path in family:
            mask = read(path)
            np.testing.assert_array_equal(mask.array, truth, err_msg=path.name)
            assert mask.labels.to_json() == [
                {"id": 1, "name": "Liver", "colour": [221, 130, 101], "code": "SRT:T-62000"}
            ]


def test_every_segmentation_of_the_zoo_agrees_with_pydicom(shared_data: Any) -> None:
    seen = 0
    for path in sorted(shared_data("zoo-dicom-seg").rglob("*")):
        if not path.is_file() or path.suffix not in (".dcm", ".seg"):
            continue
        header = read_header(path)
        if header.kind != "segmentation":
            continue
        data = pydicom.dcmread(path)
        frames = np.atleast_3d(data.pixel_array) if data.pixel_array.ndim == 3 else data.pixel_array[None]
        items = inspect_seg(header)
        if items[0].kind == "other":
            assert "slide" in items[0].warnings[0]
            continue
        masks = [read_seg(header, item.id) for item in items]
        # as many voxels of classes as there are pixels in all frames
        assert sum(int(np.count_nonzero(m.array)) for m in masks) == int(np.count_nonzero(frames)), path.name
        seen += 1
    assert seen >= 8


# --- memory, and damage at random ------------------------------------------------------------------------------------


def test_frames_are_unpacked_one_at_a_time(tmp_path: Path) -> None:
    shape = (16, 256, 256)
    stack = np.zeros((*shape, 40), bool)
    stack[:, ::2, ::2] = np.arange(40) < 1
    for k in range(1, 40):
        stack[:, 2 * k + 1, :, k] = True
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", shape), stack, "BINARY")
    header = read_header(path)
    frames = pydicom.dcmread(path, stop_before_pixels=True).NumberOfFrames
    assert frames == 640  # 42 MB unpacked
    del stack
    tracemalloc.start()
    mask = read_seg(header, None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(np.unique(mask.array)) == 41
    # the result is 1 MB; one plane with its 40 masks, 2.6 MB; the rest is the parsed header
    assert peak < 20e6


def test_dropping_anything_gives_a_named_error_or_a_mask(tmp_path: Path) -> None:
    sources = source_series(tmp_path / "ct", SHAPE)
    path = write_seg(tmp_path / "s.dcm", sources, parts(), "BINARY")
    opened = dropped = 0
    for keys in _paths(pydicom.dcmread(path)):
        data = pydicom.dcmread(path)
        owner = data
        for tag, number in keys[:-1]:
            owner = owner[tag].value[number]
        del owner[keys[-1][0]]
        target = tmp_path / "dropped.dcm"
        try:
            data.save_as(target, enforce_file_format=False)
        except (AttributeError, ValueError):
            continue  # pydicom cannot write it without
        dropped += 1
        try:
            header = read_header(target)
            for item in inspect_seg(header):
                if item.kind != "other":
                    mask = read_seg(header, item.id)
                    assert int(np.asarray(mask.array).max(initial=0)) <= 3
                    opened += 1
                else:
                    assert item.report.refused[0].startswith("dropped.dcm: ")
        except InputError as error:
            assert str(error).startswith("dropped.dcm: ")
    assert dropped > 100 and opened > 50


def _paths(data: pydicom.Dataset, depth: int = 0) -> list[list[tuple[Any, int]]]:
    """Return the way to every element, following the first item of each sequence."""
    found = []
    for element in data:
        found.append([(element.tag, 0)])
        if element.VR == "SQ" and len(element.value) and depth < 3:
            found += [[(element.tag, 0), *rest] for rest in _paths(element.value[0], depth + 1)]
    return found
