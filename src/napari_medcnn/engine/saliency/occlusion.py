"""Occlusion: how far the score falls when a piece of the scan is blanked out. Works for every network that answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from napari_medcnn.core.explain_time import PIECES, Box, patches
from napari_medcnn.engine.saliency.baselines import baseline, told_baseline
from napari_medcnn.engine.saliency.explainer import Explainer
from napari_medcnn.engine.saliency.items import Float32, Item, Want


def occlusion(asked: Explainer, seed: int) -> Float32:
    """Mean drop of the score over the patches that cover a voxel (Zeiler and Fergus 2014, section 4.2).

    Patches are cubes (squares for a network that sees slices, which it judges one by one) of `options.patch_mm`,
    `options.stride_mm` apart on the model's grid; what is blanked out takes the values of the baseline. With
    `options.supervoxels` natural pieces of even brightness (SLIC, Achanta et al. 2012) take their place. Exact for a
    linear network: the drop of a patch is the sum of w (x - b) over it.
    """
    plain = baseline(asked)
    told_baseline(asked)
    base = {id(found.mark): found.score for found in asked.here(Want())}
    if asked.options.supervoxels:
        return _over_pieces(asked, plain, base)
    found = patches(asked.views.box(), asked.record.model.spacing_mm, asked.views.flat, asked.options)
    for name, voxels in (("patch_mm", found.sizes), ("stride_mm", found.strides)):
        spacing = asked.record.model.spacing_mm
        asked.facts[name] = [round(n * s, 3) for n, s in zip(voxels, spacing, strict=True)]
    boxes = list(found.boxes())
    asked.total = asked.looked + sum(1 for box in boxes for _ in asked.views.touching(box))
    total = np.zeros(asked.data.shape[:3], np.float32)
    count = np.zeros(asked.data.shape[:3], np.float32)

    def items() -> Iterator[Item]:
        for box in boxes:
            for view in asked.views.touching(box):
                window = asked.views.cut(asked.data, view)
                window = asked.views.paste(window, asked.views.cut(plain, view), view, box)
                yield Item(window, view.weights, (box, view))

    for box in boxes:
        count[box] += 1
    for said in asked.look(items(), Want()):
        box, view = said.mark
        total[box] += base[id(view)] - said.score
    return np.divide(total, count, out=total, where=count > 0)


def _over_pieces(asked: Explainer, plain: Float32, base: dict[int, float]) -> Float32:
    """Return the drop of the score for each natural piece, at all its voxels."""
    pieces = _supervoxels(asked)
    names = np.unique(pieces[pieces > 0]).tolist()
    total = np.zeros(asked.data.shape[:3], np.float32)
    inside = {name: pieces == name for name in names}
    boxes = {name: _box_of(inside[name]) for name in names}
    asked.facts["pieces"] = len(names)
    asked.total = asked.looked + sum(1 for box in boxes.values() for _ in asked.views.touching(box))

    def items() -> Iterator[Item]:
        for name in names:
            changed = np.where(inside[name][..., None], plain, asked.data)
            for view in asked.views.touching(boxes[name]):
                yield Item(asked.views.cut(changed, view), view.weights, (name, view))

    for found in asked.look(items(), Want()):
        name, view = found.mark
        total[inside[name]] += base[id(view)] - found.score
    return total


def _supervoxels(asked: Explainer) -> npt.NDArray[np.intp]:
    """Return the natural pieces (z, y, x) by number from 1; 0 where the network does not look."""
    from skimage.segmentation import slic

    box, flat = asked.views.box(), asked.views.flat
    result = np.zeros(asked.data.shape[:3], np.intp)
    low, wide = asked.usual.lowest, np.maximum(asked.usual.highest - asked.usual.lowest, 1e-6)
    spacing = asked.record.model.spacing_mm
    layers = range(box[0].start, box[0].stop) if flat else [box[0]]
    for layer in layers:
        part = (slice(layer, layer + 1), *box[1:]) if isinstance(layer, int) else box
        values = (asked.data[part] - low) / wide
        found = slic(
            values, n_segments=PIECES[2 if flat else 3], compactness=0.1, channel_axis=-1, spacing=spacing,
            start_label=1, convert2lab=False,
        )  # fmt: skip
        result[part] = found + result.max()
    return result


def _box_of(inside: npt.NDArray[np.bool_]) -> Box:
    z, y, x = (np.flatnonzero(inside.any(axis=tuple(b for b in range(3) if b != a))) for a in range(3))
    return (slice(z[0], z[-1] + 1), slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1))
