"""The fit check: pictures stored in colour, and scans of another kind."""

import numpy as np
import pytest

from napari_medcnn.core.fit import check_fit
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.spec import Decision, Fingerprint, ModelSpec, Preparation
from napari_medcnn.core.volume import Volume

SPEC = ModelSpec(
    name="grey",
    title="Grey",
    task="classification",
    preparation=Preparation(2, 1),
    labels=LabelSet((Label(1, "yes", (0, 0, 0)),)),
    decision=Decision((1,), False, (0.5,)),
    activation="sigmoid",
)


@pytest.mark.parametrize(("blue", "level"), [(0, "ok"), (2, "ok"), (40, "stop")])
def test_a_grey_picture_in_three_channels_suits_a_model_of_one(blue, level):
    grey = np.random.default_rng(1).integers(0, 200, (1, 40, 40, 1))
    pixels = np.concatenate([grey, grey, grey + blue], axis=-1).astype(np.uint8)
    pixels[0, 0, 0] = 255
    items = check_fit(Volume(pixels, Geometry.picture(40, 40), "zyxc"), SPEC)
    assert [item.level for item in items if item.topic == "Channels"] == [level]


@pytest.mark.parametrize(
    ("shape", "level"),
    [
        ((36, 50, 35), "ok"),
        ((36, 50, 72), "ok"),  # 72 mm is within a quarter of the largest side, 58
        ((36, 90, 35), "warn"),
        ((12, 50, 35), "override"),  # less than half of the smallest side, 26
        ((160, 240, 240), "override"),  # a whole head
    ],
)
def test_a_whole_head_is_another_kind_of_scan_than_the_box_of_one_organ(shape, level):
    spec = ModelSpec(
        name="box",
        title="Box",
        task="segmentation",
        preparation=Preparation(3, 1),
        labels=SPEC.labels,
        decision=Decision((0, 1), True),
        activation="softmax",
        tile=(8, 8, 8),
        fingerprint=Fingerprint(field_of_view_mm=((26.0, 58.0),) * 3),
    )
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    items = check_fit(Volume(noise, Geometry(shape)), spec)
    assert [item.level for item in items if item.topic == "Field of view"] == [level]
