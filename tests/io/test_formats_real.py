"""Every file of six folders of real data (none of them DICOM): equal to another reader, or refused in these words.

Nobody here wrote the files.  Voxels and grid are those of nibabel, pynrrd, SimpleITK, tifffile or Pillow.
"""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from cases import SHARED_DATA
from napari_medcnn.core.consent import Consent
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import ConsentNeededError, InputError, UnsupportedError
from napari_medcnn.io.formats import inspect_file, read_file
from napari_medcnn.io.sniff import describe_unknown, sniff

FOLDERS = ("nifti-real", "nifti-nibabel", "nrrd-variants", "itksnap-cases", "slicer-ct-segnrrd", "zoo-panimg")
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

#: What is nothing we read, by the end of its name, and what it must be called.
CALLED = {
    ".PAR": "Philips PAR.*dcm2niix", ".REC": r"voxels of .*\.PAR", ".HEAD": "AFNI.*3dAFNItoNIFTI",
    ".BRIK.gz": r"voxels of .*\.HEAD", ".mnc": "MINC.*mnc2nii", ".zip": "ZIP", ".tar": "TAR", ".label": "text file",
    "no_image": "text file", ".raw": r"voxels of .*hdr|voxels of .*\.mhd", ".zraw": r"voxels of .*\.mhd",
    ".raw.gz": r"voxels of .*\.nhdr", "corrupt.png": "PNG picture whose beginning is damaged",
}  # fmt: skip
#: What is refused although it is of a kind that we read: why, in the words of the message.
REFUSED = {
    "nifti-nibabel/analyze.hdr": r"expected analyze\.img", "nifti-nibabel/nifti1.hdr": r"expected nifti1\.img",
    "nifti-nibabel/nifti2.hdr": r"expected nifti2\.img", "nifti-nibabel/row_major.dconn.nii": "CIFTI-2.*wb_view",
    "nrrd-variants/BallBinary30x30x30_byteskip_minus_five.nhdr": "byte skip of -1 or more, got -5",
    "nrrd-variants/test1d_ascii.nrrd": "got 1 of 1", "nrrd-variants/test_customFields.nrrd": "got 1 of 1",
    "nrrd-variants/BallBinary30x30x30_nifti.nhdr": "352 bytes more than the 54000",
    "zoo-panimg/image4x4x4x4x4.mha": "5 dimensions", "zoo-panimg/invalid_utf8.mhd": "7551 of 8000 bytes",
    "zoo-panimg/referring_to_system_file.mhd": "outside its own folder",
    "zoo-panimg/nrrd/image10x11x12_unsupported_version.nrrd": "1004",
    "zoo-panimg/mhd_window/errors/image3x4-center-gt-width.mhd": "not beside it",
    "zoo-panimg/mhd_window/errors/image3x4-len-0.mhd": "not beside it",
    "zoo-panimg/mhd_window/errors/image3x4-only-center-array.mhd": "not beside it",
    "zoo-panimg/mhd_window/errors/image3x4-only-width-array.mhd": "not beside it",
    "zoo-panimg/mhd_window/errors/image3x4-width-gt-center.mhd": "not beside it",
    "zoo-panimg/no_dzi.tif:page-1": "hold no data", "zoo-panimg/no_dzi.tif:page-2": "hold no data",
    "zoo-panimg/test_min_max.tif:page-1": "hold no data", "zoo-panimg/test_min_max.tif:page-2": "hold no data",
}  # fmt: skip
#: Sheared grids (nibabel's and SimpleITK's own matrices say so): asked, then resampled.
SHEARED = ("nifti-nibabel/test.mgz", "zoo-panimg/image10x11x12x13-extra-stuff.mhd")


def names() -> list[str]:
    found = [p for folder in FOLDERS for p in sorted((SHARED_DATA / folder).rglob("*")) if p.is_file()]
    return [p.relative_to(SHARED_DATA).as_posix() for p in found if p.name != "README.md" and p.suffix != ".dcm"]


def other_reader(path: Path, kind: str, item: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return voxels, and index (x, y, z, 1) to LPS mm or None where that reader does not tell."""
    if kind in ("nifti", "mgh"):
        image = nib.load(path)
        return np.asarray(image.dataobj).T, LPS @ image.affine
    if kind == "nrrd":
        values, header = nrrd.read(str(path), index_order="C")
        affine = None
        if header.get("space directions") is not None and values.ndim == 3:
            affine = np.eye(4)
            affine[:3, :3] = np.asarray(header["space directions"]).T
            affine[:3, 3] = header["space origin"]
            assert header["space"] == "left-posterior-superior"
        if item.startswith("layer-"):
            return values[..., int(item[6:])], None
        return values, affine
    if kind in ("metaimage", "gipl"):
        named = (
            sitk.ReadImage(str(path), sitk.sitkUnknown, "GiplImageIO") if kind == "gipl" else sitk.ReadImage(str(path))
        )
        affine = np.eye(4)
        size = min(named.GetDimension(), 3)
        direction = np.array(named.GetDirection()).reshape(named.GetDimension(), -1)[:size, :size]
        affine[:size, :size] = direction * np.array(named.GetSpacing()[:size])
        affine[:size, 3] = named.GetOrigin()[:size]
        return sitk.GetArrayFromImage(named), affine
    if kind == "tiff":
        page = int(item.rpartition("-")[2]) - 1
        with tifffile.TiffFile(path) as tif:
            if tif.pages[page].compression == 1:
                return tif.pages[page].asarray(), None
        with Image.open(path) as image:
            image.seek(page)
            return np.array(image), None
    with Image.open(path) as image:
        return np.array(image)[..., :3] if image.mode == "RGBA" else np.array(image), None


@pytest.mark.parametrize("name", names() or [pytest.param("", marks=pytest.mark.skip("no real data beside"))])
def test_equal_to_another_reader_or_refused_by_name(name: str) -> None:
    path = SHARED_DATA / name
    kind = sniff(path)
    if kind is None:
        ends = [end for end in CALLED if name.endswith(end)]
        assert ends, f"{name} is not read and nothing is expected of it"
        assert re.search(CALLED[max(ends, key=len)], describe_unknown(path))
        return
    if name in REFUSED:
        with pytest.raises(InputError, match=REFUSED[name]) as caught:
            inspect_file(path, kind)
            read_file(path, kind)
        assert not isinstance(caught.value, ConsentNeededError)
        return
    for item in inspect_file(path, kind):
        if f"{name}:{item.id}" in REFUSED:
            with pytest.raises(UnsupportedError, match=REFUSED[f"{name}:{item.id}"]):
                read_file(path, kind, item.id)
            assert item.report.refused
            assert not item.report.asks
            continue
        volume = sheared(path, kind) if name in SHEARED else read_file(path, kind, item.id)[0]
        assert volume.notes == volume.report.warnings
        if name in SHEARED:
            continue
        assert (item.axes, item.shape, item.geometry) == (volume.axes, volume.array.shape, volume.geometry)
        assert item.warnings == item.report.warnings == volume.report.warnings
        equal(volume, *other_reader(path, kind, item.id))


def equal(volume: Volume, values: np.ndarray, affine: np.ndarray | None) -> None:
    values = values.reshape(volume.array.shape)  # equal but for axes of length 1
    if volume.array.dtype == values.dtype:
        np.testing.assert_array_equal(volume.array, values)
    else:  # nibabel scales in float64; we keep 16-bit types at float32
        np.testing.assert_allclose(volume.array, values, rtol=1e-6)
    if affine is not None and volume.geometry.orientation_known:
        np.testing.assert_allclose(volume.geometry.affine_lps, affine, atol=1e-4)
    elif affine is not None and volume.geometry.spacing_known:
        np.testing.assert_allclose(volume.geometry.spacing_mm, np.linalg.norm(affine[:3, :3], axis=0)[::-1], rtol=1e-6)


def sheared(path: Path, kind: str) -> Volume:
    """Ask, agree, and find in every frame that each voxel of the straight grid holds what lay there."""
    with pytest.raises(ConsentNeededError, match="sheared") as caught:
        read_file(path, kind)
    assert caught.value.asks == "resample"
    volume, _ = read_file(path, kind, consent=Consent(resample=True))
    values, affine = other_reader(path, kind, "")
    assert affine is not None
    frames = values if values.ndim == 4 else values[np.newaxis]
    ours = volume.array if volume.axes.startswith("t") else volume.array[np.newaxis]
    assert len(ours) == len(frames)
    for mine, theirs in zip(ours, frames, strict=True):
        low, high = float(theirs.min()), float(theirs.max())
        assert low <= mine.min()
        assert mine.max() <= high
        hits = 0
        for index in np.ndindex(theirs.shape):  # voxels that lie on a voxel of the new grid are equal
            place = np.linalg.inv(volume.geometry.affine_lps) @ affine @ [*index[::-1], 1.0]
            at = tuple(np.rint(place[2::-1]).astype(int))
            if np.abs(place[2::-1] - at).max() < 1e-4 and all(0 <= i < n for i, n in zip(at, mine.shape, strict=True)):
                assert mine[at] == pytest.approx(theirs[index], abs=0.51)
                hits += 1
        assert hits
    assert any("sheared" in note for note in volume.notes)
    return volume
