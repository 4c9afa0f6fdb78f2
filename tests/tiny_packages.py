"""Model packages without weights worth the name, for the fake engine; and scans written by nibabel, not by us."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.spec import Decision, Fingerprint, ModelSpec, Preparation
from napari_medcnn.io.packages import write_package


def keras_file(path: Path, dimensions: int, channels: int) -> Path:
    """Write the outside of a ``.keras`` file: one input layer, an empty HDF5 name for weights."""
    shape = [None] * (dimensions + 1) + [channels]
    layer = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": shape, "dtype": "float32", "sparse": False, "name": "input"},
        "registered_name": None,
        "name": "input",
        "inbound_nodes": [],
    }
    ends = [["input", 0, 0]]
    config = {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {"name": "tiny", "trainable": True, "layers": [layer], "input_layers": ends, "output_layers": ends},
        "registered_name": "Functional",
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1", "date_saved": "2026-11-21@00:00:00"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(64))
    return path


def segmenter(name: str = "tiny-mask", dimensions: int = 3, channels: int = 1, **changes) -> ModelSpec:
    """Return the card of a network with one class of id 2: a bright thing."""
    card = {
        "name": name,
        "title": "Bright things",
        "description": "Marks what is bright.",
        "version": "1.0",
        "task": "segmentation",
        "preparation": Preparation(dimensions, channels),
        "labels": LabelSet.from_names(["bright"], first_id=2),
        "decision": Decision((2,), False, (0.5,)),
        "activation": "sigmoid",
        "tile": (8,) * dimensions,
        "licence": "CC0-1.0",
        "training_data": "none",
        "intended_use": "Tests.",
        "limits": "Everything else.",
    }
    return ModelSpec(**{**card, **changes})


def classifier(name: str = "tiny-class", dimensions: int = 3) -> ModelSpec:
    """Return the card of a network that tells a scan well or ill."""
    labels = LabelSet.from_names(["well", "ill"])
    return segmenter(
        name, dimensions, task="classification", labels=labels, decision=Decision((1, 2), True), activation="softmax",
        tile=(),
    )  # fmt: skip


def package(folder: Path, spec: ModelSpec) -> Path:
    """Write a package of that card."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = keras_file(folder / f"{spec.name}.keras", spec.preparation.dimensions, spec.preparation.channels)
    return write_package(folder / spec.name, spec, weights)


def picky(name: str = "picky") -> ModelSpec:
    """Return a card that was trained on CT only."""
    return segmenter(name, fingerprint=Fingerprint(modalities=("CT",)))


AFFINE = np.array([[-0.7, 0, 0, 11.0], [0, 0, 3.0, -22.0], [0, 0.8, 0, 33.0], [0, 0, 0, 1.0]])  # RAS, coronal, flipped


def nifti(path: Path, shape: tuple[int, ...] = (6, 5, 4), seed: int = 1, affine: np.ndarray = AFFINE) -> Path:
    """Write int16 noise (x, y, z) with nibabel: anisotropic, permuted and mirrored axes, sform and qform set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(seed).integers(-500, 1500, shape).astype(np.int16)
    image = nibabel.Nifti1Image(data, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    nibabel.save(image, path)
    return path


def nifti_mask(path: Path, array_xyz: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    """Write class ids (x, y, z) with nibabel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array_xyz.astype(np.uint8), affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    nibabel.save(image, path)
    return path


def bright_xyz(path: Path) -> np.ndarray:
    """Return, from nibabel alone, what the fake engine marks in a NIfTI file."""
    data = np.asarray(nibabel.load(path).dataobj, dtype=np.float64)
    return data > data.mean()


def photo(path: Path, size: tuple[int, int] = (12, 9), seed: int = 3) -> Path:
    """Write an RGB picture of (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path
