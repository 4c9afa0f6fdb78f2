"""A model's card in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.io.packages import Package

_CUT = 90


def name_of(model: Package | CommandModel) -> str:
    """Return the short id of a model."""
    return model.name if isinstance(model, CommandModel) else model.spec.name


def title_of(model: Package | CommandModel) -> str:
    """Return what a model is called on the screen."""
    return model.title if isinstance(model, CommandModel) else model.spec.title or model.spec.name


def lines_of(model: Package | CommandModel) -> list[tuple[str, str]]:
    """Return the few lines of a card that stand in the dock."""
    if not isinstance(model, CommandModel):
        return card_lines(model.spec)
    lines = [
        ("Runs", f"your own program {model.program}"),
        ("Finds", ", ".join(model.labels.names) or "what the program names"),
        ("Licence", model.licence),
        ("Note", _first(model.note)),
    ]
    return [(word, value) for word, value in lines if value]


def card_of(model: Package | CommandModel) -> str:
    """Return the whole card."""
    if not isinstance(model, CommandModel):
        return card_text(model)
    blocks = [
        (model.title, f"{model.name}: runs a program of yours on this computer; MedCNN only hands the scan over."),
        ("Arguments", "\n".join(model.arguments)),
        ("Channels", ", ".join(model.channels)),
        ("Classes", ", ".join(model.labels.names) or "as the program names them"),
        ("Licence of program and weights", model.licence),
        ("Note", model.note),
    ]
    return "\n\n".join(f"{title}\n{text}" for title, text in blocks if text.strip())


def card_lines(spec: ModelSpec) -> list[tuple[str, str]]:
    """Return the few lines that stand in the dock."""
    finds = ", ".join(spec.labels.names)
    lines = [
        ("For", _first(spec.intended_use)),
        ("Finds" if spec.task == "segmentation" else "Tells apart", finds),
        ("Trained on", _first(spec.training_data)),
        ("Scores", score_words(spec.scores)),
        ("Licence", spec.licence),
    ]
    return [(word, value) for word, value in lines if value]


def card_text(package: Package) -> str:
    """Return the whole card."""
    spec = package.spec
    blocks = [
        (spec.title or spec.name, f"{spec.name}, version {spec.version}\n{spec.description}".strip()),
        ("Intended use", spec.intended_use),
        ("Limits", spec.limits),
        ("Training data", spec.training_data),
        ("Classes", ", ".join(spec.labels.names)),
        ("Scores", "\n".join(_score_lines(spec.scores))),
        ("Licence of the weights", spec.licence),
        ("File", f"{package.path.name}\nsha256 {spec.sha256}"),
    ]
    return "\n\n".join(f"{title}\n{text}" for title, text in blocks if text.strip())


def score_words(scores: Mapping[str, Any]) -> str:
    """Return the scores that have an interval, "Dice vessel 0.79 (0.78 to 0.80), 4 cases"; else the first one."""
    lines = _score_lines(scores)
    intervals = _score_lines(scores, intervals_only=True)
    return "; ".join(intervals[:3] or lines[:1])


def _score_lines(scores: Mapping[str, Any], intervals_only: bool = False) -> list[str]:
    lines: list[str] = []
    for metric, classes in scores.items():
        metric = metric.replace("_", " ").capitalize()
        if not isinstance(classes, Mapping):
            if intervals_only:
                continue
            lines.append(f"{metric}: {_number(classes)}")
            continue
        for key, value in classes.items():
            name = "AUC" if key == "auc" else str(key).replace("_", " ")
            if intervals_only and not (isinstance(value, Mapping) and {"mean", "low", "high"} <= set(value)):
                continue
            if isinstance(value, Mapping) and "mean" in value:
                words = f"{metric} {name} {_number(value['mean'])}"
                if "low" in value and "high" in value:
                    words += f" ({_number(value['low'])} to {_number(value['high'])})"
                if "n" in value:
                    words += f", {value['n']} cases"
                lines.append(words)
            elif not isinstance(value, Mapping):
                lines.append(f"{metric} {name} {_number(value)}")
    return lines


def _number(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _first(text: str) -> str:
    """Return the first sentence or so."""
    text = " ".join(text.split())
    if len(text) <= _CUT:
        return text
    cut = text[:_CUT]
    return cut[: cut.rfind(" ")] + " ..."
