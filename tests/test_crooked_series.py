"""Series that are no straight, even grid, in random places: never opened as one unasked, right once agreed to."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from scipy.spatial.transform import Rotation

from napari_medcnn.core.consent import Consent
from napari_medcnn.errors import ConsentNeededError
from napari_medcnn.io.read import inspect, read
from scan_writers import Scan, decimals, write_series
from zoo.irregular import straightened
from zoo.oracle_dicom import content

#: What is done to a good series, and what opens it: a field of Consent, "split", or "" for nothing needed.
FAULTS = {
    "missing slice": "resample", "moved slice": "resample", "tilt": "resample", "differing copy": "duplicates",
    "equal copy": "", "turned slice": "split", "other size": "split", "other person": "split", "other pixels": "split",
}  # fmt: skip


@st.composite
def crooked(draw: st.DrawFn) -> tuple[str, Scan, int, float]:
    """Return the fault, a good scan, the slice it befalls and how much."""
    turn = Rotation.from_euler("xyz", [draw(st.floats(-170, 170)) for _ in range(3)], degrees=True).as_matrix()
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    z, y, x = draw(st.integers(5, 8)), draw(st.integers(8, 12)), draw(st.integers(8, 12))
    spacing = tuple(round(draw(st.floats(0.4, 4.0)), 3) for _ in range(3))
    stored = rng.integers(-900, 3000, (z, y, x)).astype(np.int16)
    scan = Scan(stored, spacing, (10.0, -20.0, 30.0), tuple(turn[:, 0].tolist()), tuple(turn[:, 1].tolist()))
    return draw(st.sampled_from(sorted(FAULTS))), scan, draw(st.integers(1, z - 2)), draw(st.floats(0.1, 0.4))


def damage(folder: Path, fault: str, scan: Scan, at: int, share: float) -> None:
    """Change the files of a good series in one respect."""
    path = folder / f"{at}.dcm"

    def edit(target: Path, **values: object) -> None:
        data = pydicom.dcmread(path)
        for name, value in values.items():
            setattr(data, name, value)
        data.save_as(target)

    moved = scan.lps([at + share, 0, 0])
    if fault == "missing slice":
        path.unlink()
    elif fault == "moved slice":
        edit(path, ImagePositionPatient=decimals(moved))
    elif fault == "equal copy":
        shutil.copy(path, folder / "copy.dcm")
    elif fault == "differing copy":
        data = pydicom.dcmread(path)
        data.PixelData = (scan.stored[at] + 1).astype("<i2").tobytes()
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data.InstanceNumber = 99
        data.save_as(folder / "copy.dcm")
    elif fault == "turned slice":
        tipped = Rotation.from_rotvec(np.radians(10) * np.array(scan.row)).apply(scan.column)
        edit(path, ImageOrientationPatient=decimals(np.concatenate([scan.row, tipped])))
    elif fault == "other size":
        edit(path, Rows=scan.stored.shape[1] - 1, PixelData=scan.stored[at, :-1].astype("<i2").tobytes())
    elif fault == "other person":
        edit(path, PatientName="Other^Person", PatientID="T-2")
    elif fault == "other pixels":
        edit(path, PixelSpacing=decimals(np.array(scan.spacing[1:]) * (1 + share)))


def check(case: tuple[str, Scan, int, float]) -> None:
    fault, scan, at, share = case
    with tempfile.TemporaryDirectory() as base:

        def tilt(data: Dataset, k: int) -> None:
            if fault == "tilt":
                slide = np.array(scan.column) * np.tan(np.radians(60 * share)) * scan.spacing[0] * k
                data.ImagePositionPatient = decimals(scan.lps([k, 0, 0]) + slide)

        folder = write_series(Path(base) / "s", scan, change=tilt)
        damage(folder, fault, scan, at, share)
        items = [i for i in inspect(folder).items if i.kind != "other"] or list(inspect(folder).items)
        whole = [i for i in items if len(i.files) >= len(scan.stored) - 1]
        cure = FAULTS[fault]
        if cure == "split":
            for item in items:
                assert len({_sort(path) for path in item.files}) == 1, f"{fault}: merged"
            return
        if not cure:
            volume = read(folder)
            np.testing.assert_array_equal(volume.array, scan.stored)
            assert any("copy" in word for word in volume.notes)
            return
        with pytest.raises(ConsentNeededError) as refused:
            read(folder, whole[0].id)
        assert refused.value.asks == cure
        assert whole[0].report.asks == cure
        assert whole[0].report.refused
        _agreed(folder, whole[0].id, fault, scan, at)


def _sort(path: Path) -> tuple[object, ...]:
    """Return what all files of one image must share."""
    data = pydicom.dcmread(path, stop_before_pixels=True)
    return data.Rows, str(data.PatientID), tuple(data.ImageOrientationPatient), tuple(data.PixelSpacing)


def _agreed(folder: Path, item: str, fault: str, scan: Scan, at: int) -> None:
    """With consent it opens, marked; what is interpolated lies between the two slices around it."""
    if fault == "differing copy":
        for which, more in (("first", 0), ("last", 1)):
            volume = read(folder, item, Consent(duplicates=which))
            expected = scan.stored.copy()
            expected[at] += more
            np.testing.assert_array_equal(volume.array, expected)
            assert volume.notes
        return
    volume = read(folder, item, Consent(resample=True))
    assert volume.notes
    frames = [f for path in sorted(folder.iterdir()) for f in content(path).frames]
    assert straightened(volume, frames, 1500) < 0.003


_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=30, deadline=None, suppress_health_check=_QUIET)
@given(crooked())
def test_a_crooked_series_never_opens_unasked(case: tuple) -> None:
    check(case)


@pytest.mark.proof
@settings(max_examples=400, deadline=None, suppress_health_check=_QUIET)
@given(crooked())
def test_a_crooked_series_never_opens_unasked_400_times(case: tuple) -> None:
    check(case)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_once(fault: str) -> None:
    stored = np.random.default_rng(1).integers(-900, 3000, (6, 9, 11)).astype(np.int16)
    check((fault, Scan(stored, (2.0, 0.8, 0.7), row=(0.8, 0.6, 0.0), column=(-0.6, 0.8, 0.0)), 3, 0.3))
