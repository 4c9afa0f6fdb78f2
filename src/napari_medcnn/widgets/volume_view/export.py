"""Surfaces of the ticked classes leave the window: computed once more, as fine as the mask, and written in mm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.imaging.surface import Surface
from napari_medcnn.io.surface_files import Mesh, save_surfaces
from napari_medcnn.widgets.tasks import Work
from napari_medcnn.widgets.volume_view.work import Wanted, grid_of, surfaces

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

SAVING = "Saving surfaces"
#: Classes of boxes with at most this many voxels along each side of a cube are written as fine as the mask is.
_SIDE = 400
_GREY = (153, 153, 153)


@dataclass(frozen=True)
class Saved:
    """What was written, and how many voxels along the most merged axis became one."""

    files: tuple[Path, ...]
    coarser: int


def mesh_of(surface: Surface, grid: DisplayGrid, labels: LabelSet) -> Mesh:
    """Return a surface in LPS mm, its faces looking outward, in the colour of its class."""
    known = surface.label_id in labels
    colour = labels.by_id(surface.label_id).colour if known else _GREY
    faces = surface.faces
    if np.linalg.det(grid.lps_of(np.eye(3))) < 0:  # the world's axes would be mirrored in the patient
        faces = faces[:, ::-1]
    return Mesh(grid.lps_of(surface.vertices), faces, (colour[0], colour[1], colour[2]))


def saving(made: Work, grid: DisplayGrid, labels: LabelSet, path: Path) -> Work:
    """Make surfaces and write them: the result is `Saved`."""

    def work(cancel: Cancel) -> Events:
        found: Mapping[int, Surface] = {}
        for event in made(cancel):
            if isinstance(event, Result):
                found = event.value
            else:
                yield event
        yield Progress(None, "Writing surfaces")
        files = save_surfaces({i: mesh_of(surface, grid, labels) for i, surface in found.items()}, path)
        yield Result(Saved(tuple(files), max(surface.coarser for surface in found.values())))

    return work


def ask_and_save(dock: MedcnnDock, classes: frozenset[int]) -> None:
    """Ask for a file and write the surfaces of these classes; why not is said."""
    mask, scan, grid = dock.layers.mask, dock.session.scan, dock.views.grid
    if mask is None or mask.ndim != 3 or scan is None or grid is None or not classes:
        dock.say("There is no class to save: tick one in the list of 3D.")
        return
    if not scan.geometry.spacing_known:
        dock.say("The file states no spacing, so a surface in mm cannot be written.")
        return
    path = dock.dialogs.save_surfaces("surfaces.ply")
    if path is None:
        return
    dock.session.strokes.commit()
    unsaid = "" if scan.geometry.orientation_known else " Left and right are not stated in the scan's file."

    def done(saved: Saved) -> None:
        for file in saved.files:
            dock.session.names.add(str(file))
        fine = f" {saved.coarser}x coarser than the mask." if saved.coarser > 1 else ""
        many = f" and {len(saved.files) - 1} more" if len(saved.files) > 1 else ""
        dock.say(f"Saved: {saved.files[0].name}{many}, in mm (LPS).{fine}{unsaid}")

    made = surfaces(mask.data, dock.session.labels, grid_of(mask), Wanted(classes, side=_SIDE))
    dock.tasks.start(SAVING, saving(made, grid, dock.session.labels, path), done, dock.showing.on_failed)
