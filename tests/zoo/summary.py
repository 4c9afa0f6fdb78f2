"""Counts of the table, for the terminal and for docs/zoo.md: folders and numbers, no name of a file in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from zoo.rows import FAULT, Row
from zoo.table import data_files

VERDICTS = ("equal", "near", "refused", "no image", "archive", FAULT)


def by_folder(rows: list[Row]) -> dict[str, Counter[str]]:
    out: dict[str, Counter[str]] = {}
    for row in rows:
        out.setdefault(row.where.split("/")[0], Counter())[row.verdict] += 1
    return out


def counts(rows: list[Row]) -> Iterator[str]:
    yield "folder".ljust(28) + "".join(v.rjust(10) for v in VERDICTS)
    for folder, numbers in by_folder(rows).items():
        yield folder.ljust(28) + "".join(str(numbers[v]).rjust(10) for v in VERDICTS)


_FOOT = """
## How it is compared

- Single files and series: pydicom decodes each frame, the test places it by its own reading of position, orientation
  and pixel spacing, and looks for it in ours: each frame in exactly one place, each place filled by one frame. Time
  points must rise by something the headers say. Lossless JPEG is decoded by the test's own reading of ITU-T T.81,
  mosaics are split by nibabel, dose and SUV are scaled by the formulas of the standard.
- Series that dcm2niix or dicom2nifti converted: `medcnn convert` gives the same voxels, and an affine within 1e-3 mm,
  after flips and permutations (`tests/zoo/test_references.py`).
- Segmentations: every set pixel of every frame at its place, and not one voxel more. Contours: against polygons filled
  by scikit-image, equal away from the edge.
- What asks before it opens (tilt, gaps, duplicates) must show it in the positions, a missing series number in the
  headers; with consent, the straightened voxels are compared with a mix of the two slices around them, chosen
  duplicates with the files they name, the rest as every series.
- NIfTI, MGH: nibabel. NRRD: pynrrd. MetaImage, GIPL: a few lines from the text of the format. Pictures: SimpleITK,
  tifffile, Pillow. The files lie beside the checkout and are not part of it; without them the tests skip by name.

Beside the zoo: a marked voxel in random series keeps its place and value through our readers and writers, nibabel,
SimpleITK and pynrrd (`tests/test_readers_agree.py`); damaged files of every format are opened in a process of their
own (`tests/test_mutations.py`, 300 a format in `make proof`): no crash, no hang, no unnamed error.
"""

_HEAD = """# The zoo: real and hostile files against other readers

`make zoo` opens every file of the data folders alone, and every folder as it would be dropped on the window, and
compares with readers that share no code with ours. This page is written by it; the numbers are rows of its table.

| word | means |
|---|---|
| equal | every plane at its place (0.02 mm or 1 % of the gap), every voxel equal; folders: every file accounted for |
| near | lossy: decoders differ by rounding, at most 0.4 % of the range (6 % against the uncompressed original) |
| refused | does not open unasked, in words, and another reader or the headers show why |
| no image | holds no picture (reports, waveforms, text, formats we do not read), named as such |
| archive | zip or tar: named, never unpacked |

"""


def write_page(path: Path, base: Path, rows: list[Row]) -> None:
    """Write the counts as a page of the documentation."""
    table = by_folder(rows)
    lines = ["| folder | files | rows | " + " | ".join(VERDICTS[:-1]) + " | unexplained |", "|---" * 9 + "|"]
    total: Counter[str] = Counter()
    files_total = 0
    for folder, numbers in table.items():
        files = len(data_files(base / folder))
        files_total += files
        total += numbers
        cells = " | ".join(str(numbers[v]) for v in VERDICTS)
        lines.append(f"| {folder} | {files} | {sum(numbers.values())} | {cells} |")
    cells = " | ".join(str(total[v]) for v in VERDICTS)
    lines.append(f"| all | {files_total} | {sum(total.values())} | {cells} |")
    path.write_text(_HEAD + "\n".join(lines) + "\n" + _FOOT, encoding="utf-8")
