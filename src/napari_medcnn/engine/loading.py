"""Open models safely and keep the last few in memory."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.engine.runtime import Forward, Runtime, compile_forward
from napari_medcnn.engine.weights import check_weights
from napari_medcnn.errors import InputError, ModelError
from napari_medcnn.io.packages import Package, load_tests, read_package
from napari_medcnn.io.prescan import check_keras_file

#: Largest relative difference between what a package promises and what the network gives here (other CPUs sum in
#: another order: 1e-5; a wrong weight or layer: above 1e-2).
SELF_TEST_TOLERANCE = 1e-3
_COMPILED_KEPT = 4
#: What Keras and its backends raise for files that are damaged or of another version.
_LOAD_ERRORS = (
    UserWarning, TypeError, ValueError, KeyError, AttributeError, ImportError, OSError, IndexError, RuntimeError
)  # fmt: skip


@dataclass(eq=False)
class Loaded:
    """A network in memory with all that is needed to run it.

    Parameters
    ----------
    weight_bytes
        What its weights take.
    code
        sha256 by name of the trusted modules it was opened with.
    """

    model: Any
    spec: ModelSpec
    device: str
    weight_bytes: int
    package: Package | None = None
    code: dict[str, str] = field(default_factory=dict)
    _compiled: OrderedDict[tuple[int, ...], Forward] = field(default_factory=OrderedDict)

    def forward(self, shape: tuple[int, ...]) -> Forward:
        """Return the compiled forward pass for inputs (batch, *spatial, channel); the last few shapes are kept."""
        if shape not in self._compiled:
            while len(self._compiled) >= _COMPILED_KEPT:
                self._compiled.popitem(last=False)
            spec = self.spec
            self._compiled[shape] = compile_forward(self.model, shape, spec.activation, spec.temperature, self.device)
        self._compiled.move_to_end(shape)
        return self._compiled[shape]

    @property
    def fixed_shape(self) -> tuple[int | None, ...]:
        """Spatial sizes the network insists on, None where it takes any."""
        return tuple(self.model.input_shape[1:-1])


class ModelCache:
    """Opened models, the longest unused forgotten first.

    Parameters
    ----------
    runtime
        Where they run.
    cap_bytes
        Weights of all models kept; one model may be larger.
    """

    def __init__(self, runtime: Runtime, cap_bytes: int = 2 * 2**30) -> None:
        self._runtime = runtime
        self._cap = cap_bytes
        self._models: OrderedDict[tuple[str, ...], Loaded] = OrderedDict()

    def get(self, body: dict[str, Any], device: str, check: Callable[[], None] = lambda: None) -> Loaded:
        """Return the model that a request names, opened now or earlier.

        Parameters
        ----------
        body
            ``model``: path of a package, or of a ``.keras`` file with its ``spec``; ``code``: trusted modules.
        device
            "cpu:0" or "gpu:0".
        check
            Called between steps; may raise to cancel.

        Raises
        ------
        ModelError, UnsafeModelError
            Damaged, unsafe, unknown layers, or its input and output do not fit its card.
        """
        path = Path(str(body["model"]))
        package = None if "spec" in body else read_package(path)  # compares every sha256, each time
        check()
        spec = package.spec if package else ModelSpec.from_json(body["spec"], sha256_of(path))
        weights = package.weights if package else path
        code = trust(body.get("code") or ())
        key = (spec.sha256 or sha256_of(weights), repr(spec.to_json()), device, *code.values())
        if key not in self._models:
            self._make_room(weights.stat().st_size)
            self._models[key] = open_model(weights, spec, device, package, code)
        self._models.move_to_end(key)
        return self._models[key]

    def clear(self) -> None:
        """Forget all models."""
        self._models.clear()
        keras.backend.clear_session()

    def _make_room(self, coming: int) -> None:
        while self._models and sum(m.weight_bytes for m in self._models.values()) + coming > self._cap:
            self._models.popitem(last=False)


def open_model(weights: Path, spec: ModelSpec, device: str, package: Package | None, code: dict[str, str]) -> Loaded:
    """Look into a ``.keras`` file, then load it in Keras's safe mode and compare it with its card."""
    check_keras_file(weights, tuple(keras.saving.get_custom_objects()) if code else ())
    size = max(check_weights(weights), weights.stat().st_size)
    model = load_keras(weights, device)
    problem = misfit(model, spec)
    if problem:
        raise ModelError(f"{spec.name}: {problem}")
    return Loaded(model, spec, device, size, package, code)


def load_keras(path: Path, device: str = "cpu:0") -> Any:
    """Load a ``.keras`` file that has been looked into; what Keras says is put into one sentence."""
    try:
        with keras.device(device), warnings.catch_warnings():
            # Keras only warns when weights are missing and leaves random ones in their place
            warnings.filterwarnings("error", message="(?s).*(freshly-initialized|Skipping|could not be loaded)")
            return keras.models.load_model(path, safe_mode=True, compile=False)
    except _LOAD_ERRORS as error:
        words = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{path.name}: Keras {keras.__version__} cannot open this model ({type(error).__name__}: {words}). If it "
            "has layers of its own, name their Python module with code=[...]; else save it again with this Keras."
        ) from error


def misfit(model: Any, spec: ModelSpec) -> str:
    """Return in words how the network differs from its card; "" if it does not."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return f"expected one input and one output, the network has {len(model.inputs)} and {len(model.outputs)}"
    dimensions, outputs = spec.preparation.dimensions, len(spec.decision.ids)
    channels = spec.preparation.network_channels
    given = model.input_shape
    if len(given) != dimensions + 2 or given[-1] not in (channels, None):
        return f"the card says {dimensions}D with {channels} channels, the network takes {given[1:]} (channels last)"
    got = model.output_shape
    wanted_rank = dimensions + 2 if spec.task == "segmentation" else 2
    if len(got) != wanted_rank:
        return f"the card says {spec.task}, but the network's output has the shape {got[1:]}"
    if got[-1] not in (outputs, None):
        return f"the card names {outputs} output channels, the network gives {got[-1]}"
    if spec.tile and any(n is not None and n != t for n, t in zip(given[1:-1], spec.tile, strict=True)):
        return f"the card says windows of {spec.tile}, the network takes only {given[1:-1]}"
    return ""


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


def self_test(loaded: Loaded) -> dict[str, Any]:
    """Run the package's test input and compare with its test output.

    Returns
    -------
    dict
        ``largest_difference``, relative to the largest value of the promised output, and ``shape``.

    Raises
    ------
    ModelError
        There are no test tensors, or the network gives something else than its package promises.
    """
    if loaded.package is None:
        raise ModelError(f"{loaded.spec.name}: a bare .keras file has no test tensors; make a package of it first")
    given, promised = load_tests(loaded.package)
    with keras.device(loaded.device):
        got = keras.ops.convert_to_numpy(loaded.model(given, training=False))
    if got.shape != promised.shape:
        raise ModelError(f"{loaded.spec.name}: expected a test output of shape {promised.shape}, got {got.shape}")
    scale = max(float(np.abs(promised).max()), 1e-6)
    difference = float(np.abs(got - promised).max()) / scale
    if not difference <= SELF_TEST_TOLERANCE:  # also for NaN
        raise ModelError(
            f"{loaded.spec.name}: its output differs from the recorded one by {difference:.2g} of the largest value "
            f"(allowed {SELF_TEST_TOLERANCE:g}); the model or this computer's libraries are not to be trusted"
        )
    return {"ok": True, "largest_difference": difference, "shape": list(got.shape)}


def try_out(loaded: Loaded, given: Any, shape: tuple[int, ...]) -> Any:
    """Return the network's raw answer, float32, to `given` (1, *spatial, channel), after checking it.

    Raises
    ------
    ModelError
        The answer has not the `shape` its card promises, is not finite, or is no probability although the card says so.
    """
    name = loaded.spec.name
    try:
        with keras.device(loaded.device):
            got = keras.ops.convert_to_numpy(keras.ops.cast(loaded.model(given, training=False), "float32"))
    except _LOAD_ERRORS as error:
        words = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{name}: the network does not run on an input of {given.shape[1:]} ({type(error).__name__}: {words})"
        ) from error
    if got.shape != shape:
        raise ModelError(
            f"{name}: for an input of {given.shape[1:]} expected an output of {shape[1:]}, got {got.shape[1:]}; a "
            "segmentation network must answer at the size it is asked"
        )
    if not np.isfinite(got).all():
        raise ModelError(f"{name}: the network answers plain noise with numbers that are not finite; it is damaged")
    if loaded.spec.activation == "none" and (got.min() < -1e-3 or got.max() > 1 + 1e-3):
        raise ModelError(f"{name}: expected probabilities from 0 to 1, got {got.min():.3g} to {got.max():.3g}")
    return got


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
