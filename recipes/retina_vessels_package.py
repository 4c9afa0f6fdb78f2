"""How the shipped package `retina-vessels` was made of what `retina_vessels.py --evaluate` wrote.

    python recipes/retina_vessels_package.py OUT TARGET     # OUT holds final.keras and scores.json

TARGET is src/napari_medcnn/models/retina-vessels; it must not exist, a model is never overwritten. Cover and test
tensors come from the fundus photograph that scikit-image ships (public domain), never from CHASE_DB1.
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
from retina_vessels import mask_of, probabilities
from retina_vessels_card import PREPARATION, card
from skimage.transform import resize

from napari_medcnn.imaging.pipeline import prepare
from napari_medcnn.io.packages import write_package
from napari_medcnn.io.prescan import check_keras_file
from napari_medcnn.io.samples import fundus

CROP = (slice(0, 1), slice(620, 748), slice(300, 460))  # large and small vessels, beside the optic disc
COVER_PX = 400


def published(measured: dict[str, Any]) -> dict[str, Any]:
    """Return the scores as the card tells them: floats of four digits, ours beside the second observer's."""
    low, high = measured["dice_mean_95_percent_bootstrap_over_images"]
    second = list(measured["second_observer_dice"].values())
    return {
        "dice": {"vessel": {"mean": measured["dice_mean"], "low": low, "high": high, "n": len(second)}},
        "dice_per_image": measured["dice_per_image"],
        "second_observer_dice": {"mean": float(np.mean(second)), "per_image": measured["second_observer_dice"]},
        "how": (
            "Whole photographs of children 09 and 10, both eyes, against the first observer; interval: 95 percent, "
            "bootstrap over 4 images of 2 children, so it says little about other people. "
            "The threshold is the network's own 0.5; the curve over thresholds is flat on the training children. Masks "
            "of earlier networks on these 4 images were looked at, so the numbers are somewhat optimistic."
        ),
        "dice_by_threshold": measured["dice_by_threshold"],
        "training_minutes": round(measured["training_minutes"], 1),
        "seed": measured["seed"],
        "versions": measured["versions"],
    }


def cover(mask: np.ndarray) -> np.ndarray:
    """Return the sample photograph, small, with the network's mask over its right half."""
    picture = fundus().array[0].astype(np.float64) / 255
    shown = mask.copy()
    shown[:, : shown.shape[1] // 2] = False
    picture[shown] = 0.25 * picture[shown] + 0.75 * np.array([86, 180, 233]) / 255
    small = resize(picture, (COVER_PX, COVER_PX), anti_aliasing=True)
    return np.rint(small * 255).astype(np.uint8)


def main(out: Path, target: Path) -> None:
    measured = json.loads((out / "scores.json").read_text())
    check_keras_file(out / "final.keras")
    model = keras.models.load_model(out / "final.keras", compile=False)
    window = np.ascontiguousarray(prepare(fundus(), PREPARATION).data[CROP])
    answer = keras.ops.convert_to_numpy(model(window, training=False))
    mask = mask_of(probabilities(model, fundus()), measured["threshold"])
    write_package(
        target, card(measured["threshold"], published(measured)), out / "final.keras", window, answer, cover(mask)
    )
    print(f"{target}: {sum(p.stat().st_size for p in target.iterdir()) / 1e6:.1f} MB, {mask.mean():.1%} vessel")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    main(arguments.out, arguments.target)
