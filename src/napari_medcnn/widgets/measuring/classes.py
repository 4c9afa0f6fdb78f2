"""Values of the scan under each class of the mask, counted in a task."""

from __future__ import annotations

from dataclasses import dataclass

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.quantity import number, size_words, unit_words
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import Cancelled, InputError
from napari_medcnn.imaging.region_stats import Values, class_stats
from napari_medcnn.io.measures_file import Cell, Table
from napari_medcnn.widgets.measuring.rows import RESEARCH
from napari_medcnn.widgets.tasks import Work

COUNTING = "Counting classes"
HEADS = ("Class", "Volume", "Voxels", "Channel", "Mean", "SD", "Min", "Max")


@dataclass(frozen=True)
class ClassRow:
    """One class, and one channel of a scan of several."""

    name: str
    channel: str
    values: Values


@dataclass(frozen=True)
class Counted:
    """Rows of every class, what a voxel measures in mm3 (None where it is not stated), and the unit of the values."""

    rows: tuple[ClassRow, ...]
    voxel_mm3: float | None
    unit: str


def count(scan: Volume, mask: LabelMap, frame: int) -> Work:
    """Count the values of one time point under each class: the result is `Counted`."""

    def work(cancel: Cancel) -> Events:
        if mask.array.shape != scan.geometry.shape:
            raise InputError("The mask does not lie on the open scan; open the scan it belongs to.")
        array, rows = scan.frame(frame).array, []
        planes = [array[..., c] for c in range(array.shape[-1])] if array.ndim == 4 else [array]
        total, done = max(1, 2 * len(planes) * mask.array.shape[0]), 0
        for index, plane in enumerate(planes):
            names = scan.channel_names
            channel = "" if len(planes) < 2 else (names[index] if names else str(index + 1))
            for part in class_stats(plane, mask.array):
                if cancel.is_set():
                    raise Cancelled("cancelled")
                done += 1
                yield Progress(min(1.0, done / total), "Counting values")
                rows += [ClassRow(mask.labels.name_of(i), channel, values) for i, values in part.items()]
        known = scan.geometry.spacing_known and scan.geometry.shape[0] > 1
        yield Result(Counted(tuple(rows), scan.geometry.voxel_mm3 if known else None, scan.value_unit))

    return work


def voxels(row: ClassRow) -> int:
    """Return the voxels of a class, those without a finite value included."""
    return row.values.count + row.values.left_out


def screen_rows(counted: Counted) -> list[tuple[str, ...]]:
    """Return the cells of the table under `HEADS`."""
    found = []
    for row in counted.rows:
        n, v = voxels(row), row.values
        volume = "" if counted.voxel_mm3 is None else size_words(n * counted.voxel_mm3, "mm", 3)
        cells = [number(x) for x in (v.mean, v.sd, v.minimum, v.maximum)]
        cells[0] = f"{cells[0]} {unit_words(counted.unit)}"
        found.append((row.name, volume, str(n), row.channel, *cells))
    return found


def file_table(counted: Counted, title: str, stamp: str) -> Table:
    """Return the rows for a file, units in the headers."""
    words = unit_words(counted.unit)
    unit = f" [{words}]"
    header = (
        "scan", "class", "volume [ml]", "voxels", "channel", f"mean{unit}", f"sd{unit}", f"min{unit}", f"max{unit}",
        "written", "use", "value unit",
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for row in counted.rows:
        n, v = voxels(row), row.values
        ml = None if counted.voxel_mm3 is None else n * counted.voxel_mm3 / 1000
        rows.append((title, row.name, ml, n, row.channel, v.mean, v.sd, v.minimum, v.maximum, stamp, RESEARCH, words))
    return Table(header, tuple(rows))
