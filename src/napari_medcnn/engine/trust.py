"""Import the code that the user trusts, and name everything by its sha256."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from napari_medcnn.errors import InputError


def trust(names: Sequence[str]) -> dict[str, str]:
    """Import the modules that the user trusts, which register their layers, and return sha256 by name.

    Parameters
    ----------
    names
        Paths of ``.py`` files, or names of installed modules.  They come from the user only, never from a package.

    Raises
    ------
    InputError
        There is no such file or module, or it fails while it is imported.
    """
    hashes = {}
    for name in names:
        path = _source(str(name))
        digest = sha256_of(path)
        hashes[str(name)] = digest
        title = f"medcnn_trusted_{digest[:16]}" if str(name).endswith(".py") else str(name)
        if title in sys.modules:
            continue
        try:
            if not str(name).endswith(".py"):
                importlib.import_module(title)
                continue
            spec = importlib.util.spec_from_file_location(title, path)
            if spec is None or spec.loader is None:
                raise ImportError("not a Python file")
            sys.modules[title] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[title])
        except (ImportError, SyntaxError, NameError, TypeError, ValueError, AttributeError, OSError) as error:
            sys.modules.pop(title, None)
            raise InputError(f"code: {path.name} cannot be imported ({type(error).__name__}: {error})") from error
    return hashes


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()


def _source(name: str) -> Path:
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise InputError(f"code: there is no file {name}")
        return Path(name)
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.origin or not Path(found.origin).is_file():
        raise InputError(f"code: there is no Python file or module {name!r}")
    return Path(found.origin)
