"""Runs of a model as tasks: on the open scan, on channels put together from several, on all open images in turn."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.events import Cancel, Event, Events, Failed, Progress, Result
from napari_medcnn.core.fit import check_fit
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.results import Classification, FitItem, Segmentation
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import Cancelled, MedcnnError
from napari_medcnn.imaging.channels import combine
from napari_medcnn.imaging.forecast import forecast_for, free_bytes
from napari_medcnn.io.layerdata import LayerTuple, mask_layer
from napari_medcnn.io.packages import Package
from napari_medcnn.verbs import command_model, predict
from napari_medcnn.verbs.guard import relay, stop_if
from napari_medcnn.widgets.jobs import MaskWork, prepare_mask
from napari_medcnn.widgets.open_scans import OpenScan
from napari_medcnn.widgets.result_maps import map_layers
from napari_medcnn.widgets.run_steps import RunStep, run_name
from napari_medcnn.widgets.tasks import Work


@dataclass(frozen=True, eq=False)
class Predicted:
    """A result, and its mask and maps ready to be shown (no mask for a classification).

    `step` is what the result changes on the mask that was there when the run ended.
    """

    request: predict.PredictRequest
    result: Segmentation | Classification
    mask: MaskWork | None
    maps: dict[str, list[LayerTuple]] = field(default_factory=dict)
    step: RunStep | None = None


@dataclass(frozen=True, eq=False)
class Wanted:
    """What a click on Run means.

    Parameters
    ----------
    scans
        The open scan, or one scan for each channel in the model's order.
    main
        Index of the one whose grid the result lies on: the scan that is shown.
    """

    scans: tuple[Volume, ...]
    model: Package | CommandModel
    options: PredictOptions
    names: tuple[str, ...] = ()
    main: int = 0

    def volume(self) -> Volume:
        """Return one scan; several become its channels, on the grid of the main one."""
        if len(self.scans) == 1:
            return self.scans[0]
        order = [self.main, *(i for i in range(len(self.scans)) if i != self.main)]
        names = [self.names[i] for i in order]
        made = combine([self.scans[i] for i in order], names)
        if order == sorted(order):
            return made
        back = [order.index(i) for i in range(len(order))]
        paths = str(made.source.get("path") or "").split("|")
        source = {**made.source, "path": "|".join(paths[i] for i in back)} if len(paths) == len(back) else {}
        return replace(made, array=made.array[..., back], channel_names=self.names, source=source)


@dataclass(frozen=True, eq=False)
class Row(Progress):
    """One scan of "Run on all" is done: `words` say how, `layer` is its mask (None for the scan that is shown)."""

    name: str = ""
    words: str = ""
    predicted: Predicted | None = None
    layer: LayerTuple | None = None


#: Compares a run's mask with the mask in the window; takes the name of the step.
Compare = Callable[[str, MaskWork], RunStep | None]


def predicting(wanted: Wanted, engine: Any, compare: Compare) -> Work:
    """Run a model: the result is `Predicted`."""

    def work(cancel: Cancel) -> Generator[Event, None, None]:
        if len(wanted.scans) > 1:
            yield Progress(None, "Putting the channels together")
        volume = wanted.volume()
        stop_if(cancel)
        notes = volume.notes[len(wanted.scans[wanted.main].notes) :] if len(wanted.scans) > 1 else ()
        request, events = begin(volume, wanted.model, wanted.options, (engine, cancel), keep=True)
        for event in events:
            if isinstance(event, Result):
                yield Result(_compared(ready(request, event.value, notes), compare))
            else:
                yield event

    return work


def _compared(predicted: Predicted, compare: Compare) -> Predicted:
    if predicted.mask is None:
        return predicted
    return replace(predicted, step=compare(run_name(predicted.result), predicted.mask))


def begin(
    volume: Volume, model: Package | CommandModel, options: PredictOptions, where: tuple[Any, Cancel], keep: bool
) -> tuple[predict.PredictRequest, Events]:
    """Return the run as it can be copied, and its events: in the engine, or the user's own program.

    Shipped models go by name, so that a copied command works elsewhere.
    """
    engine, cancel = where
    if isinstance(model, CommandModel):
        request = predict.PredictRequest(volume, model.name, options)
        return request, command_model.run(command_model.CommandRequest(volume, model, options), cancel)
    request = predict.PredictRequest(volume, model.spec.name if model.shipped else model.path, options, keep=keep)
    return request, predict.run(request, cancel, engine)


def ready(
    request: predict.PredictRequest, value: Segmentation | Classification, notes: Sequence[str] = ()
) -> Predicted:
    """Prepare a result for the window: copies, counts, journal, maps."""
    value = replace(value, warnings=(*value.warnings, *notes)) if notes else value
    if not isinstance(value, Segmentation):
        return Predicted(request, value, None)
    scan = request.volume.frame(request.options.frame)
    return Predicted(request, value, prepare_mask(value.mask, scan), map_layers(value, scan))


def checking(scan: Volume, model: Package | CommandModel, channels: int) -> Work:
    """Compare a scan with a model's card; `channels` is how many scans were chosen for a model that takes several."""

    def work(cancel: Cancel) -> Events:
        yield Progress(None, "Checking")
        frame = scan.frame(0)
        if isinstance(model, CommandModel):
            alone = replace(model, channels=model.channels[:1]) if channels else model
            items = command_model.fit_of(alone, frame)
        else:
            card = model.spec.preparation
            one = replace(card, channels=1, channel_names=()) if channels else card
            items = check_fit(frame, replace(model.spec, preparation=one))
        if not channels:
            yield Result(items)
            return
        said = FitItem("ok", "Channels", f"{channels}, one open scan each")
        yield Result(tuple(said if item.topic == "Channels" else item for item in items))

    return work


def forecasting(scan: Volume, spec: ModelSpec, options: PredictOptions) -> Work:
    """Say what a run takes: the result is (words, True if that is more than is free). No voxel is looked at."""

    def work(cancel: Cancel) -> Events:
        yield Progress(None, "Forecast")
        told = forecast_for(scan.geometry, scan.array.dtype, spec, options)
        free = free_bytes()
        yield Result((told.words, free is not None and told.bytes_needed > free))

    return work


def on_all(
    scans: Sequence[OpenScan], model: Package | CommandModel, options: PredictOptions, engine: Any, compare: Compare
) -> Work:
    """Run a model on every scan: a `Row` for each as soon as it is done, then how many there were as the result.

    A scan that does not suit is named and left out; only stopping ends the rest.
    """

    def work(cancel: Cancel) -> Events:
        n = len(scans)
        for index, scan in enumerate(scans):
            stop_if(cancel)
            title = f"{index + 1} of {n}: {scan.name}"
            try:
                yield Progress(index / n, title)
                row = yield from _one(scan, model, options, (engine, cancel, index, n))
                if row.predicted is not None:
                    row = replace(row, predicted=_compared(row.predicted, compare))
            except Cancelled:
                raise
            except MedcnnError as error:
                row = Row((index + 1) / n, title, scan.name, f"left out. {error}")
            yield row
        yield Result(n)

    return work


def _one(
    scan: OpenScan, model: Package | CommandModel, options: PredictOptions, how: tuple[Any, Cancel, int, int]
) -> Generator[Event, None, Row]:
    engine, cancel, index, n = how
    title = f"{index + 1} of {n}: {scan.name}"
    if scan.volume is None:
        return Row((index + 1) / n, title, scan.name, f"left out: {scan.problem}")
    frame = options.frame if options.frame < scan.volume.frames else 0
    options = replace(options, frame=frame)
    request, events = begin(scan.volume, model, options, (engine, cancel), keep=False)
    value = yield from relay(_scaled(events, title, index, n))
    words = found_words(value)
    if index == 0 and not scan.placed:
        return Row(1 / n, title, scan.name, words, ready(request, value))
    if not isinstance(value, Segmentation):
        return Row((index + 1) / n, title, scan.name, words)
    data, kwargs, kind = mask_layer(value.mask, scan.volume.frame(frame))
    kwargs |= {"name": f"{value.mask.name}: {scan.name}", "visible": False, **dict(scan.placed)}
    predicted = Predicted(request, value, None)
    return Row((index + 1) / n, title, scan.name, words, predicted, (data, kwargs, kind))


def _scaled(events: Events, title: str, index: int, n: int) -> Events:
    """Yield progress as a share of all scans."""
    try:
        for event in events:
            if isinstance(event, Progress):
                share = (index + (event.fraction or 0.0)) / n
                yield Progress(share, f"{title}. {event.message}")
            else:
                yield event
            if isinstance(event, Result | Failed):
                return
    finally:
        events.close()


def found_words(result: Segmentation | Classification) -> str:
    """Return what was found in one line."""
    if isinstance(result, Classification):
        chosen = " and ".join(result.chosen) or "none of the classes"
        best = max(result.probabilities.values(), default=0.0)
        return f"{chosen} (highest score {best:.2f})"
    words = f"found {', '.join(result.scores)}" if result.scores else "nothing found"
    return f"{words}; {len(result.warnings)} warning(s)" if result.warnings else words
