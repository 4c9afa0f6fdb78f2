"""What every test gets: private folders, one Qt binding, real data by name, and a check for windows left behind."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Settings, caches and logs of whoever runs the tests are never read or written. This stands at import time because
# napari and Keras read these variables when they are first imported; child processes inherit them.
_PRIVATE = Path(tempfile.mkdtemp(prefix="medcnn-tests-"))
for _name, _folder in {
    "MEDCNN_HOME": "medcnn",
    "KERAS_HOME": "keras",
    "XDG_CONFIG_HOME": "config",
    "XDG_CACHE_HOME": "cache",
    "XDG_DATA_HOME": "data",
}.items():
    (_PRIVATE / _folder).mkdir()
    os.environ[_name] = str(_PRIVATE / _folder)
os.environ["NAPARI_CONFIG"] = str(_PRIVATE / "napari" / "settings.yaml")
os.environ["NAPARI_ENSURE_PLUGIN_MAIN_THREAD"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# qtpy and pytest-qt choose a binding each; they must agree, and in one process only one can be loaded.
if "QT_API" not in os.environ:
    os.environ["QT_API"] = "pyqt5" if importlib.util.find_spec("PyQt5") else "pyqt6"
os.environ["PYTEST_QT_API"] = os.environ["QT_API"]

from cases import SHARED_DATA  # noqa: E402

_ENGINE_TESTS = Path(__file__).parent / "engine"
_WINDOW_FIXTURES = {"make_napari_viewer", "make_napari_viewer_proxy", "shared_window", "desk", "qtbot", "qapp"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--part", default="1/1", help="run the Kth of N parts of the files, as K/N; N runs make a whole")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(_PRIVATE, ignore_errors=True)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave tests/engine out unless it is named: TensorFlow and a window in one process crash on Mesa drivers."""
    if collection_path != _ENGINE_TESTS:
        return None
    named = [(config.invocation_params.dir / str(a).partition("::")[0]).resolve() for a in config.args]
    inside = [path == _ENGINE_TESTS or _ENGINE_TESTS in path.parents for path in named]
    return None if any(inside) else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests that use a window as ``gui``; without a display they are skipped, in CI they fail instead."""
    no_display = sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    apart = [item for item in items if _ENGINE_TESTS in item.path.parents]
    if apart and len(apart) < len(items):
        raise pytest.UsageError(
            "run tests/engine in a pytest of its own: TensorFlow and windows do not share a process"
        )
    _keep_part(config, items)
    # First those with a window of their own: the one that the others share opens once.
    items.sort(key=_shares_a_window)
    for item in items:
        if _WINDOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.gui)
        if no_display and "gui" in item.keywords and not os.environ.get("CI"):
            item.add_marker(pytest.mark.skip(reason="needs a display: make test, or xvfb-run -a"))


def _keep_part(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the files of other parts: each file, the largest first, goes to the part with the fewest tests."""
    number, _, of = config.getoption("--part").partition("/")
    files = Counter(item.path for item in items)
    parts: list[set[Path]] = [set() for _ in range(int(of))]
    for path in sorted(files, key=lambda path: (-files[path], path)):
        min(parts, key=lambda part: sum(files[p] for p in part)).add(path)
    others = [item for item in items if item.path not in parts[int(number) - 1]]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item.path in parts[int(number) - 1]]


def _shares_a_window(item: pytest.Item) -> bool:
    names = getattr(item, "fixturenames", ())
    return "shared_desk" in names or ("desk" in names and item.get_closest_marker("own_window") is None)


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return a function: name of a file or folder of the real data -> its path, or skip the test naming it."""

    def find(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.exists():
            pytest.skip(f"real data {name!r} is not beside this checkout")
        return path

    return find


@pytest.fixture(scope="session")
def shared_window() -> Iterator[Any]:
    """The napari window with our dock that window tests use one after the other; it opens with the first of them."""
    from shared_window import Shared

    shared = Shared()
    yield shared
    shared.close()


@pytest.fixture
def _shared_window_closed(shared_window: Any) -> None:
    shared_window.close()


@pytest.fixture
def make_napari_viewer(_shared_window_closed: None, make_napari_viewer: Any) -> Any:
    """As napari's: there is one napari window at a time."""
    return make_napari_viewer


@pytest.fixture(autouse=True)
def _no_window_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a window test that leaves a visible window or one of our widgets without a parent."""
    if "gui" not in request.keywords:
        yield
        return
    if "tensorflow" in sys.modules:
        pytest.fail("TensorFlow was imported into the process with the window; such a test belongs into tests/engine")
    from qtpy.QtWidgets import QApplication

    shared = request.getfixturevalue("shared_window")
    before = {id(w) for w in QApplication.topLevelWidgets()} if QApplication.instance() else set()
    yield
    application = QApplication.instance()
    if application is None:
        return
    before |= shared.windows
    leaked = _leaked(application, before)
    # pytest-qt closes what a test handed to it, but Qt deletes it only when the event loop runs.
    for _ in range(20):
        if not leaked:
            return
        application.sendPostedEvents(None, 52)  # QEvent.Type.DeferredDelete
        application.processEvents()
        leaked = _leaked(application, before)
    names = [f"{type(w).__module__}.{type(w).__name__}" for w in leaked]
    for widget in leaked:
        widget.close()
        widget.deleteLater()
    pytest.fail(f"windows left behind: {names}")


def _leaked(application, before: set[int]) -> list:
    ours = "napari_medcnn."
    return [
        widget
        for widget in application.topLevelWidgets()
        if id(widget) not in before and (widget.isVisible() or type(widget).__module__.startswith(ours))
    ]
