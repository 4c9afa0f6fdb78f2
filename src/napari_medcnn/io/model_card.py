"""The card of a model as a page of Markdown: what it is for, what it was trained on, how well, and where it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_medcnn.core.spec import ModelSpec


def card_text(spec: ModelSpec) -> str:
    """Return the README of a package. Everything on it stands in the specification as well."""
    lines = [f"# {spec.title}", ""]
    if spec.description:
        lines += [spec.description, ""]
    lines += [f"**{spec.intended_use}**", ""]
    facts = {
        "Name, version": f"{spec.name}, {spec.version}",
        "Task": f"{spec.task}, {spec.preparation.dimensions}D, {spec.preparation.channels} channel(s)",
        "Classes": ", ".join(f"{label.id} {label.name}" for label in spec.labels),
        "Training data": spec.training_data or "not stated",
        "Population": spec.fingerprint.population or "not stated",
        "Licence of the weights": spec.licence,
    }
    lines += ["| | |", "|---|---|"] + [f"| {key} | {value} |" for key, value in facts.items()]
    if spec.scores:
        lines += ["", "## Scores", ""] + _scores(spec.scores, 0)
    if spec.limits:
        lines += ["", "## Limits", "", spec.limits]
    lines += [
        "",
        "## Running it",
        "",
        "The complete preparation of a scan (orientation, voxel size, intensities, tiles, clean-up) stands under",
        "`config.medcnn` in `rdf.yaml`. A program that does not know this entry feeds the network unprepared data and",
        "gets wrong masks. The network gives logits; `config.medcnn` says how they become classes.",
        "",
    ]
    return "\n".join(lines)


def _scores(values: Mapping[str, Any], level: int) -> list[str]:
    lines = []
    for key, value in values.items():
        head = f"{'  ' * level}- {str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            lines += [head, *_scores(value, level + 1)]
        elif isinstance(value, list | tuple):
            lines.append(f"{head}: {', '.join(_number(v) for v in value)}")
        else:
            lines.append(f"{head}: {_number(value)}")
    return lines


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
