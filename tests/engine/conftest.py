from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from engine_cases import spec_3d
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.engine.networks import threshold_segmenter_3d
from napari_medcnn.io.packages import write_package


@pytest.fixture(scope="session")
def network_3d() -> keras.Model:
    return threshold_segmenter_3d([0.3, 0.7], smooth=3)


@pytest.fixture(scope="session")
def package_3d(network_3d: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with test tensors from seeded noise."""
    folder = tmp_path_factory.mktemp("packages")
    network_3d.save(folder / "net.keras")
    noise = np.random.default_rng(5).random((1, 8, 8, 8, 1), dtype=np.float32)
    answer = keras.ops.convert_to_numpy(network_3d(noise))
    return write_package(folder / "thresholds", spec_3d(), folder / "net.keras", noise, answer)


@pytest.fixture
def scan() -> Volume:
    """Smooth seeded values from 0 to 1, anisotropic, larger than a window on every axis but the first."""
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(3).random((13, 41, 37)), 2.5)
    noise = (noise - noise.min()) / (noise.max() - noise.min())
    return Volume(noise.astype(np.float32), Geometry(noise.shape, (3.0, 0.8, 0.7)), modality="MR")


@pytest.fixture
def save_network(tmp_path: Path) -> Callable[[keras.Model], Path]:
    def save(model: keras.Model) -> Path:
        path = tmp_path / f"{model.name}.keras"
        model.save(path)
        return path

    return save
