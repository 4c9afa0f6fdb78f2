"""What each command does: ask a verb, then say its answer in words or as one JSON object."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_medcnn.cli import terminal, windows
from napari_medcnn.cli.explaining import run_explain
from napari_medcnn.cli.model_list import show_models
from napari_medcnn.cli.predicting import run_predict
from napari_medcnn.cli.terminal import complain, consent_of, finish, say, say_json
from napari_medcnn.core.events import Cancel
from napari_medcnn.errors import InputError, MissingExtraError
from napari_medcnn.evaluation.report import GateDecision, Report
from napari_medcnn.io.dataset import read_dataset
from napari_medcnn.io.found import Found, files_of
from napari_medcnn.io.save import save_json
from napari_medcnn.verbs import convert, demo, doctor, engines, evaluate, gate, info, train
from napari_medcnn.verbs.consent_flags import ASKED
from napari_medcnn.verbs.train_config import read_train_config

GATE_SPLIT = "gate"
#: So many skipped files are named each; of more with one reason only the first.
_NAMED = 8
__all__ = [
    "open_window", "run_convert", "run_evaluate", "run_explain", "run_predict", "run_train", "show_demo", "show_doctor",
    "show_info", "show_models",
]  # fmt: skip


def open_window(args: argparse.Namespace) -> int:
    """``medcnn`` and ``medcnn open PATH...``."""
    windows.require_window()
    missing = [path for path in args.paths if not Path(path).exists()]
    if missing:
        raise InputError(f"{missing[0]}: there is no such file or folder")
    if not doctor.has_display(sys.platform, os.environ):
        raise InputError("There is no display here, so no window can open; run it on a desktop or under xvfb-run.")
    code = windows.run_window(windows.LAUNCH, [str(Path(path).resolve()) for path in args.paths])
    return 1 if code else 0


def show_demo(args: argparse.Namespace) -> int:
    """``medcnn demo``: mask and record always; the window, and a picture of it, where one can open."""
    out = Path(args.out) if args.out else Path(tempfile.mkdtemp(prefix="medcnn-demo-"))
    with engines.engine() as engine:
        written: list[Path] = list(finish(demo.run(demo.DemoRequest(out), Cancel(), engine)))
    for path in written:
        say(f"Wrote {path}")
    if args.headless:
        return 0
    prefix = windows.display_prefix(sys.platform, os.environ)
    try:
        windows.require_window()
    except MissingExtraError as error:
        complain(f"No window was opened. {error}")
        return 0
    if prefix is None:
        complain("No window was opened: there is no display, and xvfb-run is not installed.")
        return 0
    # A window nobody can see, or that a script asked to close, must not wait for somebody to close it.
    stay = not prefix and not os.environ.get("MEDCNN_DEMO_CLOSE")
    sys.stdout.flush()
    code = windows.run_window(windows.DEMO, ["--out", str(out), *(["--stay"] if stay else [])], prefix)
    picture = out / "window.png"
    if picture.exists():
        say(f"Wrote {picture}")
    if code:
        complain("The window ended with an error; the mask is written all the same. See: medcnn doctor")
    return 1 if code else 0


def show_info(args: argparse.Namespace) -> int:
    """``medcnn info PATH...``."""
    found: Found = finish(info.run(info.InfoRequest([Path(path) for path in args.paths]), Cancel()))
    if args.json:
        say_json(info.to_json(found))
    else:
        told = zip(info.to_json(found)["items"], found.items, strict=True)
        say("\n".join(_item_words(words, item.title) for words, item in told) or "No image in it.")
    for words in _skipped_words(found.skipped):
        complain(f"skipped: {words}")
    return 0


def _skipped_words(skipped: Sequence[tuple[str, str]]) -> list[str]:
    """Return one line a file; of many that share a reason the first and how many (the window names each)."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in skipped:
        by_reason.setdefault(reason, []).append(name)
    lines = []
    for reason, names in by_reason.items():
        count = sum(files_of(name) for name in names)
        if count > _NAMED:
            lines.append(f"{count:,} files (first: {names[0]}): {reason}")
        else:
            lines += [f"{name}: {reason}" for name in names]
    return lines


def _item_words(item: dict[str, Any], title: str) -> str:
    said = item["report"]
    spacing = item["spacing_mm"]
    size = " x ".join(f"{mm:g}" for mm in spacing) + " mm (z, y, x)" if spacing else "voxel size not stated"
    grid = [size, item["orientation"] or "left/right not stated"] if not said["refused"] else []
    shape = [f"{item['axes']} {' x '.join(map(str, item['shape']))}", item["dtype"]] if item["shape"] else []
    modality = f" {item['modality']}" if item["modality"] not in ("", item["kind"]) else ""
    name = f" {title}:" if title and title not in item["id"] else ""
    lines = [f"{item['id']}:{name} " + ", ".join([item["kind"] + modality, *shape, *grid])]
    lines += said["found"]
    lines += [f"note: {text}" for text in item["warnings"] if text not in said["refused"]]
    agree = f" (opens with {ASKED[said['asks']]})" if said["asks"] in ASKED else ""
    lines += [f"does not open as it is: {text}{agree}" for text in said["refused"]]
    return "\n  ".join(terminal.plain(line) for line in lines)


def run_convert(args: argparse.Namespace) -> int:
    """``medcnn convert IN OUT``."""
    request = convert.ConvertRequest(
        Path(args.input), Path(args.output), args.item, consent_of(args), Path(args.on) if args.on else None,
        args.on_item, args.label_map, args.identified,
    )  # fmt: skip
    replaced = Path(args.output).exists()
    say(f"Wrote {finish(convert.run(request, Cancel()))}")
    if replaced:
        complain(f"note: {args.output} was there before and has been replaced")
    return 0


def run_train(args: argparse.Namespace) -> int:
    """``medcnn train CONFIG.yaml``: then, if the table keeps cases for it, say whether the new model is better."""
    request = read_train_config(Path(args.config), args.resume)
    with engines.engine() as engine:
        result: train.TrainResult = finish(train.run(request, Cancel(), engine))
        best = result.best
        say(f"Best epoch {best['epoch']}, {best['measure']} {best['score']:.4f}. Package: {result.out}")
        for warning in result.warnings:
            complain(f"note: {warning}")
        if any(row.split == GATE_SPLIT for row in read_dataset(request.dataset).rows):
            ask = gate.GateRequest(request.model, result.out, request.dataset, GATE_SPLIT)
            decision: GateDecision = finish(gate.run(ask, Cancel(), engine))
            save_json(decision.to_json(), request.out / "gate.json")
            say(f"{'Accepted' if decision.accepted else 'Refused, keep the old model'}: {decision.reason}")
        else:
            say(f"Not compared with the old model: the table has no cases of split {GATE_SPLIT!r}.")
    return 0


def run_evaluate(args: argparse.Namespace) -> int:
    """``medcnn evaluate (-m MODEL | --predictions DIR) DATASET``."""
    request = evaluate.EvaluateRequest(
        Path(args.dataset),
        args.model,
        Path(args.predictions) if args.predictions else None,
        args.split,
        Path(args.out) if args.out else None,
    )
    if request.model is None:
        report: Report = finish(evaluate.run(request, Cancel()))
    else:
        with engines.engine() as engine:
            report = finish(evaluate.run(request, Cancel(), engine))
    if args.json:
        say_json(report.to_json())
        return 0
    for case in report.cases:
        for name, scores in case.scores.items():
            say(f"{case.case} {name}: " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
    whole = report.overall()
    say(f"Mean {report.measure} {whole.mean:.4f}, {whole.cases} cases of {whole.patients} patients")
    return 0


def show_doctor(args: argparse.Namespace) -> int:
    """``medcnn doctor``: exit code 0 also where parts are missing; they are the answer."""
    with engines.engine() as engine:
        found: doctor.Diagnosis = finish(doctor.run(doctor.DoctorRequest(), Cancel(), engine))
    if args.json:
        say_json(found.to_json())
        return 0
    words = {"ok": "ok     ", "warn": "note   ", "missing": "missing"}
    for check in found.checks:
        say(f"{words[check.status]} {check.topic}: {terminal.plain(check.text)}")
        if check.next_step:
            say(f"        -> {check.next_step}")
    return 0
