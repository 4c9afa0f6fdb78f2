"""What scripts rely on: exit codes, one JSON object on stdout, one line per error on stderr."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_medcnn.cli import commands, main, windows
from tiny_packages import bright_xyz, nifti, nifti_mask


def test_info_in_words_and_as_json(tmp_path: Path, medcnn) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    ran = medcnn("info", path)
    assert ran.code == 0
    assert "volume" in ran.out and "3 x 0.8 x 0.7 mm" in ran.out and "LSA" in ran.out
    ran = medcnn("info", path, "--json")
    assert ran.code == 0 and list(ran.json) == ["path", "items"]
    assert ran.json["items"][0]["spacing_mm"] == pytest.approx([3.0, 0.8, 0.7])


@pytest.mark.parametrize(
    "words", [["info"], ["convert", "a"], ["predict", "-m", "x", "in"], ["nonsense"], ["demo", "x"]]
)
def test_wrong_usage_is_2(medcnn, words: list[str]) -> None:
    ran = medcnn(*words)
    assert ran.code == 2 and ran.out == "" and "usage: medcnn" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "d.csv"],
        ["evaluate", "-m", "x", "--predictions", "y", "d.csv"],
        ["predict", "-m", "x", "in", "-o", "out", "--device", "tpu"],
        ["predict", "-m", "x", "in", "-o", "out", "--frame", "-1"],
    ],
)
def test_options_that_contradict_or_do_not_exist_are_2(medcnn, words: list[str]) -> None:
    assert medcnn(*words).code == 2


def test_help_and_version_are_0(medcnn) -> None:
    assert medcnn("--help").code == 0
    assert medcnn("predict", "--help").code == 0
    assert medcnn("--version").out.startswith("medcnn ")


def test_named_problem_is_1_with_one_line_and_no_traceback(tmp_path: Path, medcnn) -> None:
    ran = medcnn("info", tmp_path / "gone.nii.gz")
    assert ran.code == 1 and ran.out == ""
    lines = [line for line in ran.err.splitlines() if line.startswith("medcnn: ")]
    assert len(lines) == 1 and "gone.nii.gz" in lines[0]
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("words", [["--debug", "info"], ["info", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(tmp_path: Path, medcnn, words: list[str]) -> None:
    ran = medcnn(*words, tmp_path / "gone.nii.gz")
    assert ran.code == 1 and "Traceback" in ran.err


def test_json_stays_one_object_when_it_fails(tmp_path: Path, medcnn) -> None:
    ran = medcnn("info", tmp_path / "gone.nii.gz", "--json")
    assert ran.code == 1 and list(ran.json) == ["error"]


def test_convert(tmp_path: Path, medcnn) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    ran = medcnn("convert", path, tmp_path / "scan.nrrd")
    assert ran.code == 0 and ran.out == f"Wrote {tmp_path / 'scan.nrrd'}\n"
    nifti(tmp_path / "two" / "a.nii.gz")
    nifti(tmp_path / "two" / "b.nii.gz")
    ran = medcnn("convert", tmp_path / "two", tmp_path / "o.nii.gz")
    assert ran.code == 1 and "--item" in ran.err and "a" in ran.err and "b" in ran.err


def test_predict_json_and_files(tmp_path: Path, medcnn, model: Path) -> None:
    path = nifti(tmp_path / "scan.nii.gz")
    ran = medcnn("predict", "-m", model, path, "-o", tmp_path / "out", "--json")
    assert ran.code == 0
    assert list(ran.json) == ["model", "cases"]
    assert ran.json["cases"][0]["status"] == "done"
    mask = nibabel.load(tmp_path / "out" / "scan.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.where(bright_xyz(path), 2, 0))
    np.testing.assert_allclose(mask.affine, nibabel.load(path).affine, atol=1e-5)


def test_predict_goes_on_after_a_bad_case_and_is_1(tmp_path: Path, medcnn, model: Path) -> None:
    good, bad = nifti(tmp_path / "good.nii.gz"), tmp_path / "bad.nii.gz"
    bad.write_bytes(b"")
    ran = medcnn("predict", "-m", model, bad, good, "-o", tmp_path / "out", "--json")
    assert ran.code == 1
    assert [c["status"] for c in ran.json["cases"]] == ["failed", "done"]
    assert sum(line.startswith("medcnn: ") for line in ran.err.splitlines()) == 1
    assert (tmp_path / "out" / "good.nii.gz").is_file()


def test_progress_is_plain_lines_on_stderr(tmp_path: Path, medcnn, model: Path) -> None:
    paths = [nifti(tmp_path / f"{n}.nii.gz") for n in "ab"]
    ran = medcnn("predict", "-m", model, *paths, "-o", tmp_path / "out")
    assert "1 of 2: a.nii.gz" in ran.err.splitlines() and "2 of 2: b.nii.gz" in ran.err.splitlines()
    assert "\r" not in ran.err
    assert len(ran.out.splitlines()) == 2 and "bright" in ran.out


def test_predict_classes(tmp_path: Path, medcnn, class_model: Path) -> None:
    ran = medcnn("predict", "-m", class_model, nifti(tmp_path / "s.nii.gz"), "-o", tmp_path / "out")
    assert ran.code == 0 and "well 0.900" in ran.out
    assert (tmp_path / "out" / "predictions.csv").read_text().startswith("input,class,p_well,p_ill\n")


def test_unknown_model(tmp_path: Path, medcnn) -> None:
    ran = medcnn("predict", "-m", "nothing-like-it", nifti(tmp_path / "s.nii.gz"), "-o", tmp_path / "out")
    assert ran.code == 1 and "nothing-like-it" in ran.err
    assert not (tmp_path / "out").exists()


def test_models(medcnn) -> None:
    ran = medcnn("models", "--json")
    assert ran.code == 0 and list(ran.json) == ["models", "commands", "problems"]
    assert medcnn("models").code == 0


def test_evaluate(tmp_path: Path, medcnn, model: Path) -> None:
    image = nifti(tmp_path / "a.nii.gz")
    nifti_mask(tmp_path / "m.nii.gz", np.where(bright_xyz(image), 2, 0))
    csv = tmp_path / "dataset.csv"
    csv.write_text("case,patient,image,mask,class,split,site\na,p,a.nii.gz,m.nii.gz,,,\n")
    ran = medcnn("evaluate", "-m", model, csv, "-o", tmp_path / "report", "--json")
    assert ran.code == 0 and ran.json["cases"][0]["scores"]["bright"]["dice"] == 1.0
    assert ran.json == json.loads((tmp_path / "report" / "report.json").read_text())
    ran = medcnn("evaluate", "-m", model, csv)
    assert ran.code == 0 and "Mean dice 1.0000, 1 cases of 1 patients" in ran.out


def test_train_with_a_wrong_key_is_1(tmp_path: Path, medcnn) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("model: m\ndataset: d\nout: o\nlr: 3\n")
    ran = medcnn("train", config)
    assert ran.code == 1 and "unknown key lr" in ran.err


def test_doctor(medcnn) -> None:
    ran = medcnn("doctor", "--json")
    assert ran.code == 0 and list(ran.json) == ["checks"]


def test_open_without_the_window_says_what_to_install(medcnn, monkeypatch: pytest.MonkeyPatch) -> None:
    real = windows.importlib.util.find_spec
    monkeypatch.setattr(windows.importlib.util, "find_spec", lambda n: None if n == "napari" else real(n))
    for words in ([], ["open", "x"]):
        ran = medcnn(*words)
        assert ran.code == 1 and 'pip install "napari-medcnn[pyqt5]"' in ran.err


def test_open_starts_the_window_in_a_child(tmp_path: Path, medcnn, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setattr(windows, "run_window", lambda *args: started.append(args) or 0)
    path = nifti(tmp_path / "scan.nii.gz")
    assert medcnn("open", path).code == 0
    assert medcnn().code == 0
    assert started == [(windows.LAUNCH, [str(path)]), (windows.LAUNCH, [])]
    ran = medcnn("open", tmp_path / "gone")
    assert ran.code == 1 and "gone: there is no such file or folder" in ran.err


def test_open_without_display(medcnn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    ran = medcnn()
    assert ran.code == 1 and "no display" in ran.err


def test_the_command_line_loads_neither_napari_nor_networks() -> None:
    code = (
        "import sys, napari_medcnn.cli.commands\n"
        "bad = {'napari', 'qtpy', 'PyQt5', 'PyQt6', 'tensorflow', 'keras', 'vispy'} & set(sys.modules)\n"
        "raise SystemExit(', '.join(sorted(bad)) or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr


def test_every_command_of_the_help_has_a_handler() -> None:
    from napari_medcnn.cli.main import _parser

    choices = next(a.choices for a in _parser()._actions if a.choices)
    looking = {"demo", "open", "info", "convert", "models", "doctor"}
    assert set(choices) == looking | {"predict", "explain", "train", "evaluate"}
    for parser in choices.values():
        assert callable(getattr(commands, parser.get_default("handler")))
    assert main(["--version"]) == 0


@pytest.mark.slow
def test_train_in_a_real_process_ends_with_a_decision(tmp_path: Path) -> None:
    """One short epoch of the phantom's network, as a user types it; too few cases to decide, and it says so."""
    from napari_medcnn.io.samples import phantom
    from napari_medcnn.io.save import save_labels, save_volume

    scan, truth = phantom()
    lines = ["case,patient,image,mask,class,split,site"]
    for name, split in (("a", "train"), ("b", "val"), ("c", "gate")):
        shifted = scan.array + np.int16(ord(name))  # no two scans are the same file
        save_volume(type(scan)(shifted, scan.geometry, modality="CT"), tmp_path / f"{name}.nii.gz")
        save_labels(truth, tmp_path / f"{name}-mask.nii.gz")
        lines.append(f"{name},{name},{name}.nii.gz,{name}-mask.nii.gz,,{split},")
    (tmp_path / "dataset.csv").write_text("\n".join(lines) + "\n")
    network = Path(__file__).resolve().parents[1] / "data" / "phantom-thresholds"
    options = "{epochs: 1, steps_per_epoch: 1, batch: 1, device: cpu}"
    (tmp_path / "train.yaml").write_text(f"model: {network}\ndataset: dataset.csv\nout: run\noptions: {options}\n")
    ran = subprocess.run(
        [sys.executable, "-m", "napari_medcnn.cli", "train", str(tmp_path / "train.yaml")],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Best epoch 1, dice" in ran.stdout
    assert "Refused, keep the old model: Too few cases" in ran.stdout
    assert json.loads((tmp_path / "run" / "gate.json").read_text())["accepted"] is False
    assert (tmp_path / "run" / "model" / "rdf.yaml").is_file()
