"""The same explanation as a command for a terminal and as a few lines of Python."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError
from napari_medcnn.io.packages import Package
from napari_medcnn.verbs.explain import ExplainRequest

_SWITCHES = ("negate", "supervoxels", "ignore_fit")


def explain_words(request: ExplainRequest, checked: bool, reference: LabelMap | None) -> list[str]:
    """Return the flags after ``medcnn explain -m MODEL IN -o OUT``; what is at its default is left out.

    Raises
    ------
    InputError
        A mask did not come from a file, or an option has no flag.
    """
    if request.code:
        raise InputError("code: trusted layers are given in Python only; use Copy as Python.")
    changed = _changed(request.options)
    if not changed.pop("softmax_cam", True):
        raise InputError("softmax_cam: is chosen in Python only; use Copy as Python.")
    words = ["--method", request.options.method]
    changed.pop("method", None)
    for name, value in changed.items():
        flag = f"--{name.replace('_', '-')}"
        if name in _SWITCHES:
            words.append(flag)
        else:
            words += [flag, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    for name, mask in (("--mask", request.mask), ("--reference", reference)):
        words += [name, _file_of(mask)] if mask is not None else []
    return [*words, "--check"] if checked and reference is None else words


def explain_arguments(request: ExplainRequest, checked: bool, reference: LabelMap | None) -> dict[str, Any]:
    """Return the keywords after ``mc.explain(scan, model=...``; errors as `explain_words`."""
    given: dict[str, Any] = {"code": list(request.code) or None, "method": request.options.method}
    given |= _changed(request.options)
    given |= {"mask": _file_of(request.mask)} if request.mask is not None else {}
    if checked or reference is not None:
        given["check"] = True if reference is None else _file_of(reference)
    return given


def model_of(request: ExplainRequest) -> str:
    """Return the name or path of the model."""
    return str(request.model.path) if isinstance(request.model, Package) else str(request.model)


def map_target(request: ExplainRequest, stem: str) -> Path:
    """Return where the map goes by default."""
    return Path(f"{stem}-{request.options.method}.nii.gz")


def _changed(options: ExplainOptions) -> dict[str, Any]:
    plain = ExplainOptions()
    found = {f.name: getattr(options, f.name) for f in fields(plain)}
    return {k: v for k, v in found.items() if v != getattr(plain, k)}


def _file_of(mask: LabelMap) -> str:
    path = mask.source.get("path")
    if not path:
        raise InputError("The mask did not come from a file; save it first.")
    return str(path)
