"""Ctrl-C in a real process, and the demo with and without a window."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_medcnn.cli import commands, windows
from napari_medcnn.verbs import demo
from tiny_packages import nifti, package, segmenter

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of a console are sent otherwise there")
def test_ctrl_c_is_130_and_leaves_no_half_file(tmp_path: Path, model: Path) -> None:
    orders = tmp_path / "orders.json"
    orders.write_text(json.dumps({"slow": 60}))
    path = nifti(tmp_path / "scan.nii.gz")
    code = (
        "import signal, sys, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job starts with it ignored
        "import fake_engine\n"
        "from napari_medcnn.verbs import engines\n"
        "from napari_medcnn.worker.client import Engine\n"
        "engines.new_engine = lambda launch=None: Engine(fake_engine.launch(pathlib.Path(sys.argv[2])))\n"
        "from napari_medcnn.cli import main\n"
        "raise SystemExit(main(sys.argv[3:]))\n"
    )
    words = ["predict", "-m", str(model), str(path), "-o", str(tmp_path / "out")]
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(TESTS), str(orders), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ),
    )  # fmt: skip
    lines = []
    try:
        for line in child.stderr:
            lines.append(line)
            if "Window" in line:
                break
        started = time.monotonic()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == 130, "".join(lines) + err
    assert time.monotonic() - started < 15
    assert err.splitlines()[-1] == "medcnn: interrupted" and "Traceback" not in err and out == ""
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let the demo run on a package that the fake engine knows."""
    path = package(tmp_path / "packages", segmenter("retina-vessels", 2, 3))
    real = demo.DemoRequest
    monkeypatch.setattr(demo, "DemoRequest", lambda out: real(out, path))
    return path


def test_headless_demo_writes_mask_and_record(tmp_path: Path, medcnn, shipped: Path) -> None:
    ran = medcnn("demo", "--headless", "--out", tmp_path / "demo")
    assert ran.code == 0
    files = [tmp_path / "demo" / "fundus-vessels.png", tmp_path / "demo" / "fundus-vessels.provenance.json"]
    assert ran.out.splitlines() == [f"Wrote {path}" for path in files]
    assert all(path.is_file() for path in files)
    assert json.loads(files[1].read_text())["model"]["name"] == "retina-vessels"


def window(started: list, code: int = 0):
    def run(module, arguments, prefix=()):
        started.append((module, list(arguments), list(prefix)))
        Path(arguments[1], "window.png").write_bytes(b"png")
        return code

    return run


def test_demo_with_a_display_stays_open_unless_told(tmp_path: Path, medcnn, shipped: Path, monkeypatch) -> None:
    started: list = []
    monkeypatch.setattr(windows, "run_window", window(started))
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.delenv("MEDCNN_DEMO_CLOSE", raising=False)
    out = tmp_path / "demo"
    ran = medcnn("demo", "--out", out)
    assert ran.code == 0 and f"Wrote {out / 'window.png'}" in ran.out
    monkeypatch.setenv("MEDCNN_DEMO_CLOSE", "1")
    assert medcnn("demo", "--out", out).code == 0
    expected = ["--out", str(out)]
    assert started == [(windows.DEMO, [*expected, "--stay"], []), (windows.DEMO, expected, [])]


def test_demo_without_any_display_does_the_headless_part_and_says_so(
    tmp_path: Path, medcnn, shipped: Path, monkeypatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(windows.shutil, "which", lambda name: None)
    ran = medcnn("demo", "--out", tmp_path / "demo")
    assert ran.code == 0 and "No window was opened: there is no display" in ran.err
    started: list = []
    monkeypatch.setattr(windows.shutil, "which", lambda name: "/usr/bin/xvfb-run")
    monkeypatch.setattr(windows, "run_window", window(started, 3))
    ran = medcnn("demo", "--out", tmp_path / "demo")
    assert ran.code == 1 and "The window ended with an error" in ran.err
    assert started[0][2][0] == "/usr/bin/xvfb-run" and "--stay" not in started[0][1]


def test_window_process_hands_back_its_exit_code(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "some_window.py").write_text("import sys\nprint('noise')\nsys.exit(int(sys.argv[1]))\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code = "from napari_medcnn.cli.windows import run_window\nraise SystemExit(run_window('some_window', ['7']))\n"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 7
    assert ran.stdout == ""  # what a window prints never mixes with our answer
    assert commands.windows is windows


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_ctrl_c_ends_a_program_of_the_user_too(tmp_path: Path) -> None:
    from napari_medcnn.core.command import CommandModel
    from napari_medcnn.io.commands import command_text

    log, home, temporary = tmp_path / "log.json", tmp_path / "home", tmp_path / "temporary"
    arguments = (sys.executable, str(TESTS / "stub_program.py"), "hang", "{input}", "{output}")
    command = CommandModel("mine", "Mine", arguments, environment=(("STUB_LOG", str(log)),))
    (tmp_path / "c.yaml").write_text(command_text(command))
    temporary.mkdir()
    code = (
        "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from napari_medcnn.cli import main\nraise SystemExit(main(sys.argv[1:]))\n"
    )
    environment = {**os.environ, "MEDCNN_HOME": str(home), "TMPDIR": str(temporary)}

    def start(*words: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip

    added = start("models", "--add-command", str(tmp_path / "c.yaml"))
    added.communicate(timeout=60)
    assert added.returncode == 0
    path = nifti(tmp_path / "scan.nii.gz")
    child = start("predict", "-m", "mine", str(path), "-o", str(tmp_path / "out"))
    try:
        for line in child.stderr:
            if "hanging" in line:
                break
        pids = json.loads(log.read_text())["pids"]
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == 130 and err.splitlines()[-1] == "medcnn: interrupted" and out == ""
    states = [Path(f"/proc/{pid}/stat") for pid in pids]
    assert not [s for s in states if s.exists() and s.read_text().rpartition(")")[2].split()[0] not in "ZX"]
    assert list(temporary.glob("medcnn-*")) == [] and list((tmp_path / "out").iterdir()) == []
