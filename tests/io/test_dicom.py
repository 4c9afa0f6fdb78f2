"""DICOM through the one way in: plain series exact against SimpleITK, irregular ones split, asked about or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, generate_uid
from scipy.spatial.transform import Rotation

from napari_medcnn.core.consent import Consent
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import ConsentNeededError, IncompleteFileError, InputError, MedcnnError, UnsupportedError
from napari_medcnn.io.read import inspect, read

CT = "1.2.840.10008.5.1.4.1.1.2"
SERIES = generate_uid(entropy_srcs=["series"])
TURN = Rotation.from_euler("xyz", [5, -3, 8], degrees=True).as_matrix()
STORED = np.random.default_rng(0).integers(-1000, 2000, (5, 8, 6)).astype(np.int16)


def slice_file(
    path: Path, k: int, change: Callable[[FileDataset], None] | None = None, syntax=ExplicitVRLittleEndian
) -> Path:
    """Write slice k of an oblique CT of 2.5 mm slices, 0.8 x 0.7 mm pixels, slope 2, intercept -1024."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CT, syntax
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = CT, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID = "Secret^Person", "ID-12345"
    data.Modality, data.SeriesInstanceUID, data.SeriesNumber, data.SeriesDescription = "CT", SERIES, 5, "Thorax"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.InstanceNumber = 100 - k  # against the order in space
    data.Rows, data.Columns, data.SamplesPerPixel = 8, 6, 1
    data.PhotometricInterpretation, data.PixelRepresentation = "MONOCHROME2", 1
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelSpacing, data.SliceThickness = [0.8, 0.7], 2.5
    data.ImageOrientationPatient = [float(v) for v in TURN[:, :2].T.ravel()]
    data.ImagePositionPatient = [float(v) for v in np.array([10, 20, 30]) + 2.5 * k * TURN[:, 2]]
    data.RescaleSlope, data.RescaleIntercept = 2, -1024
    data.WindowCenter, data.WindowWidth = 40, 400
    big = syntax == ExplicitVRBigEndian
    data.PixelData = STORED[k].astype(">i2" if big else "<i2").tobytes()
    if change:
        change(data)
    if syntax == RLELossless:
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.compress(RLELossless)
    implicit = syntax == ImplicitVRLittleEndian
    pydicom.dcmwrite(path, data, implicit_vr=implicit, little_endian=not big, force_encoding=True)
    return path


def series(folder: Path, change: dict[int, Callable] | Callable | None = None, count: int = 5, **more) -> Path:
    folder.mkdir(exist_ok=True)
    for k in range(count):
        one = change.get(k) if isinstance(change, dict) else change
        slice_file(folder / f"f{(k * 3) % 7}.dcm", k, one, **more)
    return folder


def set_to(**values) -> Callable:
    def change(data: FileDataset) -> None:
        for key, value in values.items():
            if value is None:
                delattr(data, key)
            else:
                setattr(data, key, value)

    return change


def moved(vector) -> Callable:
    def change(data: FileDataset) -> None:
        data.ImagePositionPatient = [float(v) for v in np.array(data.ImagePositionPatient, float) + vector]

    return change


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_a_plain_series_is_exact(tmp_path: Path, syntax) -> None:
    volume = read(series(tmp_path / "s", syntax=syntax))
    assert isinstance(volume, Volume)
    np.testing.assert_array_equal(volume.array, STORED.astype(int) * 2 - 1024)
    np.testing.assert_allclose(volume.geometry.spacing_mm, (2.5, 0.8, 0.7), atol=1e-6)
    np.testing.assert_allclose(volume.geometry.direction, TURN, atol=1e-6)
    np.testing.assert_allclose(volume.geometry.origin_lps, (10, 20, 30), atol=1e-6)
    assert (volume.modality, volume.value_unit, volume.window) == ("CT", "HU", (-160.0, 240.0))
    assert volume.name == "CT 5, Thorax"
    assert volume.notes == ()


def test_no_patient_in_what_is_shown_row_60(tmp_path: Path) -> None:
    folder = series(tmp_path / "s")
    shown = repr((inspect(folder), read(folder).name, read(folder).notes, read(folder).source))
    assert "Secret" not in shown
    assert "12345" not in shown


@pytest.mark.parametrize("name", ["zoo-torchio-series", "zoo-dicom-seg"])
def test_real_series_equal_simpleitk(shared_data, name: str) -> None:
    found = inspect(shared_data(name))
    checked = 0
    for item in found.items:
        if item.kind != "volume" or item.geometry is None or len(item.files) < 2:
            continue
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(item.files[0].parent), item.series_uid))
        other = reader.Execute()
        if other.GetSize()[2] != len(item.files):
            continue
        volume = read(shared_data(name), item.id)
        np.testing.assert_allclose(volume.array, sitk.GetArrayFromImage(other), atol=1e-3)
        np.testing.assert_allclose(volume.geometry.spacing_mm, other.GetSpacing()[::-1], atol=1e-3)
        np.testing.assert_allclose(volume.geometry.origin_lps, other.GetOrigin(), atol=1e-3)
        np.testing.assert_allclose(volume.geometry.direction.ravel(), other.GetDirection(), atol=1e-4)
        checked += 1
    assert checked


def test_real_transfer_syntaxes_equal_the_uncompressed_original(shared_data) -> None:
    folder = shared_data("zoo-transfer-syntax-ct")
    plain = read(folder / "CTImage.dcm_LittleEndianImplicitTransferSyntax_1.2.840.10008.1.2.dcm").array
    names = (
        "BigEndianExplicit",
        "DeflatedExplicit",
        "JPEG2000LosslessOnly",
        "JPEGLSLossless",
        "JPEGProcess14",
        "RLELossless",
    )
    files = [f for f in sorted(folder.iterdir()) if any(f"CTImage.dcm_{n}" in f.name for n in names)]
    assert len(files) == 7
    for file in files:
        np.testing.assert_array_equal(read(file).array, plain, err_msg=file.name)


def test_row_18_two_series_are_listed_and_never_merged(tmp_path: Path) -> None:
    folder = series(tmp_path / "s")
    other = generate_uid(entropy_srcs=["other"])
    for k in range(2):
        slice_file(folder / f"o{k}.dcm", k, set_to(SeriesInstanceUID=other, SeriesDescription="Scout"))
    items = inspect(folder).items
    assert sorted((i.series_uid, i.shape) for i in items) == sorted([(SERIES, (5, 8, 6)), (other, (2, 8, 6))])
    with pytest.raises(InputError, match=r"choose one.*Thorax.*Scout|choose one.*Scout.*Thorax"):
        read(folder)
    assert read(folder, other).array.shape == (2, 8, 6)


@pytest.mark.parametrize(
    ("change", "odd_shape"),
    [
        ({2: set_to(ImageOrientationPatient=[1.0, 0, 0, 0, 0, -1])}, (1, 8, 6)),
        ({2: set_to(PixelSpacing=[0.8, 0.9])}, (1, 8, 6)),
        ({2: set_to(PixelSpacing=None)}, (1, 8, 6)),
        ({2: set_to(Rows=4, PixelData=bytes(48))}, (1, 4, 6)),
    ],
)
def test_row_19_mixtures_are_separate_items(tmp_path: Path, change, odd_shape) -> None:
    """The odd slice is an item of its own, and what it leaves behind is a stack with a gap, named."""
    folder = series(tmp_path / "s", change)
    found = inspect(folder)
    (odd,) = [i for i in found.items if len(i.files) == 1]
    (rest,) = [i for i in found.items if len(i.files) == 4]
    assert odd.shape == odd_shape
    assert odd.id != rest.id and odd.series_uid == rest.series_uid == SERIES
    with pytest.raises(InputError, match="several images here; choose one"):
        read(folder)
    with pytest.raises(ConsentNeededError, match=r"5\.00 mm between slices 2 and 3"):
        read(folder, rest.id)
    assert read(folder, odd.id).array.shape == odd_shape


def test_row_19_time_points_in_one_series_are_4d(tmp_path: Path) -> None:
    folder = series(tmp_path / "s", set_to(TemporalPositionIdentifier=1))
    later = (STORED[::-1] // 2).astype(np.int16)
    for k in range(5):
        slice_file(folder / f"t{k}.dcm", k, set_to(TemporalPositionIdentifier=2, PixelData=later[k].tobytes()))
    volume = read(folder)
    assert volume.axes == "tzyx"
    np.testing.assert_array_equal(volume.array, np.stack([STORED, later]).astype(int) * 2 - 1024)
    np.testing.assert_allclose(volume.geometry.spacing_mm, (2.5, 0.8, 0.7), atol=1e-6)


def test_row_20_equal_copies_are_dropped_with_a_note(tmp_path: Path) -> None:
    folder = series(tmp_path / "s")
    (folder / "copy.dcm").write_bytes((folder / "f3.dcm").read_bytes())
    volume = read(folder)
    np.testing.assert_array_equal(volume.array, STORED.astype(int) * 2 - 1024)
    assert any("cop" in note for note in volume.notes)
    assert len(inspect(folder).items[0].files) == 6


def test_row_20_differing_slices_at_one_place_are_asked_about(tmp_path: Path) -> None:
    folder = series(tmp_path / "s")
    other = (STORED[2] + 7).astype(np.int16)
    slice_file(folder / "other.dcm", 2, set_to(InstanceNumber=200, PixelData=other.tobytes()))
    with pytest.raises(ConsentNeededError) as asked:
        read(folder)
    assert asked.value.asks == "duplicates"
    assert inspect(folder).items[0].report.asks == "duplicates"
    for choice, plane in (("first", STORED[2]), ("last", other)):
        volume = read(folder, consent=Consent(duplicates=choice))
        np.testing.assert_array_equal(volume.array[2], plane.astype(int) * 2 - 1024)
        np.testing.assert_array_equal(volume.array[[0, 1, 3, 4]], STORED[[0, 1, 3, 4]].astype(int) * 2 - 1024)
        assert volume.source["consent"] == {"duplicates": choice}


def test_row_21_a_missing_slice_is_named_with_its_place(tmp_path: Path) -> None:
    folder = series(tmp_path / "s")
    (folder / "f6.dcm").unlink()  # slice 2
    with pytest.raises(ConsentNeededError, match=r"5\.00 mm between slices 2 and 3.*2\.50 mm is usual") as asked:
        read(folder)
    assert asked.value.asks == "resample"
    assert inspect(folder).items[0].geometry is None
    volume = read(folder, consent=Consent(resample=True))
    np.testing.assert_array_equal(volume.array[[0, 1, 3, 4]], (STORED[[0, 1, 3, 4]].astype(int) * 2 - 1024))
    between = (STORED[1].astype(int) + STORED[3]) - 1024
    assert np.abs(volume.array[2] - between).max() <= 1
    assert any("Resampled" in note for note in volume.notes)


def test_row_22_a_tilt_is_refused_with_its_angle(tmp_path: Path) -> None:
    slide = np.tan(np.radians(18)) * 2.5
    folder = series(tmp_path / "s", {k: moved(slide * k * TURN[:, 1]) for k in range(5)})
    with pytest.raises(ConsentNeededError, match=r"18\.0°"):
        read(folder)
    volume = read(folder, consent=Consent(resample=True))
    np.testing.assert_allclose(volume.geometry.spacing_mm, (2.5, 0.8, 0.7), atol=1e-4)
    np.testing.assert_allclose(volume.geometry.direction, TURN, atol=1e-4)
    # Slice 2 stands 2 * slide further along y; where that is k pixels, its row r lies at row r + k.
    rows = round(2 * slide / 0.8 * 1000) / 1000
    plane = STORED[2].astype(float) * 2 - 1024
    at = np.arange(8) - rows
    inside = np.flatnonzero((at >= 0) & (at <= 7))
    low = np.floor(at[inside]).astype(int)
    expected = plane[low] + (at[inside] - low)[:, None] * (plane[np.minimum(low + 1, 7)] - plane[low])
    assert np.abs(volume.array[2][inside] - expected).max() < 3


def test_row_22_real_tilt(shared_data) -> None:
    with pytest.raises(ConsentNeededError, match=r"18\.5°"):
        read(shared_data("zoo-ct-tilt/Philips_S2010"))


def test_row_24_a_multi_frame_file_is_a_stack_of_its_frames(tmp_path: Path) -> None:
    """A classic multi-frame file (secondary capture) states no place for its frames: they are shown, sides unknown."""
    frames = slice_file(tmp_path / "f.dcm", 0, set_to(NumberOfFrames=2, PixelData=STORED[:2].tobytes()))
    volume = read(frames)
    np.testing.assert_array_equal(volume.array.reshape(2, 8, 6), STORED[:2].astype(int) * 2 - 1024)


def test_row_23_real_mosaics_have_their_slices(shared_data) -> None:
    """Sizes as dcm2niix gives them (folder's README); grid and voxels are compared with its files in tests/zoo."""
    items = [i for i in inspect(shared_data("zoo-orientation-mosaic")).items if i.modality == "MR"]
    assert sorted(i.shape for i in items) == [(2, 35, 64, 64), (2, 35, 64, 64), (2, 36, 86, 86)]


def test_row_19_real_4d_opens_as_4d(shared_data) -> None:
    """GE functional MRI: dcm2niix gives 64 x 64 x 15 voxels and 10 time points of 5 mm slices (folder's README)."""
    found = inspect(shared_data("zoo-nih-ge-4d"))
    timed = [i for i in found.items if i.axes == "tzyx"]
    assert (10, 15, 64, 64) in [i.shape for i in timed]


def test_row_25_monochrome1_keeps_values(tmp_path: Path) -> None:
    volume = read(slice_file(tmp_path / "m.dcm", 1, set_to(PhotometricInterpretation="MONOCHROME1")))
    np.testing.assert_array_equal(volume.array[0], STORED[1].astype(int) * 2 - 1024)
    assert volume.inverted


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_to(PixelSpacing=None), "does not state a pixel spacing"),
        (set_to(PixelSpacing=[0.0, 0.0]), "does not state a pixel spacing"),
        (
            lambda d: (set_to(PixelSpacing=None)(d), setattr(d, "ImagerPixelSpacing", [0.14, 0.14])),
            "detector's pixel spacing",
        ),
    ],
)
def test_rows_8_and_9_spacing_is_never_invented(tmp_path: Path, change, words: str) -> None:
    for path in (series(tmp_path / "s", change), slice_file(tmp_path / "one.dcm", 0, change)):
        volume = read(path)
        assert not volume.geometry.spacing_known
        assert any(words in note for note in volume.notes)


def test_a_slice_without_a_position_is_an_image_of_its_own(tmp_path: Path) -> None:
    folder = series(tmp_path / "s", {3: set_to(ImagePositionPatient=None)})
    lost, rest = sorted(inspect(folder).items, key=lambda item: len(item.files))
    assert (len(lost.files), len(rest.files)) == (1, 4)
    assert not read(folder, lost.id).geometry.orientation_known
    with pytest.raises(ConsentNeededError, match="between slices 3 and 4"):
        read(folder, rest.id)


def test_rescale_of_each_slice(tmp_path: Path) -> None:
    volume = read(series(tmp_path / "s", {k: set_to(RescaleSlope=0.5 * (k + 1), RescaleIntercept=k) for k in range(5)}))
    expected = [STORED[k] * 0.5 * (k + 1) + k for k in range(5)]
    np.testing.assert_allclose(volume.array, expected, rtol=1e-6)


def test_dirty_high_bits_are_cleared(tmp_path: Path) -> None:
    clean = STORED[0] & 0x0FFF
    change = set_to(
        BitsStored=12, HighBit=11, PixelRepresentation=0, PixelData=(clean | 0x5000).astype("<u2").tobytes()
    )
    np.testing.assert_array_equal(
        read(slice_file(tmp_path / "d.dcm", 0, change)).array[0], clean.astype(int) * 2 - 1024
    )


def test_row_29_dicom_without_an_image(tmp_path: Path) -> None:
    def no_image(data: FileDataset) -> None:
        for key in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelData", "PixelRepresentation",
                    "SamplesPerPixel", "PhotometricInterpretation"):  # fmt: skip
            delattr(data, key)

    report = slice_file(tmp_path / "sr.dcm", 0, no_image)
    with pytest.raises(UnsupportedError, match=r"sr\.dcm: no image in this file"):
        read(report)
    folder = series(tmp_path / "s")
    (folder / "sr.dcm").write_bytes(report.read_bytes())
    assert read(folder).array.shape == (5, 8, 6)
    assert inspect(folder).skipped == (("sr.dcm", "no image in this file: the header of an image, without its pixels"),)


def test_rows_1_and_5_cut_or_lying_files(tmp_path: Path) -> None:
    whole = slice_file(tmp_path / "w.dcm", 0).read_bytes()
    for keep in (0, 100, 131, 140, 400, len(whole) - 50, len(whole) - 1):
        (tmp_path / "c.dcm").write_bytes(whole[:keep])
        with pytest.raises(InputError):
            read(tmp_path / "c.dcm")
    with pytest.raises(IncompleteFileError, match="incomplete"):
        read(slice_file(tmp_path / "rows.dcm", 0, set_to(Rows=65535)))


def test_row_28_no_preamble(tmp_path: Path) -> None:
    data = pydicom.dcmread(slice_file(tmp_path / "a.dcm", 2, syntax=ImplicitVRLittleEndian))
    del data.file_meta
    data.preamble = None
    data.save_as(tmp_path / "bare", implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert (tmp_path / "bare").read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read(tmp_path / "bare").array[0], STORED[2].astype(int) * 2 - 1024)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zoo-pydicom", "zoo-fodicom-bugs", "zoo-charset"])
def test_the_zoo_gives_images_or_words(shared_data, name: str) -> None:
    """Rows 26 to 30: every real odd file is a volume or a named error, never another exception or a warning."""
    read_files = 0
    for path in sorted(shared_data(name).rglob("*")):
        if path.is_file():
            try:
                read(path)
                read_files += 1
            except MedcnnError as error:
                assert str(error).isprintable()
    assert read_files > 3


def test_single_real_files_equal_pydicom(shared_data) -> None:
    """Row 26: colours and RLE equal pydicom's own decoding."""
    folder = shared_data("zoo-pydicom")
    for name in ("SC_rgb_rle.dcm", "MR_small_RLE.dcm", "SC_ybr_full_422_uncompressed.dcm", "ExplVR_BigEnd.dcm"):
        path = folder / name
        if path.exists():
            np.testing.assert_array_equal(read(path).array[0], pydicom.dcmread(path).pixel_array, err_msg=name)
