"""The manifest of a long run: what was done, what need not be done again, and nothing of what a program said."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.events import Cancel, Progress, result_of
from napari_medcnn.core.options import PredictOptions, to_json
from napari_medcnn.errors import EngineError, InputError
from napari_medcnn.io.commands import save_command
from napari_medcnn.verbs import predict_many
from napari_medcnn.verbs.predict_many import ManyRequest, ManyResult
from napari_medcnn.worker.client import Engine
from tiny_packages import bright_xyz, nifti

CASE_KEYS = [
    "input", "item", "status", "output", "classes", "volumes_ml", "device", "seconds", "warnings", "error"
]  # fmt: skip


def run(inputs: list[Path], model: Path | str, out: Path, engine: Engine, **more) -> ManyResult:
    return result_of(predict_many.run(ManyRequest(tuple(inputs), model, out, **more), Cancel(), engine))


def manifest(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))


def stamps(out: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in out.glob("*.nii.gz")}


def test_manifest_says_what_was_made_of_what(tmp_path: Path, model: Path, engine: Engine) -> None:
    good, gone = nifti(tmp_path / "a.nii.gz"), tmp_path / "gone.nii.gz"
    options = PredictOptions(uncertainty=False, device="cpu")
    done = run([good, gone], model, tmp_path / "out", engine, options=options)
    kept = manifest(tmp_path / "out")
    assert kept["medcnn"] == 1 and "Research use only" in kept["research_use"]
    assert kept["model"] == done.report["model"]
    first, second = kept["cases"]
    assert {k: first[k] for k in CASE_KEYS} == done.report["cases"][0]
    assert first["input_sha256"] == hashlib.sha256(hashlib.sha256(good.read_bytes()).digest()).hexdigest()
    assert first["options"] == {**to_json(options), "consent": {}, "code": []}
    assert second["status"] == "failed" and second["error"]


def test_resume_runs_only_what_is_not_done(tmp_path: Path, model: Path, engine: Engine) -> None:
    paths = [nifti(tmp_path / f"{n}.nii.gz", seed=i) for i, n in enumerate("abcd")]
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[:-20])
    out = tmp_path / "out"
    assert [c["status"] for c in run(paths[:3], model, out, engine).report["cases"]] == ["done", "failed", "done"]
    before = stamps(out)
    paths[1].write_bytes(whole)
    done = run(paths, model, out, engine, resume=True)
    assert [c["status"] for c in done.report["cases"]] == ["done"] * 4
    assert [any("earlier run" in w for w in c["warnings"]) for c in done.report["cases"]] == [True, False, True, False]
    after = stamps(out)
    assert set(after) == {"a.nii.gz", "b.nii.gz", "c.nii.gz", "d.nii.gz"}
    assert {n: after[n] for n in before} == before
    assert [Path(r["input"]).name for r in manifest(out)["cases"]] == [f"{n}.nii.gz" for n in "abcd"]


def test_what_differs_is_run_again(tmp_path: Path, model: Path, engine: Engine) -> None:
    from tiny_packages import package, segmenter

    out, path = tmp_path / "out", nifti(tmp_path / "a.nii.gz")

    def ran_again(used: Path = model, **options) -> bool:
        before = stamps(out).get("a.nii.gz")
        run([path], used, out, engine, resume=True, options=PredictOptions(uncertainty=False, **options))
        return stamps(out)["a.nii.gz"] != before

    assert ran_again() and not ran_again()
    assert ran_again(ignore_fit=True) and not ran_again(ignore_fit=True)
    other = package(tmp_path / "other", segmenter(temperature=2.0))  # equal weights, another pipeline
    assert ran_again(other) and not ran_again(other)
    nifti(path, seed=9)
    assert ran_again(other) and not ran_again(other)
    (out / "a.nii.gz").unlink()
    run([path], other, out, engine, resume=True)
    assert (out / "a.nii.gz").is_file()
    before = stamps(out)
    run([path], other, out, engine)
    assert stamps(out) != before  # without resume everything runs


def test_resume_after_a_cancel(tmp_path: Path, model: Path, engine: Engine) -> None:
    paths = [nifti(tmp_path / f"{n}.nii.gz", seed=i) for i, n in enumerate("abc")]
    cancel, out = Cancel(), tmp_path / "out"
    for event in predict_many.run(ManyRequest(tuple(paths), model, out), cancel, engine):
        if isinstance(event, Progress) and event.message.startswith("3 of 3"):
            cancel.set()
    assert len(manifest(out)["cases"]) == 2
    before = stamps(out)
    assert run(paths, model, out, engine, resume=True).failed == 0
    assert {n: t for n, t in stamps(out).items() if n in before} == before and len(stamps(out)) == 3


def test_resumed_classes_are_all_in_the_table(tmp_path: Path, class_model: Path, engine: Engine) -> None:
    paths = [nifti(tmp_path / f"{n}.nii.gz", seed=i) for i, n in enumerate("ab")]
    run(paths[:1], class_model, tmp_path / "out", engine)
    first = (tmp_path / "out" / "predictions.csv").read_text()
    run(paths, class_model, tmp_path / "out", engine, resume=True)
    both = (tmp_path / "out" / "predictions.csv").read_text()
    assert both.startswith(first) and both.count("\n") == 3


def test_a_manifest_of_somebody_else_is_not_touched(tmp_path: Path, model: Path, engine: Engine) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for text in ('{"name": "web app"}', "not json", '{"medcnn": 1, "cases": 3}'):
        (out / "manifest.json").write_text(text)
        with pytest.raises(InputError, match=r"manifest\.json"):
            run([nifti(tmp_path / "a.nii.gz")], model, out, engine, resume=True)
        assert (out / "manifest.json").read_text() == text


def test_one_file_has_no_manifest_to_resume(tmp_path: Path, model: Path, engine: Engine) -> None:
    path = nifti(tmp_path / "a.nii.gz")
    run([path], model, tmp_path / "one.nii.gz", engine)
    assert not (tmp_path / "manifest.json").exists()
    with pytest.raises(InputError, match="needs OUT to be a folder"):
        run([path], model, tmp_path / "one.nii.gz", engine, resume=True)


def test_manifest_outlives_a_kill(tmp_path: Path, model: Path) -> None:
    """The process is killed between two cases; what was done is not run again."""
    import os
    import signal
    import subprocess

    paths = [nifti(tmp_path / f"{n}.nii.gz", seed=i) for i, n in enumerate("abc")]
    words = [str(model), str(tmp_path / "out"), *map(str, paths)]
    code = (
        "import sys, os, signal, fake_engine\nfrom pathlib import Path\n"
        "from napari_medcnn.core.events import Cancel, Progress\nfrom napari_medcnn.verbs import predict_many\n"
        "from napari_medcnn.worker.client import Engine\n"
        "model, out, *paths = map(Path, sys.argv[1:])\n"
        "ask = predict_many.ManyRequest(tuple(paths), model, out, resume=True)\n"
        "for event in predict_many.run(ask, Cancel(), Engine(fake_engine.launch())):\n"
        "    if isinstance(event, Progress) and event.message.startswith('2 of 3'):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    tests = str(Path(__file__).resolve().parents[1])
    ran = subprocess.run([sys.executable, "-c", code, *words], env={**os.environ, "PYTHONPATH": tests}, check=False)
    assert ran.returncode == -signal.SIGKILL
    (row,) = manifest(tmp_path / "out")["cases"]
    assert row["status"] == "done" and row["input"] == str(paths[0])


def test_a_program_of_the_user_runs_on_many(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    stub = str(Path(__file__).resolve().parents[1] / "stub_program.py")
    for name, how in (("mine", "named"), ("dead", "die")):
        save_command(CommandModel(name, "Mine", (sys.executable, stub, how, "{input}", "{output}")))
    paths = [nifti(tmp_path / f"{n}.nii.gz", seed=i) for i, n in enumerate("ab")]
    out = tmp_path / "out"
    done = run(paths, "mine", out, engine)
    assert [c["status"] for c in done.report["cases"]] == ["done", "done"]
    assert done.report["model"]["name"] == "mine" and len(done.report["model"]["sha256"]) == 64
    assert set(done.report["cases"][0]["volumes_ml"]) == {"spleen", "liver"}
    for path in paths:
        mask = np.asarray(nibabel.load(out / path.name).dataobj)
        np.testing.assert_array_equal(mask == 3, bright_xyz(path))
    before = stamps(out)
    run(paths, "mine", out, engine, resume=True)
    assert stamps(out) == before
    failed = run(paths, "dead", tmp_path / "dead", engine)
    assert all("out of luck" in c["error"] for c in failed.report["cases"])
    text = (tmp_path / "dead" / "manifest.json").read_text()
    assert "DOE" not in text and "exit code 3" in text  # what it said is for the eyes of the user, not for a file
    with pytest.raises(EngineError, match="Mine died 3 times in a row"):
        run([*paths, nifti(tmp_path / "c.nii.gz")], "dead", tmp_path / "dead", engine)
    with pytest.raises(InputError, match="flips: mine runs your program"):
        run(paths, "mine", out, engine, options=PredictOptions(flips=True, uncertainty=False))
