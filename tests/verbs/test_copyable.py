"""The copied command and the copied Python are executed, and both write what the run itself gives."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cases import noise
from dicom_files import write_series
from napari_medcnn.core.consent import Consent
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.options import PredictOptions, to_json
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.read import read_volume
from napari_medcnn.io.samples import fundus, phantom
from napari_medcnn.verbs import engines
from napari_medcnn.verbs.copyable import as_command, as_python
from napari_medcnn.verbs.evaluate import EvaluateRequest
from napari_medcnn.verbs.predict import PredictRequest
from napari_medcnn.worker.client import Engine
from tiny_packages import bright_xyz, nifti, nifti_mask


@pytest.fixture
def request_of(tmp_path: Path, model: Path) -> tuple[PredictRequest, Path]:
    path = nifti(tmp_path / "a folder" / "it's a scan.nii.gz")
    return PredictRequest(read_volume(path), model, PredictOptions(device="cpu")), path


def test_the_command_runs(request_of, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    request, path = request_of
    out = tmp_path / "mask.nii.gz"
    line = as_command(request, out, platform="linux")
    words = shlex.split(line)
    assert words[:2] == ["medcnn", "predict"] and words[-2:] == ["--device", "cpu"]

    @contextmanager
    def lend():
        yield engine

    monkeypatch.setattr(engines, "engine", lend)
    from napari_medcnn.cli import main

    assert main(words[1:]) == 0
    np.testing.assert_array_equal(np.asarray(nibabel.load(out).dataobj) == 2, bright_xyz(path))


def test_the_python_runs(request_of, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    request, path = request_of
    out = tmp_path / "mask.nii.gz"
    from napari_medcnn import api

    monkeypatch.setattr(api, "_engine", lambda: engine)
    exec(compile(as_python(request, out), "copied", "exec"), {})
    np.testing.assert_array_equal(np.asarray(nibabel.load(out).dataobj) == 2, bright_xyz(path))


def test_options_are_copied_and_defaults_are_not(request_of) -> None:
    request, _ = request_of
    changed = PredictRequest(request.volume, "m", PredictOptions(probabilities=True, frame=2, ignore_fit=True))
    assert as_command(changed, Path("o.nii")).endswith("--frame 2 --probabilities --ignore-fit")
    assert "probabilities=True, frame=2, ignore_fit=True" in as_python(changed, Path("o.nii"))
    plain = PredictRequest(request.volume, "m")
    assert "--device" not in as_command(plain) and "mc.predict(scan, model='m')" in as_python(plain)


def test_what_was_agreed_to_is_copied(tmp_path: Path, model: Path, engine: Engine, monkeypatch) -> None:
    """A series with a missing slice opens only with consent: the copied command and Python must give it, too."""
    folder = tmp_path / "in"
    write_series(folder, np.random.default_rng(1).integers(0, 900, (5, 8, 7)).astype(np.int16))[2].unlink()
    agreed = Consent(resample=True)
    volume = read_volume(folder, consent=agreed)
    request = PredictRequest(volume, model, PredictOptions(ignore_fit=True))
    assert as_command(request, tmp_path / "o.nii.gz", platform="linux").endswith(" --resample")
    assert "consent=mc.Consent(resample=True)" in as_python(request)
    from napari_medcnn import api
    from napari_medcnn.cli import main

    @contextmanager
    def lend():
        yield engine

    monkeypatch.setattr(engines, "engine", lend)
    monkeypatch.setattr(api, "_engine", lambda: engine)
    assert main(shlex.split(as_command(request, tmp_path / "o.nii.gz", platform="linux"))[1:]) == 0
    exec(compile(as_python(request, tmp_path / "p.nii.gz"), "copied", "exec"), {})
    one, other = (np.asarray(nibabel.load(tmp_path / name).dataobj) for name in ("o.nii.gz", "p.nii.gz"))
    np.testing.assert_array_equal(one, other)
    assert one.shape == (7, 8, 5)
    every = Consent(True, "last", True, True, "phase")
    volume = replace(volume, source={**volume.source, "consent": every.to_json()})
    words = as_command(PredictRequest(volume, "m"), platform="linux")
    assert words.endswith("--resample --damaged --large --duplicates last --complex phase")


def test_item_is_named_and_target_is_the_stem(request_of) -> None:
    request, path = request_of
    one = PredictRequest(replace(request.volume, source={"path": str(path), "item": "1.2.3"}), "m")
    assert "--item 1.2.3" in as_command(one) and "item='1.2.3'" in as_python(one)
    assert "it's a scan-mask.nii.gz" in as_python(one)


def test_examples_have_python_but_no_command() -> None:
    for volume, words in ((fundus(), "samples.fundus()"), (phantom()[0], "samples.phantom()")):
        request = PredictRequest(volume, "m")
        text = as_python(request)
        assert words in text
        compile(text, "copied", "exec")
        with pytest.raises(InputError, match="save it first"):
            as_command(request)


def test_scan_without_a_file_and_trusted_code_say_so(request_of) -> None:
    request, _ = request_of
    with pytest.raises(InputError, match="save it first"):
        as_python(PredictRequest(Volume(noise((2, 3, 4)), Geometry((2, 3, 4))), "m"))
    coded = PredictRequest(request.volume, "m", code=("layers.py",))
    with pytest.raises(InputError, match="Copy as Python"):
        as_command(coded)
    assert "code=['layers.py']" in as_python(coded)


def test_evaluation_is_copied_and_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = nifti(tmp_path / "a.nii.gz")
    truth = np.where(bright_xyz(image), 2, 0)
    nifti_mask(tmp_path / "m.nii.gz", truth)
    nifti_mask(tmp_path / "found" / "a.nii.gz", truth)
    csv = tmp_path / "dataset.csv"
    csv.write_text("case,patient,image,mask,class,split,site\na,p,a.nii.gz,m.nii.gz,,test,\n")
    request = EvaluateRequest(csv, predictions=tmp_path / "found", split="test")
    from napari_medcnn.cli import main

    assert main(shlex.split(as_command(request, platform="linux"))[1:]) == 0
    assert "Mean dice 1.0000" in capsys.readouterr().out
    space: dict = {}
    exec(compile(as_python(request), "copied", "exec"), space)
    assert space["report"].overall().mean == 1.0


def test_windows_quoting(request_of) -> None:
    request, _ = request_of
    line = as_command(request, Path("o.nii"), platform="win32")
    assert f'"{request.volume.source["path"]}"' in line


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_a_shell_takes_the_line_apart_as_meant(request_of) -> None:
    request, path = request_of
    line = as_command(request, Path("o.nii"), platform="linux").replace("medcnn", "printf '%s\\n'", 1)
    ran = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert str(path) in ran.stdout.splitlines()


EVERYTHING = {
    "device": "cpu", "probabilities": True, "frame": 1, "ignore_fit": True, "uncertainty_kind": "variance",
    "flips": True, "region": ((1, 3), (0, 4), (2, 5)), "coarse": True, "engine": "keras", "precision": "bfloat16",
}  # fmt: skip


def run_both(request, out: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> tuple[dict, dict]:
    """Execute what is copied, and return the two records that were written: of the command, of the Python."""
    from napari_medcnn import api
    from napari_medcnn.cli import main

    @contextmanager
    def lend():
        yield engine

    monkeypatch.setattr(engines, "engine", lend)
    monkeypatch.setattr(api, "_engine", lambda: engine)
    assert main(shlex.split(as_command(request, out, platform="linux"))[1:]) == 0
    record = out.with_name("mask.provenance.json")
    command = json.loads(record.read_text())
    first = out.read_bytes()
    record.unlink()
    out.unlink()
    exec(compile(as_python(request, out), "copied", "exec"), {})
    assert out.read_bytes() == first
    return command, json.loads(record.read_text())


def test_every_option_survives_being_copied(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiny_packages import package, segmenter

    model = package(tmp_path / "p", segmenter(symmetric=(0, 1, 2)))
    path = nifti(tmp_path / "s.nii.gz", shape=(6, 5, 4, 2))
    request = PredictRequest(read_volume(path), model, PredictOptions(**EVERYTHING))
    command, python = run_both(request, tmp_path / "mask.nii.gz", engine, monkeypatch)
    assert command["options"] == python["options"] == to_json(request.options)
    assert (tmp_path / "mask.uncertainty.nii.gz").is_file() and (tmp_path / "mask.probabilities.nii.gz").is_file()
    # every option there is, is tried here, or in the test of slices
    assert {f.name for f in fields(PredictOptions)} == {*EVERYTHING, "uncertainty", "slices"}


def test_slices_of_a_flat_model_are_copied(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiny_packages import package, segmenter

    model = package(tmp_path / "p", segmenter(dimensions=2))
    options = PredictOptions(slices="coronal", uncertainty=False)
    request = PredictRequest(read_volume(nifti(tmp_path / "s.nii.gz")), model, options)
    command, python = run_both(request, tmp_path / "mask.nii.gz", engine, monkeypatch)
    assert command["options"] == python["options"] == to_json(options)


def test_channels_are_copied(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_medcnn.imaging.channels import combine
    from tiny_packages import package, segmenter

    model = package(tmp_path / "p", segmenter("two", channels=2))
    scans = [read_volume(nifti(tmp_path / f"{n}.nii.gz", seed=i)) for i, n in enumerate("ab")]
    request = PredictRequest(combine(scans), model, PredictOptions(uncertainty=False))
    command, python = run_both(request, tmp_path / "mask.nii.gz", engine, monkeypatch)
    assert command["input"] == python["input"] and command["input"]["shape"][-1] == 2
    assert "a-mask.nii.gz" in as_command(request)


@pytest.mark.skipif(sys.platform == "win32", reason="the stub uses POSIX signals")
def test_a_program_of_the_user_is_copied(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_medcnn.core.command import CommandModel
    from napari_medcnn.io.commands import save_command
    from napari_medcnn.verbs.command_model import CommandRequest

    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    stub = str(Path(__file__).resolve().parents[1] / "stub_program.py")
    mine = CommandModel("mine", "Mine", (sys.executable, stub, "named", "{input}", "{output}", "{device}"))
    save_command(mine)
    request = CommandRequest(read_volume(nifti(tmp_path / "s.nii.gz")), mine, PredictOptions(device="cpu"))
    command, python = run_both(request, tmp_path / "mask.nii.gz", engine, monkeypatch)
    assert command["model"] == python["model"] and command["model"]["kind"] == "program of the user"
    assert command["options"] == python["options"] == {"device": "cpu", "frame": 0, "ignore_fit": False}


def test_an_open_package_is_copied_by_its_path(request_of) -> None:
    from napari_medcnn.io.packages import read_package

    request, _ = request_of
    opened = read_package(request.model)
    assert as_command(replace(request, model=opened)) == as_command(request)
    assert as_python(replace(request, model=opened)) == as_python(request)
