"""Model files of other programs that are never opened here: what they are, and the exact way to bring them over."""

from __future__ import annotations

import zipfile
from pathlib import Path

from napari_medcnn.errors import MedcnnError, ModelError, UnsafeModelError

_HDF5 = b"\x89HDF\r\n\x1a\n"


def foreign(path: Path) -> MedcnnError | None:
    """Return why a model of another format is not opened, and how it is converted; None if it is none of those known.

    Nothing but the first bytes, or the list of a zip, is read.
    """
    name, stem = path.name, path.stem
    if path.is_dir():
        return _saved_model(name) if (path / "saved_model.pb").exists() else None
    if name in ("saved_model.pb", "keras_metadata.pb"):
        return _saved_model(path.absolute().parent.name)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError:
        return None
    if head == _HDF5:
        return UnsafeModelError(
            f"{name}: this is an HDF5 file (.h5), the format before .keras; it can hold code and is never opened here. "
            "Where you trust it, save the whole model as .keras with Keras 3: "
            f"python -c \"import keras; keras.models.load_model('{name}', compile=False).save('{stem}.keras')\" "
            f"or, if Keras 2 made it: pip install tf2onnx tf_keras; TF_USE_LEGACY_KERAS=1 python -m tf2onnx.convert "
            f"--keras {name} --output {stem}.onnx"
        )
    pickled = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    if pickled or _is_torch(path, head):
        return UnsafeModelError(
            f"{name}: this is a Python pickle (as PyTorch saves), which runs code when opened; it is never read. Where "
            "the network was made, export it: "
            f"torch.onnx.export(model.eval(), example, '{stem}.onnx', dynamo=False); then: medcnn models --add "
            f"{stem}.onnx"
        )
    return None


def _saved_model(name: str) -> ModelError:
    return ModelError(
        f"{name}: this is a TensorFlow SavedModel folder, which runs code of its own and is never opened here. Where "
        f"you trust it: pip install tf2onnx; python -m tf2onnx.convert --saved-model {name} --output {name}.onnx; "
        f"then: medcnn models --add {name}.onnx"
    )


def _is_torch(path: Path, head: bytes) -> bool:
    if head[:2] != b"PK":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(entry.rpartition("/")[2] == "data.pkl" for entry in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
