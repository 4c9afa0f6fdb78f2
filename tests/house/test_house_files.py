"""Files of the house that nothing else would notice going wrong: constraints, links, targets, the leak check."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cases import REPOSITORY


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_constraints_are_names_and_versions_only() -> None:
    for line in (REPOSITORY / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!+]+", line), line


def test_constraints_cover_every_extra() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    groups = {**project["optional-dependencies"], "base": project["dependencies"]}
    groups.pop("oracles", None)  # an environment of its own, with versions of its own
    wanted = {re.split(r"[\[<>=! ;]", r)[0] for group in groups.values() for r in group}
    pinned = {normal(name) for name in pins()}
    assert {w for w in wanted if normal(w) not in pinned} == {"napari-medcnn"}


def test_base_dependencies_bring_no_window_and_no_network_library() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    base = {normal(re.split(r"[<>=! ;]", r)[0]) for r in project["dependencies"]}
    assert base.isdisjoint(
        {"napari", "qtpy", "pyqt5", "pyqt6", "pyside6", "superqt", "magicgui", "tensorflow", "keras"}
    )
    gui = " ".join(project["optional-dependencies"]["gui"]).lower()
    assert not re.search(r"pyqt|pyside|napari\[", gui)


@pytest.mark.parametrize("target", ["demo", "test", "lint", "types", "oracles", "proof", "zoo", "bench", "docs"])
def test_make_knows_the_target(target: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    ran = subprocess.run(
        ["make", "--dry-run", target], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_scripts_are_executable() -> None:
    scripts = [REPOSITORY / ".ci" / "run", *(REPOSITORY / "scripts").glob("*.sh")]
    assert len(scripts) > 3
    assert [p.name for p in scripts if not os.access(p, os.X_OK)] == []


def test_environment_script_names_what_it_needs_when_no_python_fits(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("a shell script")
    ran = subprocess.run(
        ["sh", str(REPOSITORY / "scripts" / "venv.sh"), str(tmp_path / "env")],
        env={"PATH": os.environ["PATH"], "PYTHON": "/no/such/python"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert "Python 3.11, 3.12 or 3.13 is needed" in ran.stderr
    assert not (tmp_path / "env").exists()


def test_without_root_the_one_line_for_system_libraries_is_printed(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("Debian and Ubuntu only")
    for name, body in {"id": "echo 1000", "dpkg-query": "exit 1", "apt-get": "echo called >&2; exit 3"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    ran = subprocess.run(
        ["sh", str(REPOSITORY / "scripts" / "system.sh")],
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    (line,) = [line for line in ran.stderr.splitlines() if "apt-get install" in line]
    assert line.strip().startswith("sudo apt-get update && sudo apt-get install -y")
    assert {"xvfb", "libxcb-cursor0", "libegl1"} <= set(line.split())
    assert "called" not in ran.stderr


def leak_run(pytester: pytest.Pytester, body: str) -> pytest.RunResult:
    pytester.makeconftest((REPOSITORY / "tests" / "conftest.py").read_text())
    for helper in ("cases.py", "shared_window.py", "window_facts.py"):
        (pytester.path / helper).write_text((REPOSITORY / "tests" / helper).read_text())
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\npythonpath = ["."]\nmarkers = ["gui: window"]\n')
    pytester.makepyfile(f"from qtpy.QtWidgets import QWidget\ndef test_it(qtbot):\n    {body}\n")
    return pytester.runpytest_subprocess("-q", "-p", "no:warnings")


@pytest.mark.gui
@pytest.mark.skipif(sys.platform == "win32", reason="starts pytest in a process of its own")
def test_a_window_left_behind_fails_the_test(pytester: pytest.Pytester) -> None:
    left = leak_run(pytester, "w = test_it.kept = QWidget(); w.show()")
    left.stdout.fnmatch_lines(["*windows left behind*QWidget*"])
    left.assert_outcomes(passed=1, errors=1)
    leak_run(pytester, "w = QWidget(); w.show(); qtbot.addWidget(w)").assert_outcomes(passed=1)
