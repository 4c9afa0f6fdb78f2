from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import GeometryError, InputError
from napari_medcnn.worker.meta import volume_from_meta, volume_meta

TURN = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, -1.0]])
ODD = Geometry((3, 4, 5), (3.1, 0.1 + 0.2, 1 / 3), (-12.25, 1e-7, 7.1), TURN)


@pytest.mark.parametrize("geometry", [ODD, Geometry.picture(4, 5), Geometry((1, 1, 1))])
def test_a_grid_comes_back_exactly(geometry: Geometry) -> None:
    assert Geometry.from_json(json.loads(json.dumps(geometry.to_json()))) == geometry


def test_a_scan_comes_back_without_its_name() -> None:
    volume = Volume(np.zeros((2, 3, 4, 5, 3)), ODD, "tzyxc", name="Jane Doe", modality="MR", source={"path": "doe.nii"})
    volume = replace(volume, value_unit="HU", inverted=True)
    meta = json.loads(json.dumps(volume_meta(volume)))
    assert "oe" not in json.dumps(meta)
    back = volume_from_meta(volume.array, meta)
    assert (back.geometry, back.axes, back.modality) == (ODD, "tzyxc", "MR")
    # what the preparation of a radiograph asks for
    assert (back.value_unit, back.inverted) == ("HU", True)


def test_what_is_missing_or_wrong_is_named() -> None:
    with pytest.raises(InputError, match="geometry: expected shape"):
        Geometry.from_json({"shape": [1, 2, 3]})
    with pytest.raises(GeometryError, match="spacing_mm"):
        Geometry.from_json({**ODD.to_json(), "spacing_mm": [0, 1, 1]})
    with pytest.raises(InputError, match="meta: expected the geometry"):
        volume_from_meta(np.zeros((3, 4, 5)), {"axes": "zyx"})
