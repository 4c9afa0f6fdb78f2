"""Cine with the real clock, and the slider of time in words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from qtpy.QtCore import Qt

from dicom_files import US_MULTI, write_image

pytestmark = pytest.mark.gui


def open_path(desk, path: Path) -> None:
    desk.dock.open_path(path)
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.idle(0.05)


def timed(tmp_path: Path, frames: int = 5, name: str = "timed") -> Path:
    path = tmp_path / f"{name}.nii.gz"
    image = nib.Nifti1Image(np.zeros((12, 10, 8, frames), np.int16) + np.arange(frames, dtype=np.int16), np.eye(4))
    image.header.set_zooms((1.0, 1.0, 2.0, 2.5))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)
    return path


@dataclass(eq=False)
class Steps:
    """Every step of the sliders from now on, each of which takes `seconds`."""

    found: list[tuple[int, ...]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def __call__(self, event) -> None:
        self.found.append(tuple(event.source.current_step))
        self.times.append(time.monotonic())
        time.sleep(self.seconds)


@pytest.fixture
def steps(desk) -> Iterator[Steps]:
    seen = Steps()
    desk.viewer.dims.events.current_step.connect(seen)
    yield seen
    desk.viewer.dims.events.current_step.disconnect(seen)


def test_time_points_follow_each_other_and_begin_again(desk, tmp_path, steps) -> None:
    open_path(desk, timed(tmp_path))
    cine = desk.dock.reading.cine
    cine.row.speed.typed.emit(20.0)
    found = steps.found
    found.clear()
    slices = desk.viewer.dims.current_step[1:]
    desk.click(cine.row.play)
    assert cine.row.play.text() == "Stop"
    desk.until(lambda: len(found) >= 8, 10)
    desk.click(cine.row.play)
    count = len(found)
    desk.idle(0.3)
    assert len(found) == count and not cine.running, "stopped is stopped"
    assert all(step[1:] == slices for step in found), "the slice stays"
    times = [step[0] for step in found]
    assert set(times) <= set(range(5)) and any(b < a for a, b in pairwise(times)), times


def test_slices_are_played_where_there_is_no_time(desk, steps) -> None:
    desk.open("phantom")
    cine = desk.dock.reading.cine
    assert "slices" in cine.row.what.text()
    found = steps.found
    found.clear()
    desk.click(cine.row.play)
    desk.until(lambda: len(found) >= 3, 10)
    desk.key(Qt.Key.Key_Escape)
    assert not cine.running and cine.row.play.text() == "Play"


def test_the_speed_is_that_of_the_clock(desk, tmp_path, steps) -> None:
    open_path(desk, timed(tmp_path, 200))
    cine = desk.dock.reading.cine
    cine.row.speed.typed.emit(10.0)
    desk.viewer.dims.set_current_step(0, 0)
    steps.found.clear()
    steps.times.clear()
    began = time.monotonic()
    cine.start()
    desk.idle(1.0)
    cine.stop()
    assert len(steps.found) >= 3
    for step, at in zip(steps.found, steps.times, strict=True):
        assert -1.5 <= step[0] - 10 * (at - began) <= 0.5, "what is seen is what is due, whatever the computer's speed"


def test_a_slow_window_skips_and_never_piles_up(desk, tmp_path, steps) -> None:
    """Each step takes 120 ms, 60 a second are wanted: the clock is kept, most are left out, keys are still heard."""
    open_path(desk, timed(tmp_path, 200))
    cine = desk.dock.reading.cine
    cine.row.speed.typed.emit(60.0)
    desk.viewer.dims.set_current_step(0, 0)
    steps.found.clear()
    found, steps.seconds = steps.found, 0.12
    began = time.monotonic()
    cine.start()
    desk.idle(1.0)
    shown, gone = len(found), time.monotonic() - began
    assert shown <= gone / 0.12 + 1
    assert abs(found[-1][0] - 60 * gone) <= 60 * 0.4
    desk.key(Qt.Key.Key_Escape)
    assert not cine.running
    count = len(found)
    desk.idle(0.4)
    assert len(found) == count, "nothing was waiting to be shown"


def test_another_scan_and_closing_end_it(desk, tmp_path) -> None:
    open_path(desk, timed(tmp_path))
    cine = desk.dock.reading.cine
    cine.start()
    desk.open("phantom")
    assert not cine.running
    cine.start()
    assert cine.running
    desk.dock.session.close_scan()
    desk.idle(0.05)
    assert not cine.running
    cine.start()
    assert not cine.running, "nothing to play"


def test_pictures_have_none_but_several_frames_do(desk, tmp_path) -> None:
    desk.open("fundus")
    assert not desk.dock.reading.cine.row.isVisible()
    desk.dock.reading.cine.start()
    assert not desk.dock.reading.cine.running


def test_the_slider_of_time_says_its_value(desk, tmp_path) -> None:
    open_path(desk, timed(tmp_path))
    dims = desk.viewer.dims
    dims.set_current_step(0, 0)
    assert dims.axis_labels[0] == "t = 0 s"
    desk.key(Qt.Key.Key_Right)
    assert dims.current_step[0] == 1 and dims.axis_labels[0] == "t = 2.5 s"
    desk.key(Qt.Key.Key_Left)
    assert dims.axis_labels[0] == "t = 0 s"
    desk.empty_mask()
    assert dims.axis_labels[0] == "t = 0 s", "a mask has no time of its own"


def test_frames_of_a_picture_have_left_and_right_and_can_be_played(desk, tmp_path, steps) -> None:
    pixels = np.arange(4 * 40 * 50, dtype=np.uint8).reshape(4, 40, 50)
    tags = {"FrameTime": 100, "Modality": "US"}
    open_path(desk, write_image(tmp_path / "loop.dcm", pixels, tags, sop_class=US_MULTI))
    scan = desk.dock.session.scan
    assert scan.is_picture and scan.frames == 4
    desk.viewer.dims.set_current_step(0, 0)
    desk.key(Qt.Key.Key_Right)
    assert desk.viewer.dims.current_step[0] == 1
    desk.key(Qt.Key.Key_Left)
    assert desk.viewer.dims.current_step[0] == 0
    zoom = desk.viewer.scene.camera.zoom
    desk.wheel(1)
    assert desk.viewer.scene.camera.zoom > zoom and desk.viewer.dims.current_step[0] == 0
    row = desk.dock.reading.cine.row
    assert row.isVisible() and not desk.dock.reading.view_section.isVisible(), "no slab, no 2x2"
    steps.found.clear()
    desk.click(row.play)
    desk.until(lambda: len(steps.found) >= 5, 10)
    desk.click(row.play)
