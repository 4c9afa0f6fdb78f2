"""Whether a lock's writer lives, on each system."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_medcnn.annotation import liveness
from napari_medcnn.errors import ProjectError


def test_own_lock_is_held_and_that_of_an_ended_process_is_not(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    liveness.write_lock(lock)
    assert liveness.is_held(lock)
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        pass
    data = json.loads(lock.read_text())
    lock.write_text(json.dumps(data | {"pid": ended.pid}))
    assert not liveness.is_held(lock)
    lock.write_text(json.dumps(data | {"start": "an earlier life of this id"}))
    assert not liveness.is_held(lock)


def test_a_torn_or_absent_lock_is_not_held(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    assert not liveness.is_held(lock)
    for text in ("", "{", "[]", '{"pid": 1}', '{"pid": "x", "start": "", "host": "", "node": ""}'):
        lock.write_text(text)
        assert not liveness.is_held(lock)


def test_another_computer_counts_as_alive_and_a_renamed_one_as_this(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    dead = {"pid": 2**22 + 7, "start": "x"}
    lock.write_text(json.dumps(dead | {"host": "elsewhere", "node": "1"}))
    assert liveness.is_held(lock)
    for here in ({"host": "new-name", "node": f"{uuid.getnode():x}"}, {"host": socket.gethostname(), "node": "1"}):
        lock.write_text(json.dumps(dead | here))
        assert not liveness.is_held(lock)


def test_a_lock_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="absent"):
        liveness.write_lock(tmp_path / "absent" / "a.lock")


def test_linux_reads_proc(tmp_path: Path) -> None:
    boot = tmp_path / "sys/kernel/random"
    boot.mkdir(parents=True)
    (boot / "boot_id").write_text("boot-1\n")
    fields = ["S", *[str(n) for n in range(4, 22)], "987654", "0"]  # state is field 3, start time field 22

    def process(pid: int, state: str) -> None:
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a (odd) name) " + " ".join([state, *fields[1:]]))

    process(11, "S")
    process(12, "Z")
    assert liveness._linux_mark(11, tmp_path) == "boot-1:987654"
    assert liveness._linux_mark(12, tmp_path) is None
    assert liveness._linux_mark(13, tmp_path) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_linux_for_real() -> None:
    assert liveness.start_mark(os.getpid()) == liveness.start_mark(os.getpid())
    time.sleep(0.05)  # start times count in hundredths of a second
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as later:
        assert liveness.start_mark(later.pid) not in (None, "", liveness.start_mark(os.getpid()))
        later.communicate(b"\n")


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("", None),
        ("Z    Sat Nov 21 02:00:00 2026\n", None),
        ("Ss   Sat Nov 21 02:00:00 2026\n", "Sat Nov 21 02:00:00 2026"),
    ],
)
def test_macos_asks_ps(monkeypatch: pytest.MonkeyPatch, out: str, expected: str | None) -> None:
    monkeypatch.setattr(liveness.subprocess, "run", lambda *a, **k: SimpleNamespace(stdout=out))
    assert liveness.start_mark(5, "darwin") == expected


def test_macos_without_ps_takes_the_process_for_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args, **kwargs):
        raise FileNotFoundError("/bin/ps")

    monkeypatch.setattr(liveness.subprocess, "run", missing)
    assert liveness.start_mark(5, "darwin") == ""


@pytest.mark.parametrize(
    ("handle", "error", "code", "expected"),
    [(0, 87, 0, None), (0, 5, 0, ""), (44, 0, 259, "77"), (44, 0, 1, None)],
    ids=["no such process", "not allowed to ask", "alive", "ended but still open"],
)
def test_windows_asks_the_kernel(monkeypatch, handle, error, code, expected) -> None:
    closed = []

    def exit_code(_handle, out) -> int:
        out._obj.value = code
        return 1

    def times(_handle, created, *rest) -> int:
        created._obj.value = 77
        return 1

    kernel = SimpleNamespace(
        OpenProcess=lambda *a: handle,
        GetLastError=lambda: error,
        GetExitCodeProcess=exit_code,
        GetProcessTimes=times,
        CloseHandle=closed.append,
    )
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    assert liveness.start_mark(5, "win32") == expected
    assert closed == ([handle] if handle else [])
