"""DICOM segmentations written by highdicom over a synthetic CT, and helpers to look at what comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from dicom_files import uid, write_series
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.seg import inspect_seg, read_seg

SPACING = (2.5, 0.8, 0.7)
SHAPE = (7, 21, 19)  # 399 pixels a frame: packed bits do not end with a byte
OBLIQUE = np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64], [0.0, 0.8, 0.6]])  # 3-4-5 twice: exact in decimals
FULL = {"StudyID": "1", "StudyTime": "101010", "AccessionNumber": "", "ReferringPhysicianName": "", "PatientSex": "O"}
PROPERTIES = [codes.SCT.Liver, codes.SCT.Kidney, codes.SCT.Spleen]


def source_series(folder: Path, shape: tuple[int, int, int], **more: Any) -> list[Path]:
    """Write a CT of zeros with all that highdicom wants of a source; return its files in order of z."""
    return write_series(folder, np.zeros(shape, np.int16), SPACING, {**FULL, **more.pop("tags", {})}, **more)


def described(numbers: Sequence[int]) -> list[hd.seg.SegmentDescription]:
    """Return a description for each segment number: "Part 1" in a colour of its own, with a code."""
    return [
        hd.seg.SegmentDescription(
            segment_number=n,
            segment_label=f"Part {n}",
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=PROPERTIES[k % 3],
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
            display_color=hd.color.CIELabColor.from_rgb((40 * k + 10) % 250, 200, 30),
        )
        for k, n in enumerate(numbers)
    ]


def write_seg(path: Path, sources: Sequence[Path], pixels: np.ndarray, kind: str, **more: Any) -> Path:
    """Write pixels over the source slices with highdicom.

    (z, y, x) class ids, or (z, y, x, segment) bool or fractions; `more`: numbers (of the segments), change (called with
    the data set before it is written), and what highdicom takes.
    """
    images = [pydicom.dcmread(p) for p in sources]
    count = pixels.shape[-1] if pixels.ndim == 4 else max(1, int(pixels.max()))
    numbers: Sequence[int] = more.pop("numbers", range(1, count + 1))
    change: Callable[[Any], None] | None = more.pop("change", None)
    data = hd.seg.Segmentation(
        source_images=images,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=described(numbers),
        series_instance_uid=uid("seg", path.name),
        series_number=20,
        sop_instance_uid=uid("seg sop", path.name),
        instance_number=1,
        manufacturer="Nobody",
        manufacturer_model_name="Test",
        software_versions="1",
        device_serial_number="1",
        series_description="Parts",
        **more,
    )
    if change is not None:
        change(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path)
    return path


def grid(shape: tuple[int, int, int] = SHAPE, direction: np.ndarray | None = None) -> Geometry:
    return Geometry(shape, SPACING, (10.0, 20.0, 30.0), np.eye(3) if direction is None else direction)


def parts(seed: int = 1) -> np.ndarray:
    """Return random disjoint classes 1 to 3 with planes 0 and 3 empty and the planes 1 and 6 filled."""
    ids = np.random.default_rng(seed).integers(0, 4, SHAPE).astype(np.uint8)
    ids[[0, 3]] = 0
    return ids


def read_mask(path: Path, reference: Geometry | None = None) -> LabelMap:
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


def refused(path: Path, words: str, error: type[Exception] = InputError) -> None:
    """Check that a file is an item of kind "other" and an error of that kind, in words that name file and reason."""
    header = read_header(path)
    (item,) = inspect_seg(header)
    assert item.kind == "other" and item.shape == () and item.geometry is None
    assert words in item.report.refused[0] and item.report.refused[0].startswith(path.name)
    assert item.warnings == item.report.refused
    with pytest.raises(error) as caught:
        read_seg(header, None)
    assert words in str(caught.value)
