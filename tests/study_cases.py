"""Studies made by hand: what a folder may hold, without files behind it."""

from __future__ import annotations

from pathlib import Path

from napari_medcnn.core.consent import Report
from napari_medcnn.io.found import Found, Item, Person, Study

ANNA = Person("MUELLER^ANNA", "K-4711", "1961-05-04", "F")
BERT = Person("SCHMIDT^BERT", "K-0815", "1950-12-24", "M")
CHEST = Study("1.1", "2024-03-01", "Chest CT", ANNA)
CONTROL = Study("1.2", "2024-09-12", "Control after therapy of Mueller", ANNA)
HEAD = Study("2.1", "2023-01-31", "Head MR", BERT)


def series(uid: str, title: str, study: Study | None, shape: tuple[int, ...] = (60, 512, 512), **more) -> Item:
    axes = {3: "zyx", 4: "tzyx"}.get(len(shape), "")
    kind = more.pop("kind", "volume")
    modality = more.pop("modality", title.split()[0] if study else "")
    date = study.date if study else ""
    return Item(uid, kind, axes, shape, "int16", None, modality, title=title, study=study, date=date, **more)


def hospital() -> Found:
    """Return two patients, three studies, a mask, what asks, what is refused, and a plain file."""
    tilt = Report(found=("Gantry tilt 18.6°.",), refused=("The slices are tilted by 18.6°.",), asks="resample")
    dose = Report(refused=("a dose report, not an image",))
    items = (
        series("a", "CT 5, Thorax 1 mm", CHEST, description="Thorax 1 mm"),
        series("b", "CT 6, Skull", CHEST, (), report=tilt, warnings=tilt.warnings),
        series("c", "Lung lobes", CHEST, kind="labels", modality="SEG"),
        series("d", "CT 2, Thorax", CONTROL, report=Report(assumed=("6 equal copies of slices were left out.",))),
        series("e", "MR 3, fMRI", HEAD, (10, 30, 64, 64), report=Report(found=("10 time points, every 2 s.",))),
        series("f", "SR 9, Dose", HEAD, (), kind="other", report=dose, warnings=dose.warnings),
        series("mueller_anna.nii.gz", "mueller_anna.nii.gz", None),
    )
    return Found(Path("export"), items, (("x/1.txt", "not an image"), ("x/2.txt", "not an image")))
