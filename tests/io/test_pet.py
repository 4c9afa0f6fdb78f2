"""SUV by body weight, derived by hand from the vendor-neutral pseudo-code of QIBA."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_files import PET, write_image, write_series
from napari_medcnn.io.dicom.assemble import read_part
from napari_medcnn.io.dicom.facts import Header
from napari_medcnn.io.dicom.gate import sort_series
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.pet import Suv, suv

#: 70 kg, 400 MBq at 08:00, scan at 09:00, half-life one hour: half of the dose is left.
FACTS: dict[str, Any] = {
    "Units": "BQML", "CorrectedImage": ["ATTN", "DECY", "SCAT"], "DecayCorrection": "START", "PatientWeight": 70.0,
    "RadionuclideTotalDose": 4e8, "RadionuclideHalfLife": 3600.0, "RadiopharmaceuticalStartTime": "080000.00",
    "SeriesDate": "20240131", "SeriesTime": "090000", "AcquisitionDate": "20240131", "AcquisitionTime": "090000",
}  # fmt: skip


def header(**changes: Any) -> Header:
    values = {k: v for k, v in {**FACTS, **changes}.items() if v is not None}
    return Header(Path("p.dcm"), modality="PT", values=values)


def factor(*headers: Header) -> float:
    found = suv(headers)
    assert isinstance(found, Suv), found
    assert found.unit == "SUVbw"
    return found.factor


def test_activity_at_the_start_of_the_scan() -> None:
    """70,000 g / (4e8 Bq x 1/2) = 3.5e-4 ml/Bq; the report shows weight, dose and decay."""
    assert factor(header()) == pytest.approx(3.5e-4, rel=1e-12)
    found = suv([header()])
    assert isinstance(found, Suv)
    (words,) = found.found
    for part in ("70 kg", "400 MBq", "50.00 %", "60.0 min", "0.00035"):
        assert part in words


def test_fluorine_over_an_hour() -> None:
    """2^(-3600 / 6586.2) = e^(-0.378871) = 0.684633; 74 kg, 370 MBq: 74000 / (370e6 x 0.684633) = 2.921273e-4."""
    h = header(PatientWeight=74.0, RadionuclideTotalDose=3.7e8, RadionuclideHalfLife=6586.2)
    assert factor(h) == pytest.approx(2.921273e-4, rel=1e-6)


def test_corrected_to_the_injection_needs_no_decay() -> None:
    """70,000 / 4e8 = 1.75e-4, and neither half-life nor times."""
    h = header(DecayCorrection="ADMIN", RadionuclideHalfLife=None, RadiopharmaceuticalStartTime=None, SeriesTime=None)
    assert factor(h) == pytest.approx(1.75e-4, rel=1e-12)


def test_a_full_date_and_time_of_injection_is_preferred() -> None:
    """Two hours before: a quarter of the dose is left: 70,000 / 1e8."""
    assert factor(header(RadiopharmaceuticalStartDateTime="20240131070000.00")) == pytest.approx(7e-4, rel=1e-12)
    late = header(
        RadiopharmaceuticalStartDateTime="20240130230000", SeriesTime="010000", AcquisitionTime="010000.5",
        RadiopharmaceuticalStartTime="230000",
    )  # fmt: skip
    assert factor(late) == pytest.approx(7e-4, rel=1e-12)
    found = suv([late])
    assert isinstance(found, Suv)
    assert found.assumed == ()  # the dates say it; nothing had to be taken for granted


def test_midnight_between_injection_and_scan_is_said() -> None:
    """23:30 and 00:30 without a date of injection: one hour."""
    h = header(RadiopharmaceuticalStartTime="233000", SeriesTime="003000", AcquisitionTime="003000")
    found = suv([h])
    assert isinstance(found, Suv)
    assert found.factor == pytest.approx(3.5e-4, rel=1e-12)
    assert "midnight" in found.assumed[0]


def test_a_series_processed_later_takes_the_scanners_own_time() -> None:
    """Series time 15:00 lies after the images of 09:00; GE's private element says 09:00."""
    h = header(SeriesTime="150000", GEPostInjectionDateTime="20240131090000.00")
    assert factor(h) == pytest.approx(3.5e-4, rel=1e-12)
    with_nothing = suv([header(SeriesTime="150000")])
    assert with_nothing == (
        "SUV not available: the series' time lies 360 min after its first image (times go backwards)."
    )


def test_a_series_processed_later_by_the_frames_reference_time() -> None:
    """A frame of 600 s that began at 09:10: its mean count rate lies at ln(x / (1 - e^-x)) / lambda with
    lambda = ln 2 / 3600 and x = 600 lambda = 0.1155245, that is 297.112 s after its start.  Reference time 897.112 s
    after the start of the scan: 09:10:00 + 297.112 s - 897.112 s = 09:00:00.
    """
    h = header(SeriesTime="150000", AcquisitionTime="091000", FrameReferenceTime=897112.0, ActualFrameDuration=600000.0)
    assert factor(h) == pytest.approx(3.5e-4, rel=1e-6)


def test_the_first_of_several_bed_positions_counts() -> None:
    """Series at 09:00, beds at 09:00 and 09:03: all are corrected to the series' start."""
    assert factor(header(AcquisitionTime="090300"), header()) == pytest.approx(3.5e-4, rel=1e-12)


def test_counts_with_the_scanners_factors() -> None:
    """(7053,1000) is the factor itself; (7053,1009) = 2 Bq/ml a count makes 2 x 3.5e-4."""
    assert factor(header(Units="CNTS", PhilipsSUVFactor=0.000551)) == 0.000551
    h = header(Units="CNTS", PhilipsActivityFactor=2.0)
    found = suv([h])
    assert isinstance(found, Suv)
    assert found.scale_of(h) == pytest.approx(7e-4, rel=1e-12)
    assert suv([header(Units="CNTS")]) == (
        "SUV not available: the values are counts and the file states no factor to Bq/ml."
    )


def test_values_that_are_suv_already() -> None:
    found = suv([header(Units="GML", SUVType="BW", PatientWeight=None)])
    assert isinstance(found, Suv)
    assert (found.factor, found.unit, found.assumed) == (1.0, "SUVbw", ())
    lean = suv([header(Units="GML", SUVType="LBM")])
    assert isinstance(lean, Suv)
    assert lean.unit == "SUVlbm"
    unnamed = suv([header(Units="GML")])
    assert isinstance(unnamed, Suv)
    assert unnamed.assumed  # taken for body weight, and said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RadionuclideTotalDose": None}, "dose missing"),
        ({"RadionuclideTotalDose": 0.0}, "dose missing"),
        ({"PatientWeight": None, "RadionuclideHalfLife": 0.0}, "weight, half-life missing"),
        ({"RadionuclideTotalDose": 400.0}, "400 Bq cannot be right"),
        ({"RadiopharmaceuticalStartTime": None}, "time of the injection is missing"),
        ({"RadiopharmaceuticalStartTime": "093000"}, "30 min after the scan"),
        ({"RadiopharmaceuticalStartDateTime": "20240201080000"}, "1380 min after the scan"),
        ({"RadiopharmaceuticalStartDateTime": "20230131080000"}, "more than 10 half-lives"),
        ({"SeriesTime": None}, "time of the series is missing"),
        ({"AcquisitionTime": None}, "time of the acquisition is missing"),
        ({"DecayCorrection": "NONE"}, r"unknown time \(NONE\)"),
        ({"DecayCorrection": None}, "corrected to is missing"),
        ({"CorrectedImage": ["DECY"]}, "attenuation"),
        ({"CorrectedImage": []}, "attenuation and decay"),
        ({"Units": "PROPCPS"}, "propcps"),
        ({"Units": None}, "unit is missing"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, Any], words: str) -> None:
    found = suv([header(**changes)])
    assert isinstance(found, str)
    assert found.startswith("SUV not available: ")
    assert re.search(words, found), found


def test_slices_that_contradict_each_other_are_not_trusted() -> None:
    assert suv([header(), header(PatientWeight=80.0)]) == (
        "SUV not available: PatientWeight differs between the slices."
    )


def tags(**changes: Any) -> dict[str, Any]:
    dose = Dataset()
    dose.RadionuclideTotalDose, dose.RadionuclideHalfLife = 4e8, 3600.0
    dose.RadiopharmaceuticalStartTime = "080000.00"
    for key, value in changes.items():
        if value is None:
            delattr(dose, key)
    return {
        "Units": "BQML", "CorrectedImage": ["ATTN", "DECY"], "DecayCorrection": "START", "PatientWeight": 70,
        "SeriesDate": "20240131", "SeriesTime": "090000", "AcquisitionDate": "20240131", "AcquisitionTime": "090000",
        "RadiopharmaceuticalInformationSequence": Sequence([dose]), "WindowCenter": 5000, "WindowWidth": 10000,
    }  # fmt: skip


def test_a_series_with_a_slope_of_each_slice_comes_in_suv(tmp_path: Path) -> None:
    """Slice k is stored 1000 with slope 2 (k + 1): 2000, 4000, 6000 Bq/ml x 3.5e-4 = SUV 0.7, 1.4, 2.1."""
    stored = np.full((3, 4, 5), 1000, np.int16)
    write_series(
        tmp_path, stored, tags=tags(), each=lambda k: {"RescaleSlope": 2 * (k + 1), "RescaleIntercept": 0},
        sop_class=PET,
    )  # fmt: skip
    (part,) = sort_series([read_header(p) for p in sorted(tmp_path.iterdir())])
    volume = read_part(part)
    assert volume.value_unit == "SUVbw"
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array[:, 0, 0], [0.7, 1.4, 2.1], rtol=1e-6)
    assert volume.window == pytest.approx((0.0, 3.5))  # 0 to 10,000 Bq/ml
    assert any("70 kg" in words for words in volume.report.found)


def test_a_series_without_a_dose_stays_in_bq_per_ml(tmp_path: Path) -> None:
    stored = np.full((3, 4, 5), 1000, np.int16)
    write_series(
        tmp_path, stored, sop_class=PET,
        tags={**tags(RadionuclideTotalDose=None), "RescaleSlope": 2, "RescaleIntercept": 0},
    )  # fmt: skip
    (part,) = sort_series([read_header(p) for p in sorted(tmp_path.iterdir())])
    volume = read_part(part)
    assert volume.value_unit == "Bq/ml"
    assert volume.array[0, 0, 0] == 2000
    assert "SUV not available: dose missing." in volume.notes


def test_philips_private_factors_are_read(tmp_path: Path) -> None:
    private = {
        (0x7053, 0x0010): ("LO", "Philips PET Private Group"), (0x7053, 0x1000): ("DS", "0.0005"),
        "RescaleSlope": 1, "RescaleIntercept": 0,
    }  # fmt: skip
    path = write_image(
        tmp_path / "a.dcm", np.full((4, 5), 3000, np.int16), {**tags(), "Units": "CNTS", **private}, sop_class=PET
    )
    (part,) = sort_series([read_header(path)])
    volume = read_part(part)
    assert volume.value_unit == "SUVbw"
    np.testing.assert_allclose(volume.array, 1.5, rtol=1e-6)
