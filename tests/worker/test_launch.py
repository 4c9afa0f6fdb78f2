"""How the process is started on each system, without starting it."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from napari_medcnn.errors import EngineError, InputError
from napari_medcnn.worker.child import Launch, start_options
from napari_medcnn.worker.server import failure


def test_no_console_window_on_windows_and_no_shared_ctrl_c() -> None:
    flags = start_options("win32")["creationflags"]
    assert flags & 0x08000000  # CREATE_NO_WINDOW, winbase.h
    assert flags & 0x00000200  # CREATE_NEW_PROCESS_GROUP
    for platform in ("linux", "darwin"):
        assert start_options(platform) == {"start_new_session": True}


def test_windows_flags_are_those_of_the_standard_library() -> None:
    if sys.platform != "win32":
        pytest.skip("the names exist on Windows only")
    both = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    assert start_options("win32") == {"creationflags": both}


def test_the_command_keeps_the_current_folder_out() -> None:
    assert Launch(interpreter="py").command() == ["py", "-P", "-u", "-m", "napari_medcnn.engine"]


def test_environment_is_merged_user_last() -> None:
    launch = Launch(environment={"KERAS_BACKEND": "jax", "A": "2"})
    merged = launch.merged_environment({"A": "1", "B": "1", "TF_CPP_MIN_LOG_LEVEL": "0"})
    assert (merged["A"], merged["B"], merged["KERAS_BACKEND"]) == ("2", "1", "jax")
    assert merged["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert launch.merged_environment({})["TF_CPP_MIN_LOG_LEVEL"] == "2"


class ResourceExhaustedError(Exception):
    """As TensorFlow names it."""


@pytest.mark.parametrize(
    ("error", "kind", "state", "words"),
    [
        (MemoryError(), "EngineError", "out of memory", "ran out of memory"),
        (ResourceExhaustedError("OOM when allocating"), "EngineError", "out of memory", "ran out of memory"),
        (OSError(errno.ENOSPC, "No space left"), "EngineError", "failed", "disk is full"),
        (KeyError("x\ny" * 300), "EngineError", "failed", "could not finish 'predict': KeyError"),
        (EngineError("so", state="out of memory"), "EngineError", "out of memory", "so"),
        (InputError("axes: expected"), "InputError", None, "axes: expected"),
    ],
)
def test_failures_cross_by_name(error: Exception, kind: str, state: str | None, words: str) -> None:
    body = failure(error, "predict")
    assert (body["error"], body.get("state")) == (kind, state)
    assert words in body["message"]
    assert "\n" not in body["message"]
    assert len(body["message"]) < 400
