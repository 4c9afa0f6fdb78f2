"""``medcnn explain``: one question to a model; the map goes into a file, what it is to the terminal."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from napari_medcnn.cli.terminal import complain, consent_of, finish, say, say_json
from napari_medcnn.core.events import Cancel, Events, Progress
from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.saliency import CAUTION, METHODS, SaliencyMap
from napari_medcnn.errors import InputError
from napari_medcnn.imaging.channels import combine
from napari_medcnn.io.read import read_labels, read_volume
from napari_medcnn.verbs import engines, explain
from napari_medcnn.verbs.save_map import check_target, record_of, write_map

#: What takes longer is said.
SAID_FROM_S = 10.0
_VOXEL = re.compile(r"(\d+),(\d+),(\d+)")


def run_explain(args: argparse.Namespace) -> int:
    """``medcnn explain -m MODEL IN -o OUT --method NAME``."""
    out, consent = Path(args.out), consent_of(args)
    check_target(out)
    options = options_of(args)
    paths = [args.input] if Path(args.input).exists() else args.input.split("|")
    spare_inputs(out, [*paths, *(each for each in (args.mask, args.reference) if each)])
    scans = [read_volume(Path(path), args.item, consent) for path in paths]
    volume = scans[0] if len(scans) == 1 else combine(scans)
    mask = read_labels(Path(args.mask)) if args.mask else None
    reference = read_labels(Path(args.reference)) if args.reference else None
    request = explain.ExplainRequest(volume, args.model, options, mask)
    with engines.engine() as engine:
        made: SaliencyMap = finish(_timed(explain.run(request, Cancel(), engine)))
        if args.check or reference is not None:
            _say_time("The check takes", made.check_seconds)
            made = finish(explain.check(request, made, reference, Cancel(), engine))
    name = Path(args.input).name if args.names else ""
    write_map(made, out, volume, mask if mask is not None else reference, name)
    if args.json:
        say_json(answer(made, out))
        return 0
    say(f"Wrote {out}: {METHODS[made.method].title}, {made.target}{f', layer {made.layer}' if made.layer else ''}")
    say(CAUTION)
    if made.check is not None:
        say(f"Check: {made.check.badge}. {made.check.words}")
    for text in made.warnings:
        complain(f"note: {text}")
    return 0


def _timed(events: Events) -> Events:
    """Pass events on, and say how long the map will take once that is known."""
    try:
        for event in events:
            if isinstance(event, Progress):
                _say_time("This takes", event.expected)
            yield event
    finally:
        events.close()


def _say_time(words: str, seconds: float | None) -> None:
    if seconds is not None and seconds > SAID_FROM_S:
        complain(f"{words} about {seconds:.0f} s")


def spare_inputs(out: Path, inputs: list[str]) -> None:
    """Refuse to write the map onto a file that it is made from.

    Raises
    ------
    InputError
        `out` is one of the inputs.
    """
    for each in inputs:
        if out.exists() and Path(each).exists() and out.samefile(each):
            raise InputError(f"{out.name}: the map would replace the file it is made from; choose another name with -o")


def answer(made: SaliencyMap, out: Path) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    found = record_of(made)
    return {
        "method": made.method,
        "target": made.target,
        "layer": made.layer,
        "score": made.score,
        "seconds": dict(made.provenance.seconds),
        "output": str(out),
        "check": found["map"]["check"],
        "warnings": list(made.warnings),
        "provenance": made.provenance.to_json(),
    }


def options_of(args: argparse.Namespace) -> ExplainOptions:
    """Return the options that the flags name; those not given keep their default."""
    given = {f.name: getattr(args, f.name, None) for f in fields(ExplainOptions)}
    given["voxel"] = voxel_of(args.voxel)
    return ExplainOptions(**{name: value for name, value in given.items() if value is not None})


def voxel_of(text: str | None) -> tuple[int, int, int] | None:
    """Return the index of ``Z,Y,X``, None for none.

    Raises
    ------
    InputError
        The text has another form.
    """
    if text is None:
        return None
    found = _VOXEL.fullmatch(text.replace(" ", ""))
    if found is None:
        raise InputError(f"--voxel: expected Z,Y,X, an index from 0 as in 12,80,97, got {text!r}")
    z, y, x = (int(n) for n in found.groups())
    return (z, y, x)
