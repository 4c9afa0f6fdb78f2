"""`mc.explain` through a real engine process: a network in memory and the same as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_medcnn as mc
from napari_medcnn.errors import InputError
from saliency_cases import gap_classifier, noise, scan_of, spec_of


@pytest.mark.slow
def test_network_in_memory_and_file_give_the_same_map_and_a_check(tmp_path: Path) -> None:
    network, spec = gap_classifier(2, seed=3), spec_of(2, "classification")
    scan = scan_of(noise((1, 16, 14), 5))
    before = [np.array(w) for w in network.get_weights()]
    options = {"method": "grad-cam", "target": "two", "device": "cpu", "ignore_fit": True}
    made = mc.explain(scan, network, spec=spec, check=True, **options)
    assert made.layer == "second_relu" and made.values.shape == scan.array.shape and made.values.dtype == np.float32
    assert made.check is not None and [s.layer for s in made.check.cascade] == ["dense", "second", "first"]
    assert made.provenance.options["target"] == "two" and made.volume is scan
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    network.save(tmp_path / "net.keras")
    again = mc.explain(scan, tmp_path / "net.keras", spec=spec, **options)
    np.testing.assert_allclose(again.values, made.values, atol=1e-6)
    assert again.check is None and again.badge == "not checked"
    with pytest.raises(InputError, match="target"):
        mc.explain(scan, network, spec=spec, **{**options, "target": "ghost"})
