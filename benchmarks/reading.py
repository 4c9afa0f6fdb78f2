"""Time to read a 512 x 512 x 300 int16 volume, side by side with SimpleITK: ratios, since machines differ.

Rounds alternate, so that a busy machine slows both; the median of the ratios of each round is printed.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.io.read import read_volume
from napari_medcnn.io.save import save_volume

ROUNDS = 5
SHAPE = (300, 512, 512)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def scan() -> Volume:
    """Return a noisy body-like scan: noise decides how well it compresses."""
    random = np.random.default_rng(0)
    y, x = np.ogrid[-1:1:512j, -1:1:512j]
    plane = np.where(x * x / 0.8 + y * y / 0.5 < 1, 40, -1000).astype(np.float32)
    array = np.empty(SHAPE, np.int16)
    for k in range(SHAPE[0]):
        array[k] = plane + random.normal(0, 12, plane.shape) * (plane > -999)
    return Volume(array, Geometry(SHAPE, (1.0, 0.8, 0.8)))


def main() -> None:
    volume = scan()
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'format':10} {'MB':>6} {'ours s':>8} {'SimpleITK s':>12} {'ratio':>6}   save s")
        for suffix in (".nii.gz", ".nii", ".nrrd", ".mha"):
            path = Path(folder) / f"scan{suffix}"
            saving = seconds(lambda path=path: save_volume(volume, path))
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(seconds(lambda path=path: read_volume(path)))
                theirs.append(seconds(lambda path=path: sitk.GetArrayFromImage(sitk.ReadImage(str(path)))))
            ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
            size = path.stat().st_size / 1e6
            columns = f"{size:6.0f} {statistics.median(ours):8.2f} {statistics.median(theirs):12.2f} {ratio:6.2f}"
            print(f"{suffix:10} {columns}   {saving:.1f}")
            path.unlink()


if __name__ == "__main__":
    main()
