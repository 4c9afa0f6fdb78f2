"""Segmentations of other programs: dcmqi's with their label files, pydicom's liver in nine encodings, highdicom's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pydicom
import pytest

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import UnsupportedError
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.seg import inspect_seg, read_seg
from seg_files import read_mask, refused

# --- pictures and slides ---------------------------------------------------------------------------------------------


def test_the_mask_of_an_x_ray_is_a_picture(shared_data: Any) -> None:
    path = shared_data("zoo-dicom-seg/highdicom/seg_image_cr_binary.dcm")
    mask = read_mask(path)
    assert mask.is_picture and not mask.geometry.spacing_known
    np.testing.assert_array_equal(mask.array[0], pydicom.dcmread(path).pixel_array)
    assert mask.notes == (
        "The frames state no position in the patient: opened as a picture, left and right are not stated.",
    )
    over = Geometry((1, 16, 16), (1.0, 0.2, 0.2), orientation_known=False)
    assert read_mask(path, over).geometry == over
    assert "another size" in read_mask(path, Geometry.picture(16, 17)).notes[-1]


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
    mask = read_mask(shared_data("zoo-dicom-seg/dcmqi/" + seg), where)
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
            mask = read_mask(path)
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
