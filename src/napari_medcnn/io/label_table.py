"""Class names that other programs write: the label table of Connectome Workbench, and nnU-Net's ``dataset.json``.

TotalSegmentator writes the same XML (``CaretExtension``) into a header extension of its multi-class masks.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from napari_medcnn.core.labels import Label, LabelSet, default_colour
from napari_medcnn.errors import InputError

_MARK = "<CaretExtension"
_MAX_CLASSES = 4096


def label_table(text: str) -> list[dict[str, Any]]:
    """Return classes as `LabelSet.to_json` gives them, [] if the text holds no usable table; id 0 is left out."""
    if _MARK not in text[:4096] or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return []
    body = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    try:
        root = ElementTree.fromstring(body.strip())  # noqa: S314 - no document type, no entities
        found = [_entry(node) for node in root.iter("Label")]
        return LabelSet.from_json([e for e in found if e["id"] != 0]).to_json() if len(found) <= _MAX_CLASSES else []
    except (ElementTree.ParseError, InputError, ValueError, KeyError, OverflowError):
        return []


def _entry(node: ElementTree.Element) -> dict[str, Any]:
    parts = [float(node.get(name, "0")) for name in ("Red", "Green", "Blue")]
    colour = [round(255 * min(max(part, 0.0), 1.0)) for part in parts]
    return {"id": int(node.attrib["Key"]), "name": (node.text or "").strip(), "colour": colour}


def dataset_labels(path: Path) -> LabelSet:
    """Return the classes of an nnU-Net ``dataset.json``: version 2 (name: id, or regions), version 1 ("id": name).

    A region is named by the id that is painted for it (``regions_class_order``).

    Raises
    ------
    InputError
        The file is missing, or not such a description.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return LabelSet(tuple(Label(i, name, default_colour(i)) for i, name in _pairs(data) if i != 0))
    except OSError as error:
        raise InputError(f"{path.name}: {error.strerror or error}; expected nnU-Net's dataset.json") from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, InputError) as error:
        raise InputError(f"{path.name}: not nnU-Net's dataset.json ({str(error)[:200]})") from error


def _pairs(data: dict[str, Any]) -> list[tuple[int, str]]:
    labels: dict[str, Any] = data["labels"]
    if any(isinstance(value, list) for value in labels.values()):
        order = data["regions_class_order"]
        regions = [name for name, value in labels.items() if isinstance(value, list) or value != 0]
        return [(int(order[place]), name) for place, name in enumerate(regions)]
    if all(key.isdigit() for key in labels):
        return [(int(key), str(name)) for key, name in labels.items()]
    return [(int(value), name) for name, value in labels.items()]
