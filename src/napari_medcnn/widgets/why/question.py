"""What is asked: of which model, about which scan, class and place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.results import Classification, Segmentation
from napari_medcnn.core.saliency import Pace, SaliencyMap
from napari_medcnn.errors import InputError, MedcnnError
from napari_medcnn.io.layerdata import KEY, on_source_grid
from napari_medcnn.io.packages import Package
from napari_medcnn.verbs.explain_time import expected_by_method, extent_of, pace_of
from napari_medcnn.verbs.predict import class_names
from napari_medcnn.widgets.why import why_jobs
from napari_medcnn.widgets.why.ask_form import AskForm
from napari_medcnn.widgets.why.pointer import Voxel
from napari_medcnn.widgets.why.wording import FIRST, Model

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


class Question:
    """Keeps the form in step with model, result and place, and reads the question from it.

    Parameters
    ----------
    dock
        Whose model, scan and result.
    form
        Where classes, method and options are chosen.
    """

    def __init__(self, dock: MedcnnDock, form: AskForm) -> None:
        self._dock, self._session, self._form = dock, dock.session, form
        #: What a window of a model took, and the methods it was asked by.
        self._paces: dict[str, Pace] = {}
        self._asked: frozenset[str] = frozenset()
        #: Voxel that is asked about, and the mask whose component there is meant; None for the whole scan.
        self._place: tuple[Voxel, why_jobs.MaskNow | None] | None = None

    @property
    def model(self) -> Model | None:
        """The model that made the result which is shown, else the one that is chosen."""
        last, tab = self._dock.running.last, self._dock.ai
        if last is not None:
            for model in tab.all_models:
                if isinstance(model, Package) and last.model in (model.path, model.spec.name if model.shipped else ""):
                    return model
        return tab.model

    def asked(self, model: Package, method: str, typed: bool = True) -> why_jobs.Asked:
        """Return the question as it is chosen now; as the model was run, where it was.

        Parameters
        ----------
        typed
            Numbers that still stand in their fields unfinished count as well.

        Raises
        ------
        InputError
            There is no scan, or an option cannot be.
        """
        last, dock = self._dock.running.last, self._dock
        volume = self._session.scan if last is None else last.volume
        if volume is None:
            raise InputError("Open a scan first.")
        if last is not None:
            ran = last.options
            base = ExplainOptions(device=ran.device, frame=ran.frame, slices=ran.slices, ignore_fit=ran.ignore_fit)
        else:
            device = dock.preferences.device
            base = ExplainOptions(device=device, frame=dock.frame, ignore_fit=dock.ai.insists)
        options = self._form.options(method, base, typed)
        if self._place is None:
            return why_jobs.Asked(volume, model, options)
        voxel, mask = self._place
        return why_jobs.Asked(volume, model, replace(options, voxel=voxel), mask)

    # ---- how long it takes -----------------------------------------------------------------------------------------

    def learn(self, made: SaliencyMap, model: str) -> None:
        """Remember what a window of a model took, for what is asked next."""
        if made.pace is not None:
            self._paces[model] = made.pace

    def times(self) -> dict[str, float]:
        """Return about how many seconds each method will take for what is chosen now; {} where nobody can know."""
        model, last, scan = self.model, self._dock.running.last, self._session.scan
        if not isinstance(model, Package) or last is None or scan is None:
            return {}
        try:
            pace = self._paces.get(model.spec.name)
            result = self._session.result
            if pace is None and result is not None:
                pace = pace_of(result, last.volume.geometry, model.spec)
            if pace is None:
                return {}
            options = self.asked(model, FIRST[0], typed=False).options
            voxel = options.voxel
            box = None if voxel is None else _box_at(voxel)
            searched = voxel is None and model.spec.task == "segmentation"
            extent = extent_of(model.spec, last.volume.geometry, options, box, searched)
            return expected_by_method(options, extent, pace, self._asked)
        except MedcnnError:  # the question itself says it, once it is put
            return {}

    # ---- what is asked about ---------------------------------------------------------------------------------------

    def set_place(self, voxel: Voxel | None) -> None:
        """Ask about a voxel, and the component of the mask there if there is one; None for the whole scan."""
        self._show_place(self._take_place(voxel))
        times = self.times()
        if times:
            self._form.show_times(times)

    def _take_place(self, voxel: Voxel | None) -> str:
        """Keep the place, and return what it is called."""
        if voxel is None:
            self._place = None
            return ""
        layer = self._dock.layers.mask
        label = 0 if layer is None else _label_at(layer, voxel)
        z, y, x = voxel
        scan = self._session.scan
        where = f"pixel {x}, {y}" if scan is not None and scan.is_picture else f"voxel {x}, {y}, {z}"
        if layer is None or not label:
            self._place = (voxel, None)
            return f"About the place {where} alone"
        name = self._session.labels.name_of(label)
        known = self._form.choose_class(name)
        self._place = (voxel, why_jobs.mask_now(layer))
        return f"About this part of {name}, at {where}" if known else f"About the part at {where}"

    def _show_place(self, words: str) -> None:
        model = self.model
        masks = isinstance(model, Package) and model.spec.task == "segmentation"
        self._form.show_place(words, masks and self._session.scan is not None)

    def choose_given_class(self) -> None:
        """Choose the class that the model gave: the case's, or of a mask one that was found."""
        result, chosen = self._session.result, self._form.class_name
        if isinstance(result, Classification):
            given = result.chosen or tuple(sorted(result.probabilities, key=lambda name: -result.probabilities[name]))
        elif isinstance(result, Segmentation):
            given = (chosen,) if chosen in result.scores else tuple(result.scores)
        else:
            given = ()
        if given:
            self._form.choose_class(given[0])

    def show_model(self, seconds: Mapping[tuple[str, str], float], layers: Mapping[str, tuple[str, ...]]) -> None:
        """Show what the model can be asked; `seconds` are those of (model, method), `layers` those of a model."""
        model = self.model
        names: tuple[str, ...] = ()
        if isinstance(model, Package):
            ids = model.spec.decision.ids
            named = zip(ids, class_names(model.spec), strict=True)
            names = tuple(name for i, name in named if i or model.spec.task == "classification")
        self._form.show_model(model, names)
        key = model.spec.name if isinstance(model, Package) else ""
        self._form.show_layers(layers.get(key, ()))
        measured = {method: took for (name, method), took in seconds.items() if name == key}
        self._asked = frozenset(measured)
        self._form.show_times(self.times() or measured)
        if self._place is None:
            self._show_place("")


def _box_at(voxel: Voxel) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    z, y, x = voxel
    return ((z, z + 1), (y, y + 1), (x, x + 1))


def _label_at(layer: Any, voxel: Voxel) -> int:
    """Return the class of a mask's layer at a voxel of the file's order."""
    return int(on_source_grid(layer.data, layer.metadata[KEY], layer.name)[voxel])
