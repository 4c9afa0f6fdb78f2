"""Files that another file names: only ever inside its own folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from napari_medcnn.errors import IncompleteFileError, InputError
from napari_medcnn.io.found import plain, shown


def beside(header: Path, name: str) -> Path:
    """Return the data file that `header` names.

    Raises
    ------
    InputError
        The name is absolute, climbs out with "..", or leads out through a link.
    IncompleteFileError
        There is no such file.
    """
    text = name.strip()
    posix, windows = PurePosixPath(text), PureWindowsPath(text)
    outside = posix.is_absolute() or windows.is_absolute() or bool(windows.drive) or text.startswith("\\")
    if outside or not text or ".." in posix.parts or ".." in windows.parts or "\0" in text or "://" in text:
        raise InputError(
            f"{shown(header)}: it points to {plain(text)!r}, outside its own folder, and that is refused; put the data "
            "file beside the header and name it there"
        )
    target = header.parent / text
    try:
        real, folder = target.resolve(), header.parent.resolve()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{shown(header)}: its data file {plain(text)!r} cannot be looked up ({plain(error)})"
        ) from error
    if not real.is_relative_to(folder):
        raise InputError(
            f"{shown(header)}: its data file {plain(text)!r} is a link out of the folder, and that is refused; copy "
            "the file itself beside the header"
        )
    if not real.is_file():
        raise IncompleteFileError(f"{shown(header)}: its data file {plain(text)!r} is not beside it; copy both files")
    return real
