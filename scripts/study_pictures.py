"""Pictures of the study browser for the docs: ``python scripts/study_pictures.py --out docs/images``.

Shows a made-up hospital's folder, written here from the phantom with the tests' own DICOM writer.  Run it on a screen
of 1366x768; the width of the screen stands in the file names.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from highdicom.color import CIELabColor
from qtpy.QtWidgets import QWidget

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from dicom_files import CR, MR, uid, write_image, write_series, write_times  # noqa: E402
from napari_medcnn.io.samples import phantom  # noqa: E402
from napari_medcnn.widgets.demo_window import save_picture, settle, wait_until  # noqa: E402
from napari_medcnn.widgets.dock import MedcnnDock  # noqa: E402
from napari_medcnn.widgets.launch import open_window  # noqa: E402
from seg_files import FULL, write_seg  # noqa: E402

ADA = {"PatientName": "Example^Ada", "PatientID": "DEMO-1", "PatientBirthDate": "19551210"}
BERT = {"PatientName": "Example^Bert", "PatientID": "DEMO-2", "PatientBirthDate": "19480229"}
SPACING, ORIGIN = (3.0, 0.8, 0.8), (-50.8, -50.8, -70.5)


def series(study: str, number: int, description: str, person: dict[str, str], date: str) -> dict[str, Any]:
    """Return the tags of one series."""
    return {
        **FULL, **person, "StudyInstanceUID": uid(study), "SeriesInstanceUID": uid(study, number),
        "StudyDescription": study, "StudyDate": date, "SeriesDate": date, "SeriesNumber": number,
        "SeriesDescription": description, "RescaleIntercept": 0.0, "RescaleSlope": 1.0, "RescaleType": "HU",
    }  # fmt: skip


def _named(data: Any) -> None:
    data.SeriesDescription, data.SeriesDate, data.ContentDate = "Organs", "20260512", "20260512"
    looks = {"Liver": (230, 159, 0), "Kidney": (86, 180, 233), "Bone": (0, 158, 115)}
    for segment, (label, colour) in zip(data.SegmentSequence, looks.items(), strict=True):
        segment.SegmentLabel = label
        segment.RecommendedDisplayCIELabValue = list(CIELabColor.from_rgb(*colour).value)


def write_hospital(folder: Path) -> None:
    """Write two patients: a scan with its mask, and one series for each thing that is noticed."""
    scan, truth = phantom()
    voxels = scan.array.astype(np.int16)
    abdomen: Callable[[int, str], dict[str, Any]] = lambda n, words: series("Abdomen", n, words, ADA, "20260512")  # noqa: E731
    sources = write_series(folder / "1", voxels, SPACING, abdomen(2, "Abdomen 3 mm"), origin=ORIGIN)
    write_seg(folder / "mask" / "mask.dcm", sources, truth.array, "BINARY", change=_named)
    write_series(folder / "2", voxels[::2], (6.0, 0.8, 0.8), abdomen(3, "Tilted"), origin=ORIGIN, step=(0, 2.1, 6.0))
    kept = [k for k in range(24) if k not in (9, 10)]
    gap = abdomen(4, "Two slices missing")
    for k in kept:
        write_series(folder / "3", voxels[2 * k : 2 * k + 1], (6.0, 0.8, 0.8), gap, lambda _k, k=k: {
            "InstanceNumber": k + 1, "ImagePositionPatient": [ORIGIN[0], ORIGIN[1], ORIGIN[2] + 6.0 * k]},
            origin=ORIGIN, name=f"g{k}-")  # fmt: skip
    twice = abdomen(5, "Sent twice")
    for copy in range(2):
        write_series(folder / "4", voxels[::4] + copy, (12.0, 0.8, 0.8), twice, origin=ORIGIN, name=f"c{copy}-")
    chest = {**series("Chest", 1, "Chest PA", ADA, "20260601"), "Modality": "CR", "PatientOrientation": ["L", "F"]}
    chest |= {"RescaleType": None, "ImagePositionPatient": None, "ImageOrientationPatient": None}
    flat = (voxels.max(axis=1)[::-1].repeat(3, axis=0) + 1024).astype(np.uint16)
    write_image(folder / "5" / "a.dcm", flat, {**chest, "ImagerPixelSpacing": [0.14, 0.14]}, sop_class=CR)
    other = {**chest, "SeriesInstanceUID": uid("secondary"), "SeriesNumber": 2, "SeriesDescription": "Scanned film"}
    write_image(folder / "6" / "a.dcm", flat, other, sop_class=CR)
    head = {**series("Head", 7, "Diffusion", BERT, "20251103"), "Modality": "MR", "RescaleType": None}
    steps = np.stack([np.clip((voxels[::4] + 1024) * f, 0, 4000).astype(np.int16) for f in (1.0, 0.6, 0.35)])
    write_times(folder / "7", steps, lambda t: {"DiffusionBValue": (0.0, 800.0, 1000.0)[t]},
                spacing=(12.0, 0.8, 0.8), tags=head, sop_class=MR, origin=ORIGIN)  # fmt: skip


def idle(dock: MedcnnDock) -> None:
    """Wait until nothing runs."""
    for _ in range(3):
        wait_until(lambda: not dock.tasks.names() and not dock.scan.tree.is_filling)
        settle(0.3)


def pick(dock: MedcnnDock, words: str, opens: bool = True) -> None:
    """Choose a series by words of its title, and open it."""
    items = dock.session.found.items if dock.session.found is not None else ()
    item = next(item for item in items if words in item.title)
    dock.scan.tree.choose(item.id)
    if opens:
        dock.scan.tree.opened.emit(item.id)
    idle(dock)


def main(arguments: list[str]) -> int:
    """Take all pictures."""
    parser = argparse.ArgumentParser(prog="python scripts/study_pictures.py")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    out: Path = parser.parse_args(arguments).out
    viewer, dock = open_window()
    screen = dock.screen().availableGeometry()
    viewer.window.resize(screen.width(), screen.height())

    def take(name: str) -> None:
        for note in dock.window().findChildren(QWidget):
            if type(note).__name__ == "NapariQtNotification":  # napari's own about the Qt binding
                note.close()
        save_picture(viewer, out / f"{name}-{screen.width()}.png")

    wait_until(lambda: dock.link.engine.state != "starting")
    settle(1.0)
    with tempfile.TemporaryDirectory() as folder:
        write_hospital(Path(folder) / "export")
        dock.open_path(Path(folder) / "export")
        idle(dock)
        take("studies")
        for words, name in (("Tilted", "tilt"), ("Two slices", "gap"), ("Sent twice", "duplicates")):
            pick(dock, words, opens=False)
            take(f"notice-{name}")
        pick(dock, "Tilted", opens=False)
        dock.scan.notices.answer_buttons()[0].click()
        idle(dock)
        take("resampled")
        pick(dock, "Scanned film")
        take("spacing-unknown")
        pick(dock, "Chest PA")
        take("detector-spacing")
        pick(dock, "Abdomen 3 mm")
        pick(dock, "Organs")
        take("segmentation")
        dock.header.names.click()
        idle(dock)
        take("names-hidden")
        pick(dock, "Abdomen 3 mm", opens=False)
        dock.scan.tree.header.click()
        idle(dock)
        window = dock.browsing.viewer
        if window is not None:
            window.search.setText("patient")
            settle()
            window.grab().save(str(out / "header-names-hidden.png"))
            window.close()
    viewer.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
