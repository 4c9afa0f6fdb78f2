"""``medcnn predict``: options of one run as flags, and its answer in words or as one JSON object."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from napari_medcnn.cli.terminal import complain, consent_of, finish, say, say_json
from napari_medcnn.core.events import Cancel
from napari_medcnn.core.options import PredictOptions, Span
from napari_medcnn.errors import InputError
from napari_medcnn.verbs import engines, predict_many
from napari_medcnn.verbs.consent_flags import ASKED

_REGION = re.compile(r"(\d+):(\d+),(\d+):(\d+),(\d+):(\d+)")


def run_predict(args: argparse.Namespace) -> int:
    """``medcnn predict -m MODEL IN... -o OUT``."""
    request = predict_many.ManyRequest(
        tuple(Path(path) for path in args.inputs), args.model, Path(args.out), options_of(args),
        item=args.item, consent=consent_of(args), resume=args.resume,
    )  # fmt: skip
    with engines.engine() as engine:
        done: predict_many.ManyResult = finish(predict_many.run(request, Cancel(), engine))
    if args.json:
        say_json(done.report)
    for case, asks in zip(done.report["cases"], done.asks, strict=True):
        if case["status"] != "done":
            agree = f". To agree, add {ASKED[asks]}" if asks in ASKED else ""
            complain(_named(case["input"], case["error"].rstrip(".") + agree if agree else case["error"]))
        elif not args.json:
            say(f"{case['input']} -> {case['output']}{_result_words(case)}")
            for warning in case["warnings"]:
                complain(f"{case['input']}: note: {warning}")
    return 1 if done.failed else 0


def options_of(args: argparse.Namespace) -> PredictOptions:
    """Return the options that the flags name."""
    return PredictOptions(
        device=args.device,
        probabilities=args.probabilities,
        uncertainty=args.uncertainty,
        uncertainty_kind=args.uncertainty_kind,
        frame=args.frame,
        ignore_fit=args.ignore_fit,
        flips=args.flips,
        region=region_of(args.region),
        slices=args.slices,
        coarse=args.coarse,
        engine=args.engine,
        precision=args.precision,
    )


def region_of(text: str | None) -> tuple[Span, Span, Span] | None:
    """Return the box of ``z0:z1,y0:y1,x0:x1``, None for none.

    Raises
    ------
    InputError
        The text has another form.
    """
    if text is None:
        return None
    found = _REGION.fullmatch(text.replace(" ", ""))
    if found is None:
        raise InputError(f"--region: expected z0:z1,y0:y1,x0:x1 in voxels, as in 10:40,0:256,0:256, got {text!r}")
    a, b, c, d, e, f = map(int, found.groups())
    return ((a, b), (c, d), (e, f))


def _named(name: str, error: str) -> str:
    """Return an error with the input it is about in front, once."""
    return error if error.startswith((f"{name}:", f"{Path(name).name}:")) else f"{name}: {error}"


def _result_words(case: dict[str, Any]) -> str:
    if case["classes"]:
        return ": " + ", ".join(f"{name} {p:.3f}" for name, p in case["classes"].items())
    if case["volumes_ml"]:
        return ": " + ", ".join(f"{name} {ml:.2f} ml" for name, ml in case["volumes_ml"].items())
    return ""
