"""How the shipped package `hippocampus-t1` was made of what `hippocampus_t1.py --evaluate` wrote.

    python recipes/hippocampus_t1_package.py OUT TARGET     # OUT holds final.keras and scores.json

TARGET is src/napari_medcnn/models/hippocampus-t1; it must not exist, a model is never overwritten. Cover and test
tensors are a seeded drawing (a bent body of two parts in smoothed noise), never a scan of the data set; the colours on
the cover are the drawing's own parts, not an answer of the network.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from hippocampus_t1 import SEED
from hippocampus_t1_card import PREPARATION, card
from scipy import ndimage

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.imaging.pipeline import prepare
from napari_medcnn.io.packages import write_package
from napari_medcnn.io.prescan import check_keras_file

SHAPE = (40, 56, 40)  # z, y, x; about the size of a crop
CROP = (slice(0, 1), slice(4, 36), slice(8, 48), slice(4, 36))  # of the batch: large enough for all levels
COVER_TIMES = 8


def drawing() -> tuple[Volume, np.ndarray]:
    """Return a seeded T1-like drawing at 1 mm, array axes to head, front and right, and its two parts (ids)."""
    rng = np.random.default_rng(SEED)
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    head = ((z - 15) / 5.5) ** 2 + ((y - 38) / 9) ** 2 + ((x - 20) / 7) ** 2 < 1
    height, middle = 16 + 0.012 * (36 - y) ** 2, 20 - 0.004 * (36 - y) ** 2  # it climbs and turns to the middle
    tail = (((z - height) / 3.5) ** 2 + ((x - middle) / 4.5) ** 2 < 1) & (y > 10) & (y < 31)
    parts = np.where(head & (y > 30), 1, np.where(tail, 2, 0)).astype(np.uint8)
    white = np.clip(1.0 + 0.25 * ndimage.gaussian_filter(rng.normal(size=SHAPE), 4) * 30, 0.75, 1.1)
    horn = (((z - height - 5) / 2) ** 2 + ((x - middle - 2) / 4) ** 2 < 1) & (y > 8) & (y < 44)
    signal = np.where(parts > 0, 0.72, np.where(horn, 0.15, white))
    signal = ndimage.gaussian_filter(signal, 0.6) + rng.normal(0, 0.02, SHAPE)
    geometry = Geometry(SHAPE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), direction=np.diag([-1.0, -1.0, 1.0]))
    return Volume((1000 * signal).astype(np.float32), geometry, modality="MR"), parts


def by_number(cases: dict[str, Any]) -> dict[str, str]:
    """Return the mean Dice (anterior, posterior) of the first and the second half of the file names: they differ."""
    names = sorted(cases)
    halves = (names[: len(names) // 2], names[len(names) // 2 :])
    means = [np.mean([cases[name]["dice"] for name in half], axis=0) for half in halves]
    return {
        f"{half[0][-3:]} to {half[-1][-3:]}": " ".join(f"{d:.3f}" for d in mean)
        for half, mean in zip(halves, means, strict=True)
    }


def published(measured: dict[str, Any]) -> dict[str, Any]:
    """Return the scores as the card tells them."""
    shown = measured["validation"]
    parts = {"anterior": "anterior hippocampus", "posterior": "posterior hippocampus"}
    return {
        "dice": {parts[part]: values for part, values in shown["dice"].items()},
        "hd95_mm": {part: values["mean"] for part, values in shown["hd95_mm"].items()},
        "assd_mm": {part: values["mean"] for part, values in shown["assd_mm"].items()},
        "dice_of_mirrored_crops": {part: values["mean"] for part, values in shown["mirrored"].items()},
        "dice_of_training_crops": {part: values["mean"] for part, values in measured["training"]["dice"].items()},
        "dice_by_number_of_the_crop": by_number(measured["per_case"]),
        "dice_per_crop_anterior_posterior": {
            name[-3:]: " ".join(f"{d:.3f}" for d in case["dice"]) for name, case in measured["per_case"].items()
        },
        "how": (
            "36 whole crops on their own grids, every fifth by file name, fixed beforehand, against the expert labels; "
            "intervals: 95 percent, bootstrap over crops, 10,000 draws. Nothing was chosen on them: the network is "
            "the one of the last epoch, and there is no clean-up: the largest piece alone changes nothing in training."
        ),
        "parameters": measured["parameters"],
        "n_training": measured["n_training"],
        "epochs": measured["epochs"],
        "training_minutes": round(measured["training_minutes"], 1),
        "seed": measured["seed"],
        "versions": measured["versions"],
    }


def cover(scan: Volume, parts: np.ndarray) -> np.ndarray:
    """Return the drawing seen from the side, head up, front to the left; below it again with its two parts."""
    middle = SHAPE[2] // 2
    grey = np.clip(scan.array[::-1, ::-1, middle] / 1150, 0, 1)
    large = ndimage.zoom(grey, COVER_TIMES, order=1)[..., None].repeat(3, axis=2)
    ids = parts[::-1, ::-1, middle].repeat(COVER_TIMES, 0).repeat(COVER_TIMES, 1)
    painted = large.copy()
    for label in card({"n_training": 0}).labels:
        where = ids == label.id
        painted[where] = 0.4 * painted[where] + 0.6 * np.array(label.colour) / 255
    return np.rint(np.clip(np.concatenate([large, painted]), 0, 1) * 255).astype(np.uint8)


def main(out: Path, target: Path) -> None:
    measured = json.loads((out / "scores.json").read_text())
    check_keras_file(out / "final.keras")
    model = keras.models.load_model(out / "final.keras", compile=False)
    scan, parts = drawing()
    window = np.ascontiguousarray(prepare(scan, PREPARATION).data[None][CROP])
    answer = keras.ops.convert_to_numpy(model(window, training=False))
    write_package(target, card(published(measured)), out / "final.keras", window, answer, cover(scan, parts))
    print(f"{target}: {sum(p.stat().st_size for p in target.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    main(arguments.out, arguments.target)
