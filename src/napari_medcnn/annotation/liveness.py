"""Does the process that wrote a lock still live?  A process id alone is reused; with its start time it is not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path

from napari_medcnn.errors import ProjectError


def start_mark(pid: int, platform: str = sys.platform) -> str | None:
    """Return a text that tells this process from a later one of the same id; None if there is no such process.

    Linux: boot id and start ticks of ``/proc``; Windows: creation time; elsewhere what ``ps`` says. "" if it lives
    but its start cannot be read.
    """
    if platform.startswith("linux"):
        return _linux_mark(pid, Path("/proc"))
    if platform == "win32":
        return _windows_mark(pid)
    return _ps_mark(pid)


def _linux_mark(pid: int, proc: Path) -> str | None:
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError:
        return ""
    # The name in parentheses may hold spaces; state is the first field after it, start time the twentieth (proc(5)).
    fields = stat.rpartition(")")[2].split()
    if fields[:1] in (["Z"], ["X"]):
        return None
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return f"{boot}:{fields[19]}"


def _windows_mark(pid: int) -> str | None:
    import ctypes

    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - the attribute exists on Windows only
    handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return "" if kernel.GetLastError() == 5 else None  # 5: access denied, so it lives
    try:
        code = ctypes.c_ulong()
        if kernel.GetExitCodeProcess(handle, ctypes.byref(code)) and code.value != 259:  # STILL_ACTIVE
            return None
        times = [ctypes.c_ulonglong() for _ in range(4)]
        known = kernel.GetProcessTimes(handle, *(ctypes.byref(t) for t in times))
        return str(times[0].value) if known else ""
    finally:
        kernel.CloseHandle(handle)


def _ps_mark(pid: int) -> str | None:
    command = ["/bin/ps", "-o", "stat=,lstart=", "-p", str(int(pid))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    text = done.stdout.strip()
    if not text or text.startswith("Z"):
        return None
    return text.partition(" ")[2].strip()


def write_lock(path: Path) -> None:
    """Write the lock of this process.

    Raises
    ------
    ProjectError
        It cannot be written.
    """
    text = json.dumps(lock_data())
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ProjectError(f"{path}: the lock of the stroke journal cannot be written ({error.strerror})") from error


def lock_data() -> dict[str, int | str]:
    """Return what tells this process from every other one, here and on other computers."""
    return {"pid": os.getpid(), "start": start_mark(os.getpid()) or "", **_machine()}


def is_held(path: Path) -> bool:
    """Return True if the writer of the lock lives, here or, as far as we can tell, on another computer.

    No lock, or one that cannot be read as a lock (torn by a crash), is not held.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        pid, start = int(data["pid"]), str(data["start"])
        here = any(str(data[key]) == value for key, value in _machine().items())
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if not here:
        return True
    now = start_mark(pid)
    if now is None:
        return False
    return not start or not now or now == start


def _machine() -> dict[str, str]:
    """Name and hardware id: a laptop changes the first from network to network, the second with its adapters."""
    return {"host": socket.gethostname(), "node": f"{uuid.getnode():x}"}
