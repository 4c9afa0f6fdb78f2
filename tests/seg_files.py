"""DICOM segmentations written by highdicom over a synthetic CT; the package itself never uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
from pydicom.sr.codedict import codes

from dicom_files import uid, write_series

SPACING = (2.5, 0.8, 0.7)
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
