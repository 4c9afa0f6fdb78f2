"""Two examples that need no network and no patient data: a photograph in the public domain, and a phantom."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet, default_colour
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.io.layerdata import LayerTuple, mask_layer, scan_layers

PHANTOM_SHAPE = (48, 128, 128)
PHANTOM_SPACING_MM = (3.0, 0.8, 0.8)
PHANTOM_SEED = 20261121
_AIR, _FAT, _MUSCLE, _LIVER, _KIDNEY, _BONE, _LUNG = -1000, -95, 45, 115, 210, 650, -820


def fundus() -> Volume:
    """Return the fundus photograph that scikit-image ships: (1, 1411, 1411, 3) uint8, a picture.

    Mikael Häggström, Medical gallery 2014, CC0; it is a file of the scikit-image wheel, nothing is downloaded.
    """
    from skimage import data  # 0.3 s, wanted only when the example is asked for

    pixels = np.asarray(data.retina())
    return Volume(
        pixels[None],
        Geometry.picture(pixels.shape[0], pixels.shape[1]),
        "zyxc",
        name="Fundus photograph",
        modality="picture",
        channel_names=("red", "green", "blue"),
        source={"path": "", "item": "sample:fundus", "sha256": ""},
    )


def phantom() -> tuple[Volume, LabelMap]:
    """Return a procedural abdominal CT in HU and its true labels (liver, kidney, bone).

    int16 (48, 128, 128) at 3 x 0.8 x 0.8 mm, seeded: every call gives the same voxels. No axis is symmetric, so a
    flipped or permuted image is never mistaken for the original: the liver lies on the patient's right, one kidney and
    a piece of lung on the left, the spine behind, ribs in the upper half only.
    """
    nz, ny, nx = PHANTOM_SHAPE
    geometry = Geometry(PHANTOM_SHAPE, PHANTOM_SPACING_MM, (-50.8, -50.8, -70.5))
    inside = _ellipsoids(geometry)
    hu = np.full(PHANTOM_SHAPE, _AIR, np.float32)
    labels = np.zeros(PHANTOM_SHAPE, np.uint8)
    body, core = inside((0, 0, 0), (np.inf, 34, 46)), inside((0, 0, 0), (np.inf, 30, 42))
    hu[body], hu[core] = _FAT, _MUSCLE
    hu[inside((72, -4, 18), (34, 20, 18)) & core] = _LUNG
    regions = (
        (1, _LIVER, (inside((22, -6, -17), (38, 20, 22)) | inside((30, -12, 4), (18, 10, 16))) & core),
        (2, _KIDNEY, inside((-18, 12, 22), (26, 8, 9)) & ~inside((-18, 12, 17), (10, 4, 5))),
        (3, _BONE, _skeleton(inside, core)),
    )
    for label, value, where in regions:
        hu[where], labels[where] = value, label
    hu = ndimage.gaussian_filter(hu, (0.25, 0.5, 0.5))  # the scanner's own blur
    rng = np.random.default_rng(PHANTOM_SEED)
    noise = ndimage.gaussian_filter(rng.normal(0.0, 1.0, (nz, ny, nx)).astype(np.float32), (0.0, 0.6, 0.6))
    hu += 14.0 * noise / float(noise.std())
    source = {"path": "", "item": "sample:phantom", "sha256": ""}
    scan = Volume(
        np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        geometry,
        name="CT phantom",
        modality="CT",
        value_unit="HU",
        window=(-160.0, 240.0),
        source=source,
    )
    classes = LabelSet(
        (
            Label(1, "liver", default_colour(1), "SCT:10200004"),
            Label(2, "kidney", default_colour(2), "SCT:64033007"),
            Label(3, "bone", default_colour(3), "SCT:272673000"),
        )
    )
    return scan, LabelMap(labels, geometry, classes, name="True labels", source=dict(source))


def fundus_layers() -> list[LayerTuple]:
    """Return the photograph as layers, for napari's File > Open Sample."""
    return scan_layers(fundus())


def phantom_layers() -> list[LayerTuple]:
    """Return the phantom and its true labels as layers, for napari's File > Open Sample."""
    scan, truth = phantom()
    return [*scan_layers(scan), mask_layer(truth, scan)]


Inside = Callable[[tuple[float, float, float], tuple[float, float, float]], np.ndarray]


def _ellipsoids(geometry: Geometry) -> Inside:
    """Return a function: (centre, semi-axes), both mm along z, y, x from the middle -> bool (z, y, x)."""
    grids = [
        (np.arange(n, dtype=np.float32) - (n - 1) / 2) * s
        for n, s in zip(geometry.shape, geometry.spacing_mm, strict=True)
    ]
    z, y, x = grids[0][:, None, None], grids[1][None, :, None], grids[2][None, None, :]

    def inside(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        total = (
            ((z - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + ((x - centre[2]) / radii[2]) ** 2
        )
        return np.asarray(total < 1.0)

    return inside


def _skeleton(inside: Inside, core: np.ndarray) -> np.ndarray:
    """Return spine with discs between the vertebrae, and ribs of the upper half."""
    bone = np.zeros(core.shape, bool)
    for level, z in enumerate(range(-66, 78, 24)):
        bone |= inside((z, 20, 1), (10, 7, 8.5)) & core
        bone |= inside((z - 3, 27, 1), (6, 4, 2.4)) & core
        if level >= 3:
            shell = inside((0, 0, 0), (np.inf, 30, 42)) & ~inside((0, 0, 0), (np.inf, 27.4, 39.4))
            band = inside((z, 0, 0), (5, np.inf, np.inf))
            bone |= shell & band & ~inside((z, -30, 0), (np.inf, 14, 22))
    return bone
