"""A program of the user's as a model: a stub that is good, odd, slow, dead, deaf, and one that says too much."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_medcnn.core import paths
from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.events import Cancel, Failed, Progress, Result, result_of
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.results import Segmentation
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import Cancelled, EngineError, InputError, ModelError
from napari_medcnn.io.read import read_volume
from napari_medcnn.io.save import save_labels
from napari_medcnn.verbs import command_model
from napari_medcnn.verbs.command_model import CommandRequest, percentage
from tiny_packages import bright_xyz, nifti

STUB = Path(__file__).resolve().parents[1] / "stub_program.py"
NAME = "DOE^JANE"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stub uses POSIX signals")


def command(how: str, *more: str, **changes) -> CommandModel:
    """Return the stub as a command; -S-like switches would hide nibabel, so the interpreter of the tests runs it."""
    target = "{output_folder}" if how in ("class files", "overlap", "nnunet") else "{output}"
    arguments = (sys.executable, str(STUB), how, "{input}", target, *more)
    return CommandModel("stub", "The stub", arguments, **{"licence": "CC0-1.0", **changes})


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """However a run ends, its folder goes with it, and no file of ours holds what the program said."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield
    assert list(temporary.iterdir()) == []
    written = [p for p in paths.home().rglob("*") if p.is_file()]
    assert not [p for p in written if NAME.encode() in p.read_bytes()]


@pytest.fixture
def scan(tmp_path: Path) -> tuple[Path, Volume]:
    path = nifti(tmp_path / "in" / f"{NAME}.nii.gz")
    return path, read_volume(path)


def run(given: CommandModel, volume: Volume, **options) -> Segmentation:
    return result_of(command_model.run(CommandRequest(volume, given, PredictOptions(**options)), Cancel()))


def logged(path: Path) -> dict:
    return json.loads(path.read_text())


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc").is_dir()
    return state not in "ZX"


@pytest.mark.parametrize("how", ["good", "flipped", "named"])
def test_mask_comes_back_on_the_grid_of_the_scan(scan, tmp_path: Path, how: str) -> None:
    path, volume = scan
    result = run(command(how), volume)
    assert result.mask.geometry == volume.geometry
    save_labels(result.mask, tmp_path / "mask.nii.gz")
    saved = nibabel.load(tmp_path / "mask.nii.gz")
    np.testing.assert_allclose(saved.affine, nibabel.load(path).affine, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(saved.dataobj), np.where(bright_xyz(path), 3, 0))
    assert any("another order" in w for w in result.warnings) == (how == "flipped")


def test_a_scan_without_orientation_keeps_its_voxels_in_place(tmp_path: Path) -> None:
    """Programs guess where nothing is stated; they are told something definite, so no mirrored mask comes back."""
    data = np.random.default_rng(5).integers(0, 900, (6, 5, 4)).astype(np.int16)
    image = nibabel.Nifti1Image(data, None)
    image.header.set_zooms((0.7, 0.8, 3.0))
    nibabel.save(image, tmp_path / "plain.nii.gz")
    volume = read_volume(tmp_path / "plain.nii.gz")
    assert not volume.geometry.orientation_known
    for how in ("good", "flipped"):
        result = run(command(how), volume)
        np.testing.assert_array_equal(result.mask.array.T, np.where(data > data.mean(), 3, 0))
        assert result.mask.geometry == volume.geometry
        assert any(i.topic == "Orientation" and i.level == "warn" for i in result.fit)


def test_names_by_card_then_by_file_then_none(scan) -> None:
    _, volume = scan
    labels = LabelSet.from_names(["one", "two"])
    by_card = run(command("named", labels=labels), volume)
    assert [(x.id, x.name) for x in by_card.mask.labels] == [(1, "one"), (2, "two"), (3, "Class 3")]
    assert any("without a name: 3" in w for w in by_card.warnings)
    by_file = run(command("named"), volume)
    assert [(x.id, x.name) for x in by_file.mask.labels] == [(1, "spleen"), (3, "liver")]
    assert by_file.warnings == ()
    assert [(x.id, x.name) for x in run(command("good"), volume).mask.labels] == [(3, "Class 3")]


def test_one_file_per_class(scan) -> None:
    path, volume = scan
    data = np.asarray(nibabel.load(path).dataobj, dtype=float)
    result = run(command("class files", output="class files"), volume)
    assert [(x.id, x.name) for x in result.mask.labels] == [(1, "liver"), (2, "spleen")]
    np.testing.assert_array_equal(
        result.mask.array.T, np.where(data > data.mean(), 2, np.where(data < data.mean() - 300, 1, 0))
    )
    known = LabelSet.from_names(["spleen"], first_id=7)
    result = run(command("class files", output="class files", labels=known), volume)
    assert [(x.id, x.name) for x in result.mask.labels] == [(7, "spleen"), (8, "liver")]


def test_classes_that_overlap_are_counted(scan) -> None:
    path, volume = scan
    data = np.asarray(nibabel.load(path).dataobj)
    result = run(command("overlap", output="class files"), volume)
    np.testing.assert_array_equal(result.mask.array.T, np.where(data > 300, 2, np.where(data > 0, 1, 0)))
    assert f"overlap in {np.count_nonzero(data > 300)} voxels" in result.warnings[0]


def test_nnunet_folders_with_two_channels(scan, tmp_path: Path) -> None:
    path, volume = scan
    second = volume.array.astype(np.int16) + np.int16(5)
    both = Volume(np.stack([volume.array, second], axis=-1), volume.geometry, "zyxc")
    arguments = (sys.executable, str(STUB), "nnunet", "{input_folder}/case_0000.nii.gz", "{output_folder}")
    given = CommandModel("n", "nnU-Net", arguments, output="nnunet", channels=("T1", "FLAIR"))
    result = run(given, both)
    assert [(x.id, x.name) for x in result.mask.labels] == [(1, "left"), (3, "of 2 channels")]
    np.testing.assert_array_equal(result.mask.array.T, np.where(bright_xyz(path), 3, 0))
    with pytest.raises(InputError, match="Channels: The model takes 2"):
        run(given, volume)
    (tmp_path / "dataset.json").write_text(
        json.dumps({"labels": {"background": 0, "whole": [1, 3], "core": [3]}, "regions_class_order": [1, 3]})
    )
    result = run(replace(given, dataset_json=str(tmp_path / "dataset.json")), both)
    assert [(x.id, x.name) for x in result.mask.labels] == [(1, "whole"), (3, "core")]


def test_slow_program_is_heard_and_its_last_bar_is_the_progress(scan) -> None:
    _, volume = scan
    seen = [e for e in command_model.run(CommandRequest(volume, command("slow")), Cancel()) if isinstance(e, Progress)]
    heard = [e.fraction for e in seen if "part" in e.message]
    assert len(heard) >= 3 and set(heard) <= {0.0, 0.2, 0.4, 0.6, 0.8, 1.0} and heard == sorted(heard)
    assert all(len(e.message) <= 130 and e.message.isprintable() for e in seen)


@pytest.mark.parametrize(
    ("line", "share"),
    [("45%", 0.45), ("a 10% b 62.5 % c", 0.625), ("100%|###| 5/5", 1.0), ("250%", None), ("45", None), ("", None)],
)
def test_percentage_of_a_line(line: str, share: float | None) -> None:
    assert percentage(line) == share


def test_a_program_that_hangs_is_ended_with_all_it_started(scan, tmp_path: Path) -> None:
    _, volume = scan
    log, cancel = tmp_path / "log.json", Cancel()
    given = command("hang", environment=(("STUB_LOG", str(log)),))
    events: list = []
    thread = threading.Thread(target=lambda: events.extend(command_model.run(CommandRequest(volume, given), cancel)))
    thread.start()
    until = time.monotonic() + 30
    while not any(isinstance(e, Progress) and e.message == "hanging" for e in events):
        assert time.monotonic() < until
        time.sleep(0.02)
    pids = logged(log)["pids"]
    assert len(pids) == 2 and all(lives(pid) for pid in pids)
    asked = time.monotonic()
    cancel.set()
    thread.join(10)
    assert time.monotonic() - asked < 2.0
    assert isinstance(events[-1], Failed) and isinstance(events[-1].error, Cancelled)
    assert not any(lives(pid) for pid in pids)


def test_closing_the_generator_ends_the_program_too(scan, tmp_path: Path) -> None:
    _, volume = scan
    log = tmp_path / "log.json"
    events = command_model.run(CommandRequest(volume, command("hang", environment=(("STUB_LOG", str(log)),))), Cancel())
    for event in events:
        if event.message == "hanging":
            break
    events.close()
    assert not any(lives(pid) for pid in logged(log)["pids"])


def test_what_outlives_the_program_is_ended(scan, tmp_path: Path) -> None:
    _, volume = scan
    log = tmp_path / "log.json"
    result = run(command("leave", environment=(("STUB_LOG", str(log)),)), volume)
    assert result.mask.counts()
    assert not any(lives(pid) for pid in logged(log)["pids"])


def test_dying_says_code_and_last_words(scan) -> None:
    _, volume = scan
    with pytest.raises(EngineError, match="The stub ended with exit code 3") as caught:
        run(command("die"), volume)
    assert caught.value.exit_code == 3 and "out of luck" in str(caught.value) and "\x1b" not in str(caught.value)
    assert NAME not in str(caught.value).partition(command_model.SAID)[0]
    with pytest.raises(EngineError, match=r"SIGKILL.*not enough memory"):
        run(command("killed"), volume)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("wrong grid", r"another grid: 4 x 5 x 5 voxels .*the scan has 4 x 5 x 6 voxels"),
        ("shifted", "another grid"),
        ("no position", "another grid"),
        ("nothing", r"ended without writing a mask: expected mask.nii.gz, found nothing"),
        ("floats", "not a mask.*fractions"),
        ("4d", "not a mask"),
        ("empty", "not a mask"),
    ],
)
def test_what_is_no_mask_of_this_scan_is_refused_by_name(scan, how: str, words: str) -> None:
    _, volume = scan
    with pytest.raises(ModelError, match=words):
        run(command(how), volume)


@pytest.mark.slow
def test_a_flood_on_stderr_neither_blocks_nor_fills_memory(scan) -> None:
    import tracemalloc

    _, volume = scan
    tracemalloc.start()
    try:
        assert run(command("flood"), volume).mask.counts()
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


NASTY = (
    "two words", "it's \"quoted\"", "$(touch pwned)", "; touch pwned", "`touch pwned`", "*", "&& x | y > z", "%PATH%",
    "{not a placeholder}", "\\n", "ünï", "{input", "",
)  # fmt: skip


def test_arguments_reach_the_program_as_they_stand(scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, volume = scan
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "log.json"
    run(command("good", *NASTY, environment=(("STUB_LOG", str(log)),)), volume)
    assert logged(log)["words"] == list(NASTY)
    assert not list(tmp_path.rglob("pwned"))


def test_what_the_program_is_given(scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, volume = scan
    for name in ("PYTHONPATH", "PYTHONHOME_X", "TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND", "MEDCNN_TEST", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "ours")
    monkeypatch.setenv("KEPT", "yes")
    log = tmp_path / "log.json"
    given = command("good", "{device}", "{user}", "{folder}:/data", devices=("auto", "cpu", "cuda:0"),
                    environment=(("STUB_LOG", str(log)), ("PYTHONUTF8", "1")))  # fmt: skip
    run(given, volume, device="gpu")
    seen = logged(log)
    assert seen["words"][:2] == ["cuda:0", f"{os.getuid()}:{os.getgid()}"]
    assert seen["words"][2] == f"{Path(seen['source']).parents[1]}:/data"
    ours = {k for k in seen["env"] if k.startswith(("PYTHON", "TF_", "KERAS", "MEDCNN", "VIRTUAL_ENV"))}
    assert ours == {"PYTHONUTF8"} and seen["env"]["KEPT"] == "yes"
    assert seen["mode"] == "0o40700"
    assert Path(seen["source"]).name == "case_0000.nii.gz"
    assert NAME not in json.dumps(seen) and path.name not in json.dumps(seen)
    assert Path(seen["env"]["TMPDIR"]).is_relative_to(Path(seen["source"]).parents[2])


def test_provenance_says_how_and_nothing_of_the_patient(scan) -> None:
    _, volume = scan
    given = command("named", "--device", "{device}", version_arguments=(str(STUB), "--version"))
    value = run(given, replace(volume, source={"path": f"/x/{NAME}.nii.gz"}), device="cpu").provenance.to_json()
    assert value["model"]["name"] == "stub" and value["model"]["licence"] == "CC0-1.0"
    assert value["model"]["arguments"] == list(given.arguments)
    assert len(value["model"]["program_sha256"]) == 64 and value["versions"]["stub"] == "stub 1.2.3"
    assert value["device"] == f"{Path(sys.executable).name}, cpu"
    assert value["options"] == {"device": "cpu", "frame": 0, "ignore_fit": False}
    assert NAME not in json.dumps(value) and tempfile.gettempdir() not in json.dumps(value)
    assert set(value["seconds"]) == {"load", "forward", "rest"}


def test_what_it_cannot_be_told_is_refused(scan) -> None:
    _, volume = scan
    with pytest.raises(InputError, match=r"probabilities, flips: stub runs your program"):
        run(command("good"), volume, flips=True, probabilities=True)
    with pytest.raises(InputError, match="Modality: This is MR"):
        run(command("good", modalities=("CT",)), replace(volume, modality="MR"))
    assert run(command("good", modalities=("CT",)), replace(volume, modality="MR"), ignore_fit=True).mask.counts()


def test_program_that_is_not_here(scan) -> None:
    _, volume = scan
    with pytest.raises(InputError, match="no such program here"):
        run(CommandModel("x", "X", ("no-such-program-1", "{input}", "{output}")), volume)
    with pytest.raises(InputError, match="full path"):
        run(CommandModel("x", "X", ("./relative", "{input}", "{output}")), volume)
    with pytest.raises(InputError, match="through a shell"):
        command_model._program_path(_batch(), {"PATH": ""}, "win32")


def test_a_program_in_the_current_folder_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted").write_text("#!/bin/sh\n")
    (tmp_path / "planted").chmod(0o700)
    monkeypatch.chdir(tmp_path)
    planted = CommandModel("x", "X", ("planted", "{input}", "{output}"))
    for path in (".", "", f"{os.pathsep}"):
        with pytest.raises(InputError, match="no such program here"):
            command_model._program_path(planted, {"PATH": path})
    assert command_model._program_path(planted, {"PATH": str(tmp_path)}) == tmp_path / "planted"


def _batch() -> CommandModel:
    path = Path(tempfile.gettempdir()).parent / "run.bat"
    path.write_text("")
    path.chmod(0o700)
    return CommandModel("x", "X", (str(path), "{input}", "{output}"))


def test_a_file_that_cannot_be_run_is_named(scan, tmp_path: Path) -> None:
    _, volume = scan
    bad = tmp_path / "bad"
    bad.write_bytes(b"\x7fnot a program")
    bad.chmod(0o700)
    with pytest.raises(EngineError, match="cannot be started"):
        run(CommandModel("x", "X", (str(bad), "{input}", "{output}")), volume)


def test_frame_of_a_4d_scan(scan) -> None:
    path, volume = scan
    moving = Volume(np.stack([np.zeros_like(volume.array), volume.array]), volume.geometry, "tzyx")
    result = run(command("good"), moving, frame=1)
    np.testing.assert_array_equal(result.mask.array.T, np.where(bright_xyz(path), 3, 0))
    events = list(command_model.run(CommandRequest(volume, command("good")), Cancel()))
    assert isinstance(events[-1], Result) and all(isinstance(e, Progress) for e in events[:-1])


@pytest.mark.parametrize("name", ["CT_pitch.nii.gz", "chris_MRA.nii.gz", "fmri_pitch.nii.gz"])
def test_real_scans_oblique_or_not_come_back_voxel_for_voxel(shared_data, name: str) -> None:
    volume = read_volume(shared_data("nifti-real") / name)
    values = volume.frame(0).array.astype(float)
    for how in ("good", "flipped"):
        result = run(command(how), volume, ignore_fit=True)
        np.testing.assert_array_equal(result.mask.array == 3, values > values.mean())
