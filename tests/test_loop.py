"""The whole loop on the phantom, with the real engine: predict, correct with a mouse, be killed, recover, export,
train two epochs, measure, decide.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cases import REPOSITORY
from napari_medcnn.annotation.export import CaseExport, export_case
from napari_medcnn.annotation.recovery import find_recoverable
from napari_medcnn.core.events import Cancel, result_of
from napari_medcnn.core.options import TrainOptions
from napari_medcnn.core.results import Segmentation
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.io.packages import read_package, write_package
from napari_medcnn.io.read import read_labels, read_volume
from napari_medcnn.io.samples import phantom
from napari_medcnn.io.save import save_volume
from napari_medcnn.verbs import evaluate, gate, predict, train
from napari_medcnn.worker.client import Engine

PHANTOM_NETWORK = REPOSITORY / "tests" / "data" / "phantom-thresholds"
ANNOTATOR = REPOSITORY / "tests" / "widgets" / "annotator_window.py"
SPLITS = ("train", "train", "val", "gate", "gate", "gate")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    lent = Engine()
    yield lent
    lent.close()


def scans(folder: Path) -> list[tuple[Path, LabelMap]]:
    """Write six scans of the phantom that differ in noise and brightness."""
    scan, truth = phantom()
    made = []
    for number in range(len(SPLITS)):
        rng = np.random.default_rng(number)
        array = scan.array + rng.normal(6.0 * (number % 3), 6.0, scan.array.shape)
        volume = Volume(np.rint(array).astype(np.int16), scan.geometry, modality="CT")
        save_volume(volume, folder / f"scan{number}.nii.gz")
        made.append((folder / f"scan{number}.nii.gz", truth))
    return made


def old_model(folder: Path) -> Path:
    """Return the threshold network with a card that scales the intensities wrongly: it misses much."""
    package = read_package(PHANTOM_NETWORK)
    steps = (("clip", {"low": -200.0, "high": 800.0}), ("scale_linear", {"in_low": -200.0, "in_high": 840.0}))
    spec = replace(
        package.spec, name="phantom-old", preparation=replace(package.spec.preparation, steps=steps), sha256=""
    )
    return write_package(folder / "old", spec, package.weights)


def killed_while_correcting(scan: Path, model: Path, home: Path) -> dict:
    """Predict and paint in a real window of its own process, kill -9 it, and return what it said before."""
    shutil.copytree(model, home / "models" / model.name)
    child = subprocess.Popen(
        [sys.executable, str(ANNOTATOR), str(scan), read_package(model).spec.name],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "MEDCNN_HOME": str(home), "PYTHONPATH": str(ANNOTATOR.parent)},
    )
    try:
        told = json.loads(next(line for line in child.stdout if line.startswith("{")))  # napari prints here as well
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    return told


def ends(pid: int, seconds: float = 5.0) -> bool:
    """Tell whether a process that is not ours to wait for is gone in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.gui
@pytest.mark.slow
def test_the_whole_loop(tmp_path: Path, engine: Engine) -> None:
    """reliability rows 37, 59"""
    old = old_model(tmp_path)
    before = {p.name: p.read_bytes() for p in old.iterdir()}
    cases = scans(tmp_path)

    # predict
    path, truth = cases[0]
    result = result_of(predict.run(predict.PredictRequest(read_volume(path), old), Cancel(), engine))
    assert isinstance(result, Segmentation)
    assert result.mask.geometry.same_grid(truth.geometry)
    assert (result.mask.array != truth.array).mean() > 0.005

    # correct the same prediction with a mouse, be killed, recover
    home = tmp_path / "home"
    told = killed_while_correcting(path, old, home)
    assert told["saved"] == "not saved" and told["changed"] > 20
    assert told["steps"] == ["Brush", "Brush", "Eraser"]  # the second rubbing was undone
    assert ends(told["engine"])
    (recovery,) = find_recoverable(home / "recovery")
    shown = truth.geometry.reorientation_to()  # a journal holds the mask as it was shown
    corrected = recovery.restore().reoriented(shown.inverse)
    assert hashlib.sha256(np.ascontiguousarray(corrected.array, np.uint8).tobytes()).hexdigest() == told["sha256"]
    assert int(np.count_nonzero(corrected.array != result.mask.array)) == told["changed"]
    assert corrected.geometry.same_grid(truth.geometry)
    assert corrected.labels.names == truth.labels.names

    # export
    project = tmp_path / "project"
    for number, ((path, mask), split) in enumerate(zip(cases, SPLITS, strict=True)):
        export = CaseExport(f"case{number}", (path,), patient=f"p{number}", split=split)
        table = export_case(project, export, corrected if number == 0 else mask, {"model": "phantom-old"})
    assert read_labels(project / "masks" / "case0.nii.gz").geometry.same_grid(truth.geometry)

    # train two epochs; the original stays as it is
    options = TrainOptions(epochs=2, steps_per_epoch=10, batch=1, learning_rate=1e-2, device="cpu")
    trained = result_of(train.run(train.TrainRequest(old, table, tmp_path / "run", options), Cancel(), engine))
    assert isinstance(trained, train.TrainResult)
    assert len(trained.history) == 2
    assert {p.name: p.read_bytes() for p in old.iterdir()} == before

    # measure and decide, in both directions
    asked = evaluate.EvaluateRequest(table, model=trained.out, split="gate", report=tmp_path / "report")
    report = result_of(evaluate.run(asked, Cancel(), engine))
    assert [case.case for case in report.cases] == ["case3", "case4", "case5"]
    assert (tmp_path / "report" / "report.json").is_file()
    better = result_of(gate.run(gate.GateRequest(old, trained.out, table), Cancel(), engine))
    assert better.accepted, better.reason
    assert better.new == pytest.approx(report.overall().mean)
    assert better.difference.low > 0 and better.difference.patients == 3
    worse = result_of(gate.run(gate.GateRequest(trained.out, old, table), Cancel(), engine))
    assert not worse.accepted
    assert "not better" in worse.reason
