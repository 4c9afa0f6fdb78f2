"""Model packages on disk: a folder or zip with ``rdf.yaml``, weights, test tensors, cover and card.

Opening a package reads this folder or zip and nothing else: plain file names only, no links, sizes limited, sha256 of
every file compared each time. The weights are never opened here; `prescan` looks into them, the engine loads them.
"""

from __future__ import annotations

import importlib.resources
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from napari_medcnn.core import paths
from napari_medcnn.core.geometry import Array
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.errors import IncompleteFileError, MedcnnError, ModelError, SaveError, UnsafeModelError
from napari_medcnn.io import package_rdf as rdf
from napari_medcnn.io.foreign_models import foreign
from napari_medcnn.io.model_card import card_text
from napari_medcnn.io.onnx_header import check_onnx_file
from napari_medcnn.io.package_yaml import MAX_BYTES, dump_yaml, load_yaml
from napari_medcnn.io.package_zip import sha256_of, unpacked, write_zip
from napari_medcnn.io.prescan import check_keras_file


@dataclass(frozen=True)
class Package:
    """An opened package.

    Parameters
    ----------
    path
        The folder or zip as it was named.
    weights
        The ``.keras`` file, or the ``.onnx`` file of a package without one (for a zip: its verified copy in our private
        cache).
    tests
        Files of raw network input and output, float32 ``.npy``, in the network's own order of axes; or None.
    files
        sha256 by file name, all compared when it was opened.
    onnx
        ONNX weights: the native ones, or a copy of the network beside Keras's; None if there are none.
    layout
        Where the channels of the network's tensors stand; always "last" for Keras.
    onnx
        ONNX weights: the native ones, or a copy of the network beside Keras's; None if there are none.
    layout
        Where the channels of the network's tensors stand: "last" always for Keras.
    """

    path: Path
    spec: ModelSpec
    weights: Path
    tests: tuple[Path, Path] | None
    cover: Path | None
    documentation: Path | None
    files: Mapping[str, str]
    keras_version: str
    shipped: bool = False
    onnx: Path | None = None
    layout: rdf.Layout = "last"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of weights it holds, the native one first: "keras", "onnx"."""
        native = self.weights.suffix.removeprefix(".")
        return (native, "onnx") if native != "onnx" and self.onnx is not None else (native,)


@dataclass(frozen=True)
class BrokenPackage:
    """A package that is listed but cannot be opened, and why."""

    path: Path
    error: MedcnnError


def read_package(path: Path | str) -> Package:
    """Open a package and compare every sha256.

    Raises
    ------
    ModelError, UnsafeModelError, IncompleteFileError
        Missing, cut, changed, outside the profile, or unsafe; the message names the file.
    """
    path = Path(path)
    if path.name == rdf.RDF:
        path = path.parent
    other = None if (path / rdf.RDF).exists() else foreign(path)
    if other is not None:
        raise other
    try:
        if path.is_dir():
            return _read_folder(path, path)
        if path.suffix in (".keras", ".onnx") and path.is_file():
            raise ModelError(
                f"{path.name}: this is a bare network, which does not say how a scan is prepared for it; add it once "
                f"with: medcnn models --add {path.name}"
            )
        if path.is_file():
            folder = unpacked(path)
            try:
                return _read_folder(folder, path)
            except MedcnnError:
                # our own copy may have been changed; made anew, the zip speaks for itself
                shutil.rmtree(folder, ignore_errors=True)
                return _read_folder(unpacked(path), path)
    except MedcnnError as error:
        if str(error).startswith(path.name):
            raise
        raise type(error)(f"{path.name}: {error}") from error
    except OSError as error:
        raise ModelError(f"{path.name}: cannot be read ({error.strerror or error})") from error
    raise ModelError(f"{path}: there is no such model package (a folder or zip with rdf.yaml)")


def _read_folder(folder: Path, named: Path) -> Package:
    card = folder / rdf.RDF
    if not _is_plain(card):
        raise ModelError("expected rdf.yaml in it; this is no model package")
    with card.open("rb") as file:
        content = rdf.read_rdf(load_yaml(file.read(MAX_BYTES + 1), rdf.RDF))
    for name, digest in content.hashes.items():
        file_path = folder / name
        if file_path.is_symlink():
            raise UnsafeModelError(f"{name} is a link to another place; a package holds its own files")
        if not _is_plain(file_path):
            raise IncompleteFileError(f"{name} is missing; copy or download the package again")
        if sha256_of(file_path) != digest:
            raise ModelError(f"{name} is not the file the card was written for (sha256 differs); get the package again")
    native = next(iter(content.hashes))
    onnx = next((folder / name for name in content.hashes if name.endswith(".onnx")), None)
    both = content.test_input is not None and content.test_output is not None
    return Package(
        named,
        content.spec,
        folder / native,
        (folder / str(content.test_input), folder / str(content.test_output)) if both else None,
        folder / content.cover if content.cover else None,
        folder / content.documentation if content.documentation else None,
        dict(content.hashes),
        content.keras_version,
        shipped=folder.parent == shipped_folder(),
        onnx=onnx,
        layout=content.layout,
    )


def load_tests(package: Package) -> tuple[Array, Array]:
    """Return the test tensors, float32 with the channels last; ``.npy`` headers that claim too much are refused.

    Raises
    ------
    ModelError
        The package has none, or they are damaged.
    """
    if package.tests is None:
        raise ModelError(f"{package.spec.name}: the package has no test tensors")
    arrays = []
    for path in package.tests:
        try:
            # Mapping a file never allocates what its header claims, and never unpickles.
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise ModelError(f"{package.spec.name}: {path.name} is damaged ({str(error)[:80]})") from error
        if not isinstance(mapped, np.ndarray) or mapped.dtype != np.float32:
            raise ModelError(f"{package.spec.name}: {path.name}: expected float32 numbers")
        turned = np.moveaxis(mapped, 1, -1) if package.layout == "first" and mapped.ndim > 2 else mapped
        arrays.append(np.array(turned, order="C"))
    return arrays[0], arrays[1]


def write_package(
    target: Path | str,
    spec: ModelSpec,
    weights: Path | str | Sequence[Path | str],
    test_input: Array | None = None,
    test_output: Array | None = None,
    cover: Array | None = None,
) -> Path:
    """Write a package, a folder or (if `target` ends in ``.zip``) a zip, complete or not at all, and return its path.

    It is written beside the target, read back and compared, then renamed. Equal input gives equal bytes. The page for
    people, ``README.md``, is made from the specification.

    Parameters
    ----------
    weights
        A ``.keras`` or ``.onnx`` file, or both, of one network (the ``.onnx`` beside a ``.keras`` then takes its
        channels last); their bytes are copied as they are.
    test_input, test_output
        float32 with a batch axis and the channels last: what the network gets and its raw answer, both or none.
        Never from patients.
    cover
        uint8 (y, x, 3) picture. Never from patients.

    Raises
    ------
    SaveError
        The target exists (a model is never overwritten), or the disk refuses.
    ModelError, UnsafeModelError
        The weights or the specification are not fit for a package.
    """
    target = Path(target)
    if (test_input is None) != (test_output is None):
        raise ModelError("test tensors: expected input and output, or neither")
    arrays = {rdf.TEST_INPUT: test_input, rdf.TEST_OUTPUT: test_output, rdf.COVER: cover}
    if target.exists():
        raise SaveError(f"{target.name}: there is already something of this name; a model is never overwritten")
    files, about = _look_into([weights] if isinstance(weights, Path | str) else weights, spec)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=target.parent))
        folder = temporary / (target.stem if target.suffix == ".zip" else target.name)
        folder.mkdir()
        for name, source in files.items():
            shutil.copyfile(source, folder / name)
        _write_arrays(folder, arrays, about.layout)
        (folder / rdf.README).write_text(card_text(spec), encoding="utf-8", newline="\n")
        hashes = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        (folder / rdf.RDF).write_bytes(dump_yaml(rdf.build_rdf(spec, hashes, about)))
        ready = folder
        if target.suffix == ".zip":
            ready = temporary / target.name
            write_zip(folder, ready)
        back = read_package(ready)
        if back.spec.to_json() != spec.to_json():
            raise SaveError(f"{target.name}: the card does not read back equal; nothing was saved")
        os.replace(ready, target)
    except OSError as error:
        raise SaveError(f"{target}: cannot be written ({error.strerror or error}); nothing was changed") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return target


def _look_into(weights: Sequence[Path | str], spec: ModelSpec) -> tuple[dict[str, Path], rdf.Weights]:
    """Look into the weights; return them by their name in the package, and what the card says of them."""
    kinds = {Path(path).suffix.lower(): Path(path) for path in weights}
    if len(kinds) != len(weights) or not kinds or set(kinds) - {".keras", ".onnx"}:
        names = ", ".join(Path(path).name for path in weights)
        raise ModelError(f"weights: expected one .keras file, one .onnx file, or one of each, got {names or 'none'}")
    files: dict[str, Path] = {}
    about = rdf.Weights((*[None] * spec.preparation.dimensions, spec.preparation.network_channels))
    if ".onnx" in kinds:
        files[rdf.ONNX] = kinds[".onnx"]
        found = check_onnx_file(kinds[".onnx"])
        shape = tuple(found["input_shapes"][0]) if found["input_shapes"] else about.input_shape
        about = rdf.Weights(shape, "", found["opset"], found["layout"])
    if ".keras" in kinds:
        files[rdf.WEIGHTS] = kinds[".keras"]
        found = check_keras_file(kinds[".keras"], allowed_custom=("*",))
        if about.layout == "first":
            raise ModelError("weights: an .onnx file beside a .keras file must take its channels last, as Keras does")
        shape = tuple(found["input_shapes"][0]) if found["input_shapes"] else about.input_shape
        about = replace(about, input_shape=shape, keras_version=found["keras_version"])
    return files, about


def _write_arrays(folder: Path, arrays: Mapping[str, Array | None], layout: rdf.Layout) -> None:
    for name, array in arrays.items():
        if array is None:
            continue
        if not np.isfinite(array).all():
            raise ModelError(f"{name}: expected finite numbers")
        if name == rdf.COVER:
            Image.fromarray(np.ascontiguousarray(array, dtype=np.uint8)).save(folder / name, optimize=True)
        else:
            turned = np.moveaxis(array, -1, 1) if layout == "first" and array.ndim > 2 else array
            np.save(folder / name, np.ascontiguousarray(turned, dtype=np.float32), allow_pickle=False)


def package_from_keras(
    keras_path: Path | str,
    answers: ModelSpec,
    target: Path | str,
    test_input: Array | None = None,
    test_output: Array | None = None,
) -> Path:
    """Make a package of a bare ``.keras`` or ``.onnx`` file and what was answered about it; see `write_package`."""
    return write_package(target, answers, keras_path, test_input, test_output)


def shipped_folder() -> Path:
    """Return the folder of the packages that come with napari-medcnn."""
    return Path(str(importlib.resources.files("napari_medcnn"))) / "models"


def list_models(extra_folder: Path | str | None = None) -> list[Package | BrokenPackage]:
    """Return shipped packages, then the user's, then those of `extra_folder`, each folder in order of name.

    A package that cannot be opened is listed with its reason, so that nobody wonders where it went.
    """
    found: list[Package | BrokenPackage] = []
    for path in _candidates(extra_folder):
        try:
            found.append(read_package(path))
        except MedcnnError as error:
            found.append(BrokenPackage(path, error))
    return found


def find_model(name_or_path: Path | str, extra_folder: Path | str | None = None) -> Path:
    """Return the path of a model: a package or bare network by path, or a listed package by name.

    Raises
    ------
    ModelError
        There is neither; the message lists the names there are.
    """
    path = Path(name_or_path)
    if path.exists() and (path.is_file() or (path / rdf.RDF).exists() or path.is_absolute() or len(path.parts) > 1):
        return path.parent if path.name == rdf.RDF else path
    models = [model for model in list_models(extra_folder) if isinstance(model, Package)]
    for model in models:
        if str(name_or_path) in (model.spec.name, model.path.name):
            return model.path
    names = ", ".join(model.spec.name for model in models) or "none"
    raise ModelError(f"model: there is neither a file nor a model called {str(name_or_path)!r}; models here: {names}")


def _candidates(extra_folder: Path | str | None) -> list[Path]:
    folders = [shipped_folder(), paths.user_models()] + ([Path(extra_folder)] if extra_folder else [])
    result: list[Path] = []
    for folder in folders:
        if folder.is_dir():
            result += sorted(p for p in folder.iterdir() if (p / rdf.RDF).is_file() or p.suffix == ".zip")
    return result


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
