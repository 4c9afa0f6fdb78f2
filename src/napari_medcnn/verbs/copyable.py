"""The same run as a command for a terminal and as a few lines of Python: what the Run buttons copy."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError
from napari_medcnn.io.packages import Package
from napari_medcnn.verbs import copy_explain
from napari_medcnn.verbs.command_model import CommandRequest
from napari_medcnn.verbs.consent_flags import flags_of, python_of
from napari_medcnn.verbs.evaluate import EvaluateRequest
from napari_medcnn.verbs.explain import ExplainRequest
from napari_medcnn.verbs.names import stem_of
from napari_medcnn.verbs.predict import PredictRequest

Run = PredictRequest | CommandRequest
Copyable = Run | EvaluateRequest | ExplainRequest
_SAMPLE = "sample:"
#: Options with a flag of the same name; what is at its default is left out.
_SWITCHES = ("probabilities", "ignore_fit", "flips", "coarse")
_VALUES = ("device", "frame", "slices", "engine", "precision")


def as_command(request: Copyable, out: Path | None = None, platform: str = sys.platform) -> str:
    """Return one line that does the same in a terminal.

    Parameters
    ----------
    out
        Where a prediction goes; by default ``<stem>-mask.nii.gz`` (``.png`` for pictures) in the current folder.
        The uncertainty map, which the window always shows, is written too where its kind was chosen.

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
    if isinstance(request, ExplainRequest):
        return explain_command(request, out, platform=platform)
    if isinstance(request, PredictRequest) and request.code:
        raise InputError("code: trusted layers are given in Python only; use Copy as Python.")
    words = ["medcnn", "predict", "-m", _model_of(request), _path_of(request), "-o", str(_target(request, out))]
    words += _flags(request.options)
    item = request.volume.source.get("item")
    words += ["--item", str(item)] if item else []
    words += flags_of(_consent_of(request))
    return _joined(words, platform)


def _flags(options: PredictOptions) -> list[str]:
    """Return the flags of what is not at its default."""
    plain, words = PredictOptions(), []
    for name in _VALUES:
        if getattr(options, name) != getattr(plain, name):
            words += [f"--{name}", str(getattr(options, name))]
    words += [f"--{name.replace('_', '-')}" for name in _SWITCHES if getattr(options, name)]
    if options.region is not None:
        words += ["--region", ",".join(f"{start}:{stop}" for start, stop in options.region)]
    if options.uncertainty and options.uncertainty_kind != plain.uncertainty_kind:
        words += ["--uncertainty", "--uncertainty-kind", options.uncertainty_kind]
    return words


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
    if isinstance(request, ExplainRequest):
        return explain_python(request, out)
    lines = _opening(request)
    plain = PredictOptions()
    changed = {f.name: getattr(request.options, f.name) for f in fields(plain)}
    changed = {k: v for k, v in changed.items() if v != getattr(plain, k)}
    code = list(request.code) if isinstance(request, PredictRequest) else []
    more = {"code": code or None, **changed}
    lines += [f"result = mc.predict(scan, model={_model_of(request)!r}{_arguments(more)})"]
    lines += [f"mc.save(result, {str(_target(request, out))!r})"]
    return "\n".join(lines) + "\n"


def explain_command(
    request: ExplainRequest, out: Path | None = None, checked: bool = False, reference: LabelMap | None = None,
    platform: str = sys.platform,
) -> str:  # fmt: skip
    """Return one line that explains the same in a terminal, with the check if it was `checked`; errors as above."""
    more = copy_explain.explain_words(request, checked, reference)
    target = out or copy_explain.map_target(request, _stem_of(request.volume))
    words = ["medcnn", "explain", "-m", copy_explain.model_of(request), _path_of(request), "-o", str(target), *more]
    item = request.volume.source.get("item")
    words += ["--item", str(item)] if item else []
    return _joined([*words, *flags_of(_consent_of(request))], platform)


def explain_python(
    request: ExplainRequest, out: Path | None = None, checked: bool = False, reference: LabelMap | None = None
) -> str:
    """Return lines of Python that explain the same; errors as above."""
    more = _arguments(copy_explain.explain_arguments(request, checked, reference))
    target = out or copy_explain.map_target(request, _stem_of(request.volume))
    lines = _opening(request)
    lines += [f"made = mc.explain(scan, model={copy_explain.model_of(request)!r}{more})"]
    return "\n".join([*lines, f"mc.save(made, {str(target)!r})"]) + "\n"


def _opening(request: Run | ExplainRequest) -> list[str]:
    """Return the lines that open the scan."""
    lines = ["import napari_medcnn as mc"]
    item = str(request.volume.source.get("item") or "")
    if not item.startswith(_SAMPLE):
        return [*lines, "", *_reading(_path_of(request), item, _consent_of(request))]
    name = item.removeprefix(_SAMPLE)
    lines += ["from napari_medcnn.io import samples", "", f"scan = samples.{name}()"]
    return [*lines, "scan = scan[0]"] if name == "phantom" else lines


def _arguments(given: dict[str, Any]) -> str:
    words = {k: str(v) if isinstance(v, Path) else v for k, v in given.items() if v is not None}
    return "".join(f", {k}={v!r}" for k, v in words.items())


def _source_of_scores(request: EvaluateRequest) -> list[str]:
    if request.model is not None:
        return ["-m", str(request.model)]
    return ["--predictions", str(request.predictions)]


def _reading(path: str, item: str, consent: Consent) -> list[str]:
    """Return the lines that read a scan, or name the scans that are its channels."""
    agreed = f", consent={python_of(consent)}" if consent != NONE else ""
    if "|" in path and not Path(path).exists():
        if not agreed:
            return [f"scan = {path.split('|')!r}  # channels, on the grid of the first"]
        return [f"scan = [mc.read(path{agreed}) for path in {path.split('|')!r}]  # channels, on the grid of the first"]
    return [f"scan = mc.read({path!r}{_arguments({'item': item or None})}{agreed})"]


def _consent_of(request: Run | ExplainRequest) -> Consent:
    return Consent.from_json(request.volume.source.get("consent") or {})


def _model_of(request: Run) -> str:
    if isinstance(request, CommandRequest):
        return request.command.name
    return str(request.model.path) if isinstance(request.model, Package) else str(request.model)


def _path_of(request: Run | ExplainRequest) -> str:
    path = request.volume.source.get("path")
    if not path:
        raise InputError("This scan did not come from a file; save it first.")
    return str(path)


def _target(request: Run, out: Path | None) -> Path:
    if out is not None:
        return out
    return Path(f"{_stem_of(request.volume)}-mask{'.png' if request.volume.is_picture else '.nii.gz'}")


def _stem_of(volume: Volume) -> str:
    path = str(volume.source.get("path") or "")
    return stem_of(Path(path if Path(path).exists() else path.partition("|")[0])) if path else "result"


def _joined(words: list[str], platform: str) -> str:
    return subprocess.list2cmdline(words) if platform == "win32" else shlex.join(words)
