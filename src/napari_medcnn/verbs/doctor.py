"""Say in plain words what this computer can do, and what to do about what it cannot."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from napari_medcnn import __version__
from napari_medcnn.core import paths
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.packages import Package, list_models
from napari_medcnn.verbs.guard import guarded, relay, stop_if
from napari_medcnn.worker.client import Engine

Status = Literal["ok", "warn", "missing"]
BINDINGS = ("PyQt5", "PyQt6", "PySide6")
#: Below this a corrected series and its journal may not fit.
ENOUGH_FREE_BYTES = 2 * 2**30
_GRAPHICS_SECONDS = 60

# Runs in a process of its own: a broken graphics driver must not end the one that asks, and this one loads no Qt.
_GRAPHICS = """
import sys
from qtpy import API_NAME, QtGui
app = QtGui.QGuiApplication([])
surface = QtGui.QOffscreenSurface()
surface.create()
context = QtGui.QOpenGLContext()
if not context.create() or not context.makeCurrent(surface):
    sys.exit("no OpenGL context could be made")
from vispy.gloo import gl
words = [gl.glGetParameter(name) for name in (gl.GL_VERSION, gl.GL_RENDERER)]
sys.stdout.write(" on ".join(w.decode() if isinstance(w, bytes) else str(w) for w in words))
"""


@dataclass(frozen=True)
class DoctorRequest:
    """Check this computer; `self_test` also starts the engine and runs a model on its own test picture."""

    self_test: bool = True


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, "ok", "warn" (works, slower or with less) or "missing", in words, what to do."""

    topic: str
    status: Status
    text: str
    next_step: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All checks, in the order of importance."""

    checks: tuple[Check, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what ``medcnn doctor --json`` prints."""
        return {"checks": [asdict(check) for check in self.checks]}


@guarded
def run(request: DoctorRequest, cancel: Cancel, engine: Engine | None) -> Events:
    """Look at everything; the result is a Diagnosis.  A missing part is a line of it, never a failure."""
    checks = [_program()]
    looks: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("Looking for napari and Qt", _window),
        ("Asking the graphics driver", lambda: _graphics(subprocess.run)),
        ("Looking for a GPU", lambda: _gpu(shutil.which, subprocess.run)),
        ("Looking at the disk", _disk),
        ("Looking for lighter engines", _light_engines),
    )
    for message, look in looks:
        stop_if(cancel)
        yield Progress(len(checks) / (len(looks) + 2), message)
        checks.append(look())
    stop_if(cancel)
    if engine is None or not request.self_test or _missing("keras", "tensorflow"):
        checks.append(_engine_installed())
    else:
        yield Progress(None, "Starting the AI engine and testing it")
        checks.append((yield from _self_test(cancel, engine)))
    yield Result(Diagnosis(tuple(checks)))


def _program() -> Check:
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return Check("napari-medcnn", "ok", f"{__version__} on {system}, {os.cpu_count()} CPU cores")


def _missing(*modules: str) -> list[str]:
    return [name for name in modules if importlib.util.find_spec(name) is None]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _window() -> Check:
    bindings = [name for name in BINDINGS if not _missing(name)]
    absent = _missing("napari", "qtpy", "superqt", "magicgui")
    if absent or not bindings:
        what = ", ".join(absent) or "a Qt binding"
        return Check(
            "Window", "missing", f"{what} is not installed; everything but the window works.", install("pyqt5")
        )
    return Check("Window", "ok", f"napari {_version('napari')} with {' and '.join(bindings)}")


def install(extra: str) -> str:
    """Return the command that adds an optional part."""
    return f'pip install "napari-medcnn[{extra}]"'


def has_display(system: str, environment: Mapping[str, str]) -> bool:
    """Return True where a window can open; on Windows and macOS there is always a screen."""
    if not system.startswith("linux"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def _graphics(start: Callable[..., subprocess.CompletedProcess[str]]) -> Check:
    if _missing("qtpy", "vispy") or not [name for name in BINDINGS if not _missing(name)]:
        return Check("OpenGL", "missing", "Not asked, because the window is not installed.", install("pyqt5"))
    if not has_display(sys.platform, os.environ):
        return Check(
            "OpenGL", "missing", "There is no display here, so no window can open; the command line works.",
            "Log in with a desktop, or run under xvfb-run.",
        )  # fmt: skip
    try:
        ran = start(
            [sys.executable, "-c", _GRAPHICS], capture_output=True, text=True, timeout=_GRAPHICS_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("OpenGL", "missing", f"The graphics driver did not answer ({type(error).__name__}).", _DRIVER)
    if ran.returncode != 0:
        words = (ran.stderr.strip().splitlines() or ["no message"])[-1][:200]
        return Check("OpenGL", "missing", f"A window cannot be drawn: {words}", _DRIVER)
    software = any(word in ran.stdout.lower() for word in ("llvmpipe", "softpipe", "software", "swiftshader"))
    if software:
        return Check("OpenGL", "warn", f"{ran.stdout} (drawn by the CPU: 3D views are slow)", _DRIVER)
    return Check("OpenGL", "ok", ran.stdout)


_DRIVER = "Update the graphics driver; over a remote desktop, start the program on the computer itself."


def _gpu(which: Callable[[str], str | None], start: Callable[..., subprocess.CompletedProcess[str]]) -> Check:
    tool = which("nvidia-smi")
    if tool is None:
        return Check("GPU", "warn", "No NVIDIA driver; models run on the CPU.", "Nothing, if that is fast enough.")
    ask = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        ran = start(ask, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return Check("GPU", "warn", "The NVIDIA driver does not answer; models run on the CPU.", "Restart.")
    if ran.returncode != 0 or not ran.stdout.strip():
        return Check("GPU", "warn", "The NVIDIA driver finds no GPU; models run on the CPU.", "Update the driver.")
    return Check("GPU", "ok", "; ".join(line.strip() for line in ran.stdout.strip().splitlines()))


def _disk() -> Check:
    folder = paths.recovery()
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GB free for recovery of unsaved work ({folder})"
    if free < ENOUGH_FREE_BYTES:
        return Check("Disk", "warn", text, "Free some space, or point MEDCNN_HOME to a larger disk.")
    return Check("Disk", "ok", text)


#: Module -> (name, extra) of the engines besides Keras.
_LIGHT = {"onnxruntime": ("ONNX Runtime", "onnx"), "openvino": ("OpenVINO", "openvino")}


def _light() -> list[str]:
    """Return the installed engines besides Keras, with versions."""
    return [f"{name} {_version(module)}".strip() for module, (name, _) in _LIGHT.items() if not _missing(module)]


def _light_engines() -> Check:
    absent = [module for module in _LIGHT if _missing(module)]
    here = " and ".join(_light()) or "none installed"
    if not absent:
        return Check("Lighter engines", "ok", here)
    lacking = " and ".join(_LIGHT[module][0] for module in absent)
    text = f"{here}; {lacking} can be added (optional: ONNX models; less memory, sooner ready)"
    return Check("Lighter engines", "ok", text, "; ".join(install(_LIGHT[module][1]) for module in absent))


def _engine_installed() -> Check:
    absent = _missing("keras", "tensorflow")
    if absent and _light():
        return Check(
            "AI engine", "warn", f"{' and '.join(absent)} not installed; ONNX models run with {' or '.join(_light())}.",
            install("engine"),
        )  # fmt: skip
    if absent:
        return Check(
            "AI engine", "missing", f"{' and '.join(absent)} not installed; viewing, correcting and measuring work.",
            install("engine"),
        )  # fmt: skip
    return Check("AI engine", "ok", f"keras {_version('keras')}, tensorflow {_version('tensorflow')} (not tested)")


def _self_test(cancel: Cancel, engine: Engine) -> Any:
    packages = [entry for entry in list_models() if isinstance(entry, Package)]
    if not packages:
        return Check("AI engine", "warn", "No model is installed to test it with.", "See: medcnn models")
    try:
        reply = yield from relay(engine.run("self_test", {"model": str(packages[0].path)}, cancel))
    except MedcnnError as error:
        if cancel.is_set():
            raise
        return Check("AI engine", "missing", f"The self-test failed: {error}", "See the log: " + str(paths.logs()))
    words = ", ".join(f"{k} {v}" for k, v in dict(reply.get("versions", {})).items())
    device = f" on {reply['device']}" if reply.get("device") else ""
    return Check("AI engine", "ok", f"{packages[0].spec.name} gives its recorded answer{device}; {words}".rstrip("; "))
