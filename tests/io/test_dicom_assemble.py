"""From parts to volumes: values, fields, consent, memory, cancelling."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_files import CR, CT, MR, RT_DOSE, write_image, write_series, write_times
from dicom_streams import J2K, grey, j2k, write_encoded
from napari_medcnn.core.consent import NONE, Consent, Report
from napari_medcnn.core.events import Preview, Progress
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import ConsentNeededError, GeometryError, IncompleteFileError, UnsupportedError
from napari_medcnn.io.dicom.assemble import read_part, read_part_steps, read_plane
from napari_medcnn.io.dicom.facts import Frame, Part, Plane
from napari_medcnn.io.dicom.gate import sort_series
from napari_medcnn.io.dicom.headers import read_header

RESAMPLE = Consent(resample=True)


def part_of(folder: Path) -> Part:
    (part,) = sort_series([read_header(p) for p in sorted(folder.rglob("*.dcm"))])
    return part


def by_hand(paths: list[Path], **more: object) -> Part:
    """Return one part of single-frame files in this order, on a plain grid, without the gate."""
    planes = tuple(Plane(h, h.frames[0]) for h in map(read_header, paths))
    stored = planes[0].header.stored
    assert stored is not None
    shape = (len(planes), stored.rows, stored.columns)
    return replace(Part("p", "CT 5", (planes,), "zyx", shape, Geometry(shape, (2.5, 0.8, 0.7))), **more)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).integers(-1000, 2000, shape).astype(np.int16)


def test_a_plain_series_comes_with_all_that_its_files_state(tmp_path: Path) -> None:
    voxels = noise(6, 5, 4)
    tags = {
        "RescaleSlope": 1, "RescaleIntercept": -24, "WindowCenter": [40, 300], "WindowWidth": [400, 1500],
        "WindowCenterWidthExplanation": ["SOFT", "BONE"], "Laterality": "L", "PatientOrientation": ["L", "P"],
        "ImagerPixelSpacing": [0.2, 0.1], "FrameOfReferenceUID": "1.2.3",
    }  # fmt: skip
    write_series(tmp_path, voxels, tags=tags)
    volume = read_part(part_of(tmp_path))
    assert (volume.axes, volume.array.dtype, volume.value_unit) == ("zyx", np.int16, "HU")
    np.testing.assert_array_equal(volume.array, voxels - 24)
    assert volume.windows == (("SOFT", -160.0, 240.0), ("BONE", -450.0, 1050.0))
    assert volume.window == (-160.0, 240.0)
    assert (volume.laterality, volume.frame_of_reference) == ("L", "1.2.3")
    assert (volume.patient_orientation, volume.detector_mm) == (("L", "P"), (0.2, 0.1))
    assert (volume.modality, volume.name, volume.inverted) == ("CT", "CT 5, Thorax", False)
    assert volume.geometry.spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    assert "Secret" not in repr(volume)
    assert "12345" not in repr(volume)


def test_first_a_preview_of_the_middle_then_progress_then_the_volume(tmp_path: Path) -> None:
    voxels = noise(7, 5, 4)
    write_series(tmp_path, voxels)
    steps = read_part_steps(part_of(tmp_path))
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            volume: Volume = end.value
            break
    preview = events[0]
    assert isinstance(preview, Preview)
    np.testing.assert_array_equal(preview.value.array[0], voxels[3])
    np.testing.assert_allclose(
        preview.value.geometry.index_to_lps((0, 0, 0)), volume.geometry.index_to_lps((3, 0, 0)), atol=1e-9
    )
    rest = events[1:]
    assert rest
    assert all(isinstance(e, Progress) for e in rest)
    fractions = [e.fraction for e in rest]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1


def test_closing_cancels_and_ends_the_threads(tmp_path: Path) -> None:
    paths = [write_encoded(tmp_path / f"{k}.dcm", [j2k(grey())], grey(), J2K) for k in range(40)]
    steps = read_part_steps(by_hand(paths))
    assert isinstance(next(steps), Preview)
    next(steps)
    steps.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("medcnn-read")]


def test_an_error_in_one_file_ends_all(tmp_path: Path) -> None:
    paths = [write_encoded(tmp_path / f"{k}.dcm", [j2k(grey())], grey(), J2K) for k in range(12)]
    part = by_hand(paths)
    paths[9].write_bytes(paths[9].read_bytes()[:-200])
    with pytest.raises(IncompleteFileError, match=r"9\.dcm"):
        read_part(part)
    assert not [t for t in threading.enumerate() if t.name.startswith("medcnn-read")]


# Types


def test_the_type_is_the_narrowest_that_holds_every_slice(tmp_path: Path) -> None:
    """40,000 in one slice does not fit int16, whichever slice it is."""
    for k in range(5):
        stored = np.full((5, 3, 4), 1000, np.uint16)
        stored[k, 1, 2] = 41024
        folder = tmp_path / str(k)
        write_series(folder, stored, tags={"RescaleSlope": 1, "RescaleIntercept": -1024})
        volume = read_part(part_of(folder))
        assert volume.array.dtype == np.int32
        np.testing.assert_array_equal(volume.array, stored.astype(np.int32) - 1024)


def test_one_broken_slope_makes_all_floats(tmp_path: Path) -> None:
    stored = np.full((5, 3, 4), 7, np.int16)
    write_series(tmp_path, stored, each=lambda k: {"RescaleSlope": 0.5 if k == 4 else 2, "RescaleIntercept": 0})
    volume = read_part(part_of(tmp_path))
    assert volume.array.dtype == np.float32
    assert volume.array[:, 0, 0].tolist() == [14, 14, 14, 14, 3.5]


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("dtype", ["u2", "i2"])
@pytest.mark.parametrize("rescale", [(1, 0), (1, -1024), (2, 5)])
def test_reading_in_place_equals_reading_plane_by_plane(
    tmp_path: Path, bits: int, dtype: str, rescale: tuple[int, int]
) -> None:
    top = 2 ** (bits - (dtype == "i2"))
    stored = np.random.default_rng(0).integers(-top if dtype == "i2" else 0, top, (5, 6, 7)).astype(dtype)
    stored[1] //= 16  # one slice that would fit a narrower type
    tags = {"BitsStored": bits, "HighBit": bits - 1, "RescaleSlope": rescale[0], "RescaleIntercept": rescale[1]}
    write_series(tmp_path, stored, tags=tags)
    volume = read_part(part_of(tmp_path))
    np.testing.assert_array_equal(volume.array, stored.astype(np.int64) * rescale[0] + rescale[1])
    assert volume.array.dtype.kind in "iu"


def test_monochrome1_is_marked_and_kept(tmp_path: Path) -> None:
    stored = noise(4, 5)
    path = write_image(tmp_path / "a.dcm", stored, {"PhotometricInterpretation": "MONOCHROME1"}, sop_class=CR)
    volume = read_part(by_hand([path]))
    assert volume.inverted
    np.testing.assert_array_equal(volume.array[0], stored)


def test_colours_have_names(tmp_path: Path) -> None:
    colours = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    volume = read_part(by_hand([write_image(tmp_path / "a.dcm", colours)]))
    assert (volume.axes, volume.channel_names, volume.windows) == ("zyxc", ("red", "green", "blue"), ())
    np.testing.assert_array_equal(volume.array[0], colours)


def test_a_grey_picture_three_pixels_wide_is_no_colour(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.dcm", noise(4, 3))
    assert read_part(by_hand([path])).axes == "zyx"


def test_dose_is_in_gray(tmp_path: Path) -> None:
    tags = {"DoseUnits": "GY", "DoseGridScaling": 0.001, "GridFrameOffsetVector": [0, 2], "Modality": "RTDOSE",
            "ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [1, 1]}  # fmt: skip
    path = write_image(tmp_path / "a.dcm", np.full((2, 4, 5), 2500, np.uint16), tags, sop_class=RT_DOSE)
    volume = read_part(part_of(path.parent))
    assert volume.value_unit == "Gy"
    np.testing.assert_allclose(volume.array, 2.5, rtol=1e-6)


def test_the_files_own_table_is_offered_as_its_range(tmp_path: Path) -> None:
    """A table of 100 entries that begins at 50 maps 50 to 149 (PS3.3 C.11.2.1.1)."""

    def table(data: Dataset) -> None:
        item = Dataset()
        item.LUTDescriptor = [100, 50, 16]
        item["LUTDescriptor"].VR = "US"
        item.LUTData = list(range(100))
        item["LUTData"].VR = "US"
        data.VOILUTSequence = Sequence([item])

    path = write_image(tmp_path / "a.dcm", noise(4, 5), change=table)
    volume = read_part(by_hand([path]))
    assert volume.windows == (("the file's own display table", 50.0, 149.0),)
    assert volume.window == (50.0, 149.0)


def test_time_points_with_their_values(tmp_path: Path) -> None:
    voxels = noise(3, 4, 5, 6)
    write_times(tmp_path, voxels, lambda t: {"TemporalPositionIdentifier": t + 1, "EchoTime": 2.0}, sop_class=MR)
    part = part_of(tmp_path)
    volume = read_part(part)
    assert volume.axes == "tzyx"
    np.testing.assert_array_equal(volume.array, voxels)
    assert (volume.frame_values, volume.frame_unit, volume.frame_name) == (
        part.frame_values, part.frame_unit, part.frame_name,
    )  # fmt: skip


def test_read_plane_is_one_slice(tmp_path: Path) -> None:
    voxels = noise(3, 4, 5)
    write_series(tmp_path, voxels)
    part = part_of(tmp_path)
    np.testing.assert_array_equal(read_plane(part, 0, 2), voxels[2])
    with pytest.raises(UnsupportedError, match="no picture 4"):
        read_plane(part, 0, 3)


# Consent


def tilted(tmp_path: Path, times: int = 1) -> tuple[Part, np.ndarray]:
    """Write a stack whose slices slide by half a pixel along y (0.4 mm) for each 2 mm: the value is the world's y."""
    depth, rows, columns, step = 9, 24, 8, (0.0, 0.4, 2.0)
    y = np.arange(rows)[:, np.newaxis] * 0.8
    voxels = np.stack([np.broadcast_to(100 * (y + k * step[1]), (rows, columns)) for k in range(depth)])
    several = np.stack([np.rint(voxels + 1000 * t) for t in range(times)]).astype(np.int16)
    write_times(
        tmp_path, several, lambda t: {"TemporalPositionIdentifier": t + 1}, sop_class=CT, spacing=(2.0, 0.8, 0.7),
        step=step, origin=(0.0, 0.0, 0.0),
    )  # fmt: skip
    return part_of(tmp_path), several


@pytest.mark.parametrize("times", [1, 2])
def test_row_22_a_tilted_stack_opens_by_consent_only(tmp_path: Path, times: int) -> None:
    part, _ = tilted(tmp_path, times)
    with pytest.raises(ConsentNeededError, match=r"11\.3°.*resampling") as refusal:
        read_part(part)
    assert refusal.value.asks == "resample"
    volume = read_part(part, RESAMPLE)
    assert volume.geometry.spacing_mm == pytest.approx((2.0, 0.8, 0.7))
    agreed = next(note for note in volume.notes if "as agreed" in note)
    assert agreed.endswith("do not stand at right angles to the stack.")  # what was done needs no advice any more
    assert volume.array.dtype == np.int16
    first = volume.array if times == 1 else volume.array[0]
    y = np.array([volume.geometry.index_to_lps((4, row, 3))[1] for row in range(volume.geometry.shape[1])])
    inside = (y > 4 * 0.4) & (y < 4 * 0.4 + 23 * 0.8)  # where the fourth slice has something to interpolate
    np.testing.assert_allclose(first[4, inside, 3], 100 * y[inside], atol=1.0)
    if times == 2:
        np.testing.assert_allclose(volume.array[1, 4, inside, 3], 100 * y[inside] + 1000, atol=1.0)


def test_row_21_uneven_gaps_are_filled_by_consent_only(tmp_path: Path) -> None:
    """Slices at 0, 2, 4, 8, 10 mm hold ten times their place; at 6 mm stands 60 by linear interpolation."""
    places = [0.0, 2.0, 4.0, 8.0, 10.0]
    voxels = np.stack([np.full((4, 5), round(10 * p), np.int16) for p in places])
    write_series(tmp_path, voxels, each=lambda k: {"ImagePositionPatient": [0, 0, places[k]]}, spacing=(2.0, 0.8, 0.7))
    part = part_of(tmp_path)
    with pytest.raises(ConsentNeededError) as refusal:
        read_part(part)
    assert refusal.value.asks == "resample"
    volume = read_part(part, RESAMPLE)
    assert volume.array[:, 0, 0].tolist() == [0, 20, 40, 60, 80, 100]
    assert volume.geometry.spacing_mm == pytest.approx((2.0, 0.8, 0.7))
    preview = next(read_part_steps(part, RESAMPLE))
    assert isinstance(preview, Preview)
    assert not preview.value.geometry.spacing_known


def test_colour_stacks_are_not_resampled(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{k}.dcm", np.full((4, 5, 3), k, np.uint8)) for k in range(3)]
    part = by_hand(
        paths, geometry=None, positions_mm=np.array([0.0, 1.0, 3.0]), report=Report(refused=("Gaps.",), asks="resample")
    )
    with pytest.raises(UnsupportedError, match="colour"):
        read_part(part, RESAMPLE)


def test_row_20_conflicting_images_at_one_place_are_chosen_by_consent(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{k}.dcm", np.full((4, 5), k, np.int16)) for k in range(5)]
    headers = [read_header(p) for p in paths]
    others = tuple((0, 1, Plane(h, h.frames[0])) for h in headers[3:])  # second slice: 1, then 3, then 4
    part = by_hand(paths[:3], duplicates=others, report=Report(refused=("Two differ.",), asks="duplicates"))
    with pytest.raises(ConsentNeededError, match=r"Two differ.*'duplicates'") as refusal:
        read_part(part, NONE)
    assert refusal.value.asks == "duplicates"
    assert read_part(part, Consent(duplicates="first")).array[:, 0, 0].tolist() == [0, 1, 2]
    last = read_part(part, Consent(duplicates="last"))
    assert last.array[:, 0, 0].tolist() == [0, 4, 2]
    assert any("3 differing images at 1 places the last was taken" in note for note in last.notes)


def test_what_never_opens_says_why(tmp_path: Path) -> None:
    refused = Report(refused=("Its images lie in different orientations",))
    with pytest.raises(UnsupportedError, match="CT 5: Its images lie in different orientations"):
        read_part(Part("p", "CT 5", report=refused), Consent(resample=True, duplicates="first"))
    path = write_image(tmp_path / "a.dcm", noise(4, 5))
    with pytest.raises(UnsupportedError, match="orientations"):
        read_part(by_hand([path], report=refused), RESAMPLE)
    with pytest.raises(GeometryError, match="orientations"):
        read_part(by_hand([path], geometry=None, report=refused), RESAMPLE)


def test_planes_of_another_size_are_refused(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{k}.dcm", noise(4, 5 + (k == 2))) for k in range(3)]
    with pytest.raises(UnsupportedError, match=r"4 x 6.*4 x 5"):
        read_part(by_hand(paths))


# Many frames, memory


def test_a_mosaic_of_tiles_and_a_file_of_many_frames(tmp_path: Path) -> None:
    sheets = np.arange(2 * 8 * 8, dtype=np.uint16).reshape(2, 8, 8)
    headers = [read_header(write_image(tmp_path / f"{k}.dcm", sheets[k])) for k in range(2)]
    tiles = [(0, 0, 4, 4), (0, 4, 4, 4), (4, 0, 4, 4), (4, 4, 4, 4)]
    planes = tuple(tuple(Plane(h, Frame(tile=t)) for t in tiles) for h in headers)
    part = Part("p", "MR", planes, "tzyx", (2, 4, 4, 4), Geometry((4, 4, 4)))
    expected = sheets.reshape(2, 2, 4, 2, 4).swapaxes(2, 3).reshape(2, 4, 4, 4)
    np.testing.assert_array_equal(read_part(part).array, expected)

    many = np.random.default_rng(0).integers(0, 4000, (50, 6, 7)).astype(np.uint16)
    header = read_header(write_image(tmp_path / "many.dcm", many))
    order = list(reversed(header.frames))
    part = Part("p", "MR", (tuple(Plane(header, f) for f in order),), "zyx", many.shape, Geometry(many.shape))
    np.testing.assert_array_equal(read_part(part).array, many[::-1])


_CHILD = r"""
import json, sys, tracemalloc
from pathlib import Path
from napari_medcnn.io.dicom.assemble import read_part
from napari_medcnn.io.dicom.gate import sort_series
from napari_medcnn.io.dicom.headers import read_header
read_header(Path(sys.argv[2])); read_part(sort_series([read_header(Path(sys.argv[2]))])[0])
tracemalloc.start()
(part,) = sort_series([read_header(p) for p in sorted(Path(sys.argv[1]).iterdir())])
array = read_part(part).array
print(json.dumps([tracemalloc.get_traced_memory()[1] / array.nbytes, str(array.dtype)]))
"""


@pytest.mark.parametrize("kind", ["int16", "high bits", "wide at the end"])
def test_memory_stays_near_the_volume(tmp_path: Path, kind: str) -> None:
    """At most 1.1 times the volume at any moment; 48 MB of voxels drown what else is taken.

    What is allocated is counted, NumPy's arrays included: resident memory also holds what the system keeps or drops
    of files under load.
    """
    plane = np.arange(512 * 512, dtype=np.uint16).reshape(512, 512) % 4000
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024}
    if kind == "high bits":
        tags |= {"BitsStored": 12, "HighBit": 11}
        plane = plane | 0xF000
    stored = np.broadcast_to(plane, (96, 512, 512))
    if kind == "wide at the end":
        stored = stored.copy()
        stored[-1, 0, 0] = 60000
    write_series(tmp_path / "series", stored, tags=tags)
    one = write_image(tmp_path / "one.dcm", noise(4, 5))
    out = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path / "series"), str(one)], capture_output=True, text=True, check=True
    )
    share, dtype = json.loads(out.stdout)
    assert dtype == ("int32" if kind == "wide at the end" else "int16")
    assert share <= 1.1
