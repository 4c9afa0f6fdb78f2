"""Windows are opened by a child process: this one never loads napari or Qt."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

from napari_medcnn.errors import MissingExtraError
from napari_medcnn.verbs.doctor import BINDINGS, has_display, install

LAUNCH = "napari_medcnn.widgets.launch"
DEMO = "napari_medcnn.widgets.demo_window"


def require_window() -> None:
    """Raise `MissingExtraError` with the command to type, if the window's packages are not installed."""
    absent = [name for name in ("napari", "qtpy", "superqt", "magicgui") if importlib.util.find_spec(name) is None]
    if not absent and not any(importlib.util.find_spec(name) for name in BINDINGS):
        absent = ["a Qt binding"]
    if absent:
        raise MissingExtraError(f"The window needs {', '.join(absent)}. Install with: {install('pyqt5')}")


def display_prefix(system: str, environment: Mapping[str, str]) -> list[str] | None:
    """Return what to put before a command so that it has a display: nothing, xvfb-run, or None if there is none."""
    if has_display(system, environment):
        return []
    tool = shutil.which("xvfb-run")
    return None if tool is None else [tool, "-a", "-s", "-screen 0 1920x1080x24 -nolisten tcp"]


def run_window(module: str, arguments: Sequence[str], prefix: Sequence[str] = ()) -> int:
    """Start a window, wait for its end, and return its exit code; an interrupt ends it too."""
    command = [*prefix, sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, env=dict(os.environ), stdout=sys.stderr.fileno()) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.terminate()
            raise
