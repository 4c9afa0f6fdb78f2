"""A voxel stays where its DICOM attributes put it, through our readers and writers and through other people's.

The scan is written by `scan_writers` without the package; what is expected follows from the attributes as written.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_medcnn.core.geometry import DISPLAY_LETTERS
from napari_medcnn.core.volume import Volume
from napari_medcnn.io.read import inspect, read
from napari_medcnn.io.save import save_volume
from scan_writers import Scan, write_enhanced, write_itk, write_mosaic, write_nifti, write_nrrd, write_series

TOLERANCE_MM = 1e-3

#: How a patient may lie and slices be cut: where rows and columns run to, in LPS.
CUTS = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "axial, prone": ((-1, 0, 0), (0, -1, 0)),
    "axial, feet first": ((-1, 0, 0), (0, 1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "sagittal, mirrored": ((0, -1, 0), (0, 0, 1)),
}


@st.composite
def scans(draw: st.DrawFn) -> tuple[Scan, tuple[int, int, int], list[str], list[int]]:
    """Return a scan with one marked voxel, its index, and names and numbers for its slices."""
    z, y, x = draw(st.integers(2, 6)), draw(st.integers(3, 9)), draw(st.integers(3, 9))
    if y == x:
        x += 1
    length = st.floats(0.2, 9.0, allow_subnormal=False).map(lambda v: round(v, 4))
    if draw(st.booleans()):
        turn = Rotation.from_euler("xyz", [draw(st.floats(-180, 180)) for _ in range(3)], degrees=True).as_matrix()
        row, column = turn[:, 0], turn[:, 1]
    else:
        row, column = (np.array(v, float) for v in draw(st.sampled_from(sorted(CUTS.values()))))
    dtype = np.dtype(draw(st.sampled_from(["int16", "uint16", "uint8"])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    info = np.iinfo(dtype)
    low, high = max(info.min, -2000), min(info.max, 4000)
    stored = rng.integers(low, high - 100, (z, y, x)).astype(dtype)
    marked = (draw(st.integers(0, z - 1)), draw(st.integers(0, y - 1)), draw(st.integers(0, x - 1)))
    stored[marked] = high
    scan = Scan(
        stored,
        (draw(length), draw(length), draw(length)),
        tuple(draw(st.floats(-900, 900).map(lambda v: round(v, 3))) for _ in range(3)),
        tuple(row.tolist()),
        tuple(column.tolist()),
        draw(st.sampled_from([1.0, 2.0, 0.5, 0.1, 1.2345678])),
        draw(st.sampled_from([0.0, -1024.0, 0.25, -7.3])),
    )
    words = st.text("abcXYZ019 _-.äé", min_size=1, max_size=8).map(lambda s: s.strip(" .") or "f")
    names = draw(st.lists(words, min_size=z, max_size=z, unique_by=str.lower))
    numbers = draw(st.permutations(range(1, z + 1)))
    return scan, marked, names, list(numbers)


def found_at(array: np.ndarray, value: float) -> tuple[int, ...]:
    """Return the index of the one voxel that is nearest to `value`, which is its largest."""
    index = np.unravel_index(int(np.argmax(array)), array.shape)
    assert abs(float(array[index]) - value) <= 1e-6 * max(1.0, abs(value)), (array[index], value)
    assert int(np.sum(array >= array[index])) == 1
    return tuple(int(i) for i in index)


def near(position: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(np.asarray(position) - expected).max() <= TOLERANCE_MM, (position, expected)


def check_ours(volume: Volume, scan: Scan, where: np.ndarray, value: float) -> None:
    index = found_at(volume.array, value)
    near((volume.geometry.affine_lps @ [*index[::-1], 1.0])[:3], where)
    assert sorted(volume.array.shape) == sorted(scan.stored.shape)
    np.testing.assert_allclose(np.sort(volume.array.ravel()), np.sort(scan.values.ravel()), rtol=1e-6, atol=1e-4)


def check_with_nibabel(path: Path, where: np.ndarray, value: float) -> None:
    image = nib.load(path)
    index = found_at(np.asarray(image.dataobj), value)
    near((image.affine @ [*index, 1.0])[:3] * [-1, -1, 1], where)
    # The other form of the header is a quaternion of which three float32 parts are stored. Near half a turn, which is
    # where every axial scan lies, the fourth is the root of a difference near 0: nibabel takes w = 0 for w squared
    # below 3 epsilon (quaternions.fillpositive), so w is good to 6e-4 and the angle, 2 w, to 1.2e-3 rad.
    qform = image.get_qform() @ [*index, 1.0]
    lever = np.linalg.norm(qform[:3] - image.get_qform()[:3, 3])
    assert np.abs(qform[:3] * [-1, -1, 1] - where).max() <= TOLERANCE_MM + 1.2e-3 * lever


def check_with_itk(path: Path, where: np.ndarray, value: float) -> None:
    image = sitk.ReadImage(str(path))
    index = found_at(sitk.GetArrayFromImage(image), value)
    near(np.array(image.TransformIndexToPhysicalPoint(index[::-1])), where)


def check_with_pynrrd(path: Path, where: np.ndarray, value: float) -> None:
    array, header = nrrd.read(str(path))
    assert header["space"] == "left-posterior-superior"
    index = found_at(array, value)
    near(header["space origin"] + np.array(index) @ header["space directions"], where)


def round_trip(case: tuple[Scan, tuple[int, int, int], list[str], list[int]]) -> None:
    scan, marked, names, numbers = case
    where, value = scan.lps(marked), float(scan.values[marked])
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        write_series(base / "series", scan, names=names, numbers=numbers)
        write_enhanced(base / "enhanced.dcm", scan, [n - 1 for n in numbers])
        volume = read(base / "series")
        check_ours(volume, scan, where, value)
        check_ours(read(base / "enhanced.dcm"), scan, where, value)
        for suffix in (".nii", ".nii.gz", ".nrrd", ".mha"):
            path = base / f"saved{suffix}"
            save_volume(volume, path)
            check_ours(read(path), scan, where, value)
            check_with_itk(path, where, value)
            if ".nii" in suffix:
                check_with_nibabel(path, where, value)
            if suffix == ".nrrd":
                check_with_pynrrd(path, where, value)


_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=25, deadline=None, suppress_health_check=_QUIET)
@given(scans())
def test_a_marked_voxel_stays_in_its_place(case: tuple) -> None:
    round_trip(case)


@pytest.mark.proof
@settings(max_examples=300, deadline=None, suppress_health_check=_QUIET)
@given(scans())
def test_a_marked_voxel_stays_in_its_place_300_times(case: tuple) -> None:
    round_trip(case)


def left_heavy(cut: str) -> Scan:
    """Return a scan around the origin whose left half (LPS x > 0) is bright, cut as named."""
    row, column = CUTS[cut]
    grid = Scan(np.zeros((6, 8, 10), np.int16), row=row, column=column)
    middle = grid.lps([2.5, 3.5, 4.5])
    grid = Scan(grid.stored, origin=tuple((-middle).tolist()), row=row, column=column)
    index = np.indices(grid.stored.shape).reshape(3, -1).T
    left = np.array([grid.lps(i)[0] > 0 for i in index]).reshape(grid.stored.shape)
    stored = np.where(left, 900, 100) + np.arange(grid.stored.size).reshape(left.shape) % 7
    return Scan(stored.astype(np.int16), origin=grid.origin, row=row, column=column)


def _classic(base: Path, scan: Scan) -> Path:
    return write_series(base / "classic", scan, numbers=list(range(len(scan.stored), 0, -1)))


WRITERS = {
    "DICOM series": _classic,
    "DICOM series, RLE": lambda base, scan: write_series(base / "rle", scan, syntax="1.2.840.10008.1.2.5"),
    "DICOM enhanced": lambda base, scan: write_enhanced(base / "e.dcm", scan, [3, 1, 5, 0, 2, 4]),
    "DICOM mosaic": lambda base, scan: write_mosaic(base / "m.dcm", scan),
    "NIfTI": lambda base, scan: write_nifti(base / "n.nii", scan),
    "NIfTI gz": lambda base, scan: write_nifti(base / "n.nii.gz", scan),
    "NRRD": lambda base, scan: write_nrrd(base / "l.nrrd", scan),
    "NRRD in RAS": lambda base, scan: write_nrrd(base / "r.nrrd", scan, "right-anterior-superior"),
    "MHA": lambda base, scan: write_itk(base / "i.mha", scan),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", WRITERS)
def test_left_is_left_in_every_reader(tmp_path: Path, kind: str, cut: str) -> None:
    scan = left_heavy(cut)
    path = WRITERS[kind](tmp_path, scan)
    volume = read(path)
    assert inspect(path).items[0].geometry is not None
    bright = np.argwhere(volume.array > 500)
    assert len(bright) == scan.stored.size // 2
    places = volume.geometry.index_to_lps(bright)
    assert places[:, 0].min() > 0, "the bright half lies to the left of the patient's middle"
    # On screen: array axis 2 runs to Left, so what is left of the patient has the higher index.
    screen = volume.reoriented(volume.geometry.reorientation_to(DISPLAY_LETTERS)).array
    half = screen.shape[2] // 2
    assert screen[..., half:].min() > 500 > screen[..., :half].max()
