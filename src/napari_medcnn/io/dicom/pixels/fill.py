"""All planes of a part into one array: in parallel, cancellable, with no more memory than the array and a few planes.

The array's type is settled while it fills: it starts with the type of the middle plane and is begun anew with a wider
one in the seldom case that a plane does not fit, so that no second copy of the whole ever stands beside it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_medcnn.core.events import Progress
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import UnsupportedError
from napari_medcnn.io.dicom.decode import plane, plane_into
from napari_medcnn.io.dicom.facts import Frame, Header, Plane
from napari_medcnn.io.dicom.pixels.pixelfile import opened
from napari_medcnn.io.found import shown
from napari_medcnn.io.payload import check_memory

_TICK_S = 0.06
_MOST_WORKERS = 8
_LEAST_PLANES = 4  # fewer are read without threads


@dataclass
class _Work:
    """What the threads share: jobs still to do, planes done, whether to stop, and the type that was found too narrow.

    The last is no exception: its traceback would keep the narrow array alive beside the wide one.
    """

    out: Array  # (t, z, y, x[, 3])
    jobs: deque[tuple[Header, list[tuple[int, int, Frame]]]]
    stop: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    wider: np.dtype[Any] | None = None

    def run(self) -> None:
        """Do jobs until none is left; any error stops the other threads too."""
        whole = False
        try:
            while not self.stop.is_set():
                try:
                    header, places = self.jobs.popleft()
                except IndexError:
                    break
                self._read(header, places)
            whole = True
        finally:
            if not whole:
                self.stop.set()

    def _read(self, header: Header, places: list[tuple[int, int, Frame]]) -> None:
        with opened(header) as file:
            for t, z, frame in places:
                if self.stop.is_set():
                    return
                if not plane_into(file, frame, self.out[t, z]) and not self._put(t, z, plane(file, frame), header):
                    self.stop.set()
                    return
                self.done += 1  # a lost count would only make the bar lag

    def _put(self, t: int, z: int, values: Array, header: Header) -> bool:
        """Write one plane; False, with `wider` set, if the array's type cannot hold its values exactly."""
        if values.shape != self.out.shape[2:]:
            words = [" x ".join(map(str, shape)) for shape in (values.shape, self.out.shape[2:])]
            raise UnsupportedError(f"{shown(header.path)}: its picture is {words[0]}, where the series has {words[1]}")
        dtype = self.out.dtype
        if values.dtype != dtype and not np.can_cast(values.dtype, dtype, "safe") and not _fits(values, dtype):
            self.wider = np.result_type(values.dtype, dtype)
            return False
        self.out[t, z] = values
        return True


def filled(
    planes: Sequence[Sequence[Plane]], middle: Array, workers: int | None = None
) -> Generator[Progress, None, Array]:
    """Yield progress and return (t, z, y, x) or (t, z, y, x, 3); closing the generator ends the threads.

    Parameters
    ----------
    planes
        For each time point its slices; all of one size.
    middle
        One plane of them, decoded: its type is where the array's begins.
    workers
        Threads; by default as many as there are processors, at most 8.

    Raises
    ------
    UnsupportedError
        Planes differ in size.
    InputError
        A file is cut, damaged or not readable, or the memory does not suffice.
    """
    dtype = _first_type(planes, middle)
    first = planes[0][0].header
    while True:
        shape = (len(planes), len(planes[0]), *middle.shape)
        check_memory(first.path, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        work = _Work(np.empty(shape, dtype), _jobs(planes, workers or _processors()))
        yield from _run(work, shape[0] * shape[1], workers or _processors())
        if work.wider is None:
            return work.out
        dtype = work.wider
        del work


def _run(work: _Work, total: int, workers: int) -> Generator[Progress, None, None]:
    if total < _LEAST_PLANES or workers < 2:
        yield from _alone(work, total)
        return
    pool = ThreadPoolExecutor(min(workers, len(work.jobs)), thread_name_prefix="medcnn-read")
    try:
        running: set[Future[None]] = {pool.submit(work.run) for _ in range(min(workers, len(work.jobs)))}
        while running:
            ready, running = wait(running, _TICK_S, FIRST_COMPLETED)
            for future in ready:
                future.result()
            yield Progress(work.done / total, f"Reading slices: {work.done} of {total}")
    finally:
        work.stop.set()
        pool.shutdown(wait=True)


def _alone(work: _Work, total: int) -> Generator[Progress, None, None]:
    jobs, last = work.jobs, time.monotonic()
    while jobs:
        work.jobs = deque([jobs.popleft()])
        work.run()
        if work.stop.is_set():
            return
        if time.monotonic() - last > _TICK_S:
            last = time.monotonic()
            yield Progress(work.done / total, f"Reading slices: {work.done} of {total}")


def _processors() -> int:
    return min(_MOST_WORKERS, os.cpu_count() or 1)


def _jobs(planes: Sequence[Sequence[Plane]], workers: int) -> deque[tuple[Header, list[tuple[int, int, Frame]]]]:
    """Return the planes of each file together; files of many frames in as many pieces as there are workers."""
    by_file: dict[int, tuple[Header, list[tuple[int, int, Frame]]]] = {}
    for t, slices in enumerate(planes):
        for z, one in enumerate(slices):
            by_file.setdefault(id(one.header), (one.header, []))[1].append((t, z, one.frame))
    jobs: deque[tuple[Header, list[tuple[int, int, Frame]]]] = deque()
    for header, places in by_file.values():
        places.sort(key=lambda p: p[2].index)
        tiled = places[0][2].tile is not None
        piece = len(places) if tiled else max(16, -(-len(places) // workers))
        jobs.extend((header, places[k : k + piece]) for k in range(0, len(places), piece))
    return jobs


def _first_type(planes: Sequence[Sequence[Plane]], middle: Array) -> np.dtype[Any]:
    """Return the type to begin with: a float one at once if any plane has a broken slope or intercept."""
    if middle.ndim == 3 or middle.dtype.kind == "f":
        return middle.dtype
    for slices in planes:
        for header, frame in slices:
            if not (float(frame.slope).is_integer() and float(frame.intercept).is_integer()):
                wide = header.stored is not None and header.stored.bits_allocated > 16
                return np.result_type(middle.dtype, np.float64 if wide else np.float32)
    return middle.dtype


def _fits(values: Array, dtype: np.dtype[Any]) -> bool:
    if values.dtype.kind not in "iu" or dtype.kind not in "iu":
        return bool(values.dtype.kind in "iu" and dtype.kind == "f" and np.array_equal(values.astype(dtype), values))
    limits = np.iinfo(dtype)
    return int(values.min(initial=0)) >= limits.min and int(values.max(initial=0)) <= limits.max
