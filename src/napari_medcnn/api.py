"""The library: the same verbs as in the window, as plain functions that return values and raise named errors.

``import napari_medcnn as mc`` gives `read`, `save`, `predict`, `explain`, `evaluate`, `models` and `attach`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from napari_medcnn.core.consent import NONE, Consent
from napari_medcnn.core.events import Cancel, result_of
from napari_medcnn.core.options import ExplainOptions, PredictOptions
from napari_medcnn.core.results import Classification, Provenance, Segmentation
from napari_medcnn.core.saliency import CAUTION, SaliencyMap
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError, MissingExtraError, ModelError
from napari_medcnn.evaluation.report import Report
from napari_medcnn.imaging.channels import combine
from napari_medcnn.io.commands import find_command
from napari_medcnn.io.map_pictures import largest
from napari_medcnn.io.packages import package_from_keras
from napari_medcnn.io.read import read_labels, read_volume
from napari_medcnn.verbs import command_model, engines
from napari_medcnn.verbs import evaluate as evaluate_verb
from napari_medcnn.verbs import explain as explain_verb
from napari_medcnn.verbs import models as models_verb
from napari_medcnn.verbs import open as open_verb
from napari_medcnn.verbs import predict as predict_verb
from napari_medcnn.verbs import save as save_verb
from napari_medcnn.verbs.doctor import install
from napari_medcnn.worker.client import Engine

__all__ = [
    "ClassResult", "Consent", "MapResult", "MaskResult",
    "attach", "evaluate", "explain", "models", "predict", "read", "save",
]  # fmt: skip


Scan = Volume | LabelMap | str | Path
AnyOptions = TypeVar("AnyOptions", PredictOptions, ExplainOptions)


@dataclass(frozen=True, eq=False)
class MaskResult(Segmentation):
    """A mask with its scan, so that it can be shown."""

    volume: Volume | None = None

    def show(self, viewer: Any) -> None:
        """Add scan and mask to a napari viewer."""
        _show(viewer, self.volume, self)


@dataclass(frozen=True)
class ClassResult(Classification):
    """Class scores with their scan, so that both can be shown."""

    volume: Volume | None = None

    def show(self, viewer: Any) -> None:
        """Add the scan to a napari viewer; the class scores stand in its status bar."""
        _show(viewer, self.volume, self)


@dataclass(frozen=True, eq=False)
class MapResult(SaliencyMap):
    """A saliency map with its scan and mask, so that it can be shown and drawn."""

    volume: Volume | None = None
    mask: LabelMap | None = None

    def show(self, viewer: Any) -> None:
        """Add the scan, and the map over it, to a napari viewer."""
        _show(viewer, self.volume, self)


def read(
    path: str | Path, item: str | None = None, resample: bool = False, *, consent: Consent = NONE
) -> Volume | LabelMap:
    """Read a scan or a mask from a file, a DICOM folder or a DICOMDIR.

    What the reader found, assumed and was allowed stands in ``.report`` and ``.source["consent"]`` of the result.

    Parameters
    ----------
    item
        Which one, if the path holds several (ids as in ``medcnn info``).
    resample
        Short for ``consent=mc.Consent(resample=True)``.
    consent
        What may be done instead of refusing: bring a tilted, gapped or sheared image onto a straight grid, take the
        first or last of differing duplicates, open what a damaged file still holds, expand a very large file, show
        one part of complex numbers.  Nothing is done unasked.

    Raises
    ------
    InputError
        The file is missing, damaged, of a kind we do not read, or holds several items.
    ConsentNeededError
        It opens only with a consent that was not given; ``.asks`` names the field of `Consent`.
    """
    agreed = replace(consent, resample=True) if resample else consent
    value: Volume | LabelMap = result_of(open_verb.run(open_verb.OpenRequest(Path(path), item, agreed), Cancel()))
    return value


def save(obj: save_verb.Saved, path: str | Path, provenance: Provenance | None = None) -> Path:
    """Save a scan, a mask or a result; results get the record of how they were made beside them.

    The suffix names the format (.nii.gz, .nii, .nrrd, .seg.nrrd, .mha, .png; class scores .csv or .json).  What was
    written is read back and compared before it replaces an old file.

    Raises
    ------
    SaveError
        It cannot be written; an old file of that name is as it was.
    """
    written: Path = result_of(save_verb.run(save_verb.SaveRequest(obj, Path(path), provenance), Cancel()))
    return written


def predict(
    volume: Scan | Sequence[Scan],
    model: Any,
    *,
    code: Sequence[str] = (),
    spec: ModelSpec | None = None,
    options: PredictOptions | None = None,
    **changes: Any,
) -> MaskResult | ClassResult:
    """Run a model on a scan.

    Parameters
    ----------
    volume
        A scan, or the path of one; or a list of them, the channels of one case, on the grid of the first.
    model
        Name or path of a package, the name of one of your programs (``medcnn models``), a ``.keras`` or ``.onnx``
        file, or a ``keras.Model`` in memory; the last three need `spec`.
    code
        Python files or modules with the model's custom layers.  They are run: name only what you trust.
    spec
        How scans are prepared for a model that is not a package, and what its output means.
    options, changes
        `PredictOptions`, or its fields as keywords (``device="cpu"``, ``probabilities=True``, ``frame=3``).

    Returns
    -------
    MaskResult or ClassResult
        On the scan's own grid, with provenance; ``.show(viewer)`` adds it to napari.

    Raises
    ------
    InputError
        The scan does not suit the model; the message names every reason.
    ModelError
        The model cannot be opened.
    EngineError
        The process that runs models failed.
    """
    chosen = _options(options, changes)
    command = find_command(model) if isinstance(model, str) else None
    if command is not None:
        scan = _scans(volume, command.channels)
        result = result_of(command_model.run(command_model.CommandRequest(scan, command, chosen), Cancel()))
    else:
        with ExitStack() as stack:
            package = predict_verb.open_model(_package(model, spec, stack))
            scan = _scans(volume, package.spec.preparation.channel_names)
            request = predict_verb.PredictRequest(scan, package, chosen, tuple(code))
            result = result_of(predict_verb.run(request, Cancel(), _engine()))
    kind = MaskResult if isinstance(result, Segmentation) else ClassResult
    return kind(**{f.name: getattr(result, f.name) for f in fields(result)}, volume=scan)


def explain(
    volume: Scan | Sequence[Scan],
    model: Any,
    *,
    mask: LabelMap | str | Path | None = None,
    check: bool | LabelMap | str | Path = False,
    code: Sequence[str] = (),
    spec: ModelSpec | None = None,
    **changes: Any,
) -> MapResult:
    """Say what moved a model's score on a scan: a map on the scan's own grid. It is never the outline of a lesion.

    Parameters
    ----------
    volume, model, code, spec
        As in `predict`; a program of yours is asked by ``method="occlusion"`` only, and runs once for each patch.
    mask
        The score of the target class is summed over this mask; with ``voxel=(z, y, x)`` over the connected piece of
        it that holds the voxel.  None: the whole case, or of a segmenter the voxels it gives the class itself.
    check
        True: find out whether the map depends on what the model learned (docs/saliency.md), ``.check`` of the result.
        A mask that a person drew: compare the map with it as well.
    changes
        Fields of `ExplainOptions` as keywords (``method="occlusion"``, ``target="pneumonia"``), and ``options=``, one
        whole, which they change.

    Returns
    -------
    MapResult
        ``.values`` float32 (z, y, x), raw; ``.show(viewer)`` adds it to napari; ``mc.save`` writes .nii.gz, .png or
        .html.

    Raises
    ------
    InputError
        The scan does not suit the model, the class is unknown, the voxel lies outside, the mask is empty.
    UnsupportedError
        The network has not what the method needs; the message names one that works.
    ModelError, EngineError
        As `predict`.
    """
    chosen = _changed("explain", changes.pop("options", None) or ExplainOptions(), changes)
    drawn, truth = _mask(mask), None if isinstance(check, bool) else _mask(check)
    with ExitStack() as stack:
        program = isinstance(model, str) and find_command(model) is not None  # the verb says what works instead
        package = model if program else predict_verb.open_model(_package(model, spec, stack))
        scan = _scans(volume, () if program else package.spec.preparation.channel_names)
        request = explain_verb.ExplainRequest(scan, package, chosen, drawn, tuple(code))
        made: SaliencyMap = result_of(explain_verb.run(request, Cancel(), _engine()))
        if check is not False:
            made = result_of(explain_verb.check(request, made, truth, Cancel(), _engine()))
    return MapResult(**{f.name: getattr(made, f.name) for f in fields(SaliencyMap)}, volume=scan, mask=drawn)


def evaluate(
    dataset: str | Path,
    model: str | Path | None = None,
    *,
    predictions: str | Path | None = None,
    split: str | None = None,
    report: str | Path | None = None,
    code: Sequence[str] = (),
) -> Report:
    """Measure a model, or a folder of predictions, on a dataset table: Dice, IoU, surfaces per case and class.

    Parameters
    ----------
    dataset
        A ``dataset.csv``.
    model, predictions
        Exactly one of them.
    split
        Take only cases of this split.
    report
        Folder for report.json and report.html.

    Raises
    ------
    InputError, ProjectError
        A case cannot be scored; the message names it.
    """
    request = evaluate_verb.EvaluateRequest(Path(dataset), model, _path(predictions), split, _path(report), tuple(code))
    value: Report = result_of(evaluate_verb.run(request, Cancel(), _engine() if model is not None else None))
    return value


def models(folder: str | Path | None = None) -> list[dict[str, Any]]:
    """Return the cards of all usable models: the shipped ones, your own, and those in `folder`.

    Each card has name, version, task, classes, licence, training data, intended use, sha256 and path.
    """
    found: models_verb.ModelList = result_of(models_verb.run(models_verb.ModelsRequest(_path(folder)), Cancel()))
    return [models_verb.card(package) for package in found.packages]


def attach(viewer: Any) -> Any:
    """Add the MedCNN dock to a napari viewer that is already open, and return the dock.

    Raises
    ------
    MissingExtraError
        The window's packages are not installed.
    """
    try:
        from napari_medcnn.widgets.launch import add_dock
    except ImportError as error:
        raise MissingExtraError(
            f"The dock needs {error.name or 'napari and Qt'}. Install with: {install('pyqt5')}"
        ) from error
    return add_dock(viewer)


def _scans(given: Scan | Sequence[Scan], names: Sequence[str]) -> Volume:
    """Return one scan; several as the channels of one."""
    if isinstance(given, Volume | LabelMap | str | Path):
        return _scan(given)
    scans = [_scan(one) for one in given]
    return combine(scans, names if len(names) == len(scans) else ())


def _scan(given: Scan) -> Volume:
    if isinstance(given, LabelMap):  # a scan of small whole numbers may have been read as a mask
        return Volume(given.array, given.geometry, name=given.name, source=given.source)
    return given if isinstance(given, Volume) else read_volume(Path(given))


def _options(options: PredictOptions | None, changes: dict[str, Any]) -> PredictOptions:
    return _changed("predict", options or PredictOptions(), changes)


def _changed(verb: str, options: AnyOptions, changes: dict[str, Any]) -> AnyOptions:
    known = [f.name for f in fields(options)]
    unknown = sorted(set(changes) - set(known))
    if unknown:
        raise InputError(f"{verb}: unknown option {', '.join(unknown)}; expected {', '.join(known)}")
    return replace(options, **changes)


def _mask(given: LabelMap | str | Path | None) -> LabelMap | None:
    return given if given is None or isinstance(given, LabelMap) else read_labels(Path(given))


def _package(model: Any, spec: ModelSpec | None, stack: ExitStack) -> Path | str:
    """Return a package for whatever names a model; those made for this run go with `stack`."""
    if isinstance(model, str | Path) and Path(model).suffix.lower() not in (".keras", ".onnx"):
        return model
    in_memory = not isinstance(model, str | Path)
    if in_memory and not callable(getattr(model, "save", None)):
        raise ModelError(
            f"model: expected a package, a .keras or .onnx file or a keras.Model, got {type(model).__name__}"
        )
    if spec is None:
        raise ModelError(
            "model: a network without a package does not say how scans are prepared for it; pass spec=ModelSpec(...)."
        )
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="medcnn-model-")))
    weights = folder / "model.keras" if in_memory else Path(model)
    if in_memory:
        model.save(str(weights))
    return Path(package_from_keras(weights, spec, folder / "package"))


def _show(viewer: Any, volume: Volume | None, result: Segmentation | Classification | SaliencyMap) -> None:
    """Add a scan and what a model said of it; a mask is protected and named as one from the dock."""
    from napari_medcnn.io.layerdata import map_layer, mask_layer, scan_layers

    try:
        from qtpy.QtCore import QCoreApplication

        from napari_medcnn.widgets.layers import WHY, Layers
        from napari_medcnn.widgets.why.colours import choices, colormap
    except ImportError as error:
        raise MissingExtraError(
            f"show needs {error.name or 'napari and Qt'}. Install with: {install('pyqt5')}"
        ) from error

    def say(text: str) -> None:
        viewer.status = text

    # the application keeps it: it guards its layers for as long as the viewer shows them
    layers = Layers(viewer, say, QCoreApplication.instance())
    if volume is not None:
        layers.add_scan(scan_layers(volume))
    if isinstance(result, Segmentation):
        layers.add_mask(mask_layer(result.mask, volume), result.mask.labels)
    elif isinstance(result, SaliencyMap):
        low, high, signed = -largest(result) if result.signed else 0.0, largest(result), result.signed
        scan = volume or Volume(result.values, result.geometry)
        part = map_layer(result.values, scan, f"Why: {result.target}", limits=(low, high))
        (layer,) = layers.add_maps(WHY, [part], True)
        layer.colormap = colormap(choices(signed)[0], signed)
        layer.blending, layer.opacity = "translucent", 1.0 if result.badge == "depends on the model" else 0.5
        say(f"{CAUTION} {'' if result.check is None else result.check.words}")
    else:
        say(", ".join(f"{name} {p:.3f}" for name, p in result.probabilities.items()))


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


@lru_cache(maxsize=1)
def _engine() -> Engine:
    """Return the library's one engine; it starts with the first run and ends with this process."""
    return engines.new_engine()
