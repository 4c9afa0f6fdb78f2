"""The fit check on pictures stored in colour."""

import numpy as np
import pytest

from napari_medcnn.core.fit import check_fit
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
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
