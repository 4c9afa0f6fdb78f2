"""The engine as the dock sees it: made from the preferences, watched for the header, ended with the dock."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_medcnn.core.options import Device
from napari_medcnn.verbs.engines import new_engine
from napari_medcnn.worker.client import Engine, Launch

_LOOK_MS = 200
MODULES = {"onnx": "onnxruntime", "openvino": "openvino"}
INSTALL = {
    "onnx": 'Not installed; type: pip install "napari-medcnn[onnx]"',
    "openvino": 'Not installed; type: pip install "napari-medcnn[openvino]"',
}
PLUGIN = "napari-medcnn"


@dataclass(frozen=True)
class Preferences:
    """What the user set on napari's preferences page for this plugin."""

    interpreter: str = ""
    environment: str = ""
    device: Device = "auto"
    idle_minutes: int = 30
    model_folder: str = ""
    wheel_mode: str = "slice"
    open_four: bool = False

    def launch(self) -> Launch:
        """Return how to start the engine."""
        return Launch(
            interpreter=self.interpreter.strip() or sys.executable,
            environment=variables(self.environment),
            idle_minutes=self.idle_minutes,
        )

    @property
    def models_in(self) -> Path | None:
        """Folder with the user's own models, None if none is set."""
        return Path(self.model_folder.strip()).expanduser() if self.model_folder.strip() else None


def variables(text: str) -> Mapping[str, str]:
    """Read ``KEY=VALUE;KEY=VALUE``; parts without = are left out."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {key.strip(): value.strip() for key, sign, value in pairs if sign and key.strip()}


def read_preferences() -> Preferences:
    """Return napari's settings for this plugin; the defaults where napari does not know it (run from a source tree)."""
    from napari.settings import get_plugin_settings

    try:
        settings: Any = get_plugin_settings(PLUGIN)
    except KeyError:
        return Preferences()
    engine, viewing = settings.engine, settings.viewing
    return Preferences(
        interpreter=engine.interpreter,
        environment=engine.environment,
        device=engine.device,
        idle_minutes=engine.idle_minutes,
        model_folder=engine.model_folder,
        wheel_mode=viewing.wheel_mode,
        open_four=viewing.open_four,
    )


def set_viewing(wheel_mode: str, open_four: bool) -> bool:
    """Keep two choices in napari's settings; False where napari does not know the plugin, so nothing can be kept."""
    from napari.settings import get_plugin_settings

    try:
        settings: Any = get_plugin_settings(PLUGIN)
    except KeyError:
        return False
    settings.viewing.wheel_mode = wheel_mode
    settings.viewing.open_four = open_four
    return True


class EngineLink(QObject):
    """Owns one engine for one dock; `changed` carries its state, `missing` that TensorFlow is not installed."""

    changed = Signal(str)

    def __init__(self, launch: Launch, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.engine: Engine = new_engine(launch)
        self._seen = ""
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def missing_engines(self) -> dict[str, str]:
        """Return the engines that are not installed where models run, each with what to do about it.

        The process says so itself once it is there; before that, what is installed here counts.
        """
        said = self.engine.hello.get("engines")
        if isinstance(said, Mapping):
            return {name: words for name, words in INSTALL.items() if not said.get(name)}
        if self.engine.launch.interpreter != sys.executable:
            return {}
        return {name: words for name, words in INSTALL.items() if importlib.util.find_spec(MODULES[name]) is None}

    def start(self) -> None:
        """Start the process in the background, so that the first run finds it warm."""
        self.engine.start()
        self._look()

    def release(self) -> None:
        """End the process: its memory goes back; the next run starts it again."""
        self.engine.release()
        self._look()

    def close(self) -> None:
        """End the process for good; the window does not wait for that."""
        self._timer.stop()
        threading.Thread(target=self.engine.close, name="engine close").start()

    def _look(self) -> None:
        state = self.engine.state
        if state != self._seen:
            self._seen = state
            self.changed.emit(state)
