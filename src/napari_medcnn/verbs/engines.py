"""Where a verb's engine comes from when no window owns one, and making a model ready for a faster one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.options import Engine as EngineName
from napari_medcnn.core.options import Precision
from napari_medcnn.errors import InputError
from napari_medcnn.io.packages import find_model
from napari_medcnn.verbs.guard import guarded, relay, stop_if
from napari_medcnn.worker.client import Engine, Launch


def new_engine(launch: Launch | None = None) -> Engine:
    """Return an engine that starts its process with the first job; whoever asked closes it."""
    return Engine(launch if launch is not None else Launch())


@contextmanager
def engine(launch: Launch | None = None) -> Iterator[Engine]:
    """Lend an engine for the length of a ``with`` block; its process ends with the block."""
    lent = new_engine(launch)
    try:
        yield lent
    finally:
        lent.close()


@dataclass(frozen=True)
class PrepareEngineRequest:
    """Convert `model` (name or path) for an engine, and compare its results with those it has now."""

    model: Path | str
    engine: EngineName = "openvino"
    precision: Precision = "float32"
    code: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.engine == "auto":
            raise InputError("engine: expected keras, onnx or openvino, got auto")


@dataclass(frozen=True)
class Prepared:
    """What the comparison found: `equal` within the tolerance, `faster`, and both in `words`; `parity` as measured."""

    engine: str
    equal: bool
    faster: bool
    words: str
    parity: dict[str, Any]
    seconds: dict[str, float]


@guarded
def prepare(request: PrepareEngineRequest, cancel: Cancel, engine: Engine) -> Events:
    """Make a model ready for another engine; the result is a `Prepared`.

    From then on "auto" takes that engine for this model where it was equal and faster.

    Fails with
    ----------
    ModelError
        There is no such model, or it cannot be converted.
    MissingExtraError
        The engine is not installed; the message holds the one command.
    """
    stop_if(cancel)
    path = find_model(request.model)
    yield Progress(None, f"Preparing {path.name}")
    body = {
        "model": str(path), "engine": request.engine, "precision": request.precision, "code": list(request.code),
    }  # fmt: skip
    reply = yield from relay(engine.run("prepare_engine", body, cancel))
    seconds = {str(k): float(v) for k, v in reply["seconds"].items()}
    equal, faster = bool(reply["parity"]["ok"]), bool(reply["faster"])
    before = next((s for name, s in seconds.items() if name != "other"), None)
    times = f"{seconds['other']:.3g} s a window" + (f" instead of {before:.3g} s" if before is not None else "")
    found = "gives equal results" if equal else "gives other results and is not used"
    words = f"{reply['engine']} {found}: {reply['words']}; {times}."
    if equal and not faster:
        words += " It is not faster here, so it is used only when chosen."
    yield Result(Prepared(str(reply["engine"]), equal, faster, words, dict(reply["parity"]), seconds))
