"""DICOM files without a series number: offered as one only where nothing speaks against it, never merged unasked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_files import uid, write_image, write_series
from napari_medcnn.api import read
from napari_medcnn.cli.main import main
from napari_medcnn.core.consent import Consent
from napari_medcnn.errors import ConsentNeededError
from napari_medcnn.io.folder import scan_steps
from napari_medcnn.io.found import Found

VOXELS = np.random.default_rng(4).integers(-500, 900, (20, 8, 6)).astype(np.int16)
LOST = {"SeriesInstanceUID": None}


def scan(*folders: Path) -> Found:
    steps = scan_steps(folders)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def one_by_one(folder: Path, count: int) -> None:
    items = scan(folder).items
    assert len(items) == count and len({item.id for item in items}) == count
    for item in items:
        assert f"{count} such files are shown one by one" in item.warnings[0]


def test_twenty_slices_are_one_item_that_asks(tmp_path: Path) -> None:
    write_series(tmp_path, VOXELS, tags=LOST)
    (item,) = scan(tmp_path).items
    assert (item.kind, item.shape, item.report.asks) == ("volume", (20, 8, 6), "unnumbered")
    assert "No series number (SeriesInstanceUID) in these 20 files" in " ".join(item.warnings)
    with pytest.raises(ConsentNeededError, match="No series number") as asked:
        read(tmp_path)
    assert asked.value.asks == "unnumbered"
    volume = read(tmp_path, consent=Consent(unnumbered=True))
    np.testing.assert_array_equal(volume.array, VOXELS)
    assert volume.geometry.spacing_mm == (2.5, 0.8, 0.7)
    assert any("without a series number were taken as one series, as agreed" in note for note in volume.report.assumed)


def test_the_id_stays_when_the_folder_moves(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_series(tmp_path / name, VOXELS[:4], tags=LOST, each=lambda k: {"SOPInstanceUID": uid("sop", k)})
    first, second = (scan(tmp_path / name).items[0].id for name in ("a", "b"))
    assert first == second and first.startswith("unnumbered-")


WRONG: dict[str, Callable[[int], dict[str, Any]]] = {
    "two kernels in turn": lambda k: {"ConvolutionKernel": ("B30", "B70")[k % 2]},
    "a gap": lambda k: {"ImagePositionPatient": [10, 20, 30 + 2.5 * (k + 3 * (k > 4))]},
    "two images at one place": lambda k: {"ImagePositionPatient": [10, 20, 30 + 2.5 * (k // 2)]},
    "numbers that repeat": lambda k: {"InstanceNumber": k % 5 + 1},
    "a tilt": lambda k: {"ImagePositionPatient": [10, 20 + 0.9 * k, 30 + 2.5 * k]},
    "a patient each": lambda k: {"PatientID": f"P{k}"},
    "a study each": lambda k: {"StudyInstanceUID": uid("study", k)},
    "a space each": lambda k: {"FrameOfReferenceUID": uid("space", k)},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_speaks_against_one_series_leaves_them_one_by_one(tmp_path: Path, wrong: str) -> None:
    write_series(tmp_path, VOXELS[:10], tags=LOST, each=WRONG[wrong])
    one_by_one(tmp_path, 10)


def test_two_stacks_are_two_offers_and_folders_are_never_mixed(tmp_path: Path) -> None:
    """Axial and sagittal of one study beside each other; and the halves of one stack in two folders."""
    sagittal = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]], float)
    write_series(tmp_path / "1", VOXELS[:5], tags=LOST)
    write_series(tmp_path / "1", VOXELS[:6], tags=LOST, direction=sagittal, name="sag")
    assert sorted(item.shape[0] for item in scan(tmp_path / "1").items) == [5, 6]
    for half in (0, 1):
        write_series(tmp_path / f"half{half}", VOXELS[:5], tags=LOST, origin=(10.0, 20.0, 30.0 + 12.5 * half))
    assert [i.shape[0] for i in scan(tmp_path / "half0", tmp_path / "half1").items] == [5, 5]


def test_pictures_without_a_place_and_a_file_alone_say_so(tmp_path: Path) -> None:
    for k in range(3):
        write_image(tmp_path / "xray" / f"{k}.dcm", np.full((8, 9), k, np.uint16), LOST)
    one_by_one(tmp_path / "xray", 3)
    write_image(tmp_path / "one" / "a.dcm", np.zeros((8, 9), np.uint16), LOST)
    (item,) = scan(tmp_path / "one").items
    assert "No series number (SeriesInstanceUID) in this file; it is shown alone." in item.warnings
    assert item.report.asks == ""


def test_info_and_convert_say_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_series(tmp_path / "in", VOXELS, tags=LOST)
    assert main(["info", str(tmp_path / "in")]) == 0
    assert "No series number (SeriesInstanceUID) in these 20 files" in capsys.readouterr().out
    assert main(["info", str(tmp_path / "in"), "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert "No series number" in " ".join(item["warnings"]) and item["report"]["asks"] == "unnumbered"
    out = tmp_path / "out.nii.gz"
    assert main(["convert", str(tmp_path / "in"), str(out)]) == 1
    assert "--unnumbered" in capsys.readouterr().err and not out.exists()
    assert main(["convert", str(tmp_path / "in"), str(out), "--unnumbered"]) == 0
    np.testing.assert_array_equal(read(out).array, VOXELS)
