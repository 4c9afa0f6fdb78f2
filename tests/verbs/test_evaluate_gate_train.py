"""Scores by hand, a gate that accepts and refuses, and training that does not start on a leak."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_medcnn.core.events import Cancel, Failed, Progress, Result, result_of
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import TrainOptions
from napari_medcnn.core.spec import Decision
from napari_medcnn.errors import Cancelled, InputError, MedcnnError, ProjectError
from napari_medcnn.evaluation.report import GateDecision, Report
from napari_medcnn.verbs import evaluate, gate, train
from napari_medcnn.worker.client import Engine
from tiny_packages import bright_xyz, nifti, nifti_mask, package, segmenter

HEADER = "case,patient,image,mask,class,split,site\n"


def table(folder: Path, rows: list[str]) -> Path:
    path = folder / "dataset.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def run(request: evaluate.EvaluateRequest, engine: Engine | None = None) -> Report:
    return result_of(evaluate.run(request, Cancel(), engine))


def case(folder: Path, name: str, seed: int, wrong: int = 0) -> str:
    """Write a scan and a mask of what the fake engine finds, except `wrong` voxels that it does not."""
    image = nifti(folder / f"{name}.nii.gz", seed=seed)
    truth = bright_xyz(image)
    ids = np.where(truth, 2, 0)
    ids[tuple(index[:wrong] for index in np.nonzero(~truth))] = 2
    nifti_mask(folder / f"{name}_mask.nii.gz", ids)
    return f"{name},p-{name},{name}.nii.gz,{name}_mask.nii.gz,,test,"


def test_dice_and_iou_of_a_model_by_hand(tmp_path: Path, model: Path, engine: Engine) -> None:
    csv = table(tmp_path, [case(tmp_path, "a", 1), case(tmp_path, "b", 2, wrong=10)])
    report = run(evaluate.EvaluateRequest(csv, model=model, report=tmp_path / "report"), engine)
    n = int(bright_xyz(tmp_path / "b.nii.gz").sum())
    scores = {c.case: c.scores["bright"] for c in report.cases}
    assert scores["a"]["dice"] == 1.0 and scores["a"]["iou"] == 1.0
    assert scores["b"]["dice"] == pytest.approx(2 * n / (2 * n + 10))
    assert scores["b"]["iou"] == pytest.approx(n / (n + 10))
    assert report.model["name"] == "tiny-mask"
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    assert Report.from_json(written).overall().mean == pytest.approx((1 + 2 * n / (2 * n + 10)) / 2)
    page = (tmp_path / "report" / "report.html").read_text()
    assert "bright" in page and "Research use only" in page and "<script" not in page


def test_a_folder_of_masks_is_found_by_case_or_image_name(tmp_path: Path) -> None:
    csv = table(tmp_path, [case(tmp_path, "a", 1), case(tmp_path, "b", 2).replace("b,p-b", "case-b,p-b")])
    found = tmp_path / "found"
    for name in ("a", "b"):
        half = np.where(bright_xyz(tmp_path / f"{name}.nii.gz"), 2, 0)
        half[:3] = 0
        nifti_mask(found / f"{name}.nii.gz", half)
    report = run(evaluate.EvaluateRequest(csv, predictions=found))
    for score, name in zip(report.cases, ("a", "b"), strict=True):
        truth = bright_xyz(tmp_path / f"{name}.nii.gz")
        kept = int(truth[3:].sum())
        (only,) = score.scores.values()
        assert only["dice"] == pytest.approx(2 * kept / (kept + int(truth.sum())))


def test_missing_prediction_and_missing_mask_name_the_case(tmp_path: Path, model: Path, engine: Engine) -> None:
    csv = table(tmp_path, [case(tmp_path, "a", 1)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"case a: no mask in .*empty; expected a\.nii\.gz, or another"):
        run(evaluate.EvaluateRequest(csv, predictions=tmp_path / "empty"))
    (tmp_path / "b.csv").write_text(csv.read_text().replace("a.nii.gz", "gone.nii.gz", 1))
    with pytest.raises(InputError, match=r"no mask in .*; expected a\.nii\.gz or gone\.nii\.gz, or"):
        run(evaluate.EvaluateRequest(tmp_path / "b.csv", predictions=tmp_path / "empty"))
    with pytest.raises(InputError, match=r"case a: gone\.nii\.gz"):
        run(evaluate.EvaluateRequest(tmp_path / "b.csv", model=model), engine)
    csv = table(tmp_path, ["a,p,a.nii.gz,,,test,"])
    with pytest.raises(InputError, match="case a: the mask column is empty"):
        run(evaluate.EvaluateRequest(csv, model=model), engine)


def test_a_mask_on_another_grid_is_refused(tmp_path: Path) -> None:
    csv = table(tmp_path, [case(tmp_path, "a", 1)])
    ids = np.where(bright_xyz(tmp_path / "a.nii.gz"), 2, 0)
    nifti_mask(tmp_path / "found" / "a.nii.gz", ids, np.diag([0.7, 0.8, 3.0, 1.0]))
    with pytest.raises(InputError, match="grid"):
        run(evaluate.EvaluateRequest(csv, predictions=tmp_path / "found"))


def test_split_that_is_empty_names_those_there_are(tmp_path: Path, model: Path, engine: Engine) -> None:
    csv = table(tmp_path, [case(tmp_path, "a", 1)])
    with pytest.raises(ProjectError, match=r"no cases of split 'gate'; there is test"):
        run(evaluate.EvaluateRequest(csv, model=model, split="gate"), engine)


def test_black_and_white_masks_count_as_the_one_class_there_is(tmp_path: Path) -> None:
    shape = (9, 12)
    truth = np.zeros(shape, np.uint8)
    truth[2:6, 3:9] = 255
    found = np.zeros(shape, np.uint8)
    found[2:6, 3:6] = 255
    (tmp_path / "found").mkdir()
    Image.fromarray(np.zeros((*shape, 3), np.uint8)).save(tmp_path / "eye.png")
    Image.fromarray(truth).save(tmp_path / "eye_mask.png")
    Image.fromarray(found).save(tmp_path / "found" / "eye.png")
    report = run(
        evaluate.EvaluateRequest(table(tmp_path, ["eye,p,eye.png,eye_mask.png,,,"]), predictions=tmp_path / "found")
    )
    (scores,) = report.cases[0].scores.values()
    assert scores["dice"] == pytest.approx(2 * 12 / (24 + 12))


def test_exactly_one_source_of_predictions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not both and not none"):
        evaluate.EvaluateRequest(tmp_path / "d.csv")
    with pytest.raises(InputError, match="not both and not none"):
        evaluate.EvaluateRequest(tmp_path / "d.csv", model="m", predictions=tmp_path)


def test_gate_refuses_an_equal_model_and_one_of_other_classes(tmp_path: Path, model: Path, engine: Engine) -> None:
    rows = [case(tmp_path, n, i, wrong=5).replace(",test,", ",gate,") for i, n in enumerate("abcd")]
    csv = table(tmp_path, rows)
    decision: GateDecision = result_of(gate.run(gate.GateRequest(model, model, csv), Cancel(), engine))
    assert not decision.accepted and "not better" in decision.reason
    other = package(
        tmp_path / "p",
        segmenter("other", labels=LabelSet.from_names(["else"], 3), decision=Decision((3,), False, (0.5,))),
    )
    decision = result_of(gate.run(gate.GateRequest(model, other, csv), Cancel(), engine))
    assert not decision.accepted


def test_gate_accepts_a_better_model(tmp_path: Path, model: Path, engine: Engine) -> None:
    """The old package marks class 3 where the truth is class 2; the new one marks class 2."""
    both = LabelSet.from_names(["bright", "dark"], 2)
    worse = package(tmp_path / "p", segmenter("worse", labels=both, decision=Decision((3, 2), False, (0.5, 0.5))))
    better = package(tmp_path / "p", segmenter("better", labels=both, decision=Decision((2, 3), False, (0.5, 0.5))))
    csv = table(tmp_path, [case(tmp_path, n, i).replace(",test,", ",gate,") for i, n in enumerate("abcd")])
    decision = result_of(gate.run(gate.GateRequest(worse, better, csv), Cancel(), engine))
    assert decision.accepted, decision.reason
    assert decision.new > decision.old
    back = result_of(gate.run(gate.GateRequest(better, worse, csv), Cancel(), engine))
    assert not back.accepted


BEST = {"epoch": 1, "score": 0.8, "measure": "dice"}


class Trainer:
    """Stands for an engine that trains; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict]] = []

    def run(self, verb, body, cancel, priority=None):
        self.asked.append((verb, body))
        yield Progress(0.5, "Epoch 1 of 2")
        yield Result({"best": BEST, "history": [{"loss": 1.0}], "out": str(Path(body["out"]) / "package")})


def training_table(folder: Path) -> Path:
    rows = [case(folder, n, i).replace(",test,", f",{s},") for i, (n, s) in enumerate((("a", "train"), ("b", "val")))]
    return table(folder, rows)


def test_training_asks_the_engine_and_hands_back_its_answer(tmp_path: Path, model: Path) -> None:
    csv, trainer = training_table(tmp_path), Trainer()
    request = train.TrainRequest(model, csv, tmp_path / "out", TrainOptions(epochs=2))
    events = list(train.run(request, Cancel(), trainer))
    assert events[-1] == Result(train.TrainResult(BEST, [{"loss": 1.0}], tmp_path / "out" / "package"))
    assert any(e == Progress(0.5, "Epoch 1 of 2") for e in events)
    ((verb, body),) = trainer.asked
    assert verb == "train"
    assert body["model"] == str(model) and body["dataset"] == str(csv) and body["out"] == str(tmp_path / "out")
    assert body["options"]["epochs"] == 2 and body["code"] == [] and body["resume"] is False
    json.dumps(body)


def failure(request: train.TrainRequest) -> MedcnnError:
    trainer = Trainer()
    last = list(train.run(request, Cancel(), trainer))[-1]
    assert isinstance(last, Failed)
    assert trainer.asked == []
    return last.error


def test_a_leak_stops_training(tmp_path: Path, model: Path) -> None:
    """reliability row 56"""
    rows = [case(tmp_path, n, i).replace(f"p-{n}", "p") for i, n in enumerate("ab")]
    csv = table(tmp_path, [rows[0].replace(",test,", ",train,"), rows[1].replace(",test,", ",val,")])
    error = failure(train.TrainRequest(model, csv, tmp_path / "out"))
    assert isinstance(error, ProjectError)
    assert "Patient p is in train and val" in str(error) and "Nothing was started" in str(error)
    assert not (tmp_path / "out").exists()


def test_out_that_holds_something_needs_resume(tmp_path: Path, model: Path) -> None:
    csv = training_table(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    (out / "last.keras").write_bytes(b"x")
    assert "--resume" in str(failure(train.TrainRequest(model, csv, out)))
    trainer = Trainer()
    result_of(train.run(train.TrainRequest(model, csv, out, resume=True), Cancel(), trainer))
    assert trainer.asked[0][1]["resume"] is True


def test_the_original_model_is_never_the_target(tmp_path: Path, model: Path) -> None:
    csv = training_table(tmp_path)
    for out in (model, model.parent):
        assert "never overwritten" in str(failure(train.TrainRequest(model, csv, out, resume=True)))


def test_cancelled_before_it_began(tmp_path: Path, model: Path) -> None:
    cancel = Cancel()
    cancel.set()
    last = list(train.run(train.TrainRequest(model, training_table(tmp_path), tmp_path / "o"), cancel, Trainer()))[-1]
    assert isinstance(last, Failed) and isinstance(last.error, Cancelled)


@pytest.mark.skipif(sys.platform == "win32", reason="the stub uses POSIX signals")
def test_a_program_of_the_user_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_medcnn.core.command import CommandModel
    from napari_medcnn.io.commands import save_command

    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    stub = str(Path(__file__).resolve().parents[1] / "stub_program.py")
    save_command(CommandModel("mine", "Mine", (sys.executable, stub, "good", "{input}", "{output}")))
    image = nifti(tmp_path / "a.nii.gz")
    truth = np.where(bright_xyz(image), 3, 0)
    truth[:3] = 0
    nifti_mask(tmp_path / "a-truth.nii.gz", truth)
    csv = table(tmp_path, ["a,p,a.nii.gz,a-truth.nii.gz,,test,"])
    report = run(evaluate.EvaluateRequest(csv, model="mine"))
    (only,) = report.cases[0].scores.values()
    found = int(bright_xyz(image).sum())
    assert only["dice"] == pytest.approx(2 * np.count_nonzero(truth) / (np.count_nonzero(truth) + found))
    assert report.model["name"] == "mine" and len(report.model["sha256"]) == 64
