"""Which classes are finished travels with their names, in .seg.nrrd the way 3D Slicer writes it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nrrd
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import ANISOTROPIC_MM
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError
from napari_medcnn.io.read import read_labels
from napari_medcnn.io.save import save_labels

LABELS = LabelSet(
    (
        Label(1, "liver", (1, 2, 3), "SCT:10200004", finished=True),
        Label(2, "lesion", (200, 30, 4)),
        Label(5, "absent", (9, 9, 9)),
        Label(6, "absent too", (9, 8, 9), finished=True),
    )
)
IDS = (np.arange(60).reshape(3, 4, 5) % 3).astype(np.uint8)
GRID = Geometry(IDS.shape, ANISOTROPIC_MM)
#: A segment as 3D Slicer 5 writes it: tags end in a bar, terminology beside them.
TERMS = "TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list~SCT^85756007^Tissue~^^~^^|"


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".seg.nrrd", ".mha", ".png", ".json"])
def test_every_format_keeps_it(tmp_path: Path, suffix: str) -> None:
    flat = suffix in (".png", ".json")
    mask = LabelMap(IDS[:1], Geometry.picture(4, 5), LABELS) if flat else LabelMap(IDS, GRID, LABELS)
    save_labels(mask, tmp_path / f"m{suffix}")
    back = read_labels(tmp_path / f"m{suffix}").labels
    assert back == LABELS and back.finished == {1, 6}
    save_labels(replace(mask, labels=LABELS.unfinished()), tmp_path / f"n{suffix}")
    assert read_labels(tmp_path / f"n{suffix}").labels.finished == frozenset()


def test_seg_nrrd_says_it_as_slicer_does(tmp_path: Path) -> None:
    save_labels(LabelMap(IDS, GRID, LABELS), tmp_path / "m.seg.nrrd")
    header = nrrd.read_header(str(tmp_path / "m.seg.nrrd"))
    assert [header[f"Segment{k}_Tags"] for k in range(4)] == [
        "Segmentation.Status:completed|", "Segmentation.Status:inprogress|", "Segmentation.Status:notstarted|",
        "Segmentation.Status:completed|",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tags", "finished"),
    [
        ("Segmentation.Status:completed|" + TERMS, True),
        (TERMS + "Segmentation.Status:completed|", True),
        ("Segmentation.Status:inprogress|" + TERMS, False),
        ("Segmentation.Status:notstarted|", False),
        ("Segmentation.Status:flagged|", False),
        ("Other:Segmentation.Status:completed|", False),
        (TERMS, False),
        ("", False),
        (None, False),
    ],
)
def test_files_of_slicer(tmp_path: Path, tags: str | None, finished: bool) -> None:
    lines = [
        "NRRD0004", "type: uint8", "dimension: 3", "space: left-posterior-superior", "sizes: 5 4 3",
        "space directions: (0.7,0,0) (0,0.7,0) (0,0,3)", "kinds: domain domain domain", "encoding: raw",
        "space origin: (0,0,0)", "Segment0_ID:=Segment_1", "Segment0_LabelValue:=1", "Segment0_Layer:=0",
        "Segment0_Name:=liver", "Segment0_Color:=0.5 0.25 1",
    ]  # fmt: skip
    lines += [] if tags is None else [f"Segment0_Tags:={tags}"]
    path = tmp_path / "slicer.seg.nrrd"
    path.write_bytes("\n".join([*lines, "", ""]).encode() + IDS.tobytes())
    label = read_labels(path).labels.by_id(1)
    assert (label.name, label.finished) == ("liver", finished)


def test_classes_that_are_not_finished_are_written_as_before() -> None:
    """Files and journals of earlier versions have no such key, and these read what we write."""
    old = [{"id": 2, "name": "lesion", "colour": [200, 30, 4], "code": None}]
    assert LabelSet((LABELS.by_id(2),)).to_json() == old
    assert LabelSet.from_json(old).labels == (LABELS.by_id(2),)
    with pytest.raises(InputError, match="true or false"):
        LabelSet.from_json([{**old[0], "finished": 1}])
    with pytest.raises(InputError, match="each class"):
        LabelSet.from_json([{**old[0], "done": True}])


@given(st.lists(st.booleans(), max_size=5))
def test_plain_values_come_back(finished: list[bool]) -> None:
    labels = LabelSet(tuple(Label(k, f"c{k}", (k, 0, 0), finished=each) for k, each in enumerate(finished, 1)))
    assert LabelSet.from_json(json.loads(json.dumps(labels.to_json()))) == labels
    assert labels.finished == {k for k, each in enumerate(finished, 1) if each}
    assert labels.covering([9]).finished == labels.finished and labels.unfinished().finished == frozenset()
