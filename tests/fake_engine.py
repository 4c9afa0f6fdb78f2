"""An engine without networks, behind the real server: for tests of the protocol, the verbs and the window.

Start it with `launch()`.  "predict" marks what is brighter than the mean of the scan.  What goes wrong is ordered by
the entry "fake" of a request, else by the JSON in the file that MEDCNN_FAKE names (read at each job, so a test can
change it between two runs):

    {"slow": 3}        takes 3 s, looks at cancel          {"deaf": 5}   takes 5 s and does not look
    {"crash": true}    os.abort()                          {"kill": true}    SIGKILL to itself
    {"oom": true}      MemoryError                         {"nan": true}     an output that is not a number
    {"print": true}    writes to stdout                    {"error": "ModelError"}  that error, by name
    {"late": true}     answers an old request as well      {"missing": true}  hello says TensorFlow is not installed
    {"memory": 200}    holds so many MB until it ends
    {"warnings": [..]} says them with a prediction or a map
    {"check_seconds": 99}  a check is said to take so long       {"badge": "no"}   what a check finds
    {"expected": 42}       a map is said to take so long, at its beginning
    {"at_lps": [x, y, z]}  the map is 1 at this place of the patient and 0 elsewhere
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn import errors
from napari_medcnn.core.saliency import METHODS, Check, Curve, Randomised
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.errors import MissingExtraError, ModelError
from napari_medcnn.worker.arrays import open_array
from napari_medcnn.worker.client import Launch
from napari_medcnn.worker.meta import volume_from_meta
from napari_medcnn.worker.protocol import PROTOCOL_VERSION, ArrayRef, Reply
from napari_medcnn.worker.server import Context, serve

VERSIONS = {"fake": "1"}
HELD: list[bytearray] = []


def launch(orders: Path | None = None, **options: Any) -> Launch:
    """Return how to start this engine; `orders` is a JSON file that says what goes wrong."""
    environment = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
    if orders is not None:
        environment["MEDCNN_FAKE"] = str(orders)
    return Launch(**{"module": "fake_engine", "environment": environment, **options})


def orders(body: dict[str, Any]) -> dict[str, Any]:
    """Return what is to go wrong with this job."""
    if "fake" in body:
        return dict(body["fake"])
    file = Path(os.environ.get("MEDCNN_FAKE", ""))
    return dict(json.loads(file.read_text())) if file.is_file() else {}


def obey(body: dict[str, Any], context: Context) -> None:
    """Do what the orders say."""
    told = orders(body)
    if told.get("print"):
        print("a stray line", flush=True)
        os.write(1, b"and one past Python\n")
    if "memory" in told:
        HELD.append(bytearray(os.urandom(1) * (int(told["memory"]) * 2**20)))
    if told.get("late"):
        context._reply(Reply(context._id - 1, "result", {"late": True}))
    steps = int(float(told.get("slow", 0)) / 0.02)
    for step in range(steps):
        time.sleep(0.02)
        context.progress(step / steps, f"Window {step + 1} of {steps}")
    time.sleep(float(told.get("deaf", 0)))
    if told.get("crash"):
        sys.stderr.write("the fake engine aborts\n")
        os.abort()
    if told.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if told.get("oom"):
        raise MemoryError
    if told.get("nan"):
        raise ModelError("The model returned scores that are not numbers; check the input values and the model file")
    if "error" in told:
        if hasattr(errors, told["error"]):
            raise getattr(errors, told["error"])("as ordered")
        raise ValueError("a mistake in the engine")


def hello(body: dict[str, Any], context: Context) -> dict[str, Any]:
    if orders(body).get("missing"):
        raise MissingExtraError('TensorFlow is not installed; run: pip install "napari-medcnn[engine]"')
    return {"protocol": PROTOCOL_VERSION, "pid": os.getpid(), "versions": VERSIONS, "devices": ["cpu"]}


def echo(body: dict[str, Any], context: Context) -> dict[str, Any]:
    obey(body, context)
    return {"echo": body.get("say"), "pid": os.getpid()}


def total(body: dict[str, Any], context: Context) -> dict[str, Any]:
    """Sum an array, so that a test sees that the voxels arrived."""
    obey(body, context)
    array = open_array(ArrayRef.from_json(body["array"]))
    return {"sum": float(array.sum(dtype=np.float64)), "dtype": str(array.dtype), "last": float(array.flat[-1])}


def spec_of(body: dict[str, Any]) -> ModelSpec | None:
    """Return the card of the model, None where there is no such package."""
    if "spec" in body:
        return ModelSpec.from_json(body["spec"])
    path = Path(str(body.get("model", "")))
    if not path.exists():
        return None
    from napari_medcnn.io.packages import read_package

    return read_package(path).spec


def predict(body: dict[str, Any], context: Context) -> dict[str, Any]:
    obey(body, context)
    spec = spec_of(body)
    volume = volume_from_meta(open_array(ArrayRef.from_json(body["volume"])), body["meta"])
    frame = volume.frame(int(body.get("options", {}).get("frame", 0)))
    out = {
        "task": "segmentation",
        "device": {"openvino": "CPU, OpenVINO 2026.4", "onnx": "CPU, ONNX Runtime 1.31"}.get(
            body.get("options", {}).get("engine", "auto"), "cpu"
        ),
        "seconds": {"load": 0.0, "forward": 0.0, "rest": 0.0},
        "versions": VERSIONS,
        "warnings": list(orders(body).get("warnings", [])),
        "model": {"name": spec.name if spec else "fake", "sha256": spec.sha256 if spec else ""},
    }
    if spec is not None and spec.task == "classification":
        names = [spec.labels.name_of(i) for i in spec.decision.ids]
        return {**out, "task": "classification", "scores": dict.fromkeys(names, 0.1) | {names[0]: 0.9}}
    values = np.asarray(frame.array, dtype=np.float64)
    values = values.mean(axis=-1) if frame.axes.endswith("c") else values
    found = values > values.mean()
    region = body.get("options", {}).get("region")
    if region:
        inside = np.zeros(found.shape, bool)
        inside[tuple(slice(*span) for span in region)] = True
        found &= inside
    label = next((i for i in spec.decision.ids if i), 1) if spec else 1
    labels = open_array(ArrayRef.from_json(body["labels"]), "r+")
    labels[...] = np.where(found, label, 0)
    if body.get("uncertainty"):
        open_array(ArrayRef.from_json(body["uncertainty"]), "r+")[...] = np.where(found, 20, 10)
    if body.get("probabilities"):
        probabilities = open_array(ArrayRef.from_json(body["probabilities"]), "r+")
        ids = spec.decision.ids if spec else (0, 1)[-probabilities.shape[-1] :]
        for channel, own in enumerate(ids):
            hit = found if own == label else ~found if own == 0 else np.zeros_like(found)
            probabilities[..., channel] = np.where(hit, 0.9, 0.1)
    name = spec.labels.name_of(label) if spec else "Class 1"
    return {**out, "scores": {name: 0.9} if found.any() else {}}


def explain(body: dict[str, Any], context: Context) -> dict[str, Any]:
    """Give a map: 1 in the region, or where it is ordered, else a ramp over the columns; `signed` methods get both."""
    if "expected" in orders(body):
        context.expect(float(orders(body)["expected"]), "Counting")
    obey(body, context)
    spec, told, options = spec_of(body), orders(body), body.get("options", {})
    volume = volume_from_meta(open_array(ArrayRef.from_json(body["volume"])), body["meta"])
    made = open_array(ArrayRef.from_json(body["map"]), "r+")
    if "at_lps" in told:
        index = np.rint(volume.geometry.lps_to_index(np.array(told["at_lps"], float))).astype(int)
        made[...] = 0
        made[tuple(index)] = 1
    elif "region" in body:
        made[...] = open_array(ArrayRef.from_json(body["region"]))
    else:
        made[...] = np.linspace(-1 if METHODS[options["method"]].signed else 0, 1, made.shape[-1], dtype=np.float32)
    names = [spec.labels.name_of(i) for i in spec.decision.ids] if spec else ["Class 1"]
    return {
        "method": options["method"],
        "target": options.get("target") or names[0],
        "layer": options.get("layer") or ("conv_2" if METHODS[options["method"]].needs == "layer" else ""),
        "score": 2.5,
        "layers": ["conv_1", "conv_2"],
        "facts": {"seed": options.get("seed", 0)},
        "check_seconds": told.get("check_seconds", 99.0),
        "pace": {"answer": 0.5, "gradient": 1.5, "start": 2.0},
        "warnings": list(told.get("warnings", [])),
        "device": "cpu",
        "seconds": {"load": 0.0, "forward": 0.0, "rest": 0.0},
        "versions": VERSIONS,
    }


def check_map(body: dict[str, Any], context: Context) -> dict[str, Any]:
    """Check a map; its words tell a test what arrived."""
    obey(body, context)
    made = open_array(ArrayRef.from_json(body["map"]))
    drawn = open_array(ArrayRef.from_json(body["reference"])) if "reference" in body else None
    share = (0.0, 0.5, 1.0)
    found = Check(
        badge=orders(body).get("badge", "depends on the model"),
        words=f"map {float(made.max()):g}, layer {body['layer']}, mask {'none' if drawn is None else int(drawn.sum())}",
        cascade=(Randomised("conv_2", 0.4, 0.3), Randomised("conv_1", 0.1, 0.05)),
        insertion=Curve(share, (0.0, 0.9, 1.0), (0.0, 0.5, 1.0), 0.7, 0.5),
        deletion=Curve(share, (1.0, 0.1, 0.0), (1.0, 0.5, 0.0), 0.3, 0.5),
        energy=None if drawn is None else 0.5,
        prevalence=None if drawn is None else 0.1,
        seconds=0.1,
    )
    return {"check": found.to_json(), "versions": VERSIONS}


def warm(body: dict[str, Any], context: Context) -> dict[str, Any]:
    obey(body, context)
    return {"model": str(body.get("model", ""))}


def try_out(body: dict[str, Any], context: Context) -> dict[str, Any]:
    obey(body, context)
    given = open_array(ArrayRef.from_json(body["input"]))
    open_array(ArrayRef.from_json(body["output"]), "r+")[...] = float(np.abs(given).max())
    return {"device": "cpu", "versions": VERSIONS}


def self_test(body: dict[str, Any], context: Context) -> dict[str, Any]:
    obey(body, context)
    return {"ok": True, "largest_difference": 0.0, "device": "cpu"}


def prepare_engine(body: dict[str, Any], context: Context) -> dict[str, Any]:
    """OpenVINO is equal and faster; ONNX Runtime is as ordered wrong."""
    obey(body, context)
    right = body["engine"] == "openvino"
    return {
        "engine": body["engine"],
        "words": "largest difference 2e-06 of 0.0001 allowed" if right else "largest difference 0.3 of 0.0001 allowed",
        "parity": {"largest_difference": 2e-6 if right else 0.3, "tolerance": 1e-4, "ok": right},
        "seconds": {"keras": 0.5, "other": 0.2},
        "faster": right,
    }


HANDLERS = {
    "hello": hello,
    "echo": echo,
    "total": total,
    "warm": warm,
    "self_test": self_test,
    "prepare_engine": prepare_engine,
    "forget": lambda body, context: {},
    "try_out": try_out,
    "predict": predict,
    "explain": explain,
    "check_map": check_map,
}

if __name__ == "__main__":
    serve(HANDLERS)
