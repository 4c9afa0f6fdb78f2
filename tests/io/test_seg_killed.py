"""A process that writes DICOM segmentations is killed: the old file or the new one, never half of one (row 39)."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cases import REPOSITORY
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.io.atomic import remove_leftovers
from napari_medcnn.io.dicom.seg_out import save_seg
from napari_medcnn.io.read import inspect, read
from seg_files import SHAPE, grid, source_series

SAVE = """
import sys
from pathlib import Path
import numpy as np
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.io.dicom.seg_out import save_seg
from napari_medcnn.io.read import inspect
part = inspect(Path(sys.argv[1])).items[0].basis.part
for number in range(100_000):
    mask = LabelMap(np.full(part.geometry.shape, number % 5 + 1, np.uint8), part.geometry)
    save_seg(mask, part, Path(sys.argv[2]))
    print(number, flush=True)
"""


def kills(folder: Path, count: int) -> None:
    source_series(folder / "ct", SHAPE)
    (folder / "out").mkdir()
    out, moments, left = folder / "out" / "m.dcm", random.Random(0), 0
    part = inspect(folder / "ct").items[0].basis.part  # type: ignore[attr-defined]
    save_seg(LabelMap(np.full(SHAPE, 1, np.uint8), grid()), part, out)
    for _ in range(count):
        command = [sys.executable, "-c", SAVE, str(folder / "ct"), str(out)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as child:
            assert child.stdout is not None and child.stdout.readline()
            time.sleep(moments.uniform(0, 0.2))
            child.kill()
        assert len(np.unique(pydicom.dcmread(out).pixel_array)) <= 2  # whole: pydicom refuses a cut one
        mask = read(out)
        assert isinstance(mask, LabelMap) and len(np.unique(mask.array)) == 1 and mask.geometry == grid()
        left += remove_leftovers(folder / "out", older_than_s=-1.0)
        assert [p.name for p in (folder / "out").iterdir()] == ["m.dcm"]
    print(f"{count} kills, {left} of them during a save")


def test_row_39_a_kill_leaves_the_old_or_the_new_segmentation(tmp_path: Path) -> None:
    kills(tmp_path, 1)


@pytest.mark.proof
def test_row_39_twenty_kills(tmp_path: Path) -> None:
    kills(tmp_path, 20)
