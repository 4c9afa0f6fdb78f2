"""A film, picture by picture: the window draws one at a time and lives on between them, a task writes what came."""

from __future__ import annotations

import queue
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_medcnn.core import paths
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.io.pictures_out import Rate, save_film
from napari_medcnn.verbs.guard import guarded, stop_if
from napari_medcnn.widgets.hand_on.wishes import FilmWish
from napari_medcnn.widgets.tasks import Task, Work

FILM = "Film"
_WAIT_S = 0.1


class _Frames:
    """Frames in a file, so that a long film needs no memory."""

    def __init__(self, file: Any, shape: tuple[int, ...]) -> None:
        self._file, self._shape, self._count = file, shape, 0
        self._size = int(np.prod(shape))

    def add(self, frame: Array) -> None:
        if frame.shape != self._shape:
            raise InputError("The window changed its size while the film was made; leave it as it is and start again.")
        self._file.seek(self._count * self._size)
        self._file.write(frame.tobytes())
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Array:
        if not 0 <= index < self._count:
            raise IndexError(index)
        self._file.seek(index * self._size)
        return np.frombuffer(self._file.read(self._size), np.uint8).reshape(self._shape)


def write_film(wish: FilmWish, came: queue.Queue[Any]) -> Work:
    """Write `wish.last - wish.first + 1` frames as they come: the result is the path; an error that comes is raised."""

    @guarded
    def work(cancel: Cancel) -> Events:
        folder, count = paths.exchange(), wish.last - wish.first + 1
        try:
            with (folder / "frames").open("w+b") as file:
                frames: _Frames | None = None
                while frames is None or len(frames) < count:
                    stop_if(cancel)
                    try:
                        frame = came.get(timeout=_WAIT_S)
                    except queue.Empty:
                        continue
                    if isinstance(frame, MedcnnError):
                        raise frame
                    frames = frames or _Frames(file, frame.shape)
                    frames.add(frame)
                    yield Progress(0.8 * len(frames) / count, "Film")
                yield Progress(0.8, "Writing the film")
                save_film(frames, wish.path, Rate(wish.per_second), lambda: stop_if(cancel))  # type: ignore[arg-type]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        yield Result(wish.path)

    return work


class Projector(QObject):
    """Draws the frames one after the other while the task lives, then puts the view back.

    Parameters
    ----------
    count
        How many frames.
    draw
        Makes frame number 0, 1, ...
    came
        Takes them.
    put_back
        Called once at the end, whatever ended it.
    """

    def __init__(
        self, count: int, draw: Callable[[int], Array], came: queue.Queue[Any], put_back: Callable[[], None],
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._count, self._draw, self._came, self._put_back = count, draw, came, put_back
        self._next, self._over = 0, False
        self._task: Task | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._step)

    def follow(self, task: Task) -> None:
        """Draw until all frames are there or the task is over."""
        self._task = task
        task.ended.connect(self.end)
        self._timer.start()

    def _step(self) -> None:
        if self._task is None or not self._task.running or self._task.cancel_flag.is_set() or self._next >= self._count:
            self.end()
        elif self._came.qsize() < 4:
            try:
                self._came.put(self._draw(self._next))
            except MedcnnError as error:
                self._came.put(error)
                self.end()
                return
            self._next += 1

    def end(self) -> None:
        """Stop drawing."""
        self._timer.stop()
        if not self._over:
            self._over = True
            self._put_back()
