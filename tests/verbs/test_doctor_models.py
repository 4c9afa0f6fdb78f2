"""The doctor speaks in plain words, whatever is missing; the list of models names what is broken."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from napari_medcnn.core.events import Cancel, Failed, Result, result_of
from napari_medcnn.errors import EngineError
from napari_medcnn.io.packages import read_package, shipped_folder
from napari_medcnn.verbs import doctor, models
from napari_medcnn.worker.client import Engine
from tiny_packages import package, segmenter


def ran(code: int, out: str = "", err: str = ""):
    return lambda *args, **kwargs: subprocess.CompletedProcess([], code, out, err)


def test_all_topics_are_answered_and_missing_ones_name_a_next_step(engine: Engine) -> None:
    found = result_of(doctor.run(doctor.DoctorRequest(), Cancel(), engine))
    assert [c.topic for c in found.checks] == [
        "napari-medcnn",
        "Window",
        "OpenGL",
        "GPU",
        "Disk",
        "Lighter engines",
        "AI engine",
    ]
    for check in found.checks:
        assert check.text and check.status in ("ok", "warn", "missing")
        assert check.next_step or check.status == "ok"
    data = json.loads(json.dumps(found.to_json()))
    assert list(data) == ["checks"]
    assert all(list(c) == ["topic", "status", "text", "next_step"] for c in data["checks"])


def test_without_display_the_window_is_missing_and_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    check = doctor._graphics(None)  # type: ignore[arg-type]
    assert check.status == "missing" and "no display" in check.text


@pytest.mark.parametrize(
    ("start", "status", "words"),
    [
        (ran(0, "4.5 on NVIDIA RTX"), "ok", "NVIDIA RTX"),
        (ran(0, "4.5 on llvmpipe (LLVM 15)"), "warn", "drawn by the CPU"),
        (ran(-11, err="x\nqt.qpa: boom"), "missing", "qt.qpa: boom"),
    ],
)
def test_graphics(monkeypatch: pytest.MonkeyPatch, start, status: str, words: str) -> None:
    monkeypatch.setenv("DISPLAY", ":9")
    check = doctor._graphics(start)
    assert check.status == status and words in check.text


@pytest.mark.parametrize(
    ("which", "start", "status", "words"),
    [
        (lambda name: None, None, "warn", "No NVIDIA driver"),
        (lambda name: name, ran(0, "RTX 4090, 24564 MiB\n"), "ok", "RTX 4090"),
        (lambda name: name, ran(9), "warn", "finds no GPU"),
    ],
)
def test_gpu(which, start, status: str, words: str) -> None:
    check = doctor._gpu(which, start)
    assert check.status == status and words in check.text


def test_engine_not_installed_says_the_command(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """reliability row 48"""
    absent = {"tensorflow", "onnxruntime", "openvino"}
    monkeypatch.setattr(doctor, "_missing", lambda *names: [n for n in names if n in absent])
    found = result_of(doctor.run(doctor.DoctorRequest(), Cancel(), engine))
    last = found.checks[-1]
    assert last.status == "missing" and "tensorflow not installed" in last.text
    assert last.next_step == 'pip install "napari-medcnn[engine]"'
    light = next(c for c in found.checks if c.topic == "Lighter engines")
    assert "none installed" in light.text
    assert light.next_step == 'pip install "napari-medcnn[onnx]"; pip install "napari-medcnn[openvino]"'


def test_without_keras_onnx_models_still_run_and_the_doctor_says_so(
    monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    monkeypatch.setattr(doctor, "_missing", lambda *names: [n for n in names if n in ("keras", "tensorflow")])
    last = result_of(doctor.run(doctor.DoctorRequest(), Cancel(), engine)).checks[-1]
    assert last.status == "warn" and "ONNX models run with ONNX Runtime 1" in last.text


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "models"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("by_path", [False, True])
def test_a_removed_model_is_kept_aside_and_can_come_back(own_models: Path, by_path: bool) -> None:
    made = package(own_models, segmenter("mine"))
    removed = result_of(models.remove(models.RemoveRequest(made if by_path else "mine"), Cancel()))
    assert not made.exists() and removed.kept.parent == own_models.parent / "removed"
    assert read_package(removed.kept).spec.name == "mine"
    assert "mine" not in [p.spec.name for p in result_of(models.run(models.ModelsRequest(), Cancel())).packages]
    again = package(own_models, segmenter("mine"))
    second = result_of(models.remove(models.RemoveRequest("mine"), Cancel()))
    assert not again.exists() and second.kept != removed.kept and removed.kept.exists()


def test_a_broken_model_can_be_removed_too(own_models: Path) -> None:
    made = package(own_models, segmenter("mine"))
    (made / "weights.keras").write_bytes(b"cut")
    assert result_of(models.remove(models.RemoveRequest("mine"), Cancel())).kept.is_dir()


def test_a_running_engine_forgets_a_removed_model(own_models: Path, engine: Engine) -> None:
    package(own_models, segmenter("mine"))
    result_of(engine.run("warm", {"model": str(own_models / "mine")}, Cancel()))
    asked = []
    real = engine.run
    engine.run = lambda verb, body, cancel: asked.append(verb) or real(verb, body, cancel)  # type: ignore[method-assign]
    result_of(models.remove(models.RemoveRequest("mine"), Cancel(), engine))
    assert asked == ["forget"]


def test_shipped_models_stay_and_unknown_ones_are_named(own_models: Path) -> None:
    shipped = shipped_folder() / "retina-vessels"
    for name in ("retina-vessels", shipped):
        assert isinstance(last := [*models.remove(models.RemoveRequest(name), Cancel())][-1], Failed)
        assert "comes with the program" in str(last.error)
    assert shipped.is_dir()
    last = [*models.remove(models.RemoveRequest("nobody"), Cancel())][-1]
    assert isinstance(last, Failed) and "no model of this name" in str(last.error)


def test_the_list_says_which_weights_a_model_has(own_models: Path) -> None:
    package(own_models, segmenter("mine"))
    listed = result_of(models.run(models.ModelsRequest(), Cancel())).to_json()["models"]
    assert {m["name"]: m["weights"] for m in listed}["mine"] == ["keras"]


def test_a_failed_self_test_is_a_line_not_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package(tmp_path, segmenter("own"))
    monkeypatch.setattr(doctor, "list_models", lambda: models.list_models(tmp_path))

    class Dead:
        def run(self, verb, body, cancel):
            yield Failed(EngineError("The engine crashed (signal 11)."))

    found = result_of(doctor.run(doctor.DoctorRequest(), Cancel(), Dead()))
    assert found.checks[-1].status == "missing" and "signal 11" in found.checks[-1].text


def test_a_passed_self_test_names_the_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package(tmp_path, segmenter("own"))
    monkeypatch.setattr(doctor, "list_models", lambda: models.list_models(tmp_path))

    class Good:
        def run(self, verb, body, cancel):
            assert verb == "self_test"
            yield Result({"ok": True, "versions": {"keras": "3.15.1"}, "device": "CPU"})

    found = result_of(doctor.run(doctor.DoctorRequest(), Cancel(), Good()))
    assert (
        found.checks[-1].status == "ok" and "keras 3.15.1" in found.checks[-1].text and "CPU" in found.checks[-1].text
    )


def test_models_lists_usable_ones_and_names_broken_ones(tmp_path: Path) -> None:
    package(tmp_path, segmenter("good"))
    bad = package(tmp_path, segmenter("bad"))
    (bad / "weights.keras").write_bytes(b"changed")
    found = result_of(models.run(models.ModelsRequest(tmp_path), Cancel()))
    cards = [card for card in found.to_json()["models"] if card["name"] in ("good", "bad")]
    assert [card["name"] for card in cards] == ["good"]
    assert cards[0]["classes"] == ["bright"] and cards[0]["licence"] == "CC0-1.0" and len(cards[0]["sha256"]) == 64
    assert len(found.problems) >= 1 and any(p.startswith("bad: ") for p in found.problems)
    json.dumps(found.to_json())
