"""Damaged files of every format, opened in a child process with limits: no crash, no hang, no unnamed error.

Number -1 is the seed itself: it must be read, or nothing would be tested.
"""

from __future__ import annotations

import contextlib
import json
import math
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cases import SHARED_DATA
from mutation_seeds import WRITERS, Seed, write_seed
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.read import inspect, read

CHILD = Path(__file__).parent / "mutation_child.py"
SECONDS_A_FILE = 120  # on a busy machine; the processor time below is the real limit
CPU_SECONDS_A_FILE = 20
MEGABYTES = 600  # an idle child has 180; the seeds are small, whatever a damaged header claims

#: Real files of kinds that no writer here makes: lossless JPEG, 12-bit, HTJ2K, vendor series, video loops.
REAL = {
    "real JPEG lossless": "zoo-wg04/JPLL/NM1_JPLL",
    "real JPEG 12 bit": "zoo-wg04/JPLY/NM1_JPLY",
    "real J2K": "zoo-wg04/J2KR/NM1_J2KR",
    "real JPEG-LS": "zoo-wg04/JLSL/NM1_JLSL",
    "real RLE": "zoo-wg04/RLE/NM1_RLE",
    "real big endian": "zoo-pydicom/MR_small_bigendian.dcm",
    "real RGB JPEG": "zoo-pydicom/SC_rgb_dcmtk_+eb+cy+s2.dcm",
    "real enhanced": "zoo-pydicom-data/emri_small_jpeg_ls_lossless.dcm",
    "real SEG": "zoo-dicom-seg/dcmqi/23x38x3/seg/label.seg",
    "real SEG deflated": "zoo-pydicom-data/liver_deflate.dcm",
    "real labelmap": "zoo-dicom-seg/dcmqi/sparse-labelmap-ppv5.dcm",
    "real RTSTRUCT": "zoo-rtstruct/mock_data/rt.dcm",
    "real RTDOSE": "zoo-pydicom/rtdose.dcm",
    "real SR": "zoo-pydicom/test-SR.dcm",
    "real DICOMDIR": "zoo-pydicom/dicomdirtests/TINY_ALPHA/DICOMDIR",
    "real MHD": "zoo-panimg/image10x10x10.mhd",
    "real seg.nrrd": "slicer-ct-segnrrd/Segmentation.seg.nrrd",
    "real NRRD bzip2": "nrrd-variants/BallBinary30x30x30_bz2.nrrd",
    "real NIfTI-2": "nifti-nibabel/example_nifti2.nii.gz",
    "real Analyze": "nifti-nibabel/analyze.hdr",
    "real GIPL": "itksnap-cases/MRIcrop-seg.gipl.gz",
    "real TIFF": "zoo-panimg/valid_tiff.tif",
}


@dataclass
class Outcome:
    """What a run of one format gave: counts by outcome, and every fault in words."""

    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    rss_mb: int = 0


def run(seeds: Path, names: list[str], count: int) -> dict[str, Outcome]:
    """Open each seed and `count` damaged copies; a child that dies is replaced and goes on behind the fatal file."""
    jobs = [(name, number) for name in names for number in range(-1, count)]
    outcomes = {name: Outcome() for name in names}
    first: int | None = 0
    while first is not None and first < len(jobs):
        first = _one_child(seeds, jobs, first, count, outcomes)
    return outcomes


def _one_child(
    seeds: Path, jobs: list[tuple[str, int]], first: int, count: int, outcomes: dict[str, Outcome]
) -> int | None:
    """Return the job behind the one that killed the child, None if it came to its end."""
    names = list(outcomes)
    command = [sys.executable, str(CHILD), str(seeds), str(first), str(count), *names]
    log = seeds / "stderr.txt"
    with log.open("wb") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as child:
        lines: queue.Queue[str | None] = queue.Queue()

        def listen() -> None:
            for line in child.stdout:
                lines.put(line.decode())
            lines.put(None)

        threading.Thread(target=listen, daemon=True).start()
        at = first
        while True:
            name, number = jobs[min(at, len(jobs) - 1)]
            try:
                line = lines.get(timeout=SECONDS_A_FILE)
            except queue.Empty:
                child.kill()
                outcomes[name].faults.append(f"{name} {number}: no answer within {SECONDS_A_FILE} s")
                return at + 1
            if line is None:
                break
            message = json.loads(line)
            if "begin" in message:
                at = message["begin"]
            else:
                _note(outcomes[name], name, number, message)
                at = message["end"] + 1
        code = child.wait(SECONDS_A_FILE)
    if code == 0:
        return None
    tail = log.read_text(errors="replace")[-1200:]
    outcomes[name].faults.append(f"{name} {number}: the process died with code {code}\n{tail}")
    return at + 1


def _note(outcome: Outcome, name: str, number: int, message: dict) -> None:
    word = message["outcome"]
    key = "unnamed" if word.startswith("UNNAMED") else word
    outcome.counts[key] = outcome.counts.get(key, 0) + 1
    outcome.rss_mb = max(outcome.rss_mb, message["rss_mb"])
    if key == "unnamed":
        outcome.faults.append(f"{name} {number}: {word}\n{message['trace']}")
    if message["cpu_s"] > CPU_SECONDS_A_FILE:
        outcome.faults.append(f"{name} {number}: {message['cpu_s']} s of processor time")
    if number == -1 and word != "read" and not name.startswith("real"):
        outcome.faults.append(f"{name}: the undamaged file is not read ({word})")


def record(base: Path, seeds: dict[str, Seed]) -> Path:
    """Write where the seeds lie, relative to `base`, for the child."""
    table = {
        name: {key: getattr(seed, key).relative_to(base).as_posix() for key in ("folder", "target", "opened")}
        for name, seed in seeds.items()
    }
    (base / "seeds.json").write_text(json.dumps(table))
    return base


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("seeds")
    found = {name: write_seed(name, base / str(n)) for n, name in enumerate(WRITERS)}
    for n, (name, relative) in enumerate(REAL.items()):
        source = SHARED_DATA / relative
        if source.is_file():
            folder = base / f"real{n}"
            folder.mkdir()
            for beside in [source, source.with_suffix(".zraw"), source.with_suffix(".img")]:
                if beside.is_file():
                    (folder / beside.name).write_bytes(beside.read_bytes())
            found[name] = Seed(folder, folder / source.name, folder / source.name)
    yield record(base, found)


def check(seeds: Path, names: list[str], count: int) -> None:
    outcomes = run(seeds, names, count)
    for name, outcome in outcomes.items():
        words = ", ".join(f"{k} {n}" for k, n in sorted(outcome.counts.items()))
        print(f"{name}: {words}; at most {outcome.rss_mb} MB")
    faults = [fault for outcome in outcomes.values() for fault in outcome.faults]
    assert not faults, "\n".join(faults[:8])
    assert all(sum(outcome.counts.values()) == count + 1 for outcome in outcomes.values())
    assert max(outcome.rss_mb for outcome in outcomes.values()) < MEGABYTES


@pytest.mark.parametrize("share", [0.5, 0.8, 0.97])
@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"DICOMDIR"}))  # its images are whole, whatever it lists
def test_a_cut_file_is_never_filled_up(seeds: Path, tmp_path: Path, name: str, share: float) -> None:
    """What is missing may not turn into zeros: no image with as many voxels as the whole file has."""
    seed = json.loads((seeds / "seeds.json").read_text())[name]
    whole = [read(seeds / seed["opened"], item.id) for item in inspect(seeds / seed["opened"]).items]
    folder = tmp_path / "cut"
    shutil.copytree(seeds / seed["folder"], folder)
    target = folder / Path(seed["target"]).relative_to(seed["folder"])
    target.write_bytes(target.read_bytes()[: int(target.stat().st_size * share)])
    opened = folder / Path(seed["opened"]).relative_to(seed["folder"])
    shapes = []
    try:
        for item in inspect(opened).items:
            with contextlib.suppress(MedcnnError):
                shapes.append(read(opened, item.id).array.shape)
    except MedcnnError as error:
        assert len(str(error)) > 10
    assert len(shapes) < len(whole) or sum(map(math.prod, shapes)) < sum(v.array.size for v in whole)


def test_damaged_files_give_named_errors(seeds: Path) -> None:
    check(seeds, list(WRITERS), 10)


def test_the_harness_sees_a_crash_and_an_unnamed_error(
    seeds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proof that cannot fail is none: a reader that dies on one file and trips on another must show."""
    spoilt = tmp_path / "spoilt_child.py"
    spoilt.write_text(_SPOILT.format(tests=str(CHILD.parent)))
    monkeypatch.setattr(sys.modules[__name__], "CHILD", spoilt)
    outcome = run(seeds, ["PNG"], 4)["PNG"]
    assert any("died with code" in fault for fault in outcome.faults)
    assert any("UNNAMED ZeroDivisionError" in fault for fault in outcome.faults)
    assert sum(outcome.counts.values()) == 4  # five files, one of them fatal


_SPOILT = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import mutation_child as child
calls, honest = [], child.open_all
def open_all(path):
    calls.append(path)
    if len(calls) == 2:
        1 / 0
    if len(calls) == 4 and sys.argv[2] == "0":
        os.abort()
    return honest(path)
child.open_all = open_all
child.main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
"""


@pytest.mark.proof
@pytest.mark.parametrize("name", [*WRITERS, *REAL])
def test_300_damaged_files_give_named_errors(seeds: Path, name: str) -> None:
    if name not in json.loads((seeds / "seeds.json").read_text()):
        pytest.skip(f"real data {REAL[name]!r} is not beside this checkout")
    check(seeds, [name], 300)
