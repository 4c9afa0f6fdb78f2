"""The same run as a command for a terminal and as a few lines of Python: what the Run buttons copy."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from napari_medcnn.core.options import PredictOptions
from napari_medcnn.errors import InputError
from napari_medcnn.verbs.evaluate import EvaluateRequest
from napari_medcnn.verbs.names import stem_of
from napari_medcnn.verbs.predict import PredictRequest

Copyable = PredictRequest | EvaluateRequest
_SAMPLE = "sample:"


def as_command(request: Copyable, out: Path | None = None, platform: str = sys.platform) -> str:
    """Return one line that does the same in a terminal.

    Parameters
    ----------
    out
        Where a prediction goes; by default ``<stem>-mask.nii.gz`` (``.png`` for pictures) in the current folder.

    Raises
    ------
    InputError
        The scan did not come from a file, or has options that the command does not know.
    """
    if isinstance(request, EvaluateRequest):
        words = ["medcnn", "evaluate", *_source_of_scores(request), str(request.dataset)]
        words += ["--split", request.split] if request.split else []
        words += ["-o", str(request.report)] if request.report else []
        return _joined(words, platform)
    if request.code:
        raise InputError("code: trusted layers are given in Python only; use Copy as Python.")
    if not isinstance(request.model, str | Path):
        raise InputError("model: a model in memory has no name for a command; use Copy as Python.")
    words = ["medcnn", "predict", "-m", str(request.model), _path_of(request), "-o", str(_target(request, out))]
    options = request.options
    words += ["--device", options.device] if options.device != "auto" else []
    words += ["--probabilities"] if options.probabilities else []
    words += ["--frame", str(options.frame)] if options.frame else []
    words += ["--ignore-fit"] if options.ignore_fit else []
    item = request.volume.source.get("item")
    words += ["--item", str(item)] if item else []
    return _joined(words, platform)


def as_python(request: Copyable, out: Path | None = None) -> str:
    """Return lines of Python that do the same.

    Raises
    ------
    InputError
        The scan did not come from a file or an example.
    """
    if isinstance(request, EvaluateRequest):
        given = {"model": request.model, "predictions": request.predictions, "split": request.split}
        given |= {"report": request.report}
        return f"import napari_medcnn as mc\n\nreport = mc.evaluate({str(request.dataset)!r}{_arguments(given)})\n"
    lines = ["import napari_medcnn as mc"]
    item = str(request.volume.source.get("item") or "")
    if item.startswith(_SAMPLE):
        name = item.removeprefix(_SAMPLE)
        lines += ["from napari_medcnn.io import samples", "", f"scan = samples.{name}()"]
        lines += ["scan = scan[0]"] if name == "phantom" else []
    else:
        lines += ["", f"scan = mc.read({_path_of(request)!r}{_arguments({'item': item or None})})"]
    plain = PredictOptions()
    changed = {f.name: getattr(request.options, f.name) for f in fields(plain)}
    changed = {k: v for k, v in changed.items() if v != getattr(plain, k)}
    more = {"code": list(request.code) or None, **changed}
    lines += [f"result = mc.predict(scan, model={str(request.model)!r}{_arguments(more)})"]
    lines += [f"mc.save(result, {str(_target(request, out))!r})"]
    return "\n".join(lines) + "\n"


def _arguments(given: dict[str, Any]) -> str:
    words = {k: str(v) if isinstance(v, Path) else v for k, v in given.items() if v is not None}
    return "".join(f", {k}={v!r}" for k, v in words.items())


def _source_of_scores(request: EvaluateRequest) -> list[str]:
    if request.model is not None:
        return ["-m", str(request.model)]
    return ["--predictions", str(request.predictions)]


def _path_of(request: PredictRequest) -> str:
    path = request.volume.source.get("path")
    if not path:
        raise InputError("This scan did not come from a file; save it first.")
    return str(path)


def _target(request: PredictRequest, out: Path | None) -> Path:
    if out is not None:
        return out
    volume = request.volume
    stem = stem_of(Path(volume.source["path"])) if volume.source.get("path") else "result"
    return Path(f"{stem}-mask{'.png' if volume.is_picture else '.nii.gz'}")


def _joined(words: list[str], platform: str) -> str:
    return subprocess.list2cmdline(words) if platform == "win32" else shlex.join(words)
