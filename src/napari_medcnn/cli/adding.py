"""``medcnn models --add``: a package is added as it is; for a bare network the answers come from YAML."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from napari_medcnn.cli.terminal import complain, finish, plain, say, say_json
from napari_medcnn.core.events import Cancel
from napari_medcnn.verbs import add_model, engines, models
from napari_medcnn.verbs.model_answers import VALUES, Draft, read_answers, spec_from


def add(path: Path, answers: Path | None, as_json: bool) -> int:
    """Add the model at `path`; without the answers it needs, write a template of them to stderr and return 1."""
    spec = None
    if add_model.is_bare(path):
        draft = add_model.draft_answers(path)
        if answers is None:
            words = (
                f"{path.name}: a bare network does not say everything about itself. Missing: {', '.join(draft.open)}. "
                "Fill in the lines below, save them as answers.yaml, and add --answers answers.yaml"
            )
            if as_json:
                say_json({"error": words, "missing": list(draft.open)})
            complain(words)
            sys.stderr.write(template(draft))
            return 1
        spec = spec_from(draft.facts, read_answers(answers, draft.answers))
    elif answers is not None:
        complain(f"{path.name}: a package needs no answers; {answers.name} was not read")
    with engines.engine() as engine:
        request = add_model.AddModelRequest(path, spec)
        added: add_model.Added = finish(add_model.run(request, Cancel(), engine))
    if as_json:
        say_json(models.card(added.package) | {"tested": added.tested, "note": added.note})
    else:
        say(f"Added {added.package.spec.name}: {added.package.path}")
    if added.note:
        complain(added.note)
    return 0


def template(draft: Draft) -> str:
    """Return ``answers.yaml`` with what the file tells filled in and everything else explained."""
    facts, answers = draft.facts, draft.answers
    count = f"{facts.outputs} names" if facts.outputs else "one name"
    whole = f"{facts.dimensions}D, {facts.channels} input channel(s), last step {facts.activation or 'unknown'}"
    axes = "[y, x]" if facts.dimensions == 2 else "[z, y, x]"
    lines = [
        f"# {plain(facts.file)}: {whole}",
        f"name: {_value(plain(answers.name))}",
        "# segmentation (a class for every voxel) or classification (one answer per case)",
        f"finds: {_value(answers.finds)}",
        f"# {count}, one for each output of the network in its order; background is what is not marked",
        f"classes: {_value(list(answers.classes))}",
        "# true: every voxel or case has one class; false: each class is judged alone",
        f"exclusive: {_value(answers.exclusive)}",
        "# how values are scaled for the network, as in its training:",
        *(f"#   {key}: {words}" for key, words in VALUES.items()),
        "values:",
        "# [low, high] in HU, for values: window",
        "window_hu:",
        "# voxel size [z, y, x] in mm the network was trained at, null for an axis; empty: as the scan",
        "voxel_mm:",
        "# where classes are judged alone: from which probability on",
        f"threshold: {answers.threshold:g}",
        f"# size {axes} of the piece the network sees at once, multiples of {facts.divisor}",
        f"window: {_value(list(answers.window))}",
        f"licence: {_value(answers.licence)}",
        f"trained_on: {_value(answers.trained_on)}",
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _value(value: object) -> str:
    """Return a value as YAML: JSON is YAML; nothing where nothing is known."""
    return "" if value in (None, "", []) else json.dumps(value)
