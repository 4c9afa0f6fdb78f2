"""An annotation project, as far as the thin loop needs one: a folder with a table, masks and journals.

Its state in a database (readers, status, review) comes with the worklist; until then the table is the project.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from napari_medcnn.annotation.export import MASKS, TABLE
from napari_medcnn.annotation.recovery import Recovery, find_recoverable
from napari_medcnn.errors import ProjectError
from napari_medcnn.io.dataset import Dataset, read_dataset, write_dataset

JOURNALS = "journals"


@dataclass(frozen=True)
class Project:
    """A project folder; make one with `create`, open one with `open`."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Project:
        """Make an empty project; a folder that holds one already is opened as it is.

        Raises
        ------
        ProjectError
            The folder cannot be made or written to; said before anything is drawn.
        """
        folder = Path(folder)
        try:
            for part in (folder / MASKS, folder / JOURNALS):
                part.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProjectError(
                f"{folder}: a project cannot be kept there ({error.strerror}); choose another"
            ) from error
        if not os.access(folder, os.W_OK):
            raise ProjectError(f"{folder}: this folder is read-only; choose another one for the project")
        if not (folder / TABLE).exists():
            write_dataset(Dataset((), folder.resolve()), folder / TABLE)
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Project:
        """Open a project.

        Raises
        ------
        ProjectError
            There is none, or its table is damaged.
        """
        folder = Path(folder)
        if not (folder / TABLE).is_file():
            raise ProjectError(f"{folder}: expected a project with {TABLE}; create one there or choose another folder")
        read_dataset(folder / TABLE)
        return cls(folder)

    @property
    def table(self) -> Path:
        """The table of cases."""
        return self.folder / TABLE

    @property
    def journals(self) -> Path:
        """Where stroke journals of this project go."""
        return self.folder / JOURNALS

    def cases(self) -> Dataset:
        """Return the cases as they stand on disk."""
        return read_dataset(self.table)

    def recoverable(self) -> list[Recovery]:
        """Return work of sessions that ended without saving, the latest first."""
        return find_recoverable(self.journals)
