"""Time and memory to read volumes, side by side with SimpleITK: ratios, since machines differ.

    python benchmarks/reading.py [slices] [rounds]

Single files of 512 x 512 x 300 int16 first, then a DICOM series of 512 x 512 x 600 in three transfer syntaxes.
Both start from a folder name: ours is what the window does (every header read, series sorted, then voxels),
SimpleITK's is GetGDCMSeriesFileNames and Execute.  Each run is a process of its own, so that peak memory is its own;
imports are not counted.  Rounds alternate, so that a busy machine slows both.  Memory is the growth of the peak
resident size over the size before, divided by the size of the volume.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
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
ROWS = 512
SYNTAXES = {
    "uncompressed": "1.2.840.10008.1.2.1",
    "JPEG 2000 lossless": "1.2.840.10008.1.2.4.90",
    "JPEG-LS lossless": "1.2.840.10008.1.2.4.80",
}
_DIFFERENT = 24  # planes that differ; encoding is slow, so they come again and again


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


def formats() -> None:
    """Print the table of single files: ours, SimpleITK, ratio, and what saving takes."""
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


def write_series(folder: Path, syntax: str, slices: int) -> None:
    """Write a noisy body of `slices` CT images with pydicom: noise decides how well it compresses."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import generate_uid

    random = np.random.default_rng(0)
    y, x = np.ogrid[-1 : 1 : ROWS * 1j, -1 : 1 : ROWS * 1j]
    inside = x * x / 0.8 + y * y / 0.5 < 1
    payloads = []
    for _ in range(min(_DIFFERENT, slices)):
        plane = np.where(inside, 1064 + random.normal(0, 12, inside.shape), 24).astype(np.int16)
        payloads.append(_encoded(plane, syntax))
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.SOPClassUID, data.Modality = "1.2.840.10008.5.1.4.1.1.2", "CT"
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.FrameOfReferenceUID, data.ImageType = generate_uid(), ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.PatientName, data.PatientID, data.SeriesNumber = "Nobody", "0", 1
    data.Rows = data.Columns = ROWS
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 1
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -1024, "HU"
    data.PixelSpacing, data.SliceThickness, data.ImageOrientationPatient = [0.8, 0.8], 1.0, [1, 0, 0, 0, 1, 0]
    data.WindowCenter, data.WindowWidth = 40, 400
    for k in range(slices):
        data.SOPInstanceUID, data.InstanceNumber = generate_uid(), k + 1
        data.ImagePositionPatient = [-200.0, -200.0, float(k)]
        payload = payloads[k % len(payloads)]
        data.PixelData = payload if syntax == SYNTAXES["uncompressed"] else encapsulate([payload])
        data["PixelData"].VR = "OW" if syntax == SYNTAXES["uncompressed"] else "OB"
        data.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)


def _encoded(plane: np.ndarray, syntax: str) -> bytes:
    if syntax == SYNTAXES["uncompressed"]:
        return plane.astype("<i2").tobytes()
    if syntax == SYNTAXES["JPEG-LS lossless"]:
        import jpeg_ls

        return bytes(jpeg_ls.encode_pixel_data(
            plane.astype("<i2").tobytes(), rows=ROWS, columns=ROWS, samples_per_pixel=1, bits_allocated=16,
            bits_stored=16, pixel_representation=1, photometric_interpretation="MONOCHROME2",
        ))  # fmt: skip
    from openjpeg.utils import encode_array

    return bytes(encode_array(plane, bits_stored=16, compression_ratios=[1], use_mct=False))


def child(who: str, folder: Path) -> None:
    """Read once and print what it took as JSON."""
    first = 0.0
    if who == "ours":
        from napari_medcnn.core.events import Preview
        from napari_medcnn.io.read import read_steps

        before, start = status_kb("VmRSS"), time.perf_counter()
        steps = read_steps(folder)
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                array = end.value.array
                break
            if isinstance(event, Preview) and not first:
                first = time.perf_counter() - start  # every header is read and the series sorted by then
    else:
        before, start = status_kb("VmRSS"), time.perf_counter()
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
        image = reader.Execute()
        array = sitk.GetArrayViewFromImage(image)
    seconds = time.perf_counter() - start
    if who != "ours":
        first = seconds
    print(json.dumps({
        "seconds": seconds, "first": first, "sum": int(array[::7, ::5, ::3].sum(dtype=np.int64)),
        "memory": (status_kb("VmHWM") - before) * 1024 / array.nbytes, "shape": array.shape, "type": str(array.dtype),
    }))  # fmt: skip


def status_kb(name: str) -> int:
    """Return VmRSS (resident now) or VmHWM (its peak) of this process in KB (Linux); getrusage inherits a parent's."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise SystemExit(f"{name} is not stated by this system")


def run(who: str, folder: Path) -> dict[str, float]:
    out = subprocess.run(
        [sys.executable, __file__, "--child", who, str(folder)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(out.stdout.splitlines()[-1]))


def series(slices: int, rounds: int) -> None:
    """Print the table of DICOM series; both readers must find the same voxels."""
    print(f"{slices} slices of {ROWS} x {ROWS} int16, {rounds} rounds, load {os.getloadavg()[0]:.1f}, "
          f"{os.cpu_count()} processors")  # fmt: skip
    print(f"{'syntax':20} {'ours s':>7} {'first picture':>13} {'SimpleITK s':>12} {'ratio':>6} "
          f"{'memory':>7} {'SimpleITK':>9}")  # fmt: skip
    for name, syntax in SYNTAXES.items():
        with tempfile.TemporaryDirectory() as place:
            write_series(Path(place), syntax, slices)
            ours, theirs = [], []
            for _ in range(rounds):
                ours.append(run("ours", Path(place)))
                theirs.append(run("theirs", Path(place)))
        if ours[0]["sum"] != theirs[0]["sum"] or ours[0]["shape"] != theirs[0]["shape"]:
            raise SystemExit(f"{name}: the two readers disagree: {ours[0]} {theirs[0]}")
        middle = {key: statistics.median(r[key] for r in ours) for key in ("seconds", "first", "memory")}
        other = {key: statistics.median(r[key] for r in theirs) for key in ("seconds", "memory")}
        ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(ours, theirs, strict=True))
        print(f"{name:20} {middle['seconds']:7.2f} {middle['first']:13.2f} "
              f"{other['seconds']:12.2f} {ratio:6.2f} {middle['memory']:7.2f} {other['memory']:9.2f}")  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]))
    else:
        formats()
        series(int(sys.argv[1]) if len(sys.argv) > 1 else 600, int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS)
