"""The two examples: no network, the same voxels every time, no axis that could be flipped unseen."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from napari_medcnn.io.layerdata import KEY
from napari_medcnn.io.samples import fundus, fundus_layers, phantom, phantom_layers


def test_the_photograph_is_the_one_scikit_image_ships() -> None:
    scan = fundus()
    assert scan.array.shape == (1, 1411, 1411, 3) and scan.array.dtype == np.uint8 and scan.is_picture
    # the file itself, from scikit-image's own list of hashes (skimage/data/_registry.py, data/retina.jpg)
    file = Path(skimage.data.__file__).parent / "retina.jpg"
    known = "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == known


def test_the_photograph_needs_no_network() -> None:
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise OSError('blocked')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse; socket.create_connection = refuse\n"
        "from napari_medcnn.io.samples import fundus\n"
        "raise SystemExit(0 if fundus().array.shape[1] == 1411 else 1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_the_phantom_is_the_same_every_time_and_quick() -> None:
    begin = time.perf_counter()
    scan, truth = phantom()
    assert time.perf_counter() - begin < 1.0
    again, _ = phantom()
    np.testing.assert_array_equal(scan.array, again.array)
    assert scan.array.shape == (48, 128, 128) and scan.geometry.spacing_mm == (3.0, 0.8, 0.8)
    assert scan.value_unit == "HU" and truth.geometry == scan.geometry


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_no_axis_of_the_phantom_is_symmetric(axis: int) -> None:
    _, truth = phantom()
    for label in (1, 2):
        mask = truth.array == label
        assert (mask & np.flip(mask, axis)).sum() < 0.9 * mask.sum()


def test_organs_lie_on_their_sides_and_have_their_hounsfield_units() -> None:
    scan, truth = phantom()
    centre = {}
    for label in truth.labels:
        where = np.argwhere(truth.array == label.id).mean(axis=0)
        centre[label.name] = scan.geometry.index_to_lps(where)
    middle = scan.geometry.index_to_lps((np.array(scan.geometry.shape) - 1) / 2)
    assert centre["liver"][0] < middle[0] < centre["kidney"][0]  # LPS x runs to the patient's left
    assert centre["kidney"][1] > middle[1] and centre["bone"][1] > middle[1]  # behind
    assert centre["liver"][2] > centre["kidney"][2]  # above
    medians = [float(np.median(scan.array[truth.array == i])) for i in (1, 2, 3)]
    np.testing.assert_allclose(medians, [115, 210, 630], atol=25)
    assert scan.array[0, 0, 0] < -900 and scan.array[-1, -1, -1] < -900


def test_the_liver_has_the_volume_of_its_ellipsoids() -> None:
    """The larger of the two is 38 x 20 x 22 mm in semi-axes: 4/3 pi abc = 70 ml, of which the body cuts a little."""
    _, truth = phantom()
    assert 60 < truth.volumes_ml()[1] < 85


def test_layers_for_the_sample_menu() -> None:
    (photograph,) = fundus_layers()
    assert photograph[2] == "image" and photograph[1]["rgb"]
    scan, mask = phantom_layers()
    assert (scan[2], mask[2]) == ("image", "labels")
    assert scan[1]["contrast_limits"] == (-160.0, 240.0)
    assert mask[1]["features"] == {"index": [0, 1, 2, 3], "class": ["background", "liver", "kidney", "bone"]}
    assert scan[1]["scale"] == mask[1]["scale"] and scan[1]["translate"] == mask[1]["translate"]
    assert mask[1]["metadata"][KEY]["case"] == "CT phantom"
