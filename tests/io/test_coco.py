"""COCO-style JSON of pictures: numbers worked out by hand, and regions as other programs write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.volume import LabelMap
from napari_medcnn.errors import InputError, SaveError
from napari_medcnn.io.coco import coco_of
from napari_medcnn.io.read import inspect, read, read_labels
from napari_medcnn.io.save import save_labels

LABELS = LabelSet(
    (Label(1, "vessel", (10, 20, 30), "SCT:59820001"), Label(4, "disc", (1, 2, 3)), Label(9, "none", (4, 5, 6)))
)
#: Class 1 is a ring with a hole, class 4 one pixel in it and two apart.
IDS = np.array([[0, 1, 1, 1, 0, 0],
                [0, 1, 4, 1, 0, 4],
                [0, 1, 1, 1, 0, 4],
                [0, 0, 0, 0, 0, 0]], np.uint8)  # fmt: skip


def picture(ids: np.ndarray, labels: LabelSet = LABELS) -> LabelMap:
    return LabelMap(ids[None], Geometry.picture(*ids.shape), labels, "Secretname")


def write(path: Path, annotations: list[Any], **more: Any) -> Path:
    data = {
        "images": [{"id": 7, "height": 4, "width": 6, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}],
        "annotations": [{"id": k, "image_id": 7, **a} for k, a in enumerate(annotations)],
        **more,
    }
    path.write_text(json.dumps(data))
    return path


def test_numbers_by_hand(tmp_path: Path) -> None:
    save_labels(picture(IDS), tmp_path / "m.json")
    data = json.loads((tmp_path / "m.json").read_text())
    ring, disc, other = data["annotations"]
    assert (ring["category_id"], ring["area"], ring["bbox"]) == (1, 8, [1, 0, 3, 3])
    # columns of 4: column 1 has three, column 2 one, a hole, one, column 3 three
    assert ring["segmentation"] == {"size": [4, 6], "counts": [4, 3, 1, 1, 1, 1, 1, 3, 9]}
    # the two pieces of the disc: in the middle of the ring, and at the right edge
    assert (other["area"], other["bbox"]) == (2, [5, 1, 1, 2])
    assert other["segmentation"]["counts"] == [21, 2, 1]
    assert (disc["area"], disc["bbox"]) == (1, [2, 1, 1, 1])
    assert disc["segmentation"]["counts"] == [9, 1, 14]
    assert [(a["id"], a["category_id"], a["iscrowd"]) for a in data["annotations"]] == [(1, 1, 0), (2, 4, 0), (3, 4, 0)]
    assert [c["id"] for c in data["categories"]] == [1, 4, 9]
    assert "painted last stays" in data["info"]["overlaps"]
    assert data["images"] == [{"id": 1, "width": 6, "height": 4, "file_name": "m"}]
    assert "Secretname" not in (tmp_path / "m.json").read_text()


def test_it_comes_back_with_names_colours_and_codes(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 3, (31, 17)).astype(np.uint16)
    ids[ids == 2] = 400
    labels = LabelSet((Label(1, "vessel", (10, 20, 30), "SCT:59820001"), Label(400, "disc", (1, 2, 3))))
    save_labels(picture(ids, labels), tmp_path / "m.json")
    (item,) = inspect(tmp_path / "m.json").items
    mask = read(tmp_path / "m.json")
    assert isinstance(mask, LabelMap) and mask.is_picture and item.kind == "labels" and item.shape == (1, 31, 17)
    np.testing.assert_array_equal(mask.array[0], ids)
    assert mask.labels.to_json() == labels.to_json()
    np.testing.assert_array_equal(read_labels(tmp_path / "m.json").array, mask.array)


@pytest.mark.parametrize(("flat", "counts"), [([1, 1], [0, 2]), ([1, 0], [0, 1, 1]), ([0, 1], [1, 1])])
def test_run_lengths_begin_outside(flat: list[int], counts: list[int]) -> None:
    (one,) = coco_of(picture(np.array(flat, np.uint8)[:, None]), "a")["annotations"]
    assert one["segmentation"]["counts"] == counts
    assert coco_of(picture(np.zeros((3, 2), np.uint8)), "a")["annotations"] == []


def unrolled(counts: list[int], shape: tuple[int, int]) -> np.ndarray:
    """Return the region of run lengths as the format states them, pixel after pixel."""
    flat: list[bool] = []
    for number, count in enumerate(counts):
        flat += [number % 2 == 1] * count
    return np.array(flat).reshape(shape[::-1]).T


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.sampled_from([0, 1, 4])))
def test_each_piece_is_an_annotation_of_its_own(ids: np.ndarray) -> None:
    """Against scipy's pieces one by one; diagonal neighbours hang together, and nothing is said twice or left out."""
    theirs = []
    for label in (1, 4):
        numbers, count = ndimage.label(ids == label, np.ones((3, 3)))
        theirs += [(label, numbers == k) for k in range(1, count + 1)]
    ours = coco_of(picture(ids), "a")["annotations"]
    assert [a["category_id"] for a in ours] == [label for label, _ in theirs]
    for said, (_, inside) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(unrolled(said["segmentation"]["counts"], ids.shape), inside)
        lines, columns = np.nonzero(inside)
        x, y, width, height = said["bbox"]
        assert (x, y, x + width - 1, y + height - 1) == (columns.min(), lines.min(), columns.max(), lines.max())
        assert said["area"] == inside.sum() and said["segmentation"]["counts"][-1] > 0


def test_a_picture_of_noise_comes_back(tmp_path: Path) -> None:
    """About 100 000 pieces; one look at the whole picture for each would take hours."""
    ids = np.random.default_rng(1).choice([0, 1, 4], (900, 900), p=[0.8, 0.1, 0.1]).astype(np.uint8)
    pieces = sum(ndimage.label(ids == label, np.ones((3, 3)))[1] for label in (1, 4))
    save_labels(picture(ids), tmp_path / "m.json")
    data = json.loads((tmp_path / "m.json").read_text())
    assert len(data["annotations"]) == pieces > 100_000
    np.testing.assert_array_equal(read_labels(tmp_path / "m.json").array[0], ids)


def test_finished_classes_stay_finished(tmp_path: Path) -> None:
    labels = LabelSet((Label(1, "vessel", (10, 20, 30), finished=True), Label(4, "disc", (1, 2, 3))))
    save_labels(picture(np.where(IDS == 9, 0, IDS), labels), tmp_path / "m.json")
    assert read_labels(tmp_path / "m.json").labels == labels
    assert [c.get("finished") for c in json.loads((tmp_path / "m.json").read_text())["categories"]] == [True, None]


def test_compressed_runs_and_polygons_of_others(tmp_path: Path) -> None:
    # the ring above as pycocotools 2.0 encodes it
    ring = {"category_id": 1, "segmentation": {"size": [4, 6], "counts": "431N00028"}}
    square = {"category_id": 2, "segmentation": [[4, 1, 6, 1, 6, 3, 4, 3]]}  # pixels 4 and 5 of two lines
    mask = read(write(tmp_path / "m.json", [ring, square]))
    expected = np.where(IDS == 1, 1, 0)
    expected[1:3, 4:6] = 2
    np.testing.assert_array_equal(mask.array[0], expected)


def test_overlaps_and_a_class_0_are_told(tmp_path: Path) -> None:
    first = {"category_id": 0, "segmentation": {"size": [4, 6], "counts": [0, 8, 16]}}
    second = {"category_id": 5, "segmentation": {"size": [4, 6], "counts": [4, 8, 12]}}
    path = write(tmp_path / "m.json", [first, second], categories=[{"id": 0, "name": "a"}, {"id": 5, "name": "b"}])
    mask = read(path)
    assert mask.array[0].T.ravel().tolist() == [1] * 4 + [6] * 8 + [0] * 12
    assert any(note.startswith("4 pixels had several classes") for note in mask.notes)
    assert any("one higher" in note for note in mask.notes)


def test_a_pixel_in_two_rings_of_an_annotation_overlaps_once(tmp_path: Path) -> None:
    one = {"category_id": 1, "segmentation": [[4, 1, 6, 1, 6, 3, 4, 3]]}
    ring = [4, 0, 6, 0, 6, 2, 4, 2]
    mask = read(write(tmp_path / "m.json", [one, {"category_id": 2, "segmentation": [ring, ring]}]))
    assert mask.array[0, :, 4:].tolist() == [[2, 2], [2, 2], [1, 1], [0, 0]]
    assert any(note.startswith("2 pixels had several classes") for note in mask.notes)


def test_several_pictures_are_items_of_their_own(tmp_path: Path) -> None:
    images = [{"id": 7, "height": 4, "width": 6}, {"id": 8, "height": 2, "width": 3}]
    one = {"image_id": 8, "category_id": 2, "segmentation": {"size": [2, 3], "counts": [5, 1]}}
    path = write(tmp_path / "m.json", [one], images=images)
    assert [(i.id, i.shape) for i in inspect(path).items] == [("page-1", (1, 4, 6)), ("page-2", (1, 2, 3))]
    assert read(path, "page-2").array.tolist() == [[[0, 0, 0], [0, 0, 2]]]
    with pytest.raises(InputError, match="choose one of page-1 to page-2"):
        read_labels(path)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ({"category_id": 3, "segmentation": []}, "names class '3'"),
        ({"category_id": 1, "segmentation": {"size": [4, 6], "counts": [1, 2]}}, "expected 24"),
        ({"category_id": 1, "segmentation": {"size": [4, 6], "counts": [-1, 25]}}, "region is damaged"),
        ({"category_id": 1, "segmentation": {"size": [1 << 40, 6], "counts": [1 << 40]}}, "region is damaged"),
        ({"category_id": 1, "segmentation": {"size": [4, 6], "counts": "~~~~"}}, "region is damaged"),
        ({"category_id": 1, "segmentation": [[1, 2, 3]]}, "region is damaged"),
    ],
)
def test_damaged_regions_are_refused(tmp_path: Path, annotation: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(write(tmp_path / "m.json", [annotation]))


def test_what_a_file_of_pictures_cannot_hold_is_refused(tmp_path: Path) -> None:
    deep = LabelMap(np.ones((2, 3, 3), np.uint8), Geometry((2, 3, 3), (1.0, 1.0, 1.0)))
    with pytest.raises(SaveError, match="holds one slice"):
        save_labels(deep, tmp_path / "m.json")
    with pytest.raises(SaveError, match="cannot hold the position"):
        save_labels(LabelMap(np.ones((1, 3, 3), np.uint8), Geometry((1, 3, 3), (1.0, 1.0, 1.0))), tmp_path / "m.json")
    (tmp_path / "other.json").write_text('{"images": 3}')
    with pytest.raises(InputError):
        read(tmp_path / "other.json")
    assert not (tmp_path / "m.json").exists()
