"""``medcnn models`` and ``medcnn predict`` with programs of the user's, and the flags of a run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_medcnn.cli.predicting import region_of
from napari_medcnn.core.command import CommandModel
from napari_medcnn.errors import InputError
from napari_medcnn.io import commands
from tiny_packages import bright_xyz, nifti, package, segmenter

STUB = str(Path(__file__).resolve().parents[1] / "stub_program.py")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stub uses POSIX signals")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))


def file_of(tmp_path: Path, how: str = "named", name: str = "mine") -> Path:
    command = CommandModel(
        name, "My program", (sys.executable, STUB, how, "{input}", "{output}"), licence="CC0-1.0", note="Look here."
    )
    (tmp_path / f"{name}.yaml").write_text(commands.command_text(command), encoding="utf-8")
    return tmp_path / f"{name}.yaml"


def test_added_listed_run_and_removed(tmp_path: Path, medcnn) -> None:
    added = medcnn("models", "--add-command", file_of(tmp_path))
    assert added.code == 0 and "Added mine" in added.out and "Look here." in added.err
    assert medcnn("models", "--add-command", file_of(tmp_path)).code == 1
    listed = medcnn("models")
    assert "mine: segmentation, My program (runs your program" in listed.out and "Licence: CC0-1.0" in listed.out
    (shown,) = medcnn("models", "--json").json["commands"]
    assert shown["name"] == "mine" and shown["kind"] == "runs your program" and shown["licence"] == "CC0-1.0"
    path = nifti(tmp_path / "scan.nii.gz")
    ran = medcnn("predict", "-m", "mine", path, "-o", tmp_path / "out", "--json")
    assert ran.code == 0 and list(ran.json) == ["model", "cases"] and ran.json["cases"][0]["status"] == "done"
    mask = np.asarray(nibabel.load(tmp_path / "out" / "scan.nii.gz").dataobj)
    np.testing.assert_array_equal(mask, np.where(bright_xyz(path), 3, 0))
    assert medcnn("models", "--remove", "mine").code == 0
    assert medcnn("models", "--json").json["commands"] == []
    assert "mine" in medcnn("models", "--remove", "mine").err
    gone = medcnn("predict", "-m", "mine", path, "-o", tmp_path / "out")
    assert gone.code == 1 and "nor a model called 'mine'" in gone.err


def test_what_died_is_said_on_the_terminal_and_stands_in_no_file(tmp_path: Path, medcnn) -> None:
    medcnn("models", "--add-command", file_of(tmp_path, "die"))
    path = nifti(tmp_path / "scan.nii.gz")
    ran = medcnn("predict", "-m", "mine", path, "-o", tmp_path / "out")
    assert ran.code == 1 and "exit code 3" in ran.err and "out of luck" in ran.err
    texts = [p.read_text() for p in (tmp_path / "out").iterdir()]
    assert len(texts) == 1 and not any("DOE" in text or "luck" in text for text in texts)


def test_templates_are_printed_ready_to_add(tmp_path: Path, medcnn) -> None:
    names = [line.partition(":")[0] for line in medcnn("models", "--command-template").out.splitlines()]
    assert names == [t.name for t in commands.templates()]
    for name in names:
        ran = medcnn("models", "--command-template", name)
        (tmp_path / "c.yaml").write_text(ran.out, encoding="utf-8")
        assert ran.code == 0 and medcnn("models", "--add-command", tmp_path / "c.yaml").code == 0
    assert [c["name"] for c in medcnn("models", "--json").json["commands"]] == names
    assert "expected totalsegmentator" in medcnn("models", "--command-template", "nobody").err
    assert len(medcnn("models", "--command-template", "--json").json["templates"]) == len(names)


def test_changes_exclude_each_other_and_bad_files_are_named(tmp_path: Path, medcnn) -> None:
    assert medcnn("models", "--remove", "a", "--add", "b").code == 2
    (tmp_path / "bad.yaml").write_text("name: a\ntitle: b\narguments: rm -rf {input} {output}\n")
    ran = medcnn("models", "--add-command", tmp_path / "bad.yaml")
    assert ran.code == 1 and "bad.yaml: arguments: expected a list" in ran.err
    assert "gone.yaml" in medcnn("models", "--add-command", tmp_path / "gone.yaml").err


def test_a_broken_list_is_a_problem_and_not_the_end(tmp_path: Path, medcnn) -> None:
    medcnn("models", "--add-command", file_of(tmp_path))
    commands.commands_file().write_text("version: 1\ncommands: [{name: x}]\n")
    ran = medcnn("models", "--json")
    assert ran.code == 0 and any("title: missing" in p for p in ran.json["problems"]) and ran.json["models"]


FLAGS = (
    "--device", "cpu", "--probabilities", "--uncertainty", "--uncertainty-kind", "variance", "--frame", "1", "--flips",
    "--region", "1:3,0:4,2:5", "--coarse", "--engine", "keras", "--precision", "bfloat16", "--ignore-fit",
)  # fmt: skip


def test_every_flag_reaches_the_run(tmp_path: Path, medcnn) -> None:
    model = package(tmp_path / "p", segmenter(symmetric=(0, 1, 2)))
    path = nifti(tmp_path / "s.nii.gz", shape=(6, 5, 4, 2))
    assert medcnn("predict", "-m", model, path, "-o", tmp_path / "out", *FLAGS).code == 0
    options = json.loads((tmp_path / "out" / "s.provenance.json").read_text())["options"]
    assert options == {
        "device": "cpu", "probabilities": True, "uncertainty": True, "uncertainty_kind": "variance", "frame": 1,
        "ignore_fit": True, "flips": True, "region": [[1, 3], [0, 4], [2, 5]], "slices": "card", "coarse": True,
        "engine": "keras", "precision": "bfloat16",
    }  # fmt: skip
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"s.nii.gz", "s.probabilities.nii.gz", "s.uncertainty.nii.gz", "manifest.json"} <= names
    flat = package(tmp_path / "f", segmenter("flat", 2))
    assert medcnn("predict", "-m", flat, path, "-o", tmp_path / "flat", "--slices", "sagittal").code == 0
    assert json.loads((tmp_path / "flat" / "s.provenance.json").read_text())["options"]["slices"] == "sagittal"


def test_resume_and_channels_on_the_command_line(tmp_path: Path, medcnn) -> None:
    two = package(tmp_path / "p", segmenter("two", channels=2))
    a, b = nifti(tmp_path / "a.nii.gz", seed=1), nifti(tmp_path / "b.nii.gz", seed=2)
    words = ("predict", "-m", two, f"{a}|{b}", "-o", tmp_path / "out", "--resume")
    assert medcnn(*words).code == 0
    made = (tmp_path / "out" / "a.nii.gz").stat().st_mtime_ns
    again = medcnn(*words)
    assert again.code == 0 and "earlier run" in again.err
    assert (tmp_path / "out" / "a.nii.gz").stat().st_mtime_ns == made


@pytest.mark.parametrize("text", ["1:2", "1:2,3:4", "a:b,1:2,1:2", "1-2,1-2,1-2", "-1:2,1:2,1:2", "1:2,1:2,1:2,1:2"])
def test_a_region_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="z0:z1,y0:y1,x0:x1"):
        region_of(text)


def test_regions_are_read() -> None:
    assert region_of(None) is None
    assert region_of("1:3, 0:4, 2:50") == ((1, 3), (0, 4), (2, 50))


def test_an_empty_region_is_named(tmp_path: Path, medcnn) -> None:
    model = package(tmp_path / "p", segmenter())
    ran = medcnn(
        "predict", "-m", model, nifti(tmp_path / "s.nii.gz"), "-o", tmp_path / "out", "--region", "3:3,0:1,0:1"
    )
    assert ran.code == 1 and "start below stop" in ran.err


def test_converting_over_a_file_says_so(tmp_path: Path, medcnn) -> None:
    path = nifti(tmp_path / "s.nii.gz")
    assert medcnn("convert", path, tmp_path / "s.nrrd").err.count("replaced") == 0
    again = medcnn("convert", path, tmp_path / "s.nrrd")
    assert again.code == 0 and "was there before and has been replaced" in again.err


def test_an_error_names_its_file_once(tmp_path: Path, medcnn) -> None:
    model = package(tmp_path / "p", segmenter())
    ran = medcnn("predict", "-m", model, tmp_path / "gone.nii.gz", "-o", tmp_path / "out")
    (line,) = [line for line in ran.err.splitlines() if line.startswith("medcnn: ")]
    assert line.count("gone.nii.gz") == 1 and "nothing is there" in line


def test_a_package_of_ones_own_is_removed_and_kept(tmp_path: Path, medcnn) -> None:
    from napari_medcnn.core import paths

    package(paths.user_models(), segmenter("own"))
    assert "own" in [m["name"] for m in medcnn("models", "--json").json["models"]]
    ran = medcnn("models", "--remove", "own")
    assert ran.code == 0 and "kept in" in ran.out
    assert "own" not in [m["name"] for m in medcnn("models", "--json").json["models"]]
    shipped = medcnn("models", "--remove", "retina-vessels")
    assert shipped.code == 1 and "only your own" in shipped.err
