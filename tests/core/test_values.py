"""Volumes, masks, label sets, model cards, options, events and folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import ANISOTROPIC_MM
from napari_medcnn.core import paths
from napari_medcnn.core.events import Failed, Progress, Result, result_of
from napari_medcnn.core.fit import check_fit, worst
from napari_medcnn.core.geometry import Geometry, Reorientation
from napari_medcnn.core.labels import Label, LabelSet, default_colour
from napari_medcnn.core.options import PredictOptions, TrainOptions
from napari_medcnn.core.spec import Decision, Fingerprint, ModelSpec, Preparation
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import GeometryError, InputError, MedcnnError, ModelError

GRID = Geometry((3, 4, 5), ANISOTROPIC_MM)


@pytest.mark.parametrize(
    ("axes", "shape"), [("zyx", (3, 4, 5)), ("zyxc", (3, 4, 5, 2)), ("tzyx", (7, 3, 4, 5)), ("tzyxc", (7, 3, 4, 5, 2))]
)
def test_volume_axes(axes: str, shape: tuple[int, ...]) -> None:
    volume = Volume(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), GRID, axes)
    assert volume.frames == (7 if "t" in axes else 1)
    assert volume.channels == (2 if "c" in axes else 1)
    assert not volume.is_picture
    with pytest.raises(ValueError, match="read-only"):
        volume.array[...] = 0
    turned = volume.reoriented(Reorientation((2, 0, 1), (True, False, False)))
    assert turned.geometry.shape == (5, 3, 4)
    back = turned.reoriented(Reorientation((2, 0, 1), (True, False, False)).inverse)
    assert np.array_equal(back.array, volume.array)
    assert back.geometry == volume.geometry
    if "t" in axes:
        assert np.array_equal(volume.frame(6).array, volume.array[6])
        with pytest.raises(InputError, match="frame"):
            volume.frame(7)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"array": np.zeros((3, 4, 6))}, "grid's shape"),
        ({"array": np.zeros((3, 4))}, "3 axes"),
        ({"array": np.zeros((3, 4, 5)), "axes": "xyz"}, "axes"),
        ({"array": np.zeros((3, 4, 5), dtype="U1")}, "numbers"),
        ({"array": np.zeros((3, 4, 5), dtype=object)}, "numbers"),
        ({"array": np.zeros((3, 4, 5)), "channel_names": ("a", "b")}, "channel_names"),
        ({"array": np.zeros((2, 3, 4, 5)), "axes": "tzyx", "frame_values": (1.0,)}, "frame_values"),
    ],
)
def test_wrong_volumes_are_named(arguments, word: str) -> None:
    with pytest.raises(InputError, match=word):
        Volume(geometry=GRID, **arguments)


def test_masks() -> None:
    array = np.zeros((3, 4, 5), np.uint8)
    array[0, 0, :3] = 2
    array[1, 1, 1] = 7
    mask = LabelMap(array, GRID)
    assert mask.counts() == {2: 3, 7: 1}
    assert mask.volumes_ml() == pytest.approx({2: 3 * 3.0 * 0.8 * 0.7 / 1000, 7: 3.0 * 0.8 * 0.7 / 1000})
    assert LabelMap(np.zeros((3, 4, 5), np.uint8), GRID).counts() == {}
    with pytest.raises(GeometryError, match="voxel size"):
        LabelMap(array, replace(GRID, spacing_known=False)).volumes_ml()
    for bad, word in ((array.astype(float), "whole numbers"), (array[:2], "grid's shape"), (-array.astype(int), "-7")):
        with pytest.raises(InputError, match=word):
            LabelMap(bad, GRID)


def test_labels_are_unique_ordered_and_found() -> None:
    labels = LabelSet((Label(7, "kidney", (1, 2, 3), "SCT:64033007"), Label(2, "liver", (4, 5, 6))))
    assert labels.ids == (2, 7)
    assert labels.names == ("liver", "kidney")
    assert 7 in labels
    assert 3 not in labels
    assert [labels.name_of(i) for i in (0, 2, 3)] == ["background", "liver", "Class 3"]
    assert LabelSet.from_json(json.loads(json.dumps(labels.to_json()))) == labels
    assert labels.without(2).ids == (7,)
    assert labels.with_label(Label(7, "spleen", (0, 0, 0))).names == ("liver", "spleen")
    with pytest.raises(InputError, match="got 3"):
        labels.by_id(3)
    with pytest.raises(InputError, match="every id once"):
        LabelSet((Label(1, "a", (0, 0, 0)), Label(1, "b", (0, 0, 0))))
    with pytest.raises(InputError, match="every name once"):
        LabelSet((Label(1, "a", (0, 0, 0)), Label(2, "a", (0, 0, 0))))


@pytest.mark.parametrize(
    "arguments",
    [(0, "x", (0, 0, 0)), (65536, "x", (0, 0, 0)), (True, "x", (0, 0, 0)), (1, " ", (0, 0, 0)), (1, "a\nb", (0, 0, 0)),
     (1, "x" * 201, (0, 0, 0)), (1, "x", (0, 0, 256)), (1, "x", (0, 0))],
)  # fmt: skip
def test_wrong_labels_are_refused(arguments) -> None:
    with pytest.raises(InputError, match="label"):
        Label(*arguments)


@pytest.mark.parametrize("data", [None, {}, [1], [{"id": 1}], [{"id": 1, "name": "x", "more": 1}]])
def test_damaged_label_json_is_named(data) -> None:
    with pytest.raises(InputError, match="label"):
        LabelSet.from_json(data)


def test_many_classes_have_names_colours_and_room() -> None:
    """300 classes with gaps: a type that holds them, every id named, no colour out of range (row 44)."""
    labels = LabelSet.for_ids(range(0, 900, 3))
    assert labels.smallest_dtype == "uint16"
    assert LabelSet.for_ids(range(256)).smallest_dtype == "uint8"
    assert len(labels) == 299
    assert all(0 <= c <= 255 for i in range(1, 400) for c in default_colour(i))
    named = LabelSet((Label(5, "liver", (0, 0, 0)), Label(9, "Class 4", (0, 0, 0)))).covering([0, 4, 5])
    assert named.ids == (4, 5, 9)
    assert named.name_of(5) == "liver"
    assert len(set(named.names)) == 3


def spec(**changes) -> ModelSpec:
    values = {
        "name": "phantom-net",
        "title": "Phantom",
        "task": "segmentation",
        "preparation": Preparation(3, 1, ("I", "P", "L"), (3.0, None, 0.8), True, (("clip", {"low": -9, "high": 5}),)),
        "labels": LabelSet.from_names(["liver", "kidney"]),
        "decision": Decision((0, 1, 2), True),
        "activation": "softmax",
        "tile": (32, 64, 64),
        "overlap": 0.5,
        "divisor": 8,
        "postprocess": (("largest_components", {"ids": (1,), "count": 1}),),
        "fingerprint": Fingerprint(("CT",), ((1.0, 5.0),) * 3, (), (64.0, 512.0), (-1000.0, 3000.0), "seeded phantoms"),
        "scores": {"dice": {"liver": {"mean": 0.9, "n": 3}}},
        "temperature": 1.3,
    }  # fmt: skip
    return ModelSpec(**{**values, **changes})


def test_model_card_json_there_and_back() -> None:
    card = spec(sha256="ab")
    data = json.loads(json.dumps(card.to_json(), allow_nan=False))
    assert "sha256" not in data
    again = ModelSpec.from_json(data, sha256="ab")
    assert again == card
    assert again.to_json() == card.to_json()


@given(st.sampled_from(["name", "task", "preparation", "decision", "labels", "tile", "activation", "spec_version"]))
@settings(max_examples=20, deadline=None)
def test_a_card_that_lacks_something_is_refused(key: str) -> None:
    data = spec().to_json()
    data.pop(key)
    with pytest.raises(ModelError):
        ModelSpec.from_json(data)


@pytest.mark.parametrize("extra", [{"surprise": 1}, {"spec_version": 2}, {"overlap": 1.0}, {"tile": 7}, {"labels": 3}])
def test_a_card_with_something_else_is_refused(extra) -> None:
    with pytest.raises(ModelError):
        ModelSpec.from_json(spec().to_json() | extra)
    with pytest.raises(ModelError, match="mapping"):
        ModelSpec.from_json([1])


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"name": "../x"}, "name"),
        ({"task": "detection"}, "task"),
        ({"activation": "relu"}, "activation"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"tile": (32, 32)}, "tile"),
        ({"tile": ()}, "tile"),
        ({"decision": Decision((0, 1, 3), True)}, r"\[3\]"),
    ],
)
def test_wrong_cards_are_named(changes, word: str) -> None:
    with pytest.raises(ModelError, match=word):
        spec(**changes)


def test_decisions() -> None:
    assert Decision((0, 300), True).dtype == "uint16"
    assert Decision((0, 255), True).dtype == "uint8"
    for bad in (((), True, ()), ((-1,), True, ()), ((1, 2), False, (0.5,)), ((1,), False, (1.0,))):
        with pytest.raises(InputError):
            Decision(*bad)


def scan(low: int = -1000, high: int = 2000, **changes) -> Volume:
    array = np.linspace(low, high, 24 * 96 * 96).reshape(24, 96, 96).astype(np.int16)
    volume = Volume(array, Geometry((24, 96, 96), ANISOTROPIC_MM), modality="CT")
    return replace(volume, **changes)


def levels(volume: Volume, card: ModelSpec) -> dict[str, str]:
    return {item.topic: item.level for item in check_fit(volume, card)}


def test_a_scan_that_fits() -> None:
    card = spec(fingerprint=replace(spec().fingerprint, spacing_mm=((1.0, 5.0), (0.5, 1.0), (0.5, 1.0))))
    items = check_fit(scan(), card)
    assert worst(items) == "ok", items
    assert worst(()) == "ok"


def test_what_does_not_fit_is_said_in_words() -> None:
    """Channels, dimensions, size, range, modality, spacing against the card, before running (row 49)."""
    card = spec()
    two = Volume(np.zeros((4, 8, 8, 2), np.int16) + np.arange(2, dtype=np.int16), Geometry((4, 8, 8)), "zyxc")
    assert levels(two, card)["Channels"] == "stop"
    picture = Volume(np.eye(9, dtype=np.uint8)[None], Geometry.picture(9, 9), modality="picture")
    found = levels(picture, card)
    assert (found["Dimensions"], found["Voxel size"], found["Modality"]) == ("stop", "stop", "override")
    assert levels(scan(modality="MR"), card)["Modality"] == "override"
    assert levels(scan(modality=""), card)["Modality"] == "warn"
    assert levels(scan(0, 3), card)["Values"] == "warn"
    assert levels(scan(-1000, -1000), card)["Values"] == "override"
    nothing = Volume(np.full((2, 8, 8), np.nan), Geometry((2, 8, 8)), modality="CT")
    assert levels(nothing, card)["Values"] == "stop"
    assert levels(Volume(np.ones((2, 8, 8), complex), Geometry((2, 8, 8))), card)["Values"] == "stop"
    assert levels(scan(), replace(card, fingerprint=replace(card.fingerprint, spacing_mm=((0.1, 0.2),) * 3)))[
        "Voxel size"
    ] == "warn"  # fmt: skip
    assert (
        levels(scan(), replace(card, fingerprint=replace(card.fingerprint, size_px=(500.0, 512.0))))["Size"] == "warn"
    )
    assert worst(check_fit(two, card)) == "stop"


def test_channels_are_named_where_the_card_names_them() -> None:
    """Row 49: which layers are missing, and channels that came in another order."""
    card = replace(spec(), preparation=Preparation(3, 3, channel_names=("T1", "T2", "FLAIR")))
    message = {item.topic: item.text for item in check_fit(scan(), card)}["Channels"]
    assert message == "This model takes T1, T2 and FLAIR; choose a layer for each (this scan has 1)."
    voxels = np.linspace(0, 1, 8 * 8 * 8 * 3).reshape(8, 8, 8, 3)
    three = Volume(voxels, Geometry((8, 8, 8)), "zyxc", modality="CT", channel_names=("t1", "t2", "flair"))
    assert levels(three, card)["Channels"] == "ok"
    swapped = replace(three, channel_names=("FLAIR", "T2", "T1"))
    item = next(item for item in check_fit(swapped, card) if item.topic == "Channels")
    assert item.level == "override"
    assert item.text == "They come as FLAIR, T2 and T1; the model takes T1, T2 and FLAIR, in this order."
    # names of layers that say nothing about the sequence are no reason to stop
    assert levels(replace(three, channel_names=("CT 5", "CT 6", "CT 7")), card)["Channels"] == "ok"


def test_options_are_valid_once_made() -> None:
    for bad in ({"device": "tpu"}, {"frame": -1}):
        with pytest.raises(InputError, match=next(iter(bad))):
            PredictOptions(**bad)
    for bad in ({"epochs": 0}, {"batch": 0}, {"learning_rate": 0.0}, {"flips": (3,)}, {"learning_rate": float("nan")}):
        with pytest.raises(InputError, match=next(iter(bad))):
            TrainOptions(**bad)


def test_events_end_in_a_value_or_an_error() -> None:
    def work(last):
        yield Progress(0.5, "half")
        if last:
            yield last

    assert result_of(work(Result(7))) == 7
    with pytest.raises(InputError, match="no"):
        result_of(work(Failed(InputError("no"))))
    with pytest.raises(MedcnnError, match="without a result"):
        result_of(work(None))


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "user/.local/share/napari-medcnn"),
        ("linux", {"XDG_DATA_HOME": "data"}, "data/napari-medcnn"),
        ("darwin", {}, "user/Library/Application Support/napari-medcnn"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/napari-medcnn"),
        ("win32", {}, "user/AppData/Local/napari-medcnn"),
        ("win32", {"MEDCNN_HOME": "moved", "LOCALAPPDATA": "local"}, "moved"),
    ],
)
def test_private_folders_on_each_system(platform: str, environment: dict[str, str], expected: str) -> None:
    assert paths._home_for(platform, environment, Path("user")) == Path(expected)


def test_private_folders_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "deep" / "home"))
    for make, name in ((paths.recovery, "recovery"), (paths.logs, "logs"), (paths.user_models, "models")):
        assert make() == tmp_path / "deep" / "home" / name
        assert make().is_dir()
    one, two = paths.exchange(), paths.exchange()
    assert one != two
    assert one.is_dir()
    one.rmdir()
    two.rmdir()
