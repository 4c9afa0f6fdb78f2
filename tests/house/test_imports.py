"""Who may load what, seen in fresh processes (the import contracts see only what is written down)."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest

from cases import REPOSITORY

SOURCE = REPOSITORY / "src" / "napari_medcnn"
WINDOWED = {"widgets"}
ENGINE = {"engine"}


def modules(*, under: set[str] | None = None, without: frozenset[str] | set[str] = frozenset()) -> list[str]:
    """Return the dotted names of all modules, except those that run when imported."""
    names = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        top = parts[0]
        if parts[-1] == "__main__" or top in without or (under is not None and top not in under):
            continue
        names.append(".".join(("napari_medcnn", *parts)).removesuffix(".__init__"))
    return names


def loaded_after(names: list[str], suspects: list[str], *, headless: bool = False) -> list[str]:
    """Import ``names`` in a fresh process and return which of ``suspects`` it then holds."""
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(','.join(s for s in {suspects!r} if s in sys.modules))"
    )
    environment = dict(os.environ)
    if headless:
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            environment.pop(name, None)
    ran = subprocess.run(
        [sys.executable, "-W", "error:::napari_medcnn", "-c", code],
        capture_output=True, text=True, timeout=240, env=environment, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return [s for s in ran.stdout.strip().split(",") if s]


def test_every_module_with_a_window_stays_clear_of_tensorflow() -> None:
    """TensorFlow and an open napari window in one process crash on Mesa drivers, in either order of import."""
    names = modules(without=ENGINE)
    assert any(n.startswith("napari_medcnn.widgets.") for n in names)
    assert loaded_after(names, ["tensorflow", "keras", "jax", "torch", "h5py"]) == []


def test_everything_but_widgets_works_without_a_window() -> None:
    names = modules(without=ENGINE | WINDOWED)
    suspects = ["napari", "qtpy", "magicgui", "superqt", "vispy", "PyQt5", "PyQt6", "PySide6", "npe2"]
    assert loaded_after(names, suspects, headless=True) == []


def test_the_package_itself_loads_nothing_heavy() -> None:
    suspects = ["numpy", "scipy", "SimpleITK", "pydicom", "skimage", "napari_medcnn.core", "napari_medcnn.verbs"]
    assert loaded_after(["napari_medcnn"], suspects) == []


def test_what_napari_asks_for_first_is_light() -> None:
    """Reader and sample hooks are imported by napari on a drop; decoders may load then, networks may not."""
    assert loaded_after(["napari_medcnn.io.hooks", "napari_medcnn.io.samples"], ["tensorflow", "keras"]) == []


@pytest.mark.parametrize("name", ["attach", "evaluate", "explain", "models", "predict", "read", "save"])
def test_public_names_exist_and_are_documented(name: str) -> None:
    import napari_medcnn

    value = getattr(napari_medcnn, name)
    assert callable(value)
    assert len((value.__doc__ or "").split()) > 10
    assert name in dir(napari_medcnn)


def test_unknown_public_name_is_an_attribute_error() -> None:
    import napari_medcnn

    with pytest.raises(AttributeError, match="no_such_name"):
        _ = napari_medcnn.no_such_name


def test_no_part_escapes_the_import_contracts() -> None:
    """A new package must be named in the contracts, or they would say nothing about it."""
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    closed = next(c for c in contracts if "engine is started by name" in c["name"])["source_modules"]
    parts = {p.stem for p in SOURCE.iterdir() if (p.is_dir() and (p / "__init__.py").exists()) or p.suffix == ".py"}
    assert {f"napari_medcnn.{p}" for p in parts - {"__init__", "__main__", "engine"}} == set(closed)
