"""From a corrected case to a row that training reads: mask file, how it was made, and the line in ``dataset.csv``."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError
from napari_medcnn.io.dataset import Row, add_case, read_dataset
from napari_medcnn.io.save import save_json, save_labels

TABLE = "dataset.csv"
MASKS = "masks"
SPLITS = ("train", "val", "validation", "test", "gate", "")
# Names that Windows keeps for devices, whatever the ending.
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


@dataclass(frozen=True)
class CaseExport:
    """What the table shall say about a case.

    Parameters
    ----------
    case
        Its name in the table, unique there; never a patient identifier.
    images
        The scan's files, one per channel; they stay where they are and are not copied.
    patient
        Pseudonym by which cases of one patient are kept in one split; "" if unknown.
    cls
        Class of the whole case, "" if it has none.
    split
        "train" (default), "val", "test", "gate" or "".
    site
        Hospital or scanner, "" if unknown.
    """

    case: str
    images: tuple[Path, ...]
    patient: str = ""
    cls: str = ""
    split: str = "train"
    site: str = ""

    def __post_init__(self) -> None:
        if not self.case.strip() or any(ord(c) < 32 for c in self.case):
            raise InputError(f"case: expected a name of printable characters, got {self.case[:60]!r}")
        if not self.images:
            raise InputError(f"case {self.case}: expected the scan's file; save the scan before exporting its mask")
        if self.split not in SPLITS:
            raise InputError(f"split: expected one of {', '.join(s for s in SPLITS if s)}, got {self.split!r}")


def export_case(
    folder: Path, info: CaseExport, mask: LabelMap | None, provenance: Mapping[str, Any] | None = None
) -> Path:
    """Write a corrected case into a dataset folder.

    The mask goes to ``masks/<case>.nii.gz`` (``.png`` for pictures), how it was made beside it as
    ``<case>.provenance.json``, and the case into ``dataset.csv``; a row of the same case is replaced. The table comes
    last: whatever fails before, it never names a file that is not there.

    Parameters
    ----------
    mask
        On the scan's own grid; None for a case that has a class only.
    provenance
        Plain JSON; model, options and edits that led to this mask.

    Returns
    -------
    Path
        The table.

    Raises
    ------
    InputError
        Neither mask nor class.
    SaveError, ProjectError
        A file cannot be written, or the table there is damaged.
    """
    folder = Path(folder)
    if mask is None and not info.cls:
        raise InputError(f"case {info.case}: nothing to export; draw a mask or choose a class first")
    files: tuple[Path, ...] = ()
    if mask is not None:
        masks = folder / MASKS
        masks.mkdir(parents=True, exist_ok=True)
        stem = _free_stem(folder, info.case)
        path = masks / (stem + (".png" if mask.is_picture else ".nii.gz"))
        save_labels(named(mask), path)
        files = (path.resolve(),)
        if provenance is not None:
            save_json(dict(provenance), masks / f"{stem}.provenance.json")
    folder.mkdir(parents=True, exist_ok=True)
    images = tuple(Path(image).resolve() for image in info.images)
    table = folder / TABLE
    add_case(table, Row(info.case, info.patient, images, files, info.cls, info.split, info.site))
    return table


def _free_stem(folder: Path, case: str) -> str:
    """Return the case's file name; where the table gives that name to another case, one that is still free."""
    stem, table = safe_stem(case), folder / TABLE
    rows = read_dataset(table).rows if table.exists() else ()
    taken = {path.name.partition(".")[0].lower() for row in rows if row.case != case for path in row.mask}
    if stem.partition(".")[0].lower() in taken:
        return f"{stem.partition('.')[0]}-{hashlib.sha256(case.encode()).hexdigest()[:8]}"
    return stem


def named(mask: LabelMap) -> LabelMap:
    """Return the mask with a name for every class it holds."""
    labels: LabelSet = mask.labels.covering(sorted(mask.counts()))
    return LabelMap(mask.array, mask.geometry, labels, mask.name, mask.notes, mask.source)


def safe_stem(case: str) -> str:
    """Return a file name for a case that every system takes; two cases may get the same."""
    plain = unicodedata.normalize("NFKD", case).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-. ")[:80]
    return f"case-{stem}" if not stem or _DEVICES.fullmatch(stem) else stem
